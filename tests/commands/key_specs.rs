//! Keys found from declarations: the cases are those that genuine servers (7.0 and 8.2 agree) were asked with
//! COMMAND GETKEYSANDFLAGS.

use oneloop::command::keys::{channels_of, keys_of};
use oneloop::command::registry::Registry;
use oneloop::command::registry::{LegacyKeys, RenameError};
use oneloop::command::spec::{Begin, CommandSpec, Find, Group, KeyFlag, KeySpec};
use oneloop::commands::key_finders;
use oneloop::engine::call::container;
use oneloop::resp::Args;

const READ: &[KeyFlag] = &[KeyFlag::Ro, KeyFlag::Access];
const STORE: &[KeyFlag] = &[KeyFlag::Ow, KeyFlag::Update];
const VAGUE: &[KeyFlag] = &[KeyFlag::Rw, KeyFlag::VariableFlags];

const fn after(word: &'static str, from: i32, find: Find) -> KeySpec {
    KeySpec { flags: STORE, begin: Begin::Keyword { word, from }, find, notes: None }
}

const ONE: Find = Find::Range { last: 0, step: 1, limit: 0 };

/// A declaration of each kind, named after the command that has it.
static COMMANDS: &[CommandSpec] = &[
    keys("get", &[KeySpec::one(READ, 1)]),
    keys("blpop", &[KeySpec::range(READ, 1, -2, 1)]),
    keys("mset", &[KeySpec::range(STORE, 1, -1, 2)]),
    keys("eval", &[KeySpec::counted(READ, 2)]),
    keys("zunionstore", &[KeySpec::one(STORE, 1), KeySpec::counted(READ, 2)]),
    keys("copy", &[KeySpec::one(READ, 1), KeySpec::one(STORE, 2)]),
    keys("bitop", &[KeySpec::one(STORE, 2), KeySpec::range(READ, 3, -1, 1)]),
    keys("gap", &[KeySpec::one(STORE, 1), KeySpec::one(READ, 3)]),
    keys("georadius", &[KeySpec::one(READ, 1), after("STORE", 6, ONE), after("STOREDIST", 6, ONE)]),
    keys("xread", &[after("STREAMS", 1, Find::Range { last: -1, step: 1, limit: 2 })]),
    keys("backwards", &[after("KEYS", -2, Find::Range { last: -1, step: 1, limit: 0 })]),
    keys("spublish", &[KeySpec::one(&[KeyFlag::NotKey], 1)]),
    CommandSpec { find_keys: Some(key_finders::set), ..keys("set", &[KeySpec::one(VAGUE, 1)]) },
    CommandSpec { find_keys: Some(key_finders::bitfield), ..keys("bitfield", &[KeySpec::one(VAGUE, 1)]) },
    CommandSpec { find_keys: Some(key_finders::sort), ..keys("sort", &[KeySpec::one(READ, 1)]) },
    CommandSpec { find_keys: Some(key_finders::sort_read_only), ..keys("sort_ro", &[KeySpec::one(READ, 1)]) },
    CommandSpec { find_keys: Some(key_finders::migrate), ..keys("migrate", &[KeySpec::one(READ, 3)]) },
    CommandSpec::container("box", Group::Generic, "1.0.0")
        .subcommands(&[keys("get", &[KeySpec::one(READ, 2)]), keys("a-name-of-more-than-sixteen-bytes", &[])]),
];

const fn keys(name: &'static str, keys: &'static [KeySpec]) -> CommandSpec {
    CommandSpec::new(name, -1, Group::Generic, "1.0.0", container).keys(keys)
}

