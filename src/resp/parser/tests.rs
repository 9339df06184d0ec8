//! The parser's tests: framing and errors as recorded from Redis, and random streams split anyhow.

use proptest::prelude::*;

use super::super::batch::BATCH_MAX;
use super::*;

type Requests = Vec<Vec<Vec<u8>>>;

/// A connection as the loop drives it: leftover bytes, and reads of any size.
struct Feed {
    parser: Parser,
    batch: Batch,
    limits: Limits,
    leftover: Vec<u8>,
    requests: Requests,
    /// The most that was ever held between reads, in bytes.
    held_max: usize,
}

impl Feed {
    fn new(limits: Limits) -> Feed {
        let parser = Parser::new();
        Feed { parser, batch: Batch::new(), limits, leftover: Vec::new(), requests: Vec::new(), held_max: 0 }
    }

    /// Takes one read's bytes; with `direct` those of a big argument go straight into its
    /// buffer.
    fn read(&mut self, mut bytes: &[u8], direct: bool) -> Result<(), ProtocolError> {
        while direct && let Some(target) = self.parser.big_target() {
            let count = target.spare().len().min(bytes.len());
            target.spare()[..count].copy_from_slice(&bytes[..count]);
            target.advance(count);
            bytes = &bytes[count..];
            if bytes.is_empty() {
                break;
            }
        }
        self.leftover.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            let input = &self.leftover[at..];
            at += self.parser.parse(input, &self.limits, &mut self.batch)?;
            for index in 0..self.batch.len() {
                let args = self.batch.args(index, input);
                self.requests.push(args.iter().map(<[u8]>::to_vec).collect());
                assert!(!args.is_empty());
                check_views(args);
            }
            assert!(self.batch.is_empty() || !self.parser.is_mid_request());
            if self.batch.is_empty() || at == self.leftover.len() {
                break;
            }
        }
        self.leftover.drain(..at);
        self.held_max = self.held_max.max(self.leftover.len() + self.parser.pending_bytes());
        Ok(())
    }
}

/// The ways to look at the same arguments agree.
fn check_views(args: crate::resp::Args<'_>) {
    let owned = args.to_owned();
    for index in 0..args.len() {
        assert_eq!(&args[index], args.at(index));
        assert_eq!(args.bytes(index), args[index]);
        assert_eq!(args.get(index), Some(&args[index]));
        assert_eq!(owned.as_args()[index], args[index]);
        assert_eq!(args.slice_from(index).get(0), Some(&args[index]));
        assert_eq!(args.first(index).get(index), None);
        assert_eq!(args.first(index + 1).get(index), Some(&args[index]));
    }
    assert_eq!(args.get(args.len()), None);
    assert!(args.slice_from(args.len() + 1).is_empty());
    assert_eq!(args.total_bytes(), args.iter().map(<[u8]>::len).sum::<usize>());
    for first in 0..args.len() {
        for view in [args.slice_from(first), args.first(first + 1), owned.as_args().slice_from(first)] {
            assert!(view.encoded().is_none_or(|bytes| bytes == encoded(view)), "{view:?}");
        }
    }
}

