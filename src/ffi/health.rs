//! `coreproc_health`.
