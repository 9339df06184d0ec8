//! COMMAND: bytes as genuine servers reply with.

use crate::support::Harness;

const GET_INFO: &str = "*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n\
    ~3\r\n+@read\r\n+@string\r\n+@fast\r\n~0\r\n~1\r\n%3\r\n$5\r\nflags\r\n~2\r\n+RO\r\n+access\r\n\
    $12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n%1\r\n$5\r\nindex\r\n:1\r\n\
    $9\r\nfind_keys\r\n%2\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n%3\r\n$7\r\nlastkey\r\n:0\r\n\
    $7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n~0\r\n";

fn resp3() -> Harness {
    let mut server = Harness::new();
    let session = server.state.clients.get_mut(server.client).expect("the client is there");
    session.reply.set_protocol(oneloop::resp::Protocol::Resp3);
    server
}

/// A reply without the marks that RESP3 alone has.
fn in_resp2(resp3: &str) -> String {
    let lines = resp3.split_inclusive("\r\n").map(|line| match line.strip_prefix('%') {
        Some(count) => {
            let pairs: usize = count.trim_end().parse().expect("a header");
            format!("*{}\r\n", pairs * 2)
        }
        None => line.replace('~', "*"),
    });
    lines.collect()
}

#[test]
fn info_of_a_command() {
    resp3().expect("command info get", &format!("*1\r\n{GET_INFO}"));
    Harness::new().expect("COMMAND INFO Get", &format!("*1\r\n{}", in_resp2(GET_INFO)));
}

#[test]
fn info_of_what_is_no_command() {
    resp3().expect("command info nosuch get", &format!("*2\r\n_\r\n{GET_INFO}"));
    Harness::new().expect("command info config|nosuch get|get command|", "*3\r\n$-1\r\n$-1\r\n$-1\r\n");
}

#[test]
fn info_of_subcommands() {
    let count = "*10\r\n$13\r\ncommand|count\r\n:2\r\n~2\r\n+loading\r\n+stale\r\n:0\r\n:0\r\n:0\r\n\
        ~2\r\n+@slow\r\n+@connection\r\n~0\r\n~0\r\n~0\r\n";
    resp3().expect("command info command|COUNT", &format!("*1\r\n{count}"));
    let container = resp3().run("command info command");
    let opening = "*1\r\n*10\r\n$7\r\ncommand\r\n:-1\r\n~2\r\n+loading\r\n+stale\r\n:0\r\n:0\r\n:0\r\n\
        ~2\r\n+@slow\r\n+@connection\r\n~1\r\n$29\r\nnondeterministic_output_order\r\n~0\r\n*7\r\n";
    assert!(container.starts_with(opening), "{container}");
    assert!(container.contains(count));
}

#[test]
fn all_commands() {
    let mut server = resp3();
    let count = server.state.commands.names().count();
    server.expect("command count", &format!(":{count}\r\n"));
    let all = server.run("command");
    assert!(all.starts_with(&format!("*{count}\r\n*10\r\n")));
    assert!(all.contains(GET_INFO));
    assert_eq!(server.run("command info"), all);
    let docs = server.run("command docs");
    assert!(docs.starts_with(&format!("%{count}\r\n")));
    server.expect("command count x", "-ERR wrong number of arguments for 'command|count' command\r\n");
}

#[test]
fn renamed_commands_go_by_their_own_name_and_are_found_by_the_new_one() {
    let mut server = resp3();
    let count = server.state.commands.names().count();
    server.state.commands.rename(b"get", b"fetch").expect("both names are fit");
    server.expect("command info get fetch", &format!("*2\r\n_\r\n{GET_INFO}"));
    server.state.commands.rename(b"fetch", b"").expect("it is there");
    server.expect("command count", &format!(":{}\r\n", count - 1));
    server.expect("command list filterby pattern get", "*0\r\n");
}

#[test]
fn docs_of_a_subcommand() {
    let docs = "%4\r\n$7\r\nsummary\r\n$34\r\nTells how many commands there are.\r\n$5\r\nsince\r\n$6\r\n2.8.13\r\n\
        $5\r\ngroup\r\n$6\r\nserver\r\n$10\r\ncomplexity\r\n$4\r\nO(1)\r\n";
    resp3().expect("command docs command|count nosuch", &format!("%1\r\n$13\r\ncommand|count\r\n{docs}"));
    Harness::new().expect("command docs nosuch", "*0\r\n");
    let container = resp3().run("command docs command");
    assert!(container.contains(&format!("$11\r\nsubcommands\r\n%7\r\n$13\r\ncommand|count\r\n{docs}")));
}

