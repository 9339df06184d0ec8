//! Telling systemd or upstart how the server fares.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::base::logging::system_text;
use crate::base::sys::process;
use crate::config::Supervision;

/// What a supervisor left in the environment.
#[derive(Clone, Debug, Default)]
pub struct SupervisorEnvironment {
    /// `NOTIFY_SOCKET`: systemd's datagram socket, abstract when it starts with `@`.
    pub notify_socket: Option<OsString>,
    /// `WATCHDOG_USEC`, if it is for this process (`WATCHDOG_PID`): how long systemd waits for a sign of life, in µs.
    pub watchdog_us: Option<u64>,
    /// Whether `UPSTART_JOB` is set.
    pub upstart_job: bool,
}

impl SupervisorEnvironment {
    /// Reads the process's environment.
    pub fn of_process() -> SupervisorEnvironment {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let is_for_another = number("WATCHDOG_PID").is_some_and(|id| id != u64::from(process::own_id()));
        SupervisorEnvironment {
            notify_socket: std::env::var_os("NOTIFY_SOCKET"),
            watchdog_us: number("WATCHDOG_USEC").filter(|period_us| *period_us > 0 && !is_for_another),
            upstart_job: std::env::var_os("UPSTART_JOB").is_some(),
        }
    }
}

/// The supervisor found, if any.
#[derive(Clone, Debug, Default)]
pub enum Supervisor {
    /// There is none.
    #[default]
    Nobody,
    /// Upstart; it was told at start-up and hears no more.
    Upstart,
    /// systemd.
    Systemd(Systemd),
}

/// The socket to tell systemd over, and its watchdog.
#[derive(Clone, Debug, Default)]
pub struct Systemd {
    socket: OsString,
    /// Between two signs of life, in µs: half of what systemd waits. None: it wants none.
    period_us: Option<u64>,
    /// When the next sign of life is due, on the monotonic clock.
    due_us: u64,
}

impl Supervisor {
    /// Finds the supervisor and tells it that start-up goes on (upstart: that the process is up, by stopping it).
    /// A supervisor that is asked for but not there is logged as a warning, and then there is none.
    pub fn find(mode: Supervision, environment: &SupervisorEnvironment) -> Supervisor {
        match detect(mode, environment) {
            Supervision::Upstart => upstart(environment),
            Supervision::Systemd => systemd(environment),
            Supervision::No | Supervision::Auto => Supervisor::Nobody,
        }
    }

    /// Whether there is one; the server must then not go into the background.
    pub fn is_present(&self) -> bool {
        !matches!(self, Supervisor::Nobody)
    }

    /// The words for INFO's `process_supervised` field, each at its supervisor's number.
    pub const NAMES: [&str; 3] = ["no", "upstart", "systemd"];

    /// The number of its name.
    pub fn number(&self) -> usize {
        match self {
            Supervisor::Nobody => 0,
            Supervisor::Upstart => 1,
            Supervisor::Systemd(_) => 2,
        }
    }

    /// Clients are served from now on; `is_replica` when the data may still be waiting for a primary's.
    pub fn tell_ready(&self, is_replica: bool) {
        self.notify(match is_replica {
            true => "STATUS=Ready to accept connections in read-only mode. Waiting for MASTER <-> REPLICA sync\n",
            false => "STATUS=Ready to accept connections\n",
        });
        self.notify("READY=1\n");
    }

    /// Shows one line as the service's state.
    pub fn tell_status(&self, status: &str) {
        self.notify(&format!("STATUS={status}\n"));
    }

    /// The server is about to end.
    pub fn tell_stopping(&self) {
        self.notify("STOPPING=1\n");
    }

    /// Gives systemd a sign of life if one is due: the loop turns. `now_us` is the monotonic clock's.
    pub fn keep_alive(&mut self, now_us: u64) {
        if let Supervisor::Systemd(systemd) = self
            && let Some(period_us) = systemd.period_us
            && now_us >= systemd.due_us
        {
            systemd.due_us = now_us + period_us;
            self.notify("WATCHDOG=1\n");
        }
    }