/// What a server would write for these arguments.
fn encoded(args: crate::resp::Args<'_>) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for argument in args.iter() {
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

#[test]
fn a_request_in_its_shortest_form_is_passed_on_as_it_came() {
    let long = format!("*2\r\n$3\r\nGET\r\n$1000\r\n{}\r\n", "x".repeat(1000));
    let forms = [
        ("*1\r\n$4\r\nPING\r\n", true),
        ("*3\r\n$3\r\nSET\r\n$10\r\nabcdefghij\r\n$0\r\n\r\n", true),
        (long.as_str(), true),
        (
            "*12\r\n$4\r\nMGET\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n\
          $1\r\ng\r\n$1\r\nh\r\n$1\r\ni\r\n$1\r\nj\r\n$1\r\nk\r\n",
            true,
        ),
        ("*02\r\n$3\r\nGET\r\n$1\r\na\r\n", false),
        ("*2\r\n$03\r\nGET\r\n$1\r\na\r\n", false),
        ("*2\r\n$3\r\nGET\r\n$01\r\na\r\n", false),
        ("GET a\r\n", false),
        // What was unquoted lies side by side, and may look like anything.
        ("\"*1\\r\\n$3\\r\\n\"\r\nGET\r\nxx\r\n", false),
    ];
    for (form, is_shortest) in forms {
        let mut batch = Batch::new();
        if Parser::new().parse(form.as_bytes(), &Limits::default(), &mut batch).is_err() {
            assert!(!is_shortest, "{form}");
            continue;
        }
        for index in 0..batch.len() {
            let args = batch.args(index, form.as_bytes());
            assert_eq!(args.encoded(), is_shortest.then_some(form.as_bytes()), "{form}");
        }
    }
    let pipeline = "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n";
    let mut batch = Batch::new();
    Parser::new().parse(pipeline.as_bytes(), &Limits::default(), &mut batch).expect("these are requests");
    assert_eq!(batch.args(1, pipeline.as_bytes()).encoded(), Some(&pipeline.as_bytes()[14..]));
}

fn parse_all(input: &[u8], limits: Limits) -> (Requests, Result<(), ProtocolError>) {
    let mut feed = Feed::new(limits);
    let result = feed.read(input, false);
    (feed.requests, result)
}

fn request(words: &[&[u8]]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.to_vec()).collect()
}

fn encode(arguments: &[Vec<u8>]) -> Vec<u8> {
    let mut encoded = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        encoded.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        encoded.extend_from_slice(argument);
        encoded.extend_from_slice(b"\r\n");
    }
    encoded
}

#[track_caller]
fn assert_parses(input: &[u8], words: &[&[u8]]) {
    assert_eq!(parse_all(input, Limits::default()), (vec![request(words)], Ok(())), "{}", input.escape_ascii());
}

/// What Redis 7.0.15 and 8.2 both take, though a stricter reader would not.
#[test]
fn lenient_framing_is_taken() {
    let ping: &[&[u8]] = &[b"PING"];
    for input in [
        &b"*1\r\n$4\r\nPING\r\n"[..],
        b"*1\rX$4\r\nPING\r\n",
        b"*1\r\n$4\rXPING\r\n",
        b"*1\r\n$4\r\nPINGxx",
        b"*0\r\n*1\r\n$4\r\nPING\r\n",
        b"*-1\r\n*1\r\n$4\r\nPING\r\n",
        b"*-5\r\n*1\r\n$4\r\nPING\r\n",
        b"*-9223372036854775808\r\nPING\r\n",
        b"PING\n",
        b"PING\r\n",
        b"PING\r\r\n",
        b"\r\nPING\r\n",
        b"\nPING\n",
        b"   \r\nPING\r\n",
        b"  PING  \r\n",
        b"\tPING\t\r\n",
    ] {
        assert_parses(input, ping);
    }
    assert_parses(b"*1\r\n$0\r\n\r\n", &[b""]);
    assert_parses(b"*2\r\n$4\r\nECHO\r\n$3\r\na\r\n\r\n", &[b"ECHO", b"a\r\n"]);
}

#[test]
fn inline_words_are_unquoted() {
    assert_parses(b"PING\x0b\x0cx\r\n", &[b"PING\x0b\x0cx"]);
    assert_parses(b"\x0b\x0cPING\r\n", &[b"PING"]);
    assert_parses(b"ECHO \"a\\x41\\n\\r\\t\\b\\a\\q\\xZZ\"\r\n", &[b"ECHO", b"aA\n\r\t\x08\x07qxZZ"]);
    assert_parses(b"ECHO 'a\\'b\\n'\r\n", &[b"ECHO", b"a'b\\n"]);
    assert_parses(b"ECHO a\"b c\"\r\n", &[b"ECHO", b"ab c"]);
    assert_parses(b"ECHO a'b'\r\n", &[b"ECHO", b"ab"]);
    assert_parses(b"ECHO \"\" ''\r\n", &[b"ECHO", b"", b""]);
    assert_parses(b"ECHO \"\xe9\\x4\"\r\n", &[b"ECHO", b"\xe9x4"]);
    assert_parses(b"ECHO \"x\"\x0by\r\n", &[b"ECHO", b"x", b"y"]);
    assert_parses(b"ECHO \xa0a\r\n", &[b"ECHO", b"\xa0a"]);
    assert_parses(b"\"\" x\r\n", &[b"", b"x"]);
}

