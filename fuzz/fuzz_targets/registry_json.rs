//! Any file in the registry's directory: no panic, and an entry stays the same when it is written again.

#![no_main]

libfuzzer_sys::fuzz_target!(|file: &[u8]| coreproc::fuzzing::registry_json(file));
