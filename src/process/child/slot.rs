//! [`Slot`]: which descriptor of which child a token of the loop names.

/// A descriptor of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Pidfd = 0,
    Stdout = 1,
    Stderr = 2,
    Stdin = 3,
}

impl Slot {
    /// Returns the token of this descriptor of the child with this id. Ids count from 1, so the loop's own tokens, the
    /// greatest numbers, are never reached.
    pub(super) fn token(self, id: u64) -> u64 {
        id << 3 | self as u64
    }

    /// Returns the child's id and the descriptor that a token names.
    pub(crate) fn of(token: u64) -> (u64, Slot) {
        let slot = match token & 7 {
            0 => Slot::Pidfd,
            1 => Slot::Stdout,
            2 => Slot::Stderr,
            _ => Slot::Stdin,
        };
        (token >> 3, slot)
    }

    /// Returns the slot of an output: 0 is standard output, 1 standard error.
    pub(super) fn of_output(index: usize) -> Slot {
        if index == 0 { Slot::Stdout } else { Slot::Stderr }
    }
}
