/* The layouts that callers compile in: a change here breaks the ABI. */
#include <assert.h>

#include "help.h"

#define AT(type, field, offset) static_assert(offsetof(type, field) == (offset), #type "." #field)
#define SIZE(type, size) static_assert(sizeof(type) == (size), #type)

SIZE(coreproc_result, 4);

SIZE(coreproc_service_options, 32);
AT(coreproc_service_options, struct_size, 0);
AT(coreproc_service_options, reserved, 4);
AT(coreproc_service_options, capture_bytes, 8);
AT(coreproc_service_options, drain_silence_ms, 16);
AT(coreproc_service_options, drain_total_ms, 24);

SIZE(coreproc_stop_step, 16);
AT(coreproc_stop_step, signal, 0);
AT(coreproc_stop_step, reserved, 4);
AT(coreproc_stop_step, grace_ms, 8);
SIZE(coreproc_stop_options, 40);
AT(coreproc_stop_options, struct_size, 0);
AT(coreproc_stop_options, scope, 4);
AT(coreproc_stop_options, signal, 8);
AT(coreproc_stop_options, reserved, 12);
AT(coreproc_stop_options, grace_ms, 16);
AT(coreproc_stop_options, steps, 24);
AT(coreproc_stop_options, steps_len, 32);

SIZE(coreproc_subscription_options, 56);
AT(coreproc_subscription_options, struct_size, 0);
AT(coreproc_subscription_options, scope, 4);
AT(coreproc_subscription_options, delivery, 8);
AT(coreproc_subscription_options, lifecycle, 12);
AT(coreproc_subscription_options, queue_bytes, 16);
AT(coreproc_subscription_options, max_line_bytes, 24);
AT(coreproc_subscription_options, kinds, 32);
AT(coreproc_subscription_options, overflow, 36);
AT(coreproc_subscription_options, encoding, 40);
AT(coreproc_subscription_options, batch_events, 44);
AT(coreproc_subscription_options, batch_bytes, 48);

SIZE(coreproc_activity, 168);
AT(coreproc_activity, struct_size, 0);
AT(coreproc_activity, doing, 4);
AT(coreproc_activity, id, 8);
AT(coreproc_activity, pid, 16);
AT(coreproc_activity, stop_signal, 20);
AT(coreproc_activity, awaits, 24);
AT(coreproc_activity, awaits_pid, 28);
AT(coreproc_activity, processes, 32);
AT(coreproc_activity, cpu_ns, 40);
AT(coreproc_activity, rss_bytes, 48);
AT(coreproc_activity, threads, 56);
AT(coreproc_activity, descriptors, 64);
AT(coreproc_activity, read_bytes, 72);
AT(coreproc_activity, written_bytes, 80);
AT(coreproc_activity, disk_read_bytes, 88);
AT(coreproc_activity, disk_written_bytes, 96);
AT(coreproc_activity, tree_cpu_ns, 104);
AT(coreproc_activity, tree_rss_bytes, 112);
AT(coreproc_activity, tree_threads, 120);
AT(coreproc_activity, tree_descriptors, 128);
AT(coreproc_activity, tree_read_bytes, 136);
AT(coreproc_activity, tree_written_bytes, 144);
AT(coreproc_activity, tree_disk_read_bytes, 152);
AT(coreproc_activity, tree_disk_written_bytes, 160);

SIZE(coreproc_handle_info, 24);
AT(coreproc_handle_info, struct_size, 0);
AT(coreproc_handle_info, state, 4);
AT(coreproc_handle_info, pid, 8);
AT(coreproc_handle_info, exit_code, 12);
AT(coreproc_handle_info, signal, 16);
AT(coreproc_handle_info, flags, 20);

SIZE(coreproc_log_options, 40);
AT(coreproc_log_options, struct_size, 0);
AT(coreproc_log_options, format, 4);
AT(coreproc_log_options, max_bytes, 8);
AT(coreproc_log_options, max_age_ms, 16);
AT(coreproc_log_options, keep, 24);
AT(coreproc_log_options, compress, 28);
AT(coreproc_log_options, mode, 32);
AT(coreproc_log_options, reserved, 36);

SIZE(coreproc_log_info, 40);
AT(coreproc_log_info, struct_size, 0);
AT(coreproc_log_info, error, 4);
AT(coreproc_log_info, written, 8);
AT(coreproc_log_info, lost, 16);
AT(coreproc_log_info, rotations, 24);
AT(coreproc_log_info, end, 32);

