//! The scenes of the lessons: the clients that are connected, the knobs, and what happens next, act by act. The
//! questions, and the words around them, are the page's (`src/reactor/http/lessons.html`).

use crate::config::{AppendFsync, Config};

/// Something that happens to a client of a lesson, in both worlds, or to the server's disk.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// A client connects, and waits at the listener.
    Dial(&'static str),
    /// A client sends bytes.
    Send(&'static str, Vec<u8>),
    /// A client takes so many bytes of its replies.
    Take(&'static str, usize),
    /// A client takes all of them, now and as fast as they come from now on.
    TakeAll(&'static str),
    /// A client breaks its connection off.
    Break(&'static str),
    /// The kernel reports an event of a client's first connection, though that is gone.
    LateEvent(&'static str),
    /// The thread that waits for the disk has done what it had to do.
    Disk,
}

/// What happens next.
#[derive(Clone, Debug)]
pub(super) struct Act {
    pub says: &'static str,
    pub deeds: Vec<Deed>,
}

/// One scene.
pub(super) struct Lesson {
    pub name: &'static str,
    /// Clients that are connected from the beginning.
    pub clients: &'static [&'static str],
    /// Those that do not take their replies by themselves, and how many bytes their sockets hold.
    pub slow: &'static [(&'static str, usize)],
    pub configure: fn(&mut Config),
    /// Requests that are run before the lesson begins.
    pub prepare: &'static str,
    /// Knobs that are not where they are in a server.
    pub knobs: &'static [(&'static str, u64)],
    pub acts: fn() -> Vec<Act>,
}

impl Lesson {
    const PLAIN: Lesson = Lesson {
        name: "",
        clients: &["A", "B"],
        slow: &[],
        configure: |_| {},
        prepare: "",
        knobs: &[],
        acts: Vec::new,
    };
}

/// The lessons, in the order in which they are best taken.
pub(super) static LESSONS: &[Lesson] = &[
    Lesson {
        name: "readiness",
        clients: &["A"],
        knobs: &[("read-buffer", 16), ("echo-drains", 0)],
        acts: readiness,
        ..Lesson::PLAIN
    },
    Lesson { name: "partial", acts: partial, ..Lesson::PLAIN },
    Lesson { name: "fairness", clients: &["A", "B", "C"], knobs: &[("share", 100)], acts: fairness, ..Lesson::PLAIN },
    Lesson {
        name: "backpressure",
        slow: &[("A", 10_000)],
        prepare: "SETRANGE big 19999 x\r\n",
        knobs: &[("backpressure", 65_536), ("socket", 10_000)],
        acts: backpressure,
        ..Lesson::PLAIN
    },
    Lesson { name: "generations", acts: generations, ..Lesson::PLAIN },
    Lesson {
        name: "jobs",
        prepare: "DEBUG POPULATE 20000\r\n",
        knobs: &[("look", 20_000), ("share", 500)],
        acts: jobs,
        ..Lesson::PLAIN
    },
    Lesson {
        name: "commit",
        clients: &["A", "B", "C"],
        configure: |config| {
            config.appendonly = true;
            config.appendfsync = AppendFsync::Always;
        },
        acts: commit,
        ..Lesson::PLAIN
    },
    Lesson { name: "batches", clients: &["A"], prepare: "DEBUG POPULATE 16\r\n", acts: batches, ..Lesson::PLAIN },
];

fn act(says: &'static str, deeds: Vec<Deed>) -> Act {
    Act { says, deeds }
}

fn send(client: &'static str, bytes: &[u8]) -> Deed {
    Deed::Send(client, bytes.to_vec())
}

fn ping(client: &'static str) -> Deed {
    send(client, b"PING\r\n")
}

fn readiness() -> Vec<Act> {
    vec![
        act(
            "A sends five requests, 30 bytes. Both loops read 16 bytes at a time.",
            vec![send("A", &b"PING\r\n".repeat(5))],
        ),
        act("A sends one request more.", vec![ping("A")]),
        act("A sends one request more.", vec![ping("A")]),
    ]
}

fn partial() -> Vec<Act> {
    vec![
        act("The first 26 bytes of A's SET arrive.", vec![send("A", b"*3\r\n$3\r\nSET\r\n$8\r\ngreetin")]),
        act(
            "9 bytes more arrive; B asks for the key.",
            vec![send("A", b"g\r\n$5\r\nhe"), send("B", b"GET greeting\r\n")],
        ),
        act(
            "The rest of the SET arrives, with half of a GET behind it.",
            vec![send("A", b"llo\r\n*2\r\n$3\r\nGET\r\n$8\r\ngree")],
        ),
        act("The rest of the GET arrives.", vec![send("A", b"ting\r\n")]),
    ]
}

fn fairness() -> Vec<Act> {
    let flood = b"PING\r\n".repeat(2000);
    vec![
        act(
            "A sends 2,000 requests at once; then B and C send one each.",
            vec![send("A", &flood), ping("B"), ping("C")],
        ),
        act("B sends another one, while A's are not done.", vec![ping("B")]),
        act("A sends 2,000 more, and B and C one each.", vec![send("A", &flood), ping("B"), ping("C")]),
    ]
}

fn backpressure() -> Vec<Act> {
    let many = b"GET big\r\n".repeat(40);
    vec![
        act(
            "A asks 40 times for a value of 20,000 bytes, and reads no reply; B sends PING.",
            vec![send("A", &many), ping("B")],
        ),
        act("A reads 10,000 bytes.", vec![Deed::Take("A", 10_000)]),
        act("A reads 10,000 bytes more.", vec![Deed::Take("A", 10_000)]),
        act("A reads from now on as fast as the server sends.", vec![Deed::TakeAll("A")]),
    ]
}

fn generations() -> Vec<Act> {
    vec![
        act("B breaks its connection off.", vec![Deed::Break("B")]),
        act("C connects: the slab gives it B's slot.", vec![Deed::Dial("C")]),
        act("The poll reports an event that it had ready for B: hung up.", vec![Deed::LateEvent("B")]),
        act("C sends PING.", vec![ping("C")]),
    ]
}

fn jobs() -> Vec<Act> {
    let mut acts = vec![act(
        "A sends FLUSHALL: there are 20,000 keys. B sends PING.",
        vec![send("A", b"FLUSHALL\r\n"), ping("B")],
    )];
    acts.extend((0..12).map(|_| act("B sends PING.", vec![ping("B")])));
    acts
}

fn commit() -> Vec<Act> {
    let set = |name| send(name, b"INCR number\r\n");
    vec![
        act("A, B and C each send INCR number.", vec![set("A"), set("B"), set("C")]),
        act("The disk has done what it was asked to.", vec![Deed::Disk]),
        act("A sends INCR number again.", vec![set("A")]),
        act("B and C send theirs, while the disk is busy.", vec![set("B"), set("C")]),
        act("The disk is done.", vec![Deed::Disk]),
        act("The disk is done with what came meanwhile.", vec![Deed::Disk]),
    ]
}

fn batches() -> Vec<Act> {
    let gets: Vec<u8> = (0..10).flat_map(|number| format!("GET key:{number}\r\n").into_bytes()).collect();
    vec![
        act("A sends ten GETs in one piece.", vec![send("A", &gets)]),
        act("A sends ten more.", vec![send("A", &gets)]),
        act("A sends ten more.", vec![send("A", &gets)]),
    ]
}
