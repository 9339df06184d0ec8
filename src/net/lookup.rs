//! The addresses that a host's name stands for. Looking them up waits for other machines, so a thread does; one that is
//! an address already needs none.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;

use super::poller::Registrar;
use crate::base::tape::{self, Kind};
use crate::base::wake::Wake;

/// A name that is being looked up.
#[derive(Debug)]
pub enum Lookup {
    Known(Vec<SocketAddr>),
    Asked(Receiver<Vec<SocketAddr>>),
}

impl Lookup {
    /// Begins to look a host up; the loop is woken when its addresses are known. Where sockets are scripted, so is the
    /// answer.
    pub fn begin(host: &str, port: u16, registrar: &Registrar, wake: Wake) -> Lookup {
        if host.parse::<IpAddr>().is_ok() {
            return Lookup::now(host, port);
        }
        match registrar {
            Registrar::Scripted(world, _) => return Lookup::Asked(world.ask_name(host, port)),
            // The answer is on the tape.
            Registrar::Replayed => return Lookup::Known(Vec::new()),
            Registrar::System(_) => {}
        }
        let (sender, answer) = channel();
        let host = host.to_string();
        let work = move || {
            // There may be no waiter any more. The answer is there before the loop is woken.
            let _ = sender.send(addresses_of(&host, port));
            wake.wake();
        };
        // Where there is no thread to be had the sender goes with the work: the host is not known.
        let _ = thread::Builder::new().name("name lookup".into()).spawn(work);
        Lookup::Asked(answer)
    }

    /// Looks a host up synchronously: the loop waits.
    pub fn now(host: &str, port: u16) -> Lookup {
        Lookup::Known(tape::pass(Kind::Name, || addresses_of(host, port)))
    }

    /// The addresses, in the order in which they are to be tried, once they are known; none if there is no such host.
    pub fn answer(&mut self) -> Option<Vec<SocketAddr>> {
        tape::pass(Kind::Name, || match self {
            Lookup::Known(addresses) => Some(std::mem::take(addresses)),
            Lookup::Asked(answer) => match answer.try_recv() {
                Ok(addresses) => Some(addresses),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(Vec::new()),
            },
        })
    }
}

fn addresses_of(host: &str, port: u16) -> Vec<SocketAddr> {
    match (host, port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            log::debug!("Can't look up {host}: {error}");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::poller::Poller;

    fn registrar() -> Registrar {
        Poller::system().expect("a poll").registrar()
    }

    #[test]
    fn an_address_is_known_at_once() {
        for (host, address) in [("127.0.0.1", "127.0.0.1:7"), ("::1", "[::1]:7")] {
            let mut lookup = Lookup::begin(host, 7, &registrar(), Wake::default());
            let addresses = lookup.answer().expect("nobody has to be asked");
            assert_eq!(addresses, [address.parse().expect("an address")]);
        }
    }

    #[test]
    fn a_name_is_asked_for() {
        let lookup = Lookup::begin("localhost", 7, &registrar(), Wake::default());
        let Lookup::Asked(answer) = &lookup else { panic!("{lookup:?}") };
        let addresses = answer.recv().expect("an answer");
        assert!(addresses.iter().all(|address| address.ip().is_loopback()));
        assert_eq!(Lookup::now("", 7).answer(), Some(Vec::new()));
    }
}
