//! Whatever lies in the registry's folder: no panic, and what is an entry survives being written again.

#![no_main]

libfuzzer_sys::fuzz_target!(|file: &[u8]| coreproc::fuzzing::registry_json(file));