#[test]
fn what_was_received_is_measured() {
    let long = format!("*2\r\n$4\r\nECHO\r\n$100\r\n{}\r\n", "x".repeat(100));
    let cases: [(&[u8], usize); 6] = [
        (b"*2\r\n$4\r\nECHO\r\n$1\r\na\r\n", 21),
        (long.as_bytes(), long.len()),
        (b"ECHO a\r\n", 8),
        // Spaces and quotes are left out.
        (b" ECHO   'a'\r\n", 8),
        (b"ECHO '' b c\n", 11),
        (b"*3\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n", 22),
    ];
    for (input, expected) in cases {
        let (mut parser, mut batch) = (Parser::new(), Batch::new());
        parser.parse(input, &Limits::default(), &mut batch).expect("a request");
        assert_eq!(batch.args(0, input).received_bytes(), expected, "{}", input.escape_ascii());
        // A request that comes in two reads is kept in between.
        let (mut parser, mut batch) = (Parser::new(), Batch::new());
        let (first, second) = input.split_at(input.len() - 2);
        let used = parser.parse(first, &Limits::default(), &mut batch).expect("half a request");
        let rest = [&first[used..], second].concat();
        parser.parse(&rest, &Limits::default(), &mut batch).expect("a request");
        assert_eq!(batch.args(0, &rest).received_bytes(), expected, "{}", input.escape_ascii());
    }
}

#[track_caller]
fn assert_error(input: &[u8], limits: Limits, reply: &[u8]) {
    let (requests, result) = parse_all(input, limits);
    let text = result.expect_err("it is taken").reply_text();
    let start = &input[..input.len().min(40)];
    assert_eq!(text.escape_ascii().to_string(), reply.escape_ascii().to_string(), "{}", start.escape_ascii());
    assert_eq!(requests.len(), 0);
}

/// Each recorded from Redis 7.0.15 and 8.2 (the reply writer turns line ends into spaces).
#[test]
fn errors_are_those_of_redis() {
    let count = b"ERR Protocol error: invalid multibulk length";
    for input in [
        "*+1\r\n",
        "*01\r\n",
        "*1\n$4\r\n",
        "*-0\r\n",
        "*\r\n",
        "*abc\r\n",
        "*1 \r\n",
        "* 1\r\n",
        "*2147483648\r\n",
        "*99999999999999999999\r\n",
        "*-9223372036854775809\r\n",
    ] {
        assert_error(input.as_bytes(), Limits::default(), count);
    }
    let length = b"ERR Protocol error: invalid bulk length";
    for input in ["$-1", "$536870913", "$abc", "$", "$-0", "$04", "$+4", "$00", "$1\n"] {
        assert_error(format!("*1\r\n{input}\r\n").as_bytes(), Limits::default(), length);
    }
    for byte in [b'+', 1, 0xff, b'\'', b'\r', b'\n'] {
        let input = [b"*1\r\n", &[byte][..], b"\r\n"].concat();
        let text = [b"ERR Protocol error: expected '$', got '", &[byte][..], b"'"].concat();
        assert_error(&input, Limits::default(), &text);
    }
    let quotes = b"ERR Protocol error: unbalanced quotes in request";
    for input in [
        "ECHO \"abc",
        "ECHO \"abc\"d",
        "ECHO 'abc'd",
        "ECHO 'abc",
        "ECHO a\"b\"c",
        "\"",
        "ECHO \"\\",
        "ECHO \"x\"\u{85}",
    ] {
        assert_error(format!("{input}\r\n").as_bytes(), Limits::default(), quotes);
    }
}

