//! [`Terms`]: what processes of one command have in common. It is shared, because bindings make a command for each
//! process, and mostly the same one, so that an idle child need not have a copy of its own.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex};

use super::stop::StopPolicy;
use crate::printable::clean;

pub(super) struct Terms {
    pub(super) stop: Arc<StopPolicy>,
    label: Label,
}

/// The start of a command line.
#[derive(PartialEq, Eq)]
struct Label {
    bytes: [u8; Label::MOST],
    len: u8,
}

impl Terms {
    /// Makes the terms of a command; `argv[0]` is not shown.
    pub(super) fn new(stop: &Arc<StopPolicy>, program: &OsStr, argv: &[CString]) -> Arc<Terms> {
        static LAST: Mutex<Option<Arc<Terms>>> = Mutex::new(None);
        let terms = Terms { stop: Arc::clone(stop), label: Label::new(program, argv) };
        // Not shared while another thread looks, so that no fork can leave the lock taken.
        let Ok(mut last) = LAST.try_lock() else { return Arc::new(terms) };
        match &*last {
            Some(known) if Arc::ptr_eq(&known.stop, &terms.stop) && known.label == terms.label => Arc::clone(known),
            _ => Arc::clone(last.insert(Arc::new(terms))),
        }
    }

    /// Returns the command line, arguments separated by spaces, as one line of text; cut if it is long.
    pub(super) fn command_line(&self) -> String {
        self.label.text()
    }
}

impl Label {
    const MOST: usize = 95;

    fn new(program: &OsStr, argv: &[CString]) -> Label {
        let mut label = Label { bytes: [0; Label::MOST], len: 0 };
        label.push(program.as_bytes());
        for argument in argv.iter().skip(1) {
            label.push(b" ");
            label.push(argument.as_bytes());
        }
        label
    }

    /// Appends as much as there is room for. A full one counts as cut.
    fn push(&mut self, bytes: &[u8]) {
        let len = usize::from(self.len);
        let taken = bytes.len().min(Label::MOST - len);
        self.bytes[len..len + taken].copy_from_slice(&bytes[..taken]);
        self.len += taken as u8;
    }

    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes[..usize::from(self.len)]);
        if usize::from(self.len) < Label::MOST {
            return clean(&text);
        }
        // The cut may be inside a character.
        clean(text.trim_end_matches('\u{fffd}')) + "…"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(words: &[&str]) -> Arc<Terms> {
        let argv: Vec<CString> = words.iter().map(|word| CString::new(*word).expect("no NUL")).collect();
        Terms::new(&StopPolicy::shared_default(), OsStr::new(words[0]), &argv)
    }

    #[test]
    fn a_command_line_is_one_line_and_cut_at_a_character() {
        let line = |words: &[&str]| terms(words).command_line();
        assert_eq!(line(&["sh", "-c", "a\nb"]), "sh -c a\\nb");
        assert_eq!(line(&["x", &"ä".repeat(100)]), format!("x {}…", "ä".repeat(46)));
        assert_eq!(line(&[&"y".repeat(94)]), "y".repeat(94));
    }

    #[test]
    fn equal_commands_share() {
        assert!(!Arc::ptr_eq(&terms(&["true", "1"]), &terms(&["true", "2"])));
        // Another thread may have come between.
        assert!((0..100).any(|_| Arc::ptr_eq(&terms(&["true"]), &terms(&["true"]))));
    }
}
