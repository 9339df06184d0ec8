//! Rules and what comes of them, on the real table of commands.

use proptest::prelude::*;

use super::*;
use crate::command::databases::Selection;
use crate::command::registry::Registry;
use crate::commands::FAMILIES;
use crate::text::quoting::split_arguments;

/// The first database is selected.
const FIRST: Selection = Selection { database: 0, count: 16 };

fn registry() -> Registry {
    Registry::new(FAMILIES)
}

fn book(commands: &Registry) -> AclContext<'_> {
    AclContext { commands, all_channels: false }
}

fn words(text: &str) -> Vec<&[u8]> {
    text.split(' ').map(str::as_bytes).collect()
}

/// The user that rules make of a new one.
#[track_caller]
fn user(commands: &Registry, rules: &str) -> User {
    let mut rights = Rights::new(false);
    let applied = rights.apply_all(&words(rules), book(commands));
    assert_eq!(applied, Ok(()), "{rules}");
    User::new(b"u", rights)
}

/// What comes of a request.
#[track_caller]
fn checked(commands: &Registry, user: &User, request: &str) -> Result<(), AclError> {
    let request = words(request);
    let command = commands.resolve(request[0], request.get(1).copied());
    let command = command.unwrap_or_else(|| panic!("{request:?} is a command"));
    check(user, command, Args::from_slices(&request), FIRST)
}

#[track_caller]
fn expect(rules: &str, allowed: &[&str], denied: &[(&str, AclError)]) {
    let commands = registry();
    let user = user(&commands, rules);
    for request in allowed {
        assert_eq!(checked(&commands, &user, request), Ok(()), "{request}");
    }
    for (request, denial) in denied {
        let found = checked(&commands, &user, request);
        assert_eq!(found, Err(*denial), "{request}");
    }
}

const COMMAND: AclError = AclError::Command;

fn key(index: usize) -> AclError {
    AclError::Key { index }
}

#[test]
fn commands_are_allowed_one_by_one_by_category_and_by_subcommand() {
    expect(
        "+get +@hash -hdel +config|get +select|0 allkeys",
        &["get a", "hset a b c", "config get x", "select 0", "auth x", "hello", "reset", "quit"],
        &[
            ("set a b", COMMAND),
            ("hdel a b", COMMAND),
            ("config set a b", COMMAND),
            ("config help", COMMAND),
            ("select 1", COMMAND),
        ],
    );
    expect(
        "+@all -config|set -select +select|1 +select|2 -@dangerous +keys allkeys",
        &["get a", "select 2", "keys *"],
        &[("config set a b", COMMAND), ("config get a", COMMAND), ("select 0", COMMAND), ("flushall", COMMAND)],
    );
    expect("+config -config|get", &["config set a b"], &[("config get a", COMMAND)]);
    expect("+select|0 +select -select", &[], &[("select 0", COMMAND)]);
}

#[test]
fn keys_are_allowed_for_reading_writing_or_both() {
    expect(
        "+@all ~a* %R~r* %W~w* %RW~b?",
        &[
            "get a1",
            "set a1 x",
            "get r1",
            "set w1 x",
            "get b1",
            "set b1 x get",
            "mget a1 r1 b1",
            "copy r1 w1",
            "exists w1 r1",
            "type w1",
            "ping",
            "set w1 x",
            "bitfield r1 get u8 0",
            "sort r1 store w1",
            "zunionstore w1 2 r1 a1",
        ],
        &[
            ("get w1", key(1)),
            ("set r1 x", key(1)),
            ("set w1 x get", key(1)),
            ("get b11", key(1)),
            ("mget a1 r1 x w1", key(3)),
            ("copy w1 w2", key(1)),
            ("copy r1 r2", key(2)),
            ("exists x", key(1)),
            ("bitfield r1 set u8 0 1", key(1)),
            ("bitfield w1 get u8 0", key(1)),
            ("sort r1 store r2", key(3)),
            ("zunionstore w1 2 r1 c", key(4)),
            ("getdel w1", key(1)),
            ("xread streams r1 c 0 0", key(3)),
        ],
    );
    expect("+@all", &["ping"], &[("get a", key(1))]);
}

#[test]
fn one_selector_that_allows_is_enough() {
    expect(
        "+get ~a (+set ~b) (+get +mget ~c ~d)",
        &["get a", "set b x", "get c", "mget c d"],
        &[("set a x", key(1)), ("get b", key(1)), ("mget a c", key(1)), ("mget c a", key(2)), ("del a", COMMAND)],
    );
}

#[test]
fn who_may_do_everything_is_known_at_once() {
    let commands = registry();
    for (rules, expected) in [
        ("+@all ~* &*", true),
        ("allcommands allkeys allchannels", true),
        ("+@all -get +get ~* &*", true),
        ("+@all -get ~* &*", false),
        ("+@all ~* resetchannels", false),
        ("+@all %RW~* &*", false),
        ("(+@all ~* &*)", true),
        ("(+@all ~*) (&*)", false),
        ("+@all ~* &* -@all", false),
        ("+@all ~* &* resetkeys", false),
    ] {
        let user = user(&commands, rules);
        assert_eq!(user.is_unrestricted(), expected, "{rules}");
    }
}