/// The keys of a request given as words (`''` for an empty one), each with its flags.
fn found(request: &str) -> String {
    let registry = Registry::new(&[COMMANDS]);
    let words: Vec<&[u8]> = request.split(' ').map(|word| word.trim_matches('\'').as_bytes()).collect();
    let args = Args::from_slices(&words);
    let command = registry.resolve(&args[0], args.get(1)).expect("it is declared above");
    let keys = keys_of(command, args);
    let shown = keys.iter().map(|key| {
        let flags: Vec<_> = key.flags.iter().map(|flag| flag.name()).collect();
        format!("{}:{}", String::from_utf8_lossy(&args[key.index]), flags.join("+"))
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (request, keys) in cases {
        assert_eq!(found(request), *keys, "{request}");
    }
}

#[test]
fn by_position() {
    check(&[
        ("get k", "k:RO+access"),
        ("box get k", "k:RO+access"),
        ("blpop a b 0", "a:RO+access b:RO+access"),
        ("mset a 1 b 2", "a:OW+update b:OW+update"),
        ("mset a 1 b", "a:OW+update b:OW+update"),
        ("copy a b", "a:RO+access b:OW+update"),
        ("bitop and d a b", "d:OW+update a:RO+access b:RO+access"),
    ]);
}

#[test]
fn too_few_arguments_are_a_syntax_error() {
    check(&[("get", ""), ("blpop a", ""), ("copy a", ""), ("bitop and d", ""), ("box get", "")]);
}

#[test]
fn by_count() {
    check(&[
        ("eval x 2 a b c", "a:RO+access b:RO+access"),
        ("zunionstore d 1 a weights 2", "d:OW+update a:RO+access"),
        ("eval x 0 a", ""),
        ("eval x 2 a", ""),
        ("eval x -1 a", ""),
        ("eval x foo a", ""),
        ("eval x 9223372036854775807 a", ""),
        ("eval x 99999999999999999999 a", ""),
        ("eval x", ""),
        ("zunionstore d 0 a", ""),
    ]);
}

#[test]
fn after_a_word() {
    check(&[
        ("georadius k 1 2 3 m", "k:RO+access"),
        ("georadius k 1 2 3 m Store x", "k:RO+access x:OW+update"),
        ("georadius k 1 2 3 m store x storedist y", "k:RO+access x:OW+update y:OW+update"),
        ("georadius k 1 2 3 m store", "k:RO+access"),
        ("georadius k 1 2 3 store x m", "k:RO+access"),
        ("xread streams a 0", "a:OW+update"),
        ("xread count 1 streams streams b 1 2", "streams:OW+update b:OW+update"),
        ("xread streams a b c", "a:OW+update"),
        ("xread streams a", ""),
        ("xread streams", ""),
        ("xread count 2", ""),
        ("backwards x KEYS keys a", "a:OW+update"),
        ("backwards x keys a b", "a:OW+update b:OW+update"),
        ("backwards keys a", ""),
        ("backwards", ""),
    ]);
}

#[test]
fn names_that_are_no_keys() {
    let registry = Registry::new(&[COMMANDS]);
    let command = registry.find(b"spublish").expect("it is declared above");
    let args: &[&[u8]] = &[b"spublish", b"channel", b"message"];
    assert!(keys_of(command, Args::from_slices(args)).is_empty());
    let channels = channels_of(command, Args::from_slices(args));
    assert_eq!(channels.iter().map(|channel| channel.index).collect::<Vec<_>>(), [1]);
}

#[test]
fn set_reads_with_get_only() {
    check(&[
        ("set a b", "a:OW+update"),
        ("set a b ex 1", "a:OW+update"),
        ("set a b ex 1 GeT", "a:RW+access+update"),
        ("set a get", "a:OW+update"),
        ("set get get", "get:OW+update"),
        ("set k v gett", "k:OW+update"),
    ]);
}

#[test]
fn bitfield_writes_unless_it_only_gets() {
    check(&[
        ("bitfield k", "k:RO+access"),
        ("bitfield k get u8 0", "k:RO+access"),
        ("bitfield k overflow sat get u8 0", "k:RO+access"),
        ("bitfield k overflow get", "k:RO+access"),
        ("bitfield k get u8 0 set u8 0 1", "k:RW+access+update"),
        ("bitfield k get u8", "k:RW+access+update"),
        ("bitfield k foo", "k:RW+access+update"),
    ]);
}

#[test]
fn sort_stores_after_its_last_store() {
    check(&[
        ("sort a", "a:RO+access"),
        ("sort a by store get x store y store z limit 0 store", "a:RO+access z:OW+update"),
        ("sort a store x store y store", "a:RO+access y:OW+update"),
        ("sort a store store b", "a:RO+access b:OW+update"),
        ("sort a store b limit", "a:RO+access b:OW+update"),
        ("sort_ro a by x", "a:RO+access"),
    ]);
}

#[test]
fn migrate_takes_one_key_or_those_after_keys() {
    check(&[
        ("migrate h 1 k 0 1", "k:RW+access+delete"),
        ("migrate h 1 k 0 1 keys", "k:RW+access+delete"),
        ("migrate h 1 k 0 1 copy keys a b", ""),
        ("migrate h 1 '' 0 1 copy keys a b", "a:RW+access+delete b:RW+access+delete"),
        ("migrate h 1 '' 0 1 auth keys a b", ":RW+access+delete"),
        ("migrate h 1 '' 0 1 auth x keys a b", "a:RW+access+delete b:RW+access+delete"),
        ("migrate h 1 '' 0 1 auth2 a keys keys b", "b:RW+access+delete"),
        ("migrate h 1 '' 0 1 copy keys", ":RW+access+delete"),
        ("migrate h 1 '' 0 1 auth2", ":RW+access+delete"),
    ]);
}

#[test]
fn one_range_for_old_clients() {
    let registry = Registry::new(&[COMMANDS]);
    let legacy = |name: &str| {
        let command = registry.find_full(name.as_bytes()).expect("it is declared above");
        let LegacyKeys { first, last, step } = command.legacy_keys;
        let movable = command.flags.has(oneloop::command::spec::Flag::MovableKeys);
        (first, last, step, movable)
    };
    assert_eq!(legacy("get"), (1, 1, 1, false));
    assert_eq!(legacy("box|get"), (2, 2, 1, false));
    assert_eq!(legacy("blpop"), (1, -2, 1, false));
    assert_eq!(legacy("mset"), (1, -1, 2, false));
    assert_eq!(legacy("copy"), (1, 2, 1, false));
    assert_eq!(legacy("bitop"), (2, -1, 1, false));
    assert_eq!(legacy("gap"), (1, 1, 1, true));
    assert_eq!(legacy("eval"), (0, 0, 0, true));
    assert_eq!(legacy("zunionstore"), (1, 1, 1, true));
    assert_eq!(legacy("georadius"), (1, 1, 1, true));
    assert_eq!(legacy("xread"), (0, 0, 0, true));
    assert_eq!(legacy("box"), (0, 0, 0, false));
}

#[test]
fn commands_are_found_by_name() {
    let registry = Registry::new(&[COMMANDS]);
    let name = |found: Option<&oneloop::command::registry::Command>| found.map(|command| command.full_name.clone());
    let full = |name: &str| Some(name.to_string());
    assert_eq!(name(registry.find(b"GeT")), full("get"));
    assert_eq!(name(registry.find(b"gets")), None);
    assert_eq!(name(registry.find(b"")), None);
    assert_eq!(name(registry.find_full(b"BOX|Get")), full("box|get"));
    assert_eq!(
        name(registry.find_full(b"box|A-NAME-OF-more-than-sixteen-bytes")),
        full("box|a-name-of-more-than-sixteen-bytes")
    );
    assert_eq!(
        name(registry.find_full(b"box|a-name-OF-MORE-than-sixteen-Bytes")),
        full("box|a-name-of-more-than-sixteen-bytes")
    );
    assert_eq!(name(registry.find_full(b"box|a-name-of+more-than-sixteen-bytes")), None);
    assert_eq!(name(registry.find_full(b"box|copy")), None);
    assert_eq!(name(registry.find_full(b"get|get")), None);
    assert_eq!(name(registry.resolve(b"box", Some(b"get"))), full("box|get"));
    assert_eq!(name(registry.resolve(b"box", Some(b"nosuch"))), full("box"));
    assert_eq!(name(registry.resolve(b"get", Some(b"get"))), full("get"));
    assert_eq!(name(registry.resolve_strictly(b"box", Some(b"nosuch"))), None);
    assert_eq!(name(registry.resolve_strictly(b"box", None)), full("box"));
}

#[test]
fn commands_are_renamed() {
    let mut registry = Registry::new(&[COMMANDS]);
    assert_eq!(registry.rename(b"nosuch", b"x"), Err(RenameError::NoSuchCommand));
    assert_eq!(registry.rename(b"get", b"EVAL"), Err(RenameError::NameTaken));
    assert_eq!(registry.rename(b"Get", b"get"), Ok(()));
    assert_eq!(registry.rename(b"GET", b"a0b1c2d3e4f5a6b7c8d9A0B1"), Ok(()));
    assert!(registry.find(b"get").is_none());
    let renamed = registry.find(b"A0b1c2d3e4f5a6b7c8d9a0b1").expect("it has that name now");
    assert_eq!(renamed.full_name, "get");
    assert_eq!(registry.rename(b"eval", b""), Ok(()));
    assert!(registry.find(b"eval").is_none());
    assert_eq!(registry.rename(b"copy", b"get"), Ok(()));
    assert_eq!(registry.find(b"get").map(|command| &*command.full_name), Some("copy"));
    assert_eq!(registry.names().count(), COMMANDS.len() - 1);
}
