//! DEBUG PROTOCOL: one reply of every type, for tests of clients.

use crate::command::error::{CommandError, CommandResult};
use crate::engine::context::Context;
use crate::resp::Args;
use crate::resp::Protocol;

/// What Redis replies with. Not meant to be any better known number.
#[allow(clippy::approx_constant)]
const SOME_DOUBLE: f64 = 3.141;

pub(super) fn reply(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let reply = &mut *context.reply;
    let is_resp3 = reply.protocol() == Protocol::Resp3;
    match args.at(2).to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.integer(12345),
        b"double" => reply.double(SOME_DOUBLE),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|element| reply.integer(element));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|element| reply.integer(element));
        }
        b"map" => {
            reply.map(3);
            for key in 0..3 {
                reply.integer(key);
                reply.bool(key == 1);
            }
        }
        b"attrib" => {
            if is_resp3 {
                reply.raw(b"|1\r\n");
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.integer(90);
            }
            // An attribute only accompanies a reply.
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" if !is_resp3 => {
            return Err(CommandError::fixed("ERR RESP2 is not supported by this command"));
        }
        b"push" => {
            // A push that comes up within a command is sent behind the command's reply.
            reply.bulk(b"Some real reply following the push reply");
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.integer(42);
        }
        b"verbatim" => reply.verbatim("txt", b"This is a verbatim\nstring"),
        b"true" => reply.bool(true),
        b"false" => reply.bool(false),
        _ => {
            return Err(CommandError::fixed(
                "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|\
                 array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}