#[test]
fn lines_without_end_are_waited_for_up_to_64_kib() {
    let cases = [
        ("", "a", "a", "inline request"),
        ("", "\0\n", "a\n", "inline request"),
        ("", "*", "1", "mbulk count string"),
        ("", "*\0\r\n", "1\r\n", "mbulk count string"),
        ("*1\r\n", "$", "1", "bulk count string"),
        ("*1\r\n", "x", "x", "bulk count string"),
        ("*1\r\n", "\0", "\r", "bulk count string"),
    ];
    for (before, start, filler, what) in cases {
        let line = start.bytes().chain(filler.bytes().cycle());
        let line = line.take(LINE_MAX_BYTES + 1);
        let input: Vec<u8> = before.bytes().chain(line).collect();
        let waiting = parse_all(&input[..input.len() - 1], Limits::default());
        assert_eq!(waiting, (vec![], Ok(())), "{before}{start}{filler}");
        let reply = format!("ERR Protocol error: too big {what}");
        assert_error(&input, Limits::default(), reply.as_bytes());
    }
}

#[test]
fn before_authentication_little_is_taken() {
    let limits = Limits { authenticated: false, ..Limits::default() };
    assert_error(b"*11\r\n", limits, b"ERR Protocol error: unauthenticated multibulk length");
    assert_error(b"*1\r\n$16385\r\n", limits, b"ERR Protocol error: unauthenticated bulk length");
    assert_error(b"*2147483648\r\n", limits, b"ERR Protocol error: invalid multibulk length");
    assert_error(b"*1\r\n$536870913\r\n", limits, b"ERR Protocol error: invalid bulk length");
    let ten = encode(&vec![vec![b'x'; 16384]; 10]);
    assert_eq!(parse_all(&ten, limits).0.len(), 1);
    assert_eq!(parse_all(b"PING a b c d e f g h i j k l\r\n", limits).0.len(), 1);
}

/// AUTH in a pipeline: what it lets through stands behind it, so it may not be refused ahead of
/// time.
#[test]
fn requests_in_front_of_an_error_come_first() {
    let mut input = encode(&request(&[b"AUTH", b"secret"]));
    let auth_len = input.len();
    input.extend(encode(&vec![b"x".to_vec(); 11]));
    let mut limits = Limits { authenticated: false, ..Limits::default() };
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    assert_eq!(parser.parse(&input, &limits, &mut batch), Ok(auth_len));
    assert_eq!((batch.len(), batch.end(0)), (1, auth_len));
    let refused = parser.parse(&input[auth_len..], &limits, &mut batch);
    assert_eq!(refused, Err(ProtocolError::UnauthenticatedMultibulkLength));
    limits.authenticated = true;
    assert_eq!(parser.parse(&input[auth_len..], &limits, &mut batch), Ok(input.len() - auth_len));
    assert_eq!(batch.args(0, &input[auth_len..]).len(), 11);
}

#[test]
fn a_batch_holds_so_many_requests() {
    let input = b"*1\r\n$4\r\nPING\r\n".repeat(BATCH_MAX + 8);
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    let full_bytes = BATCH_MAX * 14;
    assert_eq!(parser.parse(&input, &Limits::default(), &mut batch), Ok(full_bytes));
    assert!(batch.is_full());
    assert_eq!(batch.end(BATCH_MAX - 1), full_bytes);
    assert_eq!(parser.parse(&input[full_bytes..], &Limits::default(), &mut batch), Ok(8 * 14));
    assert_eq!(batch.len(), 8);
}

