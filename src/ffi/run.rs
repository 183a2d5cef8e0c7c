//! `coreproc_run`.
