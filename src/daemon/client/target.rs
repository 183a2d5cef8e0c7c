//! [`Target`]: the server that is asked. Finds its addresses, and asks it once or until it is well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::http::{Failure, exchange};
use super::probe::Probe;
use crate::daemon::address::{Address, literal, look_up};
use crate::runtime::Deadline;
use crate::sys::socket::Peer;
use crate::sys::thread;

/// The limit of one answer, if there is time to ask again.
const ATTEMPT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Target {
    address: Address,
    /// The addresses of a name that was looked up.
    found: Vec<SocketAddr>,
    /// The result of a lookup that is under way.
    lookup: Option<Receiver<Result<Vec<SocketAddr>, String>>>,
}

impl Target {
    pub(super) fn new(address: Address) -> Target {
        Target { address, found: Vec::new(), lookup: None }
    }

    /// Asks once. None if the deadline passes first.
    pub(super) fn ask_once(&mut self, path: &str, deadline: Deadline) -> Option<Probe> {
        match self.ask(path, deadline) {
            Ok(probe) => Some(probe),
            Err(Failure::Because(reason)) => Some(Probe { ok: false, reason }),
            Err(Failure::TimedOut) => None,
        }
    }

    /// Asks until the answer is 200 or the deadline passes. Returns the last answer or obstacle; None if there was
    /// none.
    pub(super) fn ask_until_ok(&mut self, path: &str, deadline: Deadline) -> Option<Probe> {
        let mut pause = FIRST_PAUSE;
        let mut last = None;
        loop {
            // An earlier answer says more than that the time is over.
            last = self.ask_once(path, deadline.or_after(ATTEMPT)).or(last);
            if last.as_ref().is_some_and(|probe| probe.ok) || deadline.is_over() {
                return last;
            }
            std::thread::sleep(deadline.left().map_or(pause, |left| left.min(pause)));
            if deadline.is_over() {
                return last;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Asks one question, at the first of the addresses that answers.
    fn ask(&mut self, path: &str, deadline: Deadline) -> Result<Probe, Failure> {
        let (host, port) = match &self.address {
            Address::Tcp(host, port) => (host, port),
            Address::Unix(file) => return exchange(Peer::Unix(file), "localhost", path, deadline),
            Address::Abstract(name) => return exchange(Peer::Abstract(name), "localhost", path, deadline),
        };
        let name = self.address.to_string();
        let name = if host.is_empty() { format!("localhost{name}") } else { name };
        let this_machine = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let addresses = match literal(host, *port, &this_machine) {
            Some(addresses) => addresses,
            None => self.resolve(deadline)?,
        };
        let mut failure = Failure::TimedOut;
        for (index, address) in addresses.iter().enumerate() {
            // An address that does not answer leaves time for the others.
            let shares = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let until = Deadline::after(deadline.left().map(|left| left / shares));
            match exchange(Peer::Tcp(*address), &name, path, until) {
                Ok(probe) => return Ok(probe),
                Err(Failure::TimedOut) => {}
                Err(because) => failure = because,
            }
        }
        Err(failure)
    }

    /// Returns the addresses of the name, looked up on a thread of its own. After the deadline the lookup goes on, and
    /// the next attempt waits for the same one.
    fn resolve(&mut self, deadline: Deadline) -> Result<Vec<SocketAddr>, Failure> {
        let Address::Tcp(host, port) = &self.address else { return Ok(Vec::new()) };
        if !self.found.is_empty() {
            return Ok(self.found.clone());
        }
        let lookup = match self.lookup.take() {
            Some(lookup) => lookup,
            None => {
                let (sender, receiver) = channel();
                let (host, port) = (host.clone(), *port);
                thread::start("coreproc-lookup", move || {
                    let _ = sender.send(look_up(&host, port));
                })
                .map_err(|error| Failure::Because(error.to_string()))?;
                receiver
            }
        };
        let found = match deadline.left() {
            Some(left) => lookup.recv_timeout(left),
            None => lookup.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match found {
            Ok(Ok(found)) => {
                self.found.clone_from(&found);
                Ok(found)
            }
            Ok(Err(why)) => Err(Failure::Because(why)),
            Err(RecvTimeoutError::Timeout) => {
                self.lookup = Some(lookup);
                Err(Failure::TimedOut)
            }
            Err(RecvTimeoutError::Disconnected) => Err(Failure::Because("the lookup's thread ended".to_owned())),
        }
    }
}
