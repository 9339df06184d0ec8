//! The table of commands against the facts of Redis 7.2: a family that declares a wrong one fails here.

use std::collections::{HashMap, HashSet};

use oneloop::command::arguments::{self, Argument, ArgumentKind};
use oneloop::command::registry::CommandId;
use oneloop::command::registry::{Command, Registry};
use oneloop::command::spec::{Begin, Category, Find, Flag, KeyFlag, KeySpec};
use oneloop::commands::FAMILIES;
use oneloop::engine::state::program::{Runs, container};

/// What a running Redis 7.2 reports: one line a command.
const FACTS: &str = include_str!("../data/commands-7.2.tsv");
/// The names of commands that came later.
const LATER: &str = include_str!("../data/commands-after-7.2.txt");

/// Commands and containers that no other server has, but for a module's.
const OURS: [&str; 5] = ["backup", "cl.throttle", "loop", "prefix", "record"];

/// What later versions declare otherwise: the command, the column, and what it is now.
const CHANGED: [(&str, &str, &str); 1] = [("cluster|replicate", "arity", "-3")];

fn registry() -> Registry {
    Registry::new(FAMILIES)
}

/// The lines of the facts by the command's name as we write it.
fn facts() -> HashMap<String, Vec<&'static str>> {
    let lines = FACTS.lines().filter(|line| !line.starts_with('#')).skip(1);
    let rows = lines.map(|line| line.split('\t').collect::<Vec<_>>());
    rows.map(|row| (row[0].to_ascii_lowercase().replace(' ', "|"), row)).collect()
}

fn later() -> HashSet<&'static str> {
    LATER.lines().filter(|line| !line.starts_with('#')).collect()
}