SIZE(coreproc_daemon_entry, 96);
AT(coreproc_daemon_entry, struct_size, 0);
AT(coreproc_daemon_entry, pid, 4);
AT(coreproc_daemon_entry, started_ns, 8);
AT(coreproc_daemon_entry, code, 16);
AT(coreproc_daemon_entry, code_len, 24);
AT(coreproc_daemon_entry, daemon, 32);
AT(coreproc_daemon_entry, daemon_len, 40);
AT(coreproc_daemon_entry, health, 48);
AT(coreproc_daemon_entry, health_len, 56);
AT(coreproc_daemon_entry, project, 64);
AT(coreproc_daemon_entry, project_len, 72);
AT(coreproc_daemon_entry, binary, 80);
AT(coreproc_daemon_entry, binary_len, 88);

SIZE(coreproc_daemon_options, 72);
AT(coreproc_daemon_options, struct_size, 0);
AT(coreproc_daemon_options, reserved, 4);
AT(coreproc_daemon_options, shutdown_timeout_ms, 8);
AT(coreproc_daemon_options, pid_file, 16);
AT(coreproc_daemon_options, pid_file_len, 24);
AT(coreproc_daemon_options, health_address, 32);
AT(coreproc_daemon_options, health_address_len, 40);
AT(coreproc_daemon_options, health, 48);
AT(coreproc_daemon_options, registry, 56);
AT(coreproc_daemon_options, entry, 64);

SIZE(coreproc_health_options, 48);
AT(coreproc_health_options, struct_size, 0);
AT(coreproc_health_options, reserved, 4);
AT(coreproc_health_options, check_timeout_ms, 8);
AT(coreproc_health_options, max_connections, 16);
AT(coreproc_health_options, max_header_bytes, 24);
AT(coreproc_health_options, header_timeout_ms, 32);
AT(coreproc_health_options, idle_timeout_ms, 40);

SIZE(coreproc_process_info, 232);
AT(coreproc_process_info, struct_size, 0);
AT(coreproc_process_info, state, 4);
AT(coreproc_process_info, id, 8);
AT(coreproc_process_info, pid, 16);
AT(coreproc_process_info, exit_code, 20);
AT(coreproc_process_info, signal, 24);
AT(coreproc_process_info, cause, 28);
AT(coreproc_process_info, flags, 32);
AT(coreproc_process_info, rung, 36);
AT(coreproc_process_info, started_monotonic_ns, 40);
AT(coreproc_process_info, started_realtime_ns, 48);
AT(coreproc_process_info, exited_monotonic_ns, 56);
AT(coreproc_process_info, closed_monotonic_ns, 64);
AT(coreproc_process_info, stdout_bytes, 72);
AT(coreproc_process_info, stderr_bytes, 80);
AT(coreproc_process_info, dropped_bytes, 88);
AT(coreproc_process_info, discarded_bytes, 96);
AT(coreproc_process_info, unwritten_bytes, 104);
AT(coreproc_process_info, rusage, 112);
AT(coreproc_process_info, rusage_reserved, 116);
AT(coreproc_process_info, user_time_ns, 120);
AT(coreproc_process_info, system_time_ns, 128);
AT(coreproc_process_info, max_rss_bytes, 136);
AT(coreproc_process_info, minor_faults, 144);
AT(coreproc_process_info, major_faults, 152);
AT(coreproc_process_info, voluntary_switches, 160);
AT(coreproc_process_info, involuntary_switches, 168);
AT(coreproc_process_info, blocks_read, 176);
AT(coreproc_process_info, blocks_written, 184);
AT(coreproc_process_info, tree_cpu_ns, 192);
AT(coreproc_process_info, tree_memory_peak, 200);
AT(coreproc_process_info, tree_oom_kills, 208);
AT(coreproc_process_info, tree_processes_peak, 216);
AT(coreproc_process_info, stopped, 224);
AT(coreproc_process_info, stop_signal, 228);

SIZE(coreproc_event, 96);
AT(coreproc_event, kind, 0);
AT(coreproc_event, flags, 4);
AT(coreproc_event, process_id, 8);
AT(coreproc_event, sequence, 16);
AT(coreproc_event, monotonic_ns, 24);
AT(coreproc_event, realtime_ns, 32);
AT(coreproc_event, pid, 40);
AT(coreproc_event, exit_code, 44);
AT(coreproc_event, signal, 48);
AT(coreproc_event, cause, 52);
AT(coreproc_event, data, 56);
AT(coreproc_event, len, 64);
AT(coreproc_event, run_id, 72);
AT(coreproc_event, spec, 80);
AT(coreproc_event, attempt, 84);
AT(coreproc_event, spec_state, 88);
AT(coreproc_event, descriptor, 92);