#[test]
fn keys_that_sort_makes_up_need_the_right_to_all() {
    let commands = registry();
    let sort = commands.find(b"sort").map(|command| (command, words("sort a by w*")));
    let Some((command, request)) = sort else {
        panic!("sort is a command");
    };
    let request = Args::from_slices(&request);
    let read = crate::command::keys::KeyAccess::READ;
    for (rules, expected) in [
        ("+@all ~*", true),
        ("+sort %R~*", true),
        ("+sort %W~* ~a", false),
        ("+sort ~a", false),
        ("+sort ~a (~*)", false),
        ("+sort ~a (~* +sort)", true),
    ] {
        let user = user(&commands, rules);
        let found = user.may_use_all_keys(command, request, FIRST, read);
        assert_eq!(found, expected, "{rules}");
    }
}

#[test]
fn channels_are_matched_and_patterns_of_channels_compared() {
    let commands = registry();
    let user = user(&commands, "+@all &a:* &b (&c)");
    for (channel, is_pattern, expected) in [
        ("a:1", false, true),
        ("b", false, true),
        ("c", false, true),
        ("b2", false, false),
        ("a:*", true, true),
        ("a:1*", true, false),
        ("*", true, false),
    ] {
        let found = user.may_use_channel(channel.as_bytes(), is_pattern);
        assert_eq!(found, expected, "{channel}");
    }
}

#[test]
fn a_user_that_loses_channels_keeps_the_others() {
    let commands = registry();
    let left = |before: &str, after: &str| {
        let (before, after) = (user(&commands, before), user(&commands, after));
        let left = after.rights().channels_left_of(&before.rights());
        left.map(|left| (left.allow(b"ab", false), left.allow(b"a*", true)))
    };
    assert_eq!(left("&a*", "&a* &b"), None);
    assert_eq!(left("&a*", "&*"), None);
    assert_eq!(left("&a*", "(&a*)"), None);
    assert_eq!(left("&a*", "&a"), Some((false, false)));
    assert_eq!(left("&*", "&a*"), Some((true, true)));
    assert_eq!(left("(&*)", "&ab"), Some((true, false)));
    assert_eq!(left("&b &c", "&b"), Some((false, false)));
}

#[test]
fn rules_hold_through_renaming() {
    let mut commands = registry();
    assert!(commands.rename(b"get", b"fetch").is_ok());
    let user = user(&commands, "+get ~*");
    assert_eq!(checked(&commands, &user, "fetch a"), Ok(()));
    assert!(Rights::new(false).apply(b"+fetch", book(&commands)).is_err());
}

#[test]
fn wrong_rules_change_nothing() {
    use RuleError::*;
    let commands = registry();
    for (rule, error) in [
        ("foo", Syntax),
        ("+foo", UnknownCommand),
        ("-foo", UnknownCommand),
        ("+@foo", UnknownCommand),
        ("+", UnknownCommand),
        ("-get|x", UnknownCommand),
        ("+get|x|y", UnknownCommand),
        ("+config|foo", UnknownCommand),
        ("+config|", Syntax),
        ("+get|", Syntax),
        ("+get|a b", Syntax),
        ("+config|get|x", NestedFirstArgument),
        ("~a b", Syntax),
        ("&a\tb", Syntax),
        ("%~a", Syntax),
        ("%RR~a", Syntax),
        ("%X~a", Syntax),
        ("%", Syntax),
        (">", Syntax),
        ("#abc", BadDigest),
        ("!abc", BadDigest),
        ("<nope", NoSuchPassword),
        ("(on)", Syntax),
        ("(+foo)", UnknownCommand),
        (")", Syntax),
    ] {
        let mut rights = Rights::new(false);
        let before = rights.clone();
        let found = rights.apply(rule.as_bytes(), book(&commands));
        if rule == ">" {
            assert_eq!(found, Ok(()), "an empty password is one");
            continue;
        }
        assert_eq!(found, Err(error), "{rule}");
        assert_eq!(rights, before, "{rule}");
    }
    let mut all = Rights::new(true);
    assert_eq!(all.apply(b"&a", book(&commands)), Err(ChannelsAfterAll));
    assert_eq!(all.apply(b"~*", book(&commands)), Ok(()));
    assert_eq!(all.apply(b"~a", book(&commands)), Err(KeysAfterAll));
}