    fn notify(&self, message: &str) {
        if let Supervisor::Systemd(systemd) = self
            && let Err(error) = send(&systemd.socket, message)
        {
            log::warn!("systemd supervision error: sendmsg(): {}", system_text(&error));
        }
    }
}

fn detect(mode: Supervision, environment: &SupervisorEnvironment) -> Supervision {
    if mode != Supervision::Auto {
        return mode;
    }
    if environment.upstart_job {
        log::info!("Upstart supervision detected.");
        return Supervision::Upstart;
    }
    if environment.notify_socket.is_some() {
        log::info!("Systemd supervision detected.");
        return Supervision::Systemd;
    }
    Supervision::No
}

fn upstart(environment: &SupervisorEnvironment) -> Supervisor {
    if !environment.upstart_job {
        log::warn!("Upstart supervision requested, but UPSTART_JOB not found!");
        return Supervisor::Nobody;
    }
    log::info!("Supervised by upstart, will stop to signal readiness.");
    process::stop_self();
    Supervisor::Upstart
}

fn systemd(environment: &SupervisorEnvironment) -> Supervisor {
    let Some(socket) = &environment.notify_socket else {
        log::warn!("systemd supervision error: NOTIFY_SOCKET not found!");
        return Supervisor::Nobody;
    };
    log::info!(
        "Supervised by systemd. Please make sure you set appropriate values for TimeoutStartSec and TimeoutStopSec \
         in your service unit."
    );
    let period_us = environment.watchdog_us.map(|wait_us| wait_us / 2);
    let supervisor = Supervisor::Systemd(Systemd { socket: socket.clone(), period_us, due_us: 0 });
    supervisor.tell_status("Oneloop is loading...");
    supervisor
}

/// The protocol of `sd_notify(3)`: one datagram of `NAME=value` lines.
fn send(socket: &OsString, message: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0_u8; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    fn follow_life(name: &str, socket: &UnixDatagram) {
        let environment = SupervisorEnvironment {
            notify_socket: Some(name.into()),
            watchdog_us: Some(2_000_000),
            upstart_job: false,
        };
        let mut supervisor = Supervisor::find(Supervision::Auto, &environment);
        assert!(supervisor.is_present());
        assert_eq!(received(socket), "STATUS=Oneloop is loading...\n");
        supervisor.tell_ready(false);
        assert_eq!(received(socket), "STATUS=Ready to accept connections\n");
        assert_eq!(received(socket), "READY=1\n");
        for (now_us, is_due) in [(5_000_000, true), (5_999_999, false), (6_000_000, true), (6_000_001, false)] {
            supervisor.keep_alive(now_us);
            socket.set_nonblocking(true).unwrap();
            assert_eq!(socket.recv(&mut [0; 64]).ok(), is_due.then_some("WATCHDOG=1\n".len()), "{now_us}");
            socket.set_nonblocking(false).unwrap();
        }
        supervisor.tell_stopping();
        assert_eq!(received(socket), "STOPPING=1\n");
    }

    #[test]
    fn systemd_hears_over_an_abstract_socket() {
        let name = format!("oneloop-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        follow_life(&format!("@{name}"), &UnixDatagram::bind_addr(&address).unwrap());
    }

    #[test]
    fn systemd_hears_over_a_socket_file() {
        let path = std::env::temp_dir().join(format!("oneloop-notify-{}", std::process::id()));
        let socket = UnixDatagram::bind(&path).unwrap();
        follow_life(path.to_str().unwrap(), &socket);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn without_a_supervisor_there_is_nobody_to_tell() {
        let nothing = SupervisorEnvironment::default();
        for mode in [Supervision::No, Supervision::Auto, Supervision::Systemd, Supervision::Upstart] {
            let supervisor = Supervisor::find(mode, &nothing);
            assert_eq!(supervisor.number(), 0);
            supervisor.tell_ready(true);
        }
    }
}