SIZE(coreproc_progress_options, 16);
AT(coreproc_progress_options, struct_size, 0);
AT(coreproc_progress_options, style, 4);
AT(coreproc_progress_options, output, 8);
AT(coreproc_progress_options, reserved, 12);

SIZE(coreproc_run_options, 56);
AT(coreproc_run_options, struct_size, 0);
AT(coreproc_run_options, mode, 4);
AT(coreproc_run_options, on_failure, 8);
AT(coreproc_run_options, reserved, 12);
AT(coreproc_run_options, limit, 16);
AT(coreproc_run_options, deadline_ms, 24);
AT(coreproc_run_options, subscription, 32);
AT(coreproc_run_options, history, 40);
AT(coreproc_run_options, progress, 48);

SIZE(coreproc_run_info, 112);
AT(coreproc_run_info, struct_size, 0);
AT(coreproc_run_info, ended, 4);
AT(coreproc_run_info, success, 8);
AT(coreproc_run_info, reserved, 12);
AT(coreproc_run_info, total, 16);
AT(coreproc_run_info, waiting, 24);
AT(coreproc_run_info, running, 32);
AT(coreproc_run_info, retrying, 40);
AT(coreproc_run_info, passed, 48);
AT(coreproc_run_info, failed, 56);
AT(coreproc_run_info, skipped, 64);
AT(coreproc_run_info, cancelled, 72);
AT(coreproc_run_info, timed_out, 80);
AT(coreproc_run_info, started_monotonic_ns, 88);
AT(coreproc_run_info, started_realtime_ns, 96);
AT(coreproc_run_info, duration_ns, 104);

SIZE(coreproc_spec_result, 112);
AT(coreproc_spec_result, struct_size, 0);
AT(coreproc_spec_result, state, 4);
AT(coreproc_spec_result, exit_code, 8);
AT(coreproc_spec_result, signal, 12);
AT(coreproc_spec_result, flags, 16);
AT(coreproc_spec_result, attempts, 20);
AT(coreproc_spec_result, allow_failure, 24);
AT(coreproc_spec_result, reserved, 28);
AT(coreproc_spec_result, name, 32);
AT(coreproc_spec_result, name_len, 40);
AT(coreproc_spec_result, error, 48);
AT(coreproc_spec_result, error_len, 56);
AT(coreproc_spec_result, output, 64);
AT(coreproc_spec_result, output_len, 72);
AT(coreproc_spec_result, dropped_bytes, 80);
AT(coreproc_spec_result, started_monotonic_ns, 88);
AT(coreproc_spec_result, started_realtime_ns, 96);
AT(coreproc_spec_result, duration_ns, 104);

static void versions_of_header_and_library_agree(void)
{
    CHECK_INT(coreproc_abi_version(), COREPROC_ABI_VERSION);
    CHECK_TEXT(coreproc_version(), COREPROC_VERSION);
    char text[64];
    snprintf(text, sizeof text, "%d.%d.%d", COREPROC_VERSION_MAJOR, COREPROC_VERSION_MINOR, COREPROC_VERSION_PATCH);
    CHECK_TEXT(coreproc_version(), text);
}

static void every_result_has_its_name(void)
{
#define NAMED(result) CHECK_TEXT(coreproc_result_name(result), #result)
    NAMED(COREPROC_OK);
    NAMED(COREPROC_INVALID_ARGUMENT);
    NAMED(COREPROC_NOT_FOUND);
    NAMED(COREPROC_PERMISSION_DENIED);
    NAMED(COREPROC_SYSTEM);
    NAMED(COREPROC_OUT_OF_MEMORY);
    NAMED(COREPROC_NOT_RUNNING);
    NAMED(COREPROC_STDIN_CLOSED);
    NAMED(COREPROC_TIMED_OUT);
    NAMED(COREPROC_CLOSED);
    NAMED(COREPROC_DEADLOCK);
    NAMED(COREPROC_FORKED);
    NAMED(COREPROC_PANIC);
    NAMED(COREPROC_UNSUPPORTED);
    CHECK_TEXT(coreproc_result_name(1), "COREPROC_UNKNOWN");
    CHECK_TEXT(coreproc_result_name(-1000), "COREPROC_UNKNOWN");
}

