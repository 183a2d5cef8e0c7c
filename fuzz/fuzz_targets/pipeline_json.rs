//! Any text as a pipeline and as a command: no panic, and the reason of a refusal fits on one line.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| coreproc::fuzzing::pipeline_json(text));
