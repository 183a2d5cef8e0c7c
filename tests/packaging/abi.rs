//! What the shared library is to a loader and a linker: its symbols, its name, its flags.

use std::collections::BTreeSet;
use std::process::Command;
use std::{env, fs};

use support::c_program::soname;
use support::tree::{library, root, tool};

fn exported() -> BTreeSet<String> {
    let symbols = tool(Command::new("nm").args(["-D", "--defined-only", "--format=just-symbols"]).arg(library()));
    // A build with the feature `fault-injection` exports these on top; they are no part of the ABI.
    let injected = |symbol: &&str| cfg!(feature = "fault-injection") && symbol.starts_with("coreproc_test_");
    symbols.lines().filter(|symbol| !injected(symbol)).map(str::to_owned).collect()
}

/// Returns a header without its comments.
fn code_of(header: &str) -> String {
    let mut code = String::new();
    let mut rest = header;
    while let Some(at) = rest.find("/*").into_iter().chain(rest.find("//")).min() {
        code.push_str(&rest[..at]);
        let end = if rest[at..].starts_with("/*") { "*/" } else { "\n" };
        rest = rest[at..].split_once(end).map_or("", |(_, after)| after);
    }
    code + rest
}

/// Returns the functions that the header declares.
fn declared() -> BTreeSet<String> {
    let code = code_of(&fs::read_to_string(root().join("include/coreproc.h")).expect("the header"));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = code.match_indices("coreproc_").filter_map(|(at, _)| {
        let end = at + code[at..].find(|c| !is_name(c))?;
        (!code[..at].ends_with(is_name) && code[end..].starts_with('(')).then(|| code[at..end].to_owned())
    });
    names.collect()
}

