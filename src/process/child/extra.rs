//! [`Extra`]: what few children have. It is boxed, so that the others do not pay for it.

#[derive(Default)]
pub(super) struct Extra {
    /// How many bytes were read after the child was closed, or lost from a spool.
    pub(super) discarded: u64,
    /// How many bytes that the command gave as input were not written before the input was closed.
    pub(super) unwritten: u64,
}