#[test]
fn docs_of_arguments() {
    let list = resp3().run("command docs command|list");
    let arguments = "$9\r\narguments\r\n*1\r\n%5\r\n$4\r\nname\r\n$8\r\nfilterby\r\n$4\r\ntype\r\n$5\r\noneof\r\n\
        $5\r\ntoken\r\n$8\r\nFILTERBY\r\n$5\r\nflags\r\n~1\r\n+optional\r\n$9\r\narguments\r\n*3\r\n\
        %4\r\n$4\r\nname\r\n$11\r\nmodule-name\r\n$4\r\ntype\r\n$6\r\nstring\r\n\
        $12\r\ndisplay_text\r\n$11\r\nmodule-name\r\n$5\r\ntoken\r\n$6\r\nMODULE\r\n";
    assert!(list.contains(arguments), "{list}");
    let get = resp3().run("command docs get");
    let key = "*1\r\n%4\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n$12\r\ndisplay_text\r\n$3\r\nkey\r\n\
        $14\r\nkey_spec_index\r\n:0\r\n";
    assert!(get.ends_with(key), "{get}");
}

#[test]
fn docs_of_changes() {
    let info = resp3().run("command docs command|info");
    assert!(info.contains("$7\r\nhistory\r\n~1\r\n*2\r\n$5\r\n7.0.0\r\n$"), "{info}");
}

#[test]
fn lists_of_names() {
    let mut server = Harness::new();
    let all = server.state.commands.len();
    let names = server.run("command list");
    assert!(names.starts_with(&format!("*{all}\r\n")), "{names}");
    assert!(names.contains("$7\r\ncommand\r\n"), "{names}");
    server.expect("command list filterby pattern GE?", "*1\r\n$3\r\nget\r\n");
    server.expect("command list FilterBy Pattern command|in*", "*1\r\n$12\r\ncommand|info\r\n");
    assert!(server.run("command list filterby aclcat CONNECTION").contains("$13\r\ncommand|count\r\n"));
    server.expect("command list filterby aclcat @connection", "*0\r\n");
    server.expect("command list filterby aclcat nosuch", "*0\r\n");
    server.expect("command list filterby module x", "*0\r\n");
}

#[test]
fn lists_need_a_whole_filter() {
    let mut server = Harness::new();
    for words in ["filterby", "foo bar baz", "filterby foo baz", "filterby module x y", "filterby module"] {
        server.expect(&format!("command list {words}"), "-ERR syntax error\r\n");
    }
}

#[test]
fn keys_of_a_request() {
    let mut server = resp3();
    server.expect("command getkeys get k", "*1\r\n$1\r\nk\r\n");
    server.expect("command getkeysandflags get k", "*1\r\n*2\r\n$1\r\nk\r\n~2\r\n+RO\r\n+access\r\n");
    server.expect("command getkeysandflags set k v get", "*1\r\n*2\r\n$1\r\nk\r\n~3\r\n+RW\r\n+access\r\n+update\r\n");
}

#[test]
fn requests_without_keys() {
    let mut server = Harness::new();
    let none = "-ERR The command has no key arguments\r\n";
    for subcommand in ["getkeys", "getkeysandflags"] {
        server.expect(&format!("command {subcommand} nosuch a"), "-ERR Invalid command specified\r\n");
        server.expect(&format!("command {subcommand} command nosuch"), "-ERR Invalid command specified\r\n");
        server.expect(&format!("command {subcommand} command"), none);
        server.expect(&format!("command {subcommand} command getkeys get a"), none);
        let wrong_arity = "-ERR Invalid number of arguments specified for command\r\n";
        server.expect(&format!("command {subcommand} get"), wrong_arity);
        server.expect(&format!("command {subcommand} get a b"), wrong_arity);
        let error = format!("-ERR wrong number of arguments for 'command|{subcommand}' command\r\n");
        server.expect(&format!("command {subcommand}"), &error);
    }
}

#[test]
fn help_lists_the_subcommands() {
    let mut server = Harness::new();
    let help = server.run("command help");
    let lines: Vec<&str> = help.split("\r\n").collect();
    assert_eq!(lines[0], "*17");
    assert_eq!(lines[1], "+COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    assert_eq!(lines[2], "+(no subcommand)");
    let syntax: Vec<&&str> = lines.iter().filter(|line| !line.starts_with("+    ")).collect();
    assert_eq!(*syntax[3], "+COUNT");
    assert_eq!(*syntax[4], "+DOCS [<command-name> ...]");
    assert_eq!(*syntax[5], "+GETKEYS <command> [<arg> ...]");
    let list = "+LIST [FILTERBY (MODULE <module-name>|ACLCAT <category>|PATTERN <pattern>)]";
    assert_eq!(*syntax[8], list);
    assert_eq!(lines[16..], ["+HELP", "+    Prints this help.", ""]);
    server.expect("command help x", "-ERR wrong number of arguments for 'command|help' command\r\n");
    server.expect("command foo", "-ERR unknown subcommand 'foo'. Try COMMAND HELP.\r\n");
}
