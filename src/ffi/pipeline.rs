//! `coreproc_pipeline`.
