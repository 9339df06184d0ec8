//! The libraries against each other and against what must not break them.

use proptest::prelude::*;

use crate::base::clock::Clock;
use crate::scripting::lua::{Host, Lua, Order, Outcome, Progress, Stack};

/// Nothing is asked of it.
struct Nobody;

impl Host for Nobody {
    fn serve(&mut self, _service: u32, _stack: &mut Stack) -> Outcome {
        Ok(0)
    }
}

/// A state with the libraries as globals.
struct Machine(Lua);

impl Machine {
    fn new() -> Machine {
        let clock = Clock::virtual_at(0);
        let mut lua = Lua::new(64 << 20, clock.stopwatch()).expect("there is memory");
        let stack = lua.stack();
        stack.push_table(0, 8);
        super::set_tables(stack);
        lua.set_globals();
        Machine(lua)
    }

    /// Runs a script with one argument; gives the string that it returns, or else its error.
    fn run(&mut self, script: &str, argument: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
        self.0.stack().truncate(0);
        self.0.stack().push_native(|_| Ok(1));
        assert!(self.0.load(script.as_bytes(), "=test"), "{script} compiles");
        self.0.stack().push_bytes(argument);
        let progress = self.0.run(&mut Nobody, Order::Call(1));
        let text = self.0.stack().bytes(-1).unwrap_or_default().to_vec();
        match progress {
            Progress::Returned => Ok(text),
            _ => Err(text),
        }
    }
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_string()),
        Just("true".to_string()),
        (-1_000_000i64..1_000_000).prop_map(|number| number.to_string()),
        "[a-z ]{0,8}".prop_map(|text| format!("\"{text}\"")),
        Just("\"\\u00e9\\n\\ud834\\udd1e\"".to_string()),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("[{}]", parts.join(","))),
            // One field: the order of several is unspecified.
            ("[a-z]{0,4}", inner).prop_map(|(name, value)| format!("{{\"{name}\":{value}}}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// What is written of what was read reads as the same, in all libraries.
    #[test]
    fn values_survive(text in json()) {
        let mut machine = Machine::new();
        let once = machine.run("return cjson.encode(cjson.decode(...))", text.as_bytes());
        let once = once.expect("it is JSON");
        let twice = machine.run("return cjson.encode(cjson.decode(...))", &once);
        prop_assert_eq!(twice.as_ref(), Ok(&once));
        // MessagePack has no place for JSON's null.
        if !text.contains("null") {
            let script = "return cjson.encode(cmsgpack.unpack(cmsgpack.pack(cjson.decode(...))))";
            let packed = machine.run(script, &once);
            prop_assert_eq!(packed.as_ref(), Ok(&once));
        }
    }

    /// Whatever is read: an error, never more.
    #[test]
    fn no_bytes_break_the_readers(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut machine = Machine::new();
        for script in [
            "cjson.decode(...)",
            "cmsgpack.unpack(...)",
            "cmsgpack.unpack_one(..., 3)",
            "struct.unpack(..., ...)",
            "struct.pack(..., 1, 2, 'x')",
            "struct.size(...)",
            "string.find('some text', ...)",
            "string.gsub(..., ..., ...)",
        ] {
            let _ = machine.run(script, &bytes);
        }
        prop_assert_eq!(machine.run("return 'well'", b""), Ok(b"well".to_vec()));
    }

    /// Text that is nearly JSON.
    #[test]
    fn damaged_json_is_refused_or_read(text in json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let mut machine = Machine::new();
        if let Ok(once) = machine.run("return cjson.encode(cjson.decode(...))", &bytes) {
            prop_assert!(machine.run("return cjson.encode(cjson.decode(...))", &once).is_ok());
        }
    }

    /// A plain search finds what Rust finds.
    #[test]
    fn plain_searches_agree(text in "[ab]{0,12}", wanted in "[ab]{0,3}") {
        let mut machine = Machine::new();
        let argument = format!("{text} {wanted}");
        let script = "local text, wanted = string.match(..., '^(%a*) (%a*)$') \
                      return (string.find(text, wanted) or 0) .. ''";
        let found = text.find(&wanted).map_or(0, |at| at + 1);
        prop_assert_eq!(machine.run(script, argument.as_bytes()), Ok(found.to_string().into_bytes()));
    }
}
