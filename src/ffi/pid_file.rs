//! `coreproc_pid_file`.
