//! Any bytes from the other end of a connection, for the health server and for its client.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| coreproc::fuzzing::http_input(bytes));