/* Bindings compile these numbers in. */
static void numbers_are_frozen(void)
{
    static const int64_t results[] = {
        COREPROC_OK, COREPROC_INVALID_ARGUMENT, COREPROC_NOT_FOUND, COREPROC_PERMISSION_DENIED, COREPROC_SYSTEM,
        COREPROC_OUT_OF_MEMORY, COREPROC_NOT_RUNNING, COREPROC_STDIN_CLOSED, COREPROC_TIMED_OUT, COREPROC_CLOSED,
        COREPROC_DEADLOCK, COREPROC_FORKED, COREPROC_PANIC, COREPROC_UNSUPPORTED};
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        CHECK_INT(results[i], -(int64_t)i);
    static const uint64_t flags[] = {COREPROC_FLAG_STATUS_UNKNOWN, COREPROC_FLAG_CORE_DUMPED, COREPROC_FLAG_PARTIAL,
                                     COREPROC_FLAG_NO_NEWLINE, COREPROC_FLAG_DRAIN_BOUND, COREPROC_FLAG_LOST};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        CHECK_INT(flags[i], (uint64_t)1 << i);
    static const uint32_t from_zero[][7] = {
        {COREPROC_STREAM_STDIN, COREPROC_STREAM_STDOUT, COREPROC_STREAM_STDERR, 3, 4, 5, 6},
        {COREPROC_SCOPE_DEFAULT, COREPROC_SCOPE_PROCESS, COREPROC_SCOPE_GROUP, 3, 4, 5, 6},
        {0, COREPROC_CLOSE_LEAVE, COREPROC_CLOSE_STOP, COREPROC_CLOSE_KILL, 4, 5, 6},
        {0, COREPROC_STDIO_NULL, COREPROC_STDIO_PIPE, COREPROC_STDIO_INHERIT, COREPROC_STDIO_MERGE, COREPROC_STDIO_SPOOL, 6},
        {0, COREPROC_FILE_READ, COREPROC_FILE_TRUNCATE, COREPROC_FILE_APPEND, 4, 5, 6},
        {0, COREPROC_GROUP_OWN, COREPROC_GROUP_INHERIT, 3, 4, 5, 6},
        {0, COREPROC_STATE_RUNNING, COREPROC_STATE_EXITED, COREPROC_STATE_CLOSED, 4, 5, 6},
        {COREPROC_CAUSE_NONE, COREPROC_CAUSE_NATURAL, COREPROC_CAUSE_STOPPED, COREPROC_CAUSE_KILLED, COREPROC_CAUSE_TIMEOUT,
         COREPROC_CAUSE_CANCELLED, 6},
        {0, COREPROC_DELIVERY_CHUNKS, COREPROC_DELIVERY_LINES, COREPROC_DELIVERY_NONE,
         COREPROC_DELIVERY_WHOLE_LINES, 5, 6},
        {0, COREPROC_SUBSCRIBE_ALL, COREPROC_SUBSCRIBE_NAMED, 3, 4, 5, 6},
        {0, COREPROC_PID_ALIVE, COREPROC_PID_DEAD, COREPROC_PID_INVALID, COREPROC_PID_MISSING, 5, 6},
        {0, COREPROC_EVENT_STARTED, COREPROC_EVENT_STDOUT, COREPROC_EVENT_STDERR, COREPROC_EVENT_EXITED,
         COREPROC_EVENT_CLOSED, COREPROC_EVENT_RUN_STARTED},
        {0, COREPROC_SPEC_PASSED, COREPROC_SPEC_FAILED, COREPROC_SPEC_SKIPPED, COREPROC_SPEC_CANCELLED, COREPROC_SPEC_TIMED_OUT, 6},
        {0, COREPROC_RUN_ALL, COREPROC_RUN_SEQUENTIAL, COREPROC_RUN_PARALLEL, 4, 5, 6},
        {0, COREPROC_KEEP_GOING, COREPROC_FAIL_FAST, 3, 4, 5, 6},
    };
    for (size_t row = 0; row < sizeof from_zero / sizeof *from_zero; row++)
        for (uint32_t i = 0; i < 7; i++)
            CHECK_INT(from_zero[row][i], i);
    static const uint32_t from_six[] = {COREPROC_EVENT_RUN_STARTED, COREPROC_EVENT_SPEC_STARTED, COREPROC_EVENT_SPEC_RETRYING,
                                        COREPROC_EVENT_SPEC_ENDED, COREPROC_EVENT_RUN_ENDED};
    for (uint32_t i = 0; i < 5; i++)
        CHECK_INT(from_six[i], 6 + i);
    CHECK(COREPROC_NO_SPEC == UINT32_MAX);
    CHECK(COREPROC_UNLIMITED == UINT64_MAX);
    CHECK(COREPROC_CAPTURE_NONE == UINT64_MAX);
}

int main(void)
{
    check_begin();
    RUN(versions_of_header_and_library_agree);
    RUN(every_result_has_its_name);
    RUN(numbers_are_frozen);
    return check_end();
}
