//! Slots that move between whole servers whose links are encrypted, and whose clients have to log in: two of ours, and
//! one of ours and a genuine Valkey 9.1, in both directions. The builds of Valkey that tests get know no TLS.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/genuine.rs"]
mod genuine;
#[path = "support/moves.rs"]
mod moves;
#[path = "support/nodes.rs"]
mod nodes;
#[path = "support/server.rs"]
mod server;

use certificates::{Authority, Identity};
use moves::{TAG, begin, begin_slowly, fill, look, shown, slot, slow_down, wait_for_state};
use nodes::{Node, make_cluster, port_with_bus, wait_until};

const PASSWORD: &str = "open-sesame";
/// Nobody fails here, not even on a busy machine.
const PATIENT: [&str; 2] = ["--cluster-node-timeout", "15000"];

/// Moves the slot there and back, and looks whether all values are as they were.
#[track_caller]
fn move_there_and_back(source: &Node, target: &Node) {
    let before = look(source);
    for (from, to) in [(source, target), (target, source)] {
        begin(from, to);
        wait_for_state(from, &["success", "failed"]);
        assert_eq!(shown(from, "state"), "success", "{}", shown(from, "message"));
        wait_for_state(to, &["success"]);
        assert_eq!(look(to), before);
        wait_until(|| from.ask("DBSIZE"), || from.ask("DBSIZE") == ":0");
    }
}

fn encrypted_node(identity: &Identity, authority: &Authority, replication: &str) -> Node {
    let (own, port) = (identity.options(authority), port_with_bus().to_string());
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let uses = ["--tls-port", &port, "--tls-cluster", "yes", "--tls-replication", replication];
    Node::ours(&[&own[..], &uses, &PATIENT].concat())
}

/// The local ports of a node's clients.
fn ports_of_clients(node: &Node) -> Vec<u16> {
    let list = node.ask("CLIENT LIST");
    let addresses = list.split_whitespace().filter_map(|word| word.strip_prefix("laddr="));
    addresses.filter_map(|address| address.rsplit(':').next()?.parse().ok()).collect()
}

/// The bus is encrypted in any case; the link that keys move by is of the kind that replication has.
#[test]
fn the_link_that_keys_move_by_is_encrypted_as_replication_is() {
    let authority = Authority::new("nodes");
    let identity = authority.issue("node");
    for replication in ["yes", "no"] {
        let nodes = [(); 2].map(|()| encrypted_node(&identity, &authority, replication));
        let [source, target] = &nodes;
        make_cluster(&[source, target], 2);
        begin_slowly(source, target);
        let ports = ports_of_clients(target);
        assert_eq!(ports.contains(&target.meeting_port()), replication == "yes", "{ports:?}");
        slow_down(source, 0);
        wait_for_state(target, &["success"]);
        target.expect("DBSIZE", ":200");
        target.expect(&format!("STRLEN {TAG}1"), ":3001");
        wait_until(|| source.ask("DBSIZE"), || source.ask("DBSIZE") == ":0");
        target.expect("FLUSHALL", "+OK");
        fill(target);
        move_there_and_back(target, source);
    }
}

#[test]
fn a_target_whose_certificate_comes_from_elsewhere_gets_nothing() {
    let (authority, stranger) = (Authority::new("nodes"), Authority::new("stranger"));
    let identity = authority.issue("node");
    let nodes = [(); 2].map(|()| encrypted_node(&identity, &authority, "yes"));
    let [source, target] = &nodes;
    make_cluster(&[source, target], 2);
    fill(source);
    let count = source.ask("DBSIZE");
    // The links of the bus stand already.
    source.expect(&format!("CONFIG SET tls-ca-cert-file {}", stranger.certificate_file), "+OK");
    begin(source, target);
    wait_for_state(source, &["failed"]);
    source.expect("DBSIZE", &count);
    target.expect("DBSIZE", ":0");
    source.expect(&format!("CONFIG SET tls-ca-cert-file {}", authority.certificate_file), "+OK");
    move_there_and_back(source, target);
}

/// Two of ours, and one of ours with a genuine node, in both orders.
fn pairs() -> Vec<[Node; 2]> {
    let ours = || Some(Node::ours(&PATIENT));
    let genuine = || Node::genuine(&genuine::valkey()?, &PATIENT);
    let pairs = [[ours(), ours()], [ours(), genuine()], [genuine(), ours()]];
    pairs.into_iter().filter_map(|[one, other]| Some([one?, other?])).collect()
}

#[test]
fn a_slot_moves_where_clients_have_to_log_in() {
    for mut nodes in pairs() {
        make_cluster(&[&nodes[0], &nodes[1]], 2);
        for node in &mut nodes {
            node.require_password(PASSWORD);
            node.expect(&format!("CONFIG SET masterauth {PASSWORD}"), "+OK");
        }
        fill(&nodes[0]);
        move_there_and_back(&nodes[0], &nodes[1]);
    }
}

#[test]
fn a_slot_moves_where_nodes_log_in_as_a_user_of_their_own() {
    for mut nodes in pairs() {
        make_cluster(&[&nodes[0], &nodes[1]], 2);
        for node in &mut nodes {
            node.require_password(PASSWORD);
            node.expect("ACL SETUSER mover on >key ~* &* +@all", "+OK");
            node.expect("CONFIG SET masteruser mover masterauth key", "+OK");
        }
        fill(&nodes[0]);
        move_there_and_back(&nodes[0], &nodes[1]);
    }
}

#[test]
fn a_source_that_may_not_log_in_moves_nothing() {
    for mut nodes in pairs() {
        make_cluster(&[&nodes[0], &nodes[1]], 2);
        fill(&nodes[0]);
        let count = nodes[0].ask("DBSIZE");
        nodes[1].require_password(PASSWORD);
        nodes[1].expect("ACL SETUSER mover on >key ~other:* +@all", "+OK");
        let [source, target] = &nodes;
        // Without a password, with a wrong one, and as a user who has no right to the keys.
        for login in ["masterauth \"\"", "masterauth wrong", "masteruser mover masterauth key"] {
            source.expect(&format!("CONFIG SET {login}"), "+OK");
            begin(source, target);
            wait_for_state(source, &["failed"]);
            source.expect("DBSIZE", &count);
            wait_until(|| target.ask("DBSIZE"), || target.ask("DBSIZE") == ":0");
            target.expect(&format!("CLUSTER COUNTKEYSINSLOT {}", slot()), ":0");
        }
        source.expect(&format!("CONFIG SET masteruser \"\" masterauth {PASSWORD}"), "+OK");
        begin(source, target);
        wait_for_state(source, &["success"]);
        target.expect("DBSIZE", &count);
    }
}