#[test]
fn a_big_argument_is_received_in_its_own_buffer() {
    let value: Vec<u8> = (0..3_000_000u32).map(|index| index as u8).collect();
    let words = vec![b"SET".to_vec(), b"key".to_vec(), value, b"EX".to_vec(), b"9".to_vec()];
    let encoded = encode(&words);
    for direct in [false, true] {
        let mut feed = Feed::new(Limits::default());
        for chunk in encoded.chunks(50_000) {
            feed.read(chunk, direct).unwrap();
        }
        assert_eq!(feed.requests, std::slice::from_ref(&words));
        assert!(feed.held_max < 3_100_000, "{}", feed.held_max);
        assert_eq!((feed.leftover.len(), feed.parser.pending_bytes()), (0, 0));
    }
    // The buffer is handed on without a copy and is exactly as large as the value.
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    assert_eq!(parser.parse(&encoded[..100], &Limits::default(), &mut batch), Ok(100));
    let mut at = 100;
    while let Some(target) = parser.big_target() {
        let spare = target.spare();
        let count = spare.len();
        spare.copy_from_slice(&encoded[at..at + count]);
        target.advance(count);
        at += count;
    }
    parser.parse(&encoded[at..], &Limits::default(), &mut batch).unwrap();
    let args = batch.args(0, &encoded[at..]);
    assert_eq!(args.bytes(2).as_ptr(), args[2].as_ptr());
    assert_eq!(args.to_owned().as_args()[2].as_ptr(), args[2].as_ptr());
}

/// Ten thousand clients that announce half a gigabyte each must not cost more than what they
/// sent.
#[test]
fn announcements_cost_nothing() {
    let mut feed = Feed::new(Limits::default());
    feed.read(b"*2147483647\r\n$3\r\nSET\r\n$536870912\r\nabc", false).unwrap();
    assert!(feed.held_max < 1024, "{}", feed.held_max);
    let target = feed.parser.big_target().unwrap();
    assert_eq!(target.remaining(), 536_870_909);
}

/// A long request in tiny pieces: every byte is looked at about once, and little is left to the
/// connection.
#[test]
fn many_arguments_arrive_byte_by_byte() {
    let words: Vec<Vec<u8>> = (0..20_000).map(|index| format!("argument {index}").into_bytes()).collect();
    let encoded = encode(&words);
    let mut feed = Feed::new(Limits::default());
    for byte in &encoded {
        feed.read(std::slice::from_ref(byte), false).unwrap();
        assert!(feed.leftover.len() < 32);
    }
    assert_eq!(feed.requests, [words]);
}

/// What stops a client in the middle of a batch (it became blocked) is no loss: the rest is
/// parsed again.
#[test]
fn a_batch_may_be_left_in_the_middle() {
    let mut input = b"*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\nc d\r\n*2\r\n$1\r\ne\r\n$50000\r\n".to_vec();
    input.resize(input.len() + 50_002, b'x');
    let cut = input.len() - 20_000;
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    parser.parse(&input[..cut], &Limits::default(), &mut batch).unwrap();
    assert_eq!(batch.len(), 3);
    let rest = &input[batch.end(0)..];
    assert_eq!(parser.parse(rest, &Limits::default(), &mut batch), Ok(rest.len()));
    let names: Vec<_> = (0..batch.len()).map(|index| batch.args(index, rest)[0].to_vec()).collect();
    assert_eq!(names, [b"b", b"c", b"e"]);
}

#[test]
fn the_batch_lets_go_of_unusual_memory() {
    let words = vec![vec![b'x'; 100]; 20_000];
    let encoded = encode(&words);
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    let at = parser.parse(&encoded[..2_000_000], &Limits::default(), &mut batch).unwrap();
    parser.parse(&encoded[at..], &Limits::default(), &mut batch).unwrap();
    assert_eq!(batch.args(0, &encoded[at..]).len(), 20_000);
    batch.clear();
    assert!(batch.spans.capacity() * size_of::<Span>() + batch.scratch.capacity() <= 3 * LINE_MAX_BYTES);
}

fn argument() -> impl Strategy<Value = Vec<u8>> {
    let long = (any::<u8>(), 1usize..100_000).prop_map(|(byte, len)| vec![byte; len]);
    prop_oneof![12 => prop::collection::vec(any::<u8>(), 0..40), 1 => long]
}

