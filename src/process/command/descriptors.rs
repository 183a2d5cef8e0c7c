//! The descriptors of a command above standard error, and the sockets that it is started for.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use super::Command;
use crate::process::child::MOST_PIPES;
use crate::process::descriptor::{Descriptor, FIRST, Listener};

/// The greatest number of a descriptor.
const LAST: u32 = 1023;

impl Command {
    /// Gives the process a descriptor at this number, from 3 to 1023. It finds it open from the start, whatever numbers
    /// the host's descriptors have, and besides it nothing but its standard streams. A number can be given once. At most
    /// 64 inputs and as many outputs can be pipes of the library.
    ///
    /// A number that the process may not have (RLIMIT_NOFILE) fails the spawn with EBADF at the stage `descriptor`.
    pub fn descriptor(&mut self, number: u32, descriptor: Descriptor) -> &mut Self {
        let field = format!("descriptor {number}");
        let given = match u16::try_from(number) {
            Ok(0..FIRST) => return self.mistaken(&field, "is a standard stream"),
            Ok(given) if number <= LAST => given,
            _ => return self.mistaken(&field, "is above 1023"),
        };
        if self.descriptors.iter().any(|(known, _)| *known == given) {
            return self.mistaken(&field, "is given twice");
        }
        if let Descriptor::ReadFile(path) | Descriptor::WriteFile(path, _) = &descriptor
            && !self.is_path(&field, path)
        {
            return self;
        }
        let same = |known: &Descriptor| is_input(known) == is_input(&descriptor) && is_pipe(known);
        let pipes = self.descriptors.iter().filter(|(_, known)| same(known)).count();
        if is_pipe(&descriptor) && pipes >= usize::from(MOST_PIPES) {
            return self.mistaken(&field, "is one pipe too many: 64 inputs and 64 outputs are the most");
        }
        self.descriptors.push((given, descriptor));
        self
    }

    /// Passes a socket in the way of systemd's socket activation: sockets come at 3 and the following numbers in the
    /// order of these calls, and the environment gets `LISTEN_FDS`, `LISTEN_FDNAMES`, and `LISTEN_PID` with the
    /// process's own PID, so that `sd_listen_fds(3)` finds them. Variables of these names that were set otherwise are
    /// replaced. A name has up to 255 printable ASCII characters other than `:`.
    pub fn listen_fd(&mut self, fd: Arc<OwnedFd>, name: &str) -> &mut Self {
        let is_fit = |byte: u8| byte.is_ascii_graphic() && byte != b':' || byte == b' ';
        if name.is_empty() || name.len() > 255 || !name.bytes().all(is_fit) {
            return self.mistaken("listen name", "is not 1 to 255 printable ASCII characters other than \":\"");
        }
        if self.listeners.len() >= 256 {
            return self.mistaken("listen fd", "is one too many: 256 are the most");
        }
        self.listeners.push(Listener { fd, name: CString::new(name).unwrap_or_default() });
        self
    }

    pub(super) fn mistaken(&mut self, field: &str, what: &str) -> &mut Self {
        self.mistake(field, what);
        self
    }

    fn is_path(&mut self, field: &str, path: &Path) -> bool {
        if path.as_os_str().is_empty() {
            self.mistake(field, "the path is empty");
        }
        !path.as_os_str().is_empty() && self.text(field, path.as_os_str()).is_some()
    }

    /// Finds descriptors that contradict other options.
    pub(super) fn descriptor_contradiction(&self) -> Option<(&'static str, &'static str)> {
        let outlived = |(_, descriptor): &(u16, Descriptor)| matches!(descriptor, Descriptor::Output);
        if self.detached && self.descriptors.iter().any(outlived) {
            return Some(("descriptor", "an output pipe would not outlive the host: use a file"));
        }
        let end = usize::from(FIRST) + self.listeners.len();
        if self.descriptors.iter().any(|(number, _)| usize::from(*number) < end) {
            return Some(("descriptor", "the numbers from 3 on are those of the sockets to listen on"));
        }
        None
    }
}

fn is_pipe(descriptor: &Descriptor) -> bool {
    matches!(descriptor, Descriptor::Output | Descriptor::Input | Descriptor::Data(_))
}

fn is_input(descriptor: &Descriptor) -> bool {
    !matches!(descriptor, Descriptor::Output)
}