#[test]
fn users_are_shown_as_redis_shows_them() {
    let commands = registry();
    for (rules, shown) in [
        ("off", "off sanitize-payload resetchannels -@all"),
        ("on nopass ~* &* +@all", "on nopass sanitize-payload ~* &* +@all"),
        (
            "+GET -get +get +@READ +select|X (~x +get) skip-sanitize-payload %r~k %RW~j %w~k &c",
            "off skip-sanitize-payload ~k ~j resetchannels &c -@all +get +@read +select|x \
             (~x resetchannels -@all +get)",
        ),
        (
            "+@all -@dangerous +debug +config|get -config +config|set +@read -@read",
            "off sanitize-payload resetchannels +@all -@dangerous +debug -config +config|set -@read",
        ),
        (
            ">abc",
            "off sanitize-payload #ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad \
             resetchannels -@all",
        ),
        ("+@all +get -@all", "off sanitize-payload resetchannels -@all"),
    ] {
        let found = user(&commands, rules).describe();
        let expected = format!("user u {shown}");
        assert_eq!(String::from_utf8_lossy(&found), expected, "{rules}");
    }
}

#[test]
fn selectors_may_be_given_in_pieces() {
    let commands = registry();
    let whole = user(&commands, "(+get ~a)");
    let mut rights = Rights::new(false);
    let pieces: [&[u8]; 4] = [b"(", b"+get", b"~a", b")"];
    assert_eq!(rights.apply_all(&pieces, book(&commands)), Ok(()));
    assert_eq!(rights, *whole.rights());
    let open: [&[u8]; 2] = [b"(+get", b"~a"];
    assert_eq!(rights.apply_all(&open, book(&commands)), Err(RulesError::Unmatched(b"(+get".to_vec())));
}

/// Bytes that patterns may hold, those with a meaning anywhere among them.
fn pattern_text() -> impl Strategy<Value = Vec<u8>> {
    let bytes = b"ab*?[]\\\"'()~&%+-#|@\xff\x01x".to_vec();
    proptest::collection::vec(proptest::sample::select(bytes), 0..6)
}

fn selector_rule() -> impl Strategy<Value = Vec<u8>> {
    let fixed = [
        "allkeys",
        "resetkeys",
        "allchannels",
        "resetchannels",
        "+@all",
        "-@all",
        "+get",
        "-get",
        "+config",
        "-config",
        "+config|get",
        "-config|get",
        "+@read",
        "-@read",
        "+@admin",
        "-@dangerous",
        "+@connection",
        "+select|0",
        "+select|X",
        "-select",
        "+SELECT",
    ];
    let fixed = proptest::sample::select(fixed.map(|rule| rule.as_bytes().to_vec()).to_vec());
    let prefix = proptest::sample::select(vec!["~", "%R~", "%W~", "%RW~", "&", "+select|"]);
    let with_pattern = (prefix, pattern_text()).prop_map(|(prefix, text)| [prefix.as_bytes(), &text].concat());
    prop_oneof![fixed, with_pattern]
}

fn rule() -> impl Strategy<Value = Vec<u8>> {
    let fixed = [
        "on",
        "off",
        "nopass",
        "resetpass",
        ">p",
        "<p",
        ">q",
        "skip-sanitize-payload",
        "sanitize-payload",
        "clearselectors",
    ];
    let fixed = proptest::sample::select(fixed.map(|rule| rule.as_bytes().to_vec()).to_vec());
    let selector = proptest::collection::vec(selector_rule(), 0..4).prop_map(|rules| {
        let words: Vec<String> = rules.iter().map(|rule| crate::text::quoting::quote(rule)).collect();
        format!("({})", words.join(" ")).into_bytes()
    });
    prop_oneof![3 => fixed, 6 => selector_rule(), 2 => selector]
}

proptest! {
    /// Whatever rules are given, those that are shown make the same user.
    #[test]
    fn a_description_rebuilds_the_user(rules in proptest::collection::vec(rule(), 0..12)) {
        let commands = registry();
        let mut rights = Rights::new(false);
        for rule in &rules {
            // Some are none, as the others stand.
            let _ = rights.apply(rule, book(&commands));
        }
        let user = User::new(b"u", rights.clone());

        let description = user.file_line();
        let words: Vec<&[u8]> = description.split(|byte| *byte == b' ').skip(2).collect();
        let mut rebuilt = Rights::new(false);
        prop_assert_eq!(rebuilt.apply_all(&words, book(&commands)), Ok(()));
        prop_assert_eq!(&rebuilt, &rights);

        let line = split_arguments(user.config_line().as_bytes()).unwrap_or_default();
        let words: Vec<&[u8]> = line.iter().skip(2).map(Vec::as_slice).collect();
        let mut rebuilt = Rights::new(false);
        prop_assert_eq!(rebuilt.apply_all(&words, book(&commands)), Ok(()));
        prop_assert_eq!(&rebuilt, &rights);
    }

    #[test]
    fn takes_any_bytes_as_rules(rules: Vec<Vec<u8>>) {
        let commands = registry();
        let rules: Vec<&[u8]> = rules.iter().map(Vec::as_slice).collect();
        let _ = Rights::new(false).apply_all(&rules, book(&commands));
    }
}
