//! The standard streams.

/// Standard input.
pub const COREPROC_STREAM_STDIN: u32 = 0;
/// Standard output.
pub const COREPROC_STREAM_STDOUT: u32 = 1;
/// Standard error.
pub const COREPROC_STREAM_STDERR: u32 = 2;