/// A request as bytes, and what it means (nothing for an empty one).
fn any_request() -> impl Strategy<Value = (Vec<u8>, Option<Vec<Vec<u8>>>)> {
    let multibulk = prop::collection::vec(argument(), 1..8).prop_map(|words| (encode(&words), Some(words)));
    let inline = prop::collection::vec("[a-z]{1,9}", 1..5).prop_map(|words| {
        let line = words.join(" ") + "\r\n";
        (line.into_bytes(), Some(words.into_iter().map(String::into_bytes).collect()))
    });
    let empty = prop::sample::select(vec!["*0\r\n", "*-1\r\n", "\r\n", "\n", " \t\r\n"]);
    prop_oneof![8 => multibulk, 2 => inline, 1 => empty.prop_map(|text| (text.into(), None))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn splitting_changes_nothing(
        requests in prop::collection::vec(any_request(), 1..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        direct in any::<bool>(),
    ) {
        let stream: Vec<u8> = requests.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let expected: Requests = requests.into_iter().filter_map(|(_, words)| words).collect();
        let inner = cuts.iter().map(|cut| cut.index(stream.len()));
        let mut cuts: Vec<usize> = inner.chain([0, stream.len()]).collect();
        cuts.sort_unstable();
        let mut feed = Feed::new(Limits::default());
        for pair in cuts.windows(2) {
            feed.read(&stream[pair[0]..pair[1]], direct).unwrap();
        }
        prop_assert!(feed.requests == expected);
        prop_assert_eq!((feed.leftover.len(), feed.parser.pending_bytes()), (0, 0));
    }
}

/// The property of the fuzz target, over mutated valid requests: no panic, no unbounded memory,
/// and how the bytes are split makes no difference.
#[test]
fn garbage_is_survived() {
    let mut random = fastrand::Rng::with_seed(20_250_101);
    let pieces: [&[u8]; 16] = [
        b"*3\r\n",
        b"$3\r\nSET\r\n",
        b"$",
        b"*",
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"$40000\r\n",
        b"-1",
        b"12",
        b"\"",
        b"'a b' ",
        b"*2147483647\r\n",
        b"$536870912\r\n",
        b"\\x41",
    ];
    for _ in 0..20_000 {
        let mut stream = Vec::new();
        for _ in 0..random.usize(1..20) {
            match random.u8(..4) {
                0 => stream.push(random.u8(..)),
                _ => stream.extend_from_slice(pieces[random.usize(..pieces.len())]),
            }
        }
        if random.u8(..8) == 0 {
            stream.resize(stream.len() + random.usize(..90_000), random.u8(..));
        }
        check_garbage(&stream, &mut random);
    }
}

fn check_garbage(stream: &[u8], random: &mut fastrand::Rng) {
    let limits = Limits { authenticated: random.bool(), ..Limits::default() };
    let whole = parse_all(stream, limits);
    let mut feed = Feed::new(limits);
    let mut rest = stream;
    let mut result = Ok(());
    while !rest.is_empty() && result.is_ok() {
        let (read, after) = rest.split_at(random.usize(1..=rest.len().min(40_000)));
        result = feed.read(read, random.bool());
        rest = after;
    }
    assert!(feed.held_max <= 40 * stream.len() + 1024, "{} of {}", feed.held_max, stream.len());
    // Only a line beyond 64 KiB is taken or refused depending on how much of it is seen at
    // once.
    if stream.len() <= LINE_MAX_BYTES {
        assert_eq!((feed.requests, result), whole, "{}", stream.escape_ascii());
    }
}

/// Lengths of keys are kept in `u32`, whatever `proto-max-bulk-len` allows.
#[test]
fn no_argument_is_longer_than_four_gigabytes() {
    let limits = Limits { max_bulk_bytes: i64::MAX as u64, ..Limits::default() };
    let announce = |length: u64| {
        let input = format!("*2\r\n$3\r\nGET\r\n${length}\r\n");
        Parser::new().parse(input.as_bytes(), &limits, &mut Batch::new())
    };
    assert!(announce(u64::from(u32::MAX)).is_ok());
    assert_eq!(announce(u64::from(u32::MAX) + 1), Err(ProtocolError::InvalidBulkLength));
}
