//! [`Slot`]: which descriptor of which child a token of the loop names.

/// A descriptor of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Pidfd,
    Stdout,
    Stderr,
    Stdin,
    /// The `cgroup.events` of its cgroup.
    Cgroup,
    /// An output above standard error, counted from 0.
    Output(u8),
    /// An input other than the standard one, counted from 0.
    Input(u8),
}

/// The bits of a token below the child's id.
const BITS: u32 = 8;
/// The first of the numbers of other outputs, and of other inputs.
const OUTPUTS: u64 = 8;
const INPUTS: u64 = 8 + MOST_PIPES as u64;
/// The most outputs, and inputs, that a child has besides the standard ones.
pub(in crate::process) const MOST_PIPES: u8 = 64;
const _: () = assert!(INPUTS + MOST_PIPES as u64 <= 1 << BITS);

impl Slot {
    /// Returns the token of this descriptor of the child with this id. Ids count from 1, so the loop's own tokens, the
    /// greatest numbers, are never reached.
    pub(super) fn token(self, id: u64) -> u64 {
        let number = match self {
            Slot::Pidfd => 0,
            Slot::Stdout => 1,
            Slot::Stderr => 2,
            Slot::Stdin => 3,
            Slot::Cgroup => 4,
            Slot::Output(at) => OUTPUTS + u64::from(at),
            Slot::Input(at) => INPUTS + u64::from(at),
        };
        id << BITS | number
    }

    /// Returns the child's id and the descriptor that a token names.
    pub(crate) fn of(token: u64) -> (u64, Slot) {
        let number = token & ((1 << BITS) - 1);
        let slot = match number {
            0 => Slot::Pidfd,
            1 => Slot::Stdout,
            2 => Slot::Stderr,
            4 => Slot::Cgroup,
            INPUTS.. => Slot::Input((number - INPUTS) as u8),
            OUTPUTS.. => Slot::Output((number - OUTPUTS) as u8),
            _ => Slot::Stdin,
        };
        (token >> BITS, slot)
    }

    /// Returns the slot of an output: 0 is standard output, 1 standard error, and the others follow.
    pub(super) fn of_output(index: usize) -> Slot {
        match index {
            0 => Slot::Stdout,
            1 => Slot::Stderr,
            _ => Slot::Output((index - 2) as u8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_the_descriptor_that_it_was_made_of() {
        let others = (0..MOST_PIPES).flat_map(|at| [Slot::Output(at), Slot::Input(at)]);
        for slot in [Slot::Pidfd, Slot::Stdout, Slot::Stderr, Slot::Stdin, Slot::Cgroup].into_iter().chain(others) {
            for id in [1, 255, 1 << 40] {
                assert_eq!(Slot::of(slot.token(id)), (id, slot));
            }
        }
    }
}
