//! Any text as a pipeline and as a command: no panic, and what is refused is said on one line.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| coreproc::fuzzing::pipeline_json(text));
