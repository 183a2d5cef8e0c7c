//! `coreproc_daemon`.