#[test]
fn exported_symbols_are_the_committed_list() {
    let path = root().join("tests/abi/symbols.txt");
    let now: String = exported().iter().map(|symbol| format!("{symbol}\n")).collect();
    if env::var_os("BLESS").is_some() {
        fs::write(&path, &now).expect("symbols.txt");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(now == committed, "tests/abi/symbols.txt is stale: if the change is meant, run `make bless`. Now:\n{now}");
}

#[test]
fn nothing_but_our_prefix_is_exported() {
    let foreign: Vec<String> = exported().into_iter().filter(|symbol| !symbol.starts_with("coreproc_")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[test]
fn the_header_declares_what_is_exported() {
    assert_eq!(declared(), exported());
}

#[test]
fn soname_is_the_abi_counter() {
    let header = fs::read_to_string(root().join("include/coreproc.h")).expect("the header");
    let version =
        header.lines().find_map(|line| line.strip_prefix("#define COREPROC_ABI_VERSION ")).expect("the ABI version");
    assert_eq!(soname(&library()), format!("libcoreproc.so.{}", version.trim()));
}

#[test]
fn the_library_is_never_unloaded() {
    let dynamic = tool(Command::new("readelf").arg("-dW").arg(library()));
    let flags = dynamic.lines().find(|line| line.contains("(FLAGS_1)")).unwrap_or_default();
    assert!(flags.contains("NODELETE"), "{dynamic}");
}

#[test]
fn the_library_needs_no_executable_stack_and_no_text_relocations() {
    let headers = tool(Command::new("readelf").arg("-lW").arg(library()));
    let stack = headers.lines().find(|line| line.contains("GNU_STACK")).expect("GNU_STACK");
    assert!(stack.contains("RW ") && !stack.contains("RWE"), "{stack}");
    let dynamic = tool(Command::new("readelf").arg("-dW").arg(library()));
    assert!(!dynamic.contains("TEXTREL"), "{dynamic}");
}

/// The same numbers as in `tests/c/layout.c`.
mod layout {
    use std::mem::{offset_of, size_of};

    use coreproc::ffi::{
        coreproc_daemon_entry, coreproc_daemon_options, coreproc_event, coreproc_health_options, coreproc_log_info,
        coreproc_log_options, coreproc_process_info, coreproc_progress_options, coreproc_run_info,
        coreproc_run_options, coreproc_service_options, coreproc_spec_result, coreproc_stop_options,
        coreproc_stop_step, coreproc_subscription_options,
    };

    macro_rules! layout {
        ($type:ident, $size:literal: $($field:ident $offset:literal),+) => {
            #[test]
            fn $type() {
                assert_eq!(size_of::<$type>(), $size);
                $(assert_eq!(offset_of!($type, $field), $offset, stringify!($field));)+
            }
        };
    }

    layout!(coreproc_service_options, 32:
        struct_size 0, reserved 4, capture_bytes 8, drain_silence_ms 16, drain_total_ms 24);
    layout!(coreproc_stop_step, 16: signal 0, reserved 4, grace_ms 8);
    layout!(coreproc_stop_options, 40:
        struct_size 0, scope 4, signal 8, reserved 12, grace_ms 16, steps 24, steps_len 32);
    layout!(coreproc_subscription_options, 56:
        struct_size 0, scope 4, delivery 8, lifecycle 12, queue_bytes 16, max_line_bytes 24, kinds 32, overflow 36,
        encoding 40, batch_events 44, batch_bytes 48);
    layout!(coreproc_log_options, 40:
        struct_size 0, format 4, max_bytes 8, max_age_ms 16, keep 24, compress 28, mode 32, reserved 36);
    layout!(coreproc_log_info, 40: struct_size 0, error 4, written 8, lost 16, rotations 24, end 32);
    layout!(coreproc_daemon_entry, 96:
        struct_size 0, pid 4, started_ns 8, code 16, code_len 24, daemon 32, daemon_len 40, health 48, health_len 56,
        project 64, project_len 72, binary 80, binary_len 88);
    layout!(coreproc_daemon_options, 72:
        struct_size 0, reserved 4, shutdown_timeout_ms 8, pid_file 16, pid_file_len 24, health_address 32,
        health_address_len 40, health 48, registry 56, entry 64);
    layout!(coreproc_health_options, 48:
        struct_size 0, reserved 4, check_timeout_ms 8, max_connections 16, max_header_bytes 24,
        header_timeout_ms 32, idle_timeout_ms 40);
    layout!(coreproc_process_info, 232:
        struct_size 0, state 4, id 8, pid 16, exit_code 20, signal 24, cause 28, flags 32, rung 36,
        started_monotonic_ns 40, started_realtime_ns 48, exited_monotonic_ns 56, closed_monotonic_ns 64,
        stdout_bytes 72, stderr_bytes 80, dropped_bytes 88, discarded_bytes 96, unwritten_bytes 104,
        rusage 112, rusage_reserved 116, user_time_ns 120, system_time_ns 128, max_rss_bytes 136, minor_faults 144,
        major_faults 152, voluntary_switches 160, involuntary_switches 168, blocks_read 176, blocks_written 184,
        tree_cpu_ns 192, tree_memory_peak 200, tree_oom_kills 208, tree_processes_peak 216,
        stopped 224, stop_signal 228);
    layout!(coreproc_event, 96:
        kind 0, flags 4, process_id 8, sequence 16, monotonic_ns 24, realtime_ns 32, pid 40, exit_code 44,
        signal 48, cause 52, data 56, len 64, run_id 72, spec 80, attempt 84, spec_state 88, descriptor 92);
    layout!(coreproc_progress_options, 16: struct_size 0, style 4, output 8, reserved 12);
    layout!(coreproc_run_options, 56:
        struct_size 0, mode 4, on_failure 8, reserved 12, limit 16, deadline_ms 24, subscription 32,
        history 40, progress 48);
    layout!(coreproc_run_info, 112:
        struct_size 0, ended 4, success 8, reserved 12, total 16, waiting 24, running 32, retrying 40, passed 48,
        failed 56, skipped 64, cancelled 72, timed_out 80, started_monotonic_ns 88, started_realtime_ns 96,
        duration_ns 104);
    layout!(coreproc_spec_result, 112:
        struct_size 0, state 4, exit_code 8, signal 12, flags 16, attempts 20, allow_failure 24, reserved 28, name 32,
        name_len 40, error 48, error_len 56, output 64, output_len 72, dropped_bytes 80, started_monotonic_ns 88,
        started_realtime_ns 96, duration_ns 104);
}
