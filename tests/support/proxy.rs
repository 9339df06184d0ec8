//! A network between nodes that can be cut: each node is reached through a proxy, which knows by their addresses whose
//! connections come. A cut holds bytes back, as a network does that loses packets; afterwards they arrive.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Node n connects from 127.0.0.(this + n); clients connect from 127.0.0.1.
const FIRST_HOST: u8 = 10;
const POLL: Duration = Duration::from_millis(5);
const BUFFER_BYTES: usize = 64 * 1024;

/// The network.
#[derive(Clone)]
pub struct Network {
    is_cut_off: Arc<[AtomicBool]>,
}

impl Network {
    /// One that works, for so many nodes.
    pub fn new(nodes: usize) -> Network {
        Network { is_cut_off: (0..nodes).map(|_| AtomicBool::new(false)).collect() }
    }

    /// The address that a node connects from.
    pub fn source_of(node: usize) -> IpAddr {
        let host = FIRST_HOST + u8::try_from(node).expect("a few nodes");
        Ipv4Addr::new(127, 0, 0, host).into()
    }

    /// Cuts a node off from the other nodes, or ends that. Clients reach it.
    pub fn cut_off(&self, node: usize, is_cut_off: bool) {
        self.is_cut_off[node].store(is_cut_off, Ordering::Relaxed);
    }

    /// Begins to pass on what comes for a port of a node; gives the port that others connect to.
    pub fn lead_to(&self, node: usize, port: u16) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let shown = listener.local_addr().expect("it is bound").port();
        let network = self.clone();
        // Ends with the test program.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let way = Way { network: network.clone(), from: sender(&stream), to: node };
                thread::spawn(move || way.open(stream, port));
            }
        });
        shown
    }
}

/// The node that a connection comes from; none if it is a client's.
fn sender(stream: &TcpStream) -> Option<usize> {
    match stream.peer_addr().ok()?.ip() {
        IpAddr::V4(ip) => ip.octets()[3].checked_sub(FIRST_HOST).map(usize::from),
        IpAddr::V6(_) => None,
    }
}

#[derive(Clone)]
struct Way {
    network: Network,
    from: Option<usize>,
    to: usize,
}

impl Way {
    fn wait_until_open(&self) {
        let is_cut_off = |node: usize| self.network.is_cut_off.get(node).is_some_and(|cut| cut.load(Ordering::Relaxed));
        while self.from.is_some_and(|from| is_cut_off(from) || is_cut_off(self.to)) {
            thread::sleep(POLL);
        }
    }

    fn open(self, near: TcpStream, port: u16) {
        self.wait_until_open();
        let Ok(far) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))) else { return };
        // Both are plain sockets of this process.
        let clones = near.try_clone().and_then(|near| Ok((near, far.try_clone()?)));
        let Ok((other_near, other_far)) = clones else { return };
        let back = self.clone();
        thread::spawn(move || back.pass(&other_far, &other_near));
        self.pass(&near, &far);
    }

    /// Passes bytes on until either end closes.
    fn pass(&self, mut source: &TcpStream, mut sink: &TcpStream) {
        let _ = sink.set_nodelay(true);
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(count @ 1..) = source.read(&mut buffer) {
            self.wait_until_open();
            if sink.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        self.wait_until_open();
        // It may be closed already.
        let _ = source.shutdown(Shutdown::Both);
        let _ = sink.shutdown(Shutdown::Both);
    }
}
