//! `coreproc_registry`.