/// Fails with the complaints, if there are any.
#[track_caller]
fn check(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Fails with the name of every command that breaks the rule.
#[track_caller]
fn check_each(rule: &str, keeps: impl Fn(&Command) -> bool) {
    let registry = registry();
    let breaches = registry.iter().filter(|command| !keeps(command));
    check(breaches.map(|command| format!("{}: {rule}", command.full_name)).collect());
}

fn join<T: AsRef<str>>(words: impl Iterator<Item = T>, separator: &str) -> String {
    words.map(|word| word.as_ref().to_string()).collect::<Vec<_>>().join(separator)
}

fn key_spec(key: &KeySpec) -> String {
    let flags = join(key.flags.iter().map(|flag| flag.name()), "+");
    let begin = match key.begin {
        Begin::Index(index) => format!("index[{index}]"),
        Begin::Keyword { word, from } => format!("keyword[{word}, {from}]"),
        Begin::Unknown => "unknown".to_string(),
    };
    let find = match key.find {
        Find::Range { last, step, limit } => format!("range[{last}, {step}, {limit}]"),
        Find::Count { index, first, step } => format!("keynum[{index}, {first}, {step}]"),
        Find::Unknown => "unknown".to_string(),
    };
    format!("{flags} begin:{begin} find:{find}")
}

/// A command as a line of the facts, column by column.
fn row(command: &Command) -> Vec<String> {
    let spec = command.spec;
    let flags = Flag::REPORTED.iter().filter(|(flag, _)| command.flags.has(*flag));
    let categories = Category::ALL.iter();
    let categories = categories.filter(|(category, _)| command.categories >> *category as u32 & 1 == 1);
    let keys = command.legacy_keys;
    vec![
        command.full_name.replace('|', " ").to_ascii_uppercase(),
        spec.group.name().to_string(),
        spec.since.to_string(),
        spec.arity.to_string(),
        join(flags.map(|(_, name)| *name), ","),
        join(categories.map(|(_, name)| format!("@{name}")), ","),
        join(spec.tips.iter(), ","),
        format!("{},{},{}", keys.first, keys.last, keys.step),
        join(spec.keys.iter().map(key_spec), "; "),
        if spec.deprecated.is_some() { "deprecated" } else { "" }.to_string(),
    ]
}

#[test]
fn every_command_is_as_in_redis_7_2() {
    const COLUMNS: [&str; 10] = [
        "name",
        "group",
        "since",
        "arity",
        "flags",
        "ACL categories",
        "tips",
        "first,last,step",
        "key specs",
        "deprecated",
    ];
    let (facts, later) = (facts(), later());
    let mut complaints = Vec::new();
    for command in registry().iter() {
        let name = &command.full_name;
        let Some(fact) = facts.get(name) else {
            let container = name.split('|').next().unwrap_or_default();
            if !later.contains(&**name) && !OURS.contains(&container) {
                complaints.push(format!("{name}: in no list of commands"));
            }
            continue;
        };
        for ((column, ours), theirs) in COLUMNS.iter().zip(row(command)).zip(fact) {
            let is_changed = CHANGED.contains(&(name.as_str(), *column, ours.as_str()));
            if ours != *theirs && !is_changed {
                complaints.push(format!("{name}: {column} is {ours:?}, ought to be {theirs:?}"));
            }
        }
    }
    check(complaints);
}

#[test]
fn a_container_has_all_of_its_subcommands() {
    let registry = registry();
    let missing = facts().into_keys().filter(|name| match name.split_once('|') {
        Some((container, subcommand)) => registry
            .find(container.as_bytes())
            .is_some_and(|container| registry.find_subcommand(container.id, subcommand.as_bytes()).is_none()),
        None => false,
    });
    check(missing.map(|name| format!("{name}: missing")).collect());
}

#[test]
fn names_are_lower_case_and_unique() {
    check_each("not a name", |command| {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || b"-_.".contains(&byte);
        !command.spec.name.is_empty() && command.spec.name.bytes().all(is_letter)
    });
    let registry = registry();
    let names: HashSet<_> = registry.iter().map(|command| &command.full_name).collect();
    assert_eq!(names.len(), registry.len());
}

#[test]
fn every_command_is_described() {
    check_each("no summary, or one that ends without a full stop", |command| {
        command.spec.summary.ends_with('.') && command.spec.summary.len() > 1
    });
    check_each("no complexity", |command| !command.spec.complexity.is_empty());
    check_each("a change without words", |command| {
        command.spec.history.iter().all(|(version, change)| is_version(version) && !change.is_empty())
    });
    check_each("a note without words", |command| command.spec.keys.iter().all(|key| key.notes != Some("")));
    check_each("deprecated without a version and a way out", |command| {
        let deprecation = command.spec.deprecated.as_ref();
        deprecation.is_none_or(|it| is_version(it.since) && !it.replaced_by.is_empty())
    });
}

fn is_version(text: &str) -> bool {
    text.split('.').count() == 3 && text.split('.').all(|part| part.parse::<u32>().is_ok())
}

#[test]
fn containers_and_only_they_lack_a_handler() {
    let runs = Runs::new(FAMILIES);
    let lacks_handler = |id: CommandId| runs.of(id).handler as usize == container as *const () as usize;
    check_each("no handler", |command| !lacks_handler(command.id) || !command.subcommands.is_empty());
    check_each("subcommands of a subcommand", |command| command.parent.is_none() || command.subcommands.is_empty());
    check_each("takes arguments besides its subcommands", |command| {
        command.subcommands.is_empty() || command.spec.arguments.is_empty()
    });
}

#[test]
fn declarations_that_do_not_tell_the_keys_are_helped_out() {
    check_each("find_keys is needed where the key specs do not tell, and only there", |command| {
        let needs_help = command.spec.keys.iter().any(|key| {
            let is_vague = matches!(key.begin, Begin::Unknown) || matches!(key.find, Find::Unknown);
            let has = |flag| key.flags.contains(&flag);
            is_vague || has(KeyFlag::Incomplete) || has(KeyFlag::VariableFlags)
        });
        // The word may stand among the operands of other options, too.
        let after_word = |key: &KeySpec| matches!(key.begin, Begin::Keyword { .. });
        let has_options = command.spec.keys.iter().any(after_word);
        (needs_help || has_options) == command.spec.find_keys.is_some()
    });
    check_each("a step of the key specs is not positive", |command| {
        command.spec.keys.iter().all(|key| match key.find {
            Find::Range { step, .. } | Find::Count { step, .. } => step > 0,
            Find::Unknown => true,
        })
    });
}

#[test]
fn arguments_are_in_the_notation() {
    let registry = registry();
    let mistakes = registry.iter().filter_map(|command| {
        let mistake = arguments::parse(command.spec.arguments).err()?;
        Some(format!("{}: {mistake}", command.full_name))
    });
    check(mistakes.collect());
}

#[test]
fn arguments_are_well_formed() {
    check_each("an argument that cannot be", |command| {
        is_well_formed(&command.spec.argument_list(), command.spec.keys.len())
    });
    check_each("a key spec that no argument belongs to", |command| {
        let keys = command.spec.keys.iter().enumerate();
        let is_vague = |key: &KeySpec| matches!(key.begin, Begin::Unknown);
        let mut keys = keys.filter(|(_, key)| !is_vague(key) && !key.flags.contains(&KeyFlag::NotKey));
        let arguments = command.spec.argument_list();
        arguments.is_empty() || keys.all(|(index, _)| names_key_spec(&arguments, index))
    });
}

fn is_well_formed(arguments: &[Argument], key_specs: usize) -> bool {
    arguments.iter().all(|argument| {
        argument.key_spec.is_none_or(|number| usize::from(number) < key_specs)
            && (argument.kind != ArgumentKind::Key || argument.key_spec.is_some())
            && argument.since.is_none_or(is_version)
            && argument.deprecated_since.is_none_or(is_version)
            && is_well_formed(&argument.arguments, key_specs)
    })
}

fn names_key_spec(arguments: &[Argument], number: usize) -> bool {
    arguments.iter().any(|argument| {
        argument.key_spec.map(usize::from) == Some(number) || names_key_spec(&argument.arguments, number)
    })
}

#[test]
fn the_facts_name_every_flag_and_category_that_we_know() {
    let facts = facts();
    let all = |column: usize| -> HashSet<&str> { facts.values().flat_map(|row| row[column].split(',')).collect() };
    let (flags, categories) = (all(4), all(5));
    check(
        flags
            .iter()
            .filter(|flag| !flag.is_empty())
            .filter(|flag| !Flag::REPORTED.iter().any(|(_, name)| name == *flag))
            .map(|flag| format!("unknown flag {flag}"))
            .collect(),
    );
    check(
        Category::ALL
            .iter()
            .filter(|(_, name)| !categories.contains(&*format!("@{name}")))
            .map(|(_, name)| format!("category {name} in no command"))
            .collect(),
    );
}
