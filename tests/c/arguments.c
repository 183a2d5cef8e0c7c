/* Bad arguments are refused by name, change nothing, and crash nothing. */
#include "help.h"

#include <sched.h>
#include <sys/resource.h>

#define REFUSED(call) FAILS(COREPROC_INVALID_ARGUMENT, call)
#define REFUSED_NAMING(field, call) FAILS_NAMING(COREPROC_INVALID_ARGUMENT, field, call)

/* What a refused call must not have written to. */
static void *const untouched = (void *)(uintptr_t)0x1000;

static void every_free_takes_null(void)
{
    coreproc_error_free(NULL);
    coreproc_bytes_free(NULL);
    coreproc_service_free(NULL);
    coreproc_command_free(NULL);
    coreproc_process_free(NULL);
    coreproc_subscription_free(NULL);
    coreproc_batch_free(NULL);
    coreproc_handle_free(NULL);
    coreproc_activities_free(NULL);
}

static void every_getter_takes_null(void)
{
    size_t count = 7, stride = 7;
    CHECK_INT(coreproc_error_result(NULL), COREPROC_OK);
    CHECK_INT(coreproc_error_errno(NULL), 0);
    CHECK_TEXT(coreproc_error_operation(NULL), "");
    CHECK_TEXT(coreproc_error_stage(NULL), "");
    CHECK_TEXT(coreproc_error_message(NULL), "");
    CHECK_INT(coreproc_bytes_len(NULL), 0);
    (void)coreproc_bytes_data(NULL);
    CHECK_INT(coreproc_process_id(NULL), 0);
    CHECK_INT(coreproc_process_pid(NULL), -1);
    CHECK(coreproc_service_ref(NULL) == NULL);
    CHECK(coreproc_process_ref(NULL) == NULL);
    CHECK_INT(coreproc_handle_pid(NULL), -1);
    CHECK_INT(coreproc_handle_fd(NULL), -1);
    CHECK(coreproc_handle_ref(NULL) == NULL);
    CHECK(coreproc_subscription_ref(NULL) == NULL);
    (void)coreproc_batch_events(NULL, &count, &stride);
    CHECK_INT(count, 0);
    (void)coreproc_batch_events(NULL, NULL, NULL);
}

static void identity_calls_refuse_what_they_cannot_use(void)
{
    coreproc_bytes *bytes = untouched;
    coreproc_handle *handle = untouched, *own = NULL;
    coreproc_handle_info info = {.struct_size = sizeof info};
    REFUSED_NAMING("process", coreproc_process_identity(NULL, &bytes, &err));
    REFUSED_NAMING("pid", coreproc_identity_of_pid(0, &bytes, &err));
    REFUSED_NAMING("out", coreproc_identity_of_pid(1, NULL, &err));
    REFUSED_NAMING("identity", coreproc_handle_open(NULL, 1, &handle, &err));
    REFUSED_NAMING("identity", coreproc_handle_open("\xff", 1, &handle, &err));
    REFUSED_NAMING("out", coreproc_handle_open(TEXT("x"), NULL, &err));
    FAILS_NAMING(COREPROC_MALFORMED, "prefix", coreproc_handle_open(NULL, 0, &handle, &err));
    FAILS_NAMING(COREPROC_MALFORMED, "version", coreproc_handle_open(TEXT("coreproc:2:1:1"), &handle, &err));
    FAILS_NAMING(COREPROC_MALFORMED, "start", coreproc_handle_open(TEXT("coreproc:1:1:x"), &handle, &err));
    REFUSED_NAMING("handle", coreproc_handle_info_get(NULL, &info, &err));
    coreproc_log_info_get(NULL, NULL, NULL);
    coreproc_log_free(NULL);
    coreproc_log_follower_free(NULL);
    CHECK(coreproc_log_ref(NULL) == NULL);
    REFUSED_NAMING("log", coreproc_log_info_get(NULL, NULL, &err));
    REFUSED_NAMING("log", coreproc_log_rotate(NULL, &err));
    REFUSED_NAMING("log", coreproc_log_reopen(NULL, &err));
    REFUSED_NAMING("log", coreproc_log_wait_idle(NULL, 0, &err));
    REFUSED_NAMING("log", coreproc_log_follow(NULL, 0, NULL, &err));
    REFUSED_NAMING("service", coreproc_log_open(NULL, TEXT("x"), NULL, NULL, &err));
    REFUSED_NAMING("follower", coreproc_log_follower_read(NULL, 1, 0, NULL, NULL, NULL, &err));
    REFUSED_NAMING("command", coreproc_command_log(NULL, NULL, 0, &err));
    REFUSED_NAMING("handle", coreproc_handle_wait(NULL, 0, NULL, &err));
    REFUSED_NAMING("handle", coreproc_handle_signal(NULL, 0, COREPROC_SCOPE_PROCESS, &err));
    CHECK(bytes == untouched && handle == untouched);

    if (check_under("valgrind")) {
        FAILS_NAMING(COREPROC_UNSUPPORTED, "pidfd_open", coreproc_identity_of_pid(1, &bytes, &err)); /* which it does not know */
        return;
    }
    FAILS(COREPROC_NOT_FOUND, coreproc_identity_of_pid(INT32_MAX, &bytes, &err));
    OK(coreproc_identity_of_pid((int32_t)getpid(), &bytes, &err));
    OK(coreproc_handle_open((const char *)coreproc_bytes_data(bytes), coreproc_bytes_len(bytes), &own, &err));
    REFUSED_NAMING("out", coreproc_handle_info_get(own, NULL, &err));
    REFUSED_NAMING("timeout_ms", coreproc_handle_wait(own, -2, NULL, &err));
    REFUSED_NAMING("scope", coreproc_handle_signal(own, 0, 9, &err));
    REFUSED_NAMING("signal", coreproc_handle_signal(own, 65, COREPROC_SCOPE_PROCESS, &err));
    info.struct_size = 20;
    REFUSED_NAMING("struct_size", coreproc_handle_info_get(own, &info, &err));
    REFUSED_NAMING("struct_size", coreproc_handle_wait(own, 0, &info, &err));
    coreproc_handle_free(own);
    coreproc_bytes_free(bytes);
}

static void activity_calls_refuse_what_they_cannot_use(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped_sh(service, "read line");
    coreproc_activities *activities = untouched;
    coreproc_activity activity = {.struct_size = sizeof activity - 8, .doing = 4711};
    size_t count = 7, stride = 7;
    REFUSED_NAMING("process", coreproc_process_activity(NULL, &activity, &err));
    REFUSED_NAMING("out", coreproc_process_activity(process, NULL, &err));
    REFUSED_NAMING("struct_size", coreproc_process_activity(process, &activity, &err));
    REFUSED_NAMING("service", coreproc_service_activities(NULL, &activities, &err));
    REFUSED_NAMING("out", coreproc_service_activities(service, NULL, &err));
    CHECK(coreproc_activities_first(NULL, &count, &stride) == NULL);
    CHECK_INT(count, 0);
    CHECK(activities == untouched && activity.doing == 4711);
    OK(coreproc_process_close_stdin(process, &err));
    finish(process);
    end_service(service);
}

static void service_calls_refuse_null(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = untouched;
    uint64_t count = 4711;
    REFUSED_NAMING("out", coreproc_service_new(NULL, NULL, &err));
    CHECK_INT(coreproc_service_new(NULL, NULL, NULL), COREPROC_INVALID_ARGUMENT);
    REFUSED_NAMING("service", coreproc_service_process(NULL, 1, &process, &err));
    REFUSED_NAMING("out", coreproc_service_process(service, 1, NULL, &err));
    REFUSED_NAMING("service", coreproc_service_count(NULL, &count, &err));
    REFUSED_NAMING("out", coreproc_service_count(service, NULL, &err));
    REFUSED_NAMING("service", coreproc_service_close(NULL, COREPROC_CLOSE_LEAVE, &err));
    REFUSED_NAMING("service", coreproc_service_wait_idle(NULL, 0, &err));
    CHECK(process == untouched);
    CHECK_INT(count, 4711);
    end_service(service);
}

static void command_calls_refuse_null(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("true", NULL), *out = untouched;
    coreproc_subscription *subscription = open_subscription(service, NULL);
    coreproc_stop_options stop = {.struct_size = sizeof stop};
    coreproc_process *process = untouched;
    REFUSED_NAMING("program", coreproc_command_new(NULL, 4, &out, &err));
    REFUSED_NAMING("program", coreproc_command_new(NULL, 0, &out, &err));
    REFUSED_NAMING("out", coreproc_command_new(TEXT("true"), NULL, &err));
    REFUSED_NAMING("command", coreproc_command_arg(NULL, TEXT("a"), &err));
    REFUSED_NAMING("arg", coreproc_command_arg(command, NULL, 1, &err));
    REFUSED_NAMING("command", coreproc_command_arg0(NULL, TEXT("a"), &err));
    REFUSED_NAMING("arg", coreproc_command_arg0(command, NULL, 1, &err));
    REFUSED_NAMING("command", coreproc_command_env(NULL, TEXT("A=1"), &err));
    REFUSED_NAMING("entry", coreproc_command_env(command, NULL, 3, &err));
    REFUSED_NAMING("command", coreproc_command_env_clear(NULL, &err));
    REFUSED_NAMING("command", coreproc_command_env_whole(NULL, "A=1", 4, &err));
    REFUSED_NAMING("block", coreproc_command_env_whole(command, NULL, 4, &err));
    REFUSED_NAMING("command", coreproc_command_cwd(NULL, TEXT("/"), &err));
    REFUSED_NAMING("path", coreproc_command_cwd(command, NULL, 1, &err));
    REFUSED_NAMING("command", coreproc_command_search_path(NULL, TEXT("/bin"), &err));
    REFUSED_NAMING("path", coreproc_command_search_path(command, NULL, 1, &err));
    REFUSED_NAMING("command", coreproc_command_stdio(NULL, COREPROC_STREAM_STDIN, COREPROC_STDIO_NULL, &err));
    REFUSED_NAMING("command", coreproc_command_stdio_fd(NULL, COREPROC_STREAM_STDIN, 0, &err));
    REFUSED_NAMING("command", coreproc_command_stdio_file(NULL, COREPROC_STREAM_STDIN, TEXT("/dev/null"), COREPROC_FILE_READ, &err));
    REFUSED_NAMING("path", coreproc_command_stdio_file(command, COREPROC_STREAM_STDIN, NULL, 1, COREPROC_FILE_READ, &err));
    REFUSED_NAMING("command", coreproc_command_descriptor(NULL, 3, COREPROC_DESCRIPTOR_INPUT, &err));
    REFUSED_NAMING("descriptor 2", coreproc_command_descriptor(command, 2, COREPROC_DESCRIPTOR_INPUT, &err));
    REFUSED_NAMING("mode", coreproc_command_descriptor(command, 3, 9, &err));
    REFUSED_NAMING("descriptor 1024", coreproc_command_descriptor_data(command, 1024, NULL, 0, &err));
    REFUSED_NAMING("data", coreproc_command_descriptor_data(command, 3, NULL, 1, &err));
    REFUSED_NAMING("path", coreproc_command_descriptor_file(command, 3, NULL, 1, COREPROC_FILE_READ, &err));
    REFUSED_NAMING("mode", coreproc_command_descriptor_file(command, 3, TEXT("/"), 9, &err));
    REFUSED_NAMING("name", coreproc_command_listen_fd(command, 0, NULL, 1, &err));
    REFUSED_NAMING("listen name", coreproc_command_listen_fd(command, 0, TEXT("a:b"), &err));
    FAILS(COREPROC_SYSTEM, coreproc_command_descriptor_fd(command, 3, -1, &err));
    REFUSED_NAMING("process", coreproc_process_descriptor_write(NULL, 3, NULL, 0, 0, NULL, &err));
    REFUSED_NAMING("process", coreproc_process_descriptor_close(NULL, 3, &err));
    REFUSED_NAMING("process", coreproc_process_output_of(NULL, 3, NULL, NULL, NULL, &err));
    REFUSED_NAMING("command", coreproc_command_pty(NULL, 0, 0, COREPROC_PTY_RAW, &err));
    REFUSED_NAMING("mode", coreproc_command_pty(command, 0, 0, 0, &err));
    REFUSED_NAMING("columns", coreproc_command_pty(command, 65536, 0, COREPROC_PTY_RAW, &err));
    REFUSED_NAMING("rows", coreproc_command_pty(command, 1, UINT32_MAX, COREPROC_PTY_RAW, &err));
    REFUSED_NAMING("process", coreproc_process_resize(NULL, 80, 24, &err));
    REFUSED_NAMING("command", coreproc_command_foreground(NULL, 0, &err));
    FAILS_NAMING(COREPROC_SYSTEM, "foreground", coreproc_command_foreground(command, -1, &err));
    REFUSED_NAMING("process", coreproc_process_foreground(NULL, &err));
    REFUSED_NAMING("command", coreproc_command_stdin_data(NULL, NULL, 0, &err));
    REFUSED_NAMING("data", coreproc_command_stdin_data(command, NULL, 1, &err));
    REFUSED_NAMING("data", coreproc_command_stdin_data(command, (const uint8_t *)"", SIZE_MAX, &err));
    const uint32_t no_such_cpu = 8192;
    REFUSED_NAMING("command", coreproc_command_user(NULL, TEXT("root"), &err));
    REFUSED_NAMING("user", coreproc_command_user(command, NULL, 1, &err));
    REFUSED_NAMING("user", coreproc_command_user(command, TEXT(""), &err));
    REFUSED_NAMING("user", coreproc_command_user(command, TEXT("\xff"), &err));
    REFUSED_NAMING("user: 4294967295", coreproc_command_user(command, TEXT("4294967295"), &err));
    REFUSED_NAMING("group", coreproc_command_primary_group(command, NULL, 1, &err));
    REFUSED_NAMING("groups", coreproc_command_supplementary_groups(command, NULL, 1, &err));
    REFUSED_NAMING("groups", coreproc_command_supplementary_groups(command, TEXT("1,,2"), &err));
    REFUSED_NAMING("umask", coreproc_command_umask(command, 01000, &err));
    REFUSED_NAMING("command", coreproc_command_no_new_privileges(NULL, &err));
    REFUSED_NAMING("names", coreproc_command_drop_capabilities(command, NULL, 1, &err));
    REFUSED_NAMING("cap_fly", coreproc_command_drop_capabilities(command, TEXT("cap_kill,cap_fly"), &err));
    REFUSED_NAMING("signals: 9", coreproc_command_keep_ignored(command, 9, &err));
    FAILS(COREPROC_SYSTEM, coreproc_command_cwd_fd(command, -1, &err));
    REFUSED_NAMING("resource", coreproc_command_resource_limit(command, 16, 0, 0, &err));
    REFUSED_NAMING("limit core", coreproc_command_resource_limit(command, RLIMIT_CORE, 2, 1, &err));
    REFUSED_NAMING("nice", coreproc_command_nice(command, 20, &err));
    REFUSED_NAMING("policy", coreproc_command_scheduling(command, 77, 0, &err));
    REFUSED_NAMING("priority", coreproc_command_scheduling(command, SCHED_OTHER, 1, &err));
    REFUSED_NAMING("priority", coreproc_command_scheduling(command, SCHED_FIFO, 100, &err));
    REFUSED_NAMING("io_class", coreproc_command_io_priority(command, 0, 0, &err));
    REFUSED_NAMING("level", coreproc_command_io_priority(command, COREPROC_IO_BEST_EFFORT, 8, &err));
    REFUSED_NAMING("level", coreproc_command_io_priority(command, COREPROC_IO_IDLE, 1, &err));
    REFUSED_NAMING("cpus", coreproc_command_cpu_affinity(command, NULL, 1, &err));
    REFUSED_NAMING("cpu affinity", coreproc_command_cpu_affinity(command, NULL, 0, &err));
    REFUSED_NAMING("cpu affinity", coreproc_command_cpu_affinity(command, &no_such_cpu, 1, &err));
    REFUSED_NAMING("oom score", coreproc_command_oom_score(command, 1001, &err));
    REFUSED_NAMING("die with host", coreproc_command_die_with_host(command, 65, &err));
    REFUSED_NAMING("command", coreproc_command_capture(NULL, 0, &err));
    REFUSED_NAMING("command", coreproc_command_group(NULL, COREPROC_GROUP_OWN, &err));
    REFUSED_NAMING("command", coreproc_command_detach(NULL, &err));
    REFUSED_NAMING("command", coreproc_command_spool_max(NULL, 0, &err));
    REFUSED_NAMING("command", coreproc_command_timeout(NULL, 0, &err));
    REFUSED_NAMING("command", coreproc_command_start_timeout(NULL, 0, &err));
    REFUSED_NAMING("command", coreproc_command_silence_timeout(NULL, 0, &err));
    REFUSED_NAMING("command", coreproc_command_report_stops(NULL, 0, &err));
    REFUSED_NAMING("command", coreproc_command_cpu_time_limit(NULL, 0, &err));
    REFUSED_NAMING("command", coreproc_command_output_limit(NULL, 0, &err));
    REFUSED_NAMING("command", coreproc_command_contain(NULL, 0, &err));
    REFUSED_NAMING("command", coreproc_command_memory_max(NULL, 0, &err));
    REFUSED_NAMING("command", coreproc_command_processes_max(NULL, 0, &err));
    REFUSED_NAMING("command", coreproc_command_cpu_max(NULL, 0, &err));
    REFUSED_NAMING("cpu max", coreproc_command_cpu_max(command, 9, &err));
    REFUSED_NAMING("cpu max", coreproc_command_cpu_max(command, 1000001, &err));
    REFUSED_NAMING("command", coreproc_command_stop_options(NULL, &stop, &err));
    REFUSED_NAMING("command", coreproc_command_drain(NULL, 0, 0, &err));
    REFUSED_NAMING("command", coreproc_command_subscribe(NULL, subscription, &err));
    REFUSED_NAMING("subscription", coreproc_command_subscribe(command, NULL, &err));
    REFUSED_NAMING("command", coreproc_command_spawn(NULL, service, &process, &err));
    REFUSED_NAMING("service", coreproc_command_spawn(command, NULL, &process, &err));
    REFUSED_NAMING("out", coreproc_command_spawn(command, service, NULL, &err));
    CHECK(out == untouched && process == untouched);
    uint64_t count = 4711;
    OK(coreproc_service_count(service, &count, &err));
    CHECK_INT(count, 0); /* nothing was spawned */
    CHECK_INT(finish(spawn(service, command)).exit_code, 0); /* and the command is as it was */
    coreproc_subscription_free(subscription);
    end_service(service);
}

static void process_calls_refuse_null(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped_sh(service, "read line");
    coreproc_process_info info = {.struct_size = sizeof info};
    coreproc_bytes *bytes = untouched;
    size_t written = 4711;
    const uint8_t byte = 'x';
    REFUSED_NAMING("process", coreproc_process_info_get(NULL, &info, &err));
    REFUSED_NAMING("out", coreproc_process_info_get(process, NULL, &err));
    REFUSED_NAMING("process", coreproc_process_wait(NULL, COREPROC_STATE_EXITED, 0, &info, &err));
    REFUSED_NAMING("process", coreproc_process_output(NULL, &bytes, &err));
    REFUSED_NAMING("out", coreproc_process_output(process, NULL, &err));
    const coreproc_process *one[] = {process}, *none[] = {process, NULL};
    size_t index = 4711;
    int32_t fd = 4711;
    REFUSED_NAMING("processes", coreproc_process_wait_any(NULL, 1, COREPROC_STATE_CLOSED, 0, NULL, &index, &err));
    REFUSED_NAMING("processes", coreproc_process_wait_any(NULL, 0, COREPROC_STATE_CLOSED, 0, NULL, &index, &err));
    REFUSED_NAMING("processes[1]", coreproc_process_wait_any(none, 2, COREPROC_STATE_CLOSED, 0, NULL, &index, &err));
    REFUSED_NAMING("until", coreproc_process_wait_any(one, 1, COREPROC_STATE_RUNNING, 0, NULL, &index, &err));
    REFUSED_NAMING("timeout_ms", coreproc_process_wait_any(one, 1, COREPROC_STATE_CLOSED, -2, NULL, &index, &err));
    REFUSED_NAMING("index", coreproc_process_wait_any(one, 1, COREPROC_STATE_CLOSED, 0, NULL, NULL, &err));
    REFUSED_NAMING("processes", coreproc_process_wait_all(NULL, SIZE_MAX, COREPROC_STATE_CLOSED, 0, NULL, &err));
    REFUSED_NAMING("processes[1]", coreproc_process_wait_all(none, 2, COREPROC_STATE_CLOSED, 0, NULL, &err));
    REFUSED_NAMING("until", coreproc_process_wait_all(one, 1, 99, 0, NULL, &err));
    REFUSED_NAMING("process", coreproc_process_wait_fd(NULL, COREPROC_STATE_CLOSED, &fd, &err));
    REFUSED_NAMING("until", coreproc_process_wait_fd(process, COREPROC_STATE_RUNNING, &fd, &err));
    REFUSED_NAMING("out", coreproc_process_wait_fd(process, COREPROC_STATE_CLOSED, NULL, &err));
    REFUSED_NAMING("out", coreproc_cancel_new(NULL, &err));
    REFUSED_NAMING("cancel", coreproc_cancel_waits(NULL, &err));
    CHECK(coreproc_cancel_ref(NULL) == NULL && index == 4711 && fd == 4711);
    coreproc_cancel_free(NULL);
    REFUSED_NAMING("process", coreproc_process_post_mortem(NULL, &bytes, &err));
    REFUSED_NAMING("out", coreproc_process_post_mortem(process, NULL, &err));
    REFUSED_NAMING("process", coreproc_process_info_json(NULL, &bytes, &err));
    REFUSED_NAMING("out", coreproc_process_info_json(process, NULL, &err));
    REFUSED_NAMING("process", coreproc_process_holders(NULL, &bytes, &err));
    REFUSED_NAMING("out", coreproc_process_holders(process, NULL, &err));
    REFUSED_NAMING("process", coreproc_process_signal(NULL, 0, COREPROC_SCOPE_PROCESS, &err));
    REFUSED_NAMING("process", coreproc_process_tree(NULL, &bytes, &err));
    REFUSED_NAMING("out", coreproc_process_tree(process, NULL, &err));
    REFUSED_NAMING("process", coreproc_process_look_for_stops(NULL, &err));
    REFUSED_NAMING("process", coreproc_process_pause(NULL, COREPROC_SCOPE_TREE, &err));
    REFUSED_NAMING("process", coreproc_process_resume(NULL, COREPROC_SCOPE_TREE, &err));
    REFUSED_NAMING("process", coreproc_process_kill(NULL, COREPROC_SCOPE_DEFAULT, &err));
    REFUSED_NAMING("process", coreproc_process_stop(NULL, NULL, &err));
    REFUSED_NAMING("process", coreproc_process_write(NULL, &byte, 1, 0, &written, &err));
    REFUSED_NAMING("data", coreproc_process_write(process, NULL, 1, 0, &written, &err));
    REFUSED_NAMING("process", coreproc_process_close_stdin(NULL, &err));
    CHECK(bytes == untouched);
    CHECK_INT(written, 4711);
    CHECK_INT(info_of(process).state, COREPROC_STATE_RUNNING);
    OK(coreproc_process_close_stdin(process, &err));
    finish(process);
    end_service(service);
}

static void subscription_calls_refuse_null(void)
{
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL), *out = untouched;
    coreproc_batch *batch = untouched;
    int32_t fd = 4711;
    REFUSED_NAMING("service", coreproc_subscription_open(NULL, NULL, &out, &err));
    REFUSED_NAMING("out", coreproc_subscription_open(service, NULL, NULL, &err));
    REFUSED_NAMING("subscription", coreproc_subscription_fd(NULL, &fd, &err));
    REFUSED_NAMING("out", coreproc_subscription_fd(subscription, NULL, &err));
    REFUSED_NAMING("subscription", coreproc_subscription_drive(NULL, &fd, &err));
    REFUSED_NAMING("out", coreproc_subscription_drive(subscription, NULL, &err));
    REFUSED_NAMING("subscription", coreproc_subscription_take(NULL, 0, 0, &batch, &err));
    REFUSED_NAMING("out", coreproc_subscription_take(subscription, 0, 0, NULL, &err));
    REFUSED_NAMING("subscription", coreproc_subscription_close(NULL, &err));
    coreproc_process *process = untouched;
    REFUSED_NAMING("batch", coreproc_batch_process(NULL, &process, &err));
    CHECK(out == untouched && batch == untouched && process == untouched);
    CHECK_INT(fd, 4711);
    coreproc_subscription_free(subscription);
    end_service(service);
}

static void bad_lengths_are_refused(void)
{
    static const size_t lengths[] = {SIZE_MAX, (size_t)PTRDIFF_MAX + 1};
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("cat", NULL), *out = untouched;
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDIN, COREPROC_STDIO_PIPE, &err));
    coreproc_process *process = NULL;
    OK(coreproc_command_spawn(command, service, &process, &err));
    for (size_t i = 0; i < 2; i++) {
        size_t len = lengths[i], written = 4711;
        REFUSED_NAMING("program", coreproc_command_new("true", len, &out, &err));
        REFUSED_NAMING("arg", coreproc_command_arg(command, "a", len, &err));
        REFUSED_NAMING("arg", coreproc_command_arg0(command, "a", len, &err));
        REFUSED_NAMING("entry", coreproc_command_env(command, "A=1", len, &err));
        REFUSED_NAMING("block", coreproc_command_env_whole(command, "A=1", len, &err));
        REFUSED_NAMING("path", coreproc_command_cwd(command, "/", len, &err));
        REFUSED_NAMING("path", coreproc_command_search_path(command, "/", len, &err));
        REFUSED_NAMING("path", coreproc_command_stdio_file(command, COREPROC_STREAM_STDIN, "/", len, COREPROC_FILE_READ, &err));
        REFUSED_NAMING("data", coreproc_process_write(process, (const uint8_t *)"x", len, 0, &written, &err));
        CHECK_INT(written, 4711);
    }
    CHECK(out == untouched);
    coreproc_command_free(command);
    OK(coreproc_process_close_stdin(process, &err));
    CHECK_INT(finish(process).stdout_bytes, 0);
    end_service(service);
}

static void bad_strings_are_refused_with_the_field_named(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("/usr/bin/env", NULL), *out = untouched;
    REFUSED_NAMING("program", coreproc_command_new("", 0, &out, &err));
    REFUSED_NAMING("program", coreproc_command_new("tr\0ue", 5, &out, &err));
    REFUSED_NAMING("arg", coreproc_command_arg(command, "a\0b", 3, &err));
    REFUSED_NAMING("arg", coreproc_command_arg0(command, "\0", 1, &err));
    REFUSED_NAMING("environment", coreproc_command_env(command, TEXT("KEY"), &err));
    REFUSED_NAMING("environment", coreproc_command_env(command, TEXT("=value"), &err));
    REFUSED_NAMING("environment", coreproc_command_env(command, TEXT(""), &err));
    REFUSED_NAMING("environment", coreproc_command_env(command, "KEY=a\0b", 7, &err));
    REFUSED_NAMING("environment", coreproc_command_env_whole(command, "A=1\0KEY\0", 8, &err));
    REFUSED_NAMING("cwd", coreproc_command_cwd(command, "/\0x", 3, &err));
    REFUSED_NAMING("cwd", coreproc_command_cwd(command, TEXT(""), &err));
    REFUSED_NAMING("path", coreproc_command_search_path(command, "/bin\0", 5, &err));
    REFUSED_NAMING("stdout", coreproc_command_stdio_file(command, COREPROC_STREAM_STDOUT, "/tmp/\0x", 7, COREPROC_FILE_APPEND, &err));
    REFUSED_NAMING("path", coreproc_command_stdio_file(command, COREPROC_STREAM_STDOUT, TEXT(""), COREPROC_FILE_APPEND, &err));
    CHECK(out == untouched);
    OK(coreproc_command_env_clear(command, &err));
    coreproc_process *process = spawn(service, command); /* nothing of the refused stuck */
    CHECK_INT(wait_closed(process).exit_code, 0);
    CHECK_OUTPUT(process, "");
    coreproc_process_free(process);
    end_service(service);
}

static void unknown_values_are_refused_with_the_field_named(void)
{
    static const uint32_t wrong[] = {6, 99, UINT32_MAX};
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("sleep", "1000", NULL);
    coreproc_process *process = NULL;
    OK(coreproc_command_spawn(command, service, &process, &err));
    coreproc_process_info info = {.struct_size = sizeof info};
    coreproc_subscription *out = untouched;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint32_t value = wrong[i];
        REFUSED_NAMING("mode", coreproc_service_close(service, value, &err));
        REFUSED_NAMING("stream", coreproc_command_stdio(command, value, COREPROC_STDIO_NULL, &err));
        REFUSED_NAMING("mode", coreproc_command_stdio(command, COREPROC_STREAM_STDOUT, value, &err));
        REFUSED_NAMING("stream", coreproc_command_stdio_fd(command, value, 1, &err));
        REFUSED_NAMING("stream", coreproc_command_stdio_file(command, value, TEXT("/dev/null"), COREPROC_FILE_READ, &err));
        REFUSED_NAMING("mode", coreproc_command_stdio_file(command, COREPROC_STREAM_STDIN, TEXT("/dev/null"), value, &err));
        REFUSED_NAMING("mode", coreproc_command_group(command, value, &err));
        REFUSED_NAMING("until", coreproc_process_wait(process, value, 0, &info, &err));
        REFUSED_NAMING("scope", coreproc_process_signal(process, 0, value, &err));
        REFUSED_NAMING("scope", coreproc_process_kill(process, value, &err));
        REFUSED_NAMING("scope", coreproc_process_pause(process, value, &err));
        REFUSED_NAMING("scope", coreproc_process_resume(process, value, &err));
        REFUSED_NAMING("containment", coreproc_command_contain(command, value, &err));
        const coreproc_stop_options stop = {.struct_size = sizeof stop, .scope = value};
        REFUSED_NAMING("scope", coreproc_process_stop(process, &stop, &err));
        REFUSED_NAMING("scope", coreproc_command_stop_options(command, &stop, &err));
        const coreproc_subscription_options scope = {.struct_size = sizeof scope, .scope = value};
        REFUSED_NAMING("scope", coreproc_subscription_open(service, &scope, &out, &err));
        const coreproc_subscription_options delivery = {.struct_size = sizeof delivery, .delivery = value};
        REFUSED_NAMING("delivery", coreproc_subscription_open(service, &delivery, &out, &err));
        const coreproc_subscription_options overflow = {.struct_size = sizeof overflow, .overflow = value};
        REFUSED_NAMING("overflow", coreproc_subscription_open(service, &overflow, &out, &err));
        const coreproc_subscription_options encoding = {.struct_size = sizeof encoding, .encoding = value};
        REFUSED_NAMING("encoding", coreproc_subscription_open(service, &encoding, &out, &err));
    }
    for (uint32_t bit = 0; bit < 32; bit += bit == 0 ? 12 : bit == 12 ? 3 : 1) {
        const coreproc_subscription_options kinds = {.struct_size = sizeof kinds, .kinds = UINT32_C(1) << bit};
        REFUSED_NAMING("kinds", coreproc_subscription_open(service, &kinds, &out, &err));
    }
    const coreproc_subscription_options narrow = {
        .struct_size = sizeof narrow, .encoding = COREPROC_ENCODING_UTF8, .max_line_bytes = 3};
    REFUSED_NAMING("max_line_bytes", coreproc_subscription_open(service, &narrow, &out, &err));
    REFUSED_NAMING("mode", coreproc_service_close(service, 0, &err));
    REFUSED_NAMING("mode", coreproc_command_stdio(command, COREPROC_STREAM_STDOUT, 0, &err));
    REFUSED_NAMING("mode", coreproc_command_group(command, 0, &err));
    REFUSED_NAMING("until", coreproc_process_wait(process, 0, 0, &info, &err));
    REFUSED_NAMING("until", coreproc_process_wait(process, COREPROC_STATE_RUNNING, 0, &info, &err));
    CHECK(out == untouched);

    /* Known values in the wrong place. */
    REFUSED(coreproc_command_stdio(command, COREPROC_STREAM_STDIN, COREPROC_STDIO_MERGE, &err));
    REFUSED(coreproc_command_stdio(command, COREPROC_STREAM_STDOUT, COREPROC_STDIO_MERGE, &err));
    REFUSED(coreproc_command_stdio(command, COREPROC_STREAM_STDIN, COREPROC_STDIO_SPOOL, &err));
    REFUSED(coreproc_command_stdio_file(command, COREPROC_STREAM_STDIN, TEXT("/dev/null"), COREPROC_FILE_APPEND, &err));
    REFUSED(coreproc_command_stdio_file(command, COREPROC_STREAM_STDOUT, TEXT("/dev/null"), COREPROC_FILE_READ, &err));

    /* Numbers out of range. */
    REFUSED_NAMING("signal", coreproc_process_signal(process, -1, COREPROC_SCOPE_PROCESS, &err));
    REFUSED_NAMING("signal", coreproc_process_signal(process, 65, COREPROC_SCOPE_PROCESS, &err));
    const coreproc_stop_options stop = {.struct_size = sizeof stop, .signal = 65};
    REFUSED_NAMING("signal", coreproc_process_stop(process, &stop, &err));
    REFUSED_NAMING("signal", coreproc_command_stop_options(command, &stop, &err));
    coreproc_stop_step steps[] = {{.signal = SIGKILL}, {.signal = SIGTERM}};
    coreproc_stop_options by_steps = {.struct_size = sizeof by_steps, .steps = steps, .steps_len = 2};
    REFUSED_NAMING("steps[1]", coreproc_process_stop(process, &by_steps, &err));
    REFUSED_NAMING("steps[1]", coreproc_command_stop_options(command, &by_steps, &err));
    steps[0] = (coreproc_stop_step){.signal = SIGINT, .reserved = 1};
    REFUSED_NAMING("reserved", coreproc_process_stop(process, &by_steps, &err));
    steps[0] = (coreproc_stop_step){.signal = 0};
    REFUSED_NAMING("steps[0].signal", coreproc_process_stop(process, &by_steps, &err));
    by_steps.signal = SIGINT;
    REFUSED_NAMING("steps", coreproc_process_stop(process, &by_steps, &err));
    by_steps = (coreproc_stop_options){.struct_size = sizeof by_steps, .steps_len = 1};
    REFUSED_NAMING("steps", coreproc_process_stop(process, &by_steps, &err));
    by_steps.steps = (const coreproc_stop_step *)((const char *)steps + 1);
    REFUSED_NAMING("steps", coreproc_process_stop(process, &by_steps, &err));
    by_steps.steps = steps;
    by_steps.steps_len = SIZE_MAX;
    REFUSED_NAMING("steps", coreproc_process_stop(process, &by_steps, &err));
    REFUSED_NAMING("timeout_ms", coreproc_process_wait(process, COREPROC_STATE_EXITED, -2, &info, &err));
    REFUSED_NAMING("timeout_ms", coreproc_service_wait_idle(service, INT64_MIN, &err));

    CHECK_INT(info_of(process).state, COREPROC_STATE_RUNNING);
    coreproc_command_free(command);
    OK(coreproc_process_kill(process, COREPROC_SCOPE_DEFAULT, &err));
    finish(process);
    end_service(service);
}

/* Calls `attempt` with every struct_size a caller can get wrong, and with tails of a later version; `first` is the size of
 * the first version. */
static void struct_sizes(size_t first, size_t size, coreproc_result (*attempt)(void *options))
{
    _Alignas(8) uint8_t storage[256] = {0};
    for (uint32_t wrong = 0; wrong < size; wrong++) {
        memcpy(storage, &wrong, sizeof wrong);
        if (wrong >= first && wrong % 8 == 0)
            OK(attempt(storage)); /* an earlier version's, or one that ends between fields */
        else
            REFUSED_NAMING("struct_size", attempt(storage));
    }
    uint32_t longer = (uint32_t)size + 24;
    memcpy(storage, &longer, sizeof longer);
    OK(attempt(storage));
    for (uint32_t at = (uint32_t)size; at < longer; at++) {
        storage[at] = 1;
        REFUSED(attempt(storage));
        storage[at] = 0;
    }
}

static coreproc_service *shared_service;
static coreproc_process *shared_process;

static coreproc_result attempt_service(void *options)
{
    coreproc_service *service = NULL;
    coreproc_result result = coreproc_service_new(options, &service, &err);
    coreproc_service_free(service);
    return result;
}

static coreproc_result attempt_subscription(void *options)
{
    coreproc_subscription *subscription = NULL;
    coreproc_result result = coreproc_subscription_open(shared_service, options, &subscription, &err);
    coreproc_subscription_free(subscription);
    return result;
}

static coreproc_result attempt_stop(void *options)
{
    coreproc_command *command = new_command("true", NULL);
    coreproc_result result = coreproc_command_stop_options(command, options, &err);
    coreproc_command_free(command);
    return result;
}

static coreproc_result attempt_info(void *info)
{
    return coreproc_process_info_get(shared_process, info, &err);
}

static coreproc_result attempt_wait(void *info)
{
    return coreproc_process_wait(shared_process, COREPROC_STATE_CLOSED, 0, info, &err);
}

static void structs_can_grow_but_not_shrink(void)
{
    shared_service = new_service();
    shared_process = spawn(shared_service, new_command("true", NULL));
    wait_closed(shared_process);
    struct_sizes(sizeof(coreproc_service_options), sizeof(coreproc_service_options), attempt_service);
    struct_sizes(offsetof(coreproc_subscription_options, kinds), sizeof(coreproc_subscription_options), attempt_subscription);
    struct_sizes(offsetof(coreproc_stop_options, steps), sizeof(coreproc_stop_options), attempt_stop);

    /* An info is written, so its tail only has to survive. */
    coreproc_result (*const attempts[])(void *) = {attempt_info, attempt_wait};
    for (size_t i = 0; i < 2; i++) {
        struct {
            coreproc_process_info info;
            uint64_t later[3];
        } grown = {.info.struct_size = sizeof grown};
        OK(attempts[i](&grown));
        CHECK_INT(grown.info.struct_size, sizeof grown);
        CHECK_INT(grown.info.state, COREPROC_STATE_CLOSED);
        CHECK(grown.later[0] == 0 && grown.later[1] == 0 && grown.later[2] == 0);
        for (uint32_t wrong = 0; wrong < sizeof grown.info; wrong++) {
            grown.info.struct_size = wrong;
            /* The first version ended before this field, and each later one is a number of whole words. */
            if (wrong >= offsetof(coreproc_process_info, unwritten_bytes) && wrong % 8 == 0)
                OK(attempts[i](&grown));
            else
                REFUSED_NAMING("struct_size", attempts[i](&grown));
        }
    }
    coreproc_process_free(shared_process);
    end_service(shared_service);
}

static coreproc_pipeline *shared_pipeline;

static coreproc_result attempt_health(void *options)
{
    coreproc_health *health = NULL;
    coreproc_result result = coreproc_health_new(TEXT("127.0.0.1:0"), options, &health, &err);
    coreproc_health_free(health);
    return result;
}

static coreproc_result attempt_daemon(void *options)
{
    coreproc_daemon *daemon = NULL;
    coreproc_result result = coreproc_daemon_new(options, &daemon, &err);
    coreproc_daemon_free(daemon);
    return result;
}

static coreproc_result attempt_entry(void *entry)
{
    coreproc_daemon_options options = {.struct_size = sizeof options, .entry = entry};
    return attempt_daemon(&options);
}

static coreproc_result attempt_progress(void *options)
{
    coreproc_progress *progress = NULL;
    coreproc_result result = coreproc_progress_open(shared_service, STDERR_FILENO, options, &progress, &err);
    coreproc_progress_free(progress);
    return result;
}

static coreproc_result attempt_run(void *options)
{
    coreproc_run *run = NULL;
    coreproc_result result = coreproc_run_start(shared_pipeline, shared_service, options, &run, &err);
    if (result == COREPROC_OK)
        OK(coreproc_run_wait(run, CHECK_DEADLINE_MS, &err));
    coreproc_run_free(run);
    return result;
}

static coreproc_run *shared_run;

static coreproc_result attempt_run_info(void *info)
{
    return coreproc_run_info_get(shared_run, info, &err);
}

static coreproc_result attempt_spec(void *result)
{
    return coreproc_run_spec_get(shared_run, 0, result, &err);
}

/* A size that ends inside a pointer makes one of some of its bytes. */
static void no_struct_ends_inside_a_field(void)
{
    const struct {
        const char *name;
        size_t size;
        coreproc_result (*attempt)(void *);
    } structs[] = {
        {"service options", sizeof(coreproc_service_options), attempt_service},
        {"subscription options", sizeof(coreproc_subscription_options), attempt_subscription},
        {"stop options", sizeof(coreproc_stop_options), attempt_stop},
        {"process info", sizeof(coreproc_process_info), attempt_info},
        {"process info of a wait", sizeof(coreproc_process_info), attempt_wait},
        {"health options", sizeof(coreproc_health_options), attempt_health},
        {"daemon options", sizeof(coreproc_daemon_options), attempt_daemon},
        {"daemon entry", sizeof(coreproc_daemon_entry), attempt_entry},
        {"progress options", sizeof(coreproc_progress_options), attempt_progress},
        {"run options", sizeof(coreproc_run_options), attempt_run},
        {"run info", sizeof(coreproc_run_info), attempt_run_info},
        {"spec result", sizeof(coreproc_spec_result), attempt_spec},
    };
    shared_service = new_service();
    shared_process = spawn(shared_service, new_command("true", NULL));
    wait_closed(shared_process);
    coreproc_command *command = new_command("true", NULL);
    size_t spec = 0;
    OK(coreproc_pipeline_new(&shared_pipeline, &err));
    OK(coreproc_pipeline_add(shared_pipeline, TEXT("only"), command, &spec, &err));
    coreproc_command_free(command);
    OK(coreproc_run_start(shared_pipeline, shared_service, NULL, &shared_run, &err));
    OK(coreproc_run_wait(shared_run, CHECK_DEADLINE_MS, &err));

    for (size_t i = 0; i < sizeof structs / sizeof structs[0]; i++) {
        int refused = 0;
        for (uint32_t size = 0; size < structs[i].size; size++) {
            /* Every byte behind the size is set where it would be half a pointer, and nowhere else. */
            _Alignas(8) uint8_t storage[512] = {0};
            memcpy(storage, &size, sizeof size);
            if (size % 8 != 0) {
                memset(storage + size - size % 8, 0xA5, size % 8);
                memcpy(storage, &size, sizeof size);
            }
            coreproc_result result = structs[i].attempt(storage);
            if (size % 4 != 0 && !CHECK_INT(result, COREPROC_INVALID_ARGUMENT))
                fprintf(check_out, "# %s of %u bytes\n", structs[i].name, size);
            refused += result == COREPROC_INVALID_ARGUMENT;
            coreproc_error_free(err);
            err = NULL;
        }
        fprintf(check_out, "# %s: %d of %zu sizes refused\n", structs[i].name, refused, structs[i].size);
    }
    coreproc_run_free(shared_run);
    coreproc_pipeline_free(shared_pipeline);
    coreproc_process_free(shared_process);
    end_service(shared_service);
}

static void *wait_longest(void *process)
{
    OK(coreproc_process_wait(process, COREPROC_STATE_CLOSED, INT64_MAX, NULL, &err));
    return NULL;
}

struct reader {
    coreproc_subscription *subscription;
    size_t events, bytes;
};

static void *read_to_the_end(void *argument)
{
    struct reader *reader = argument;
    for (coreproc_batch *batch; (batch = take(reader->subscription, SIZE_MAX)) != NULL; coreproc_batch_free(batch))
        for (size_t i = 0; i < event_count(batch); i++) {
            reader->events++;
            reader->bytes += event_at(batch, i)->kind == COREPROC_EVENT_STDOUT ? event_at(batch, i)->len : 0;
        }
    return NULL;
}

static void the_largest_sizes_and_times_are_like_any_other(void)
{
    const uint64_t most = UINT64_MAX - 1, most_bytes = INT64_MAX; /* UINT64_MAX itself is COREPROC_UNLIMITED, or COREPROC_CAPTURE_NONE */
    const coreproc_service_options options = {
        .struct_size = sizeof options, .capture_bytes = most_bytes, .drain_silence_ms = most, .drain_total_ms = most};
    const coreproc_subscription_options events = {
        .struct_size = sizeof events, .queue_bytes = most_bytes, .max_line_bytes = most_bytes};
    const coreproc_subscription_options least = {.struct_size = sizeof least, .queue_bytes = 1, .max_line_bytes = 1};
    const coreproc_stop_options stop = {.struct_size = sizeof stop, .grace_ms = most};
    coreproc_service *service = NULL;
    OK(coreproc_service_new(&options, &service, &err));
    struct reader largest = {.subscription = open_subscription(service, &events)};
    struct reader smallest = {.subscription = open_subscription(service, &least)};
    coreproc_command *command = new_piped_sh("echo long line; read line; exit 3");
    OK(coreproc_command_timeout(command, most, &err));
    OK(coreproc_command_start_timeout(command, most, &err));
    OK(coreproc_command_silence_timeout(command, most, &err));
    OK(coreproc_command_cpu_time_limit(command, most, &err));
    OK(coreproc_command_output_limit(command, most_bytes, &err));
    OK(coreproc_command_memory_max(command, COREPROC_UNLIMITED, &err));
    OK(coreproc_command_processes_max(command, COREPROC_UNLIMITED, &err));
    OK(coreproc_command_stop_options(command, &stop, &err));
    OK(coreproc_command_spool_max(command, most_bytes, &err));
    coreproc_process *process = spawn(service, command);
    pthread_t threads[] = {start_thread(wait_longest, process), start_thread(wait_longest, process),
                           start_thread(read_to_the_end, &largest), start_thread(read_to_the_end, &smallest)};
    OK(coreproc_process_close_stdin(process, &err));
    OK(coreproc_service_close(service, COREPROC_CLOSE_LEAVE, &err));
    for (int i = 0; i < 4; i++)
        join_thread(threads[i]);
    CHECK_INT(largest.events, 4);
    CHECK_INT(largest.bytes, strlen("long line"));
    CHECK(smallest.events > 4); /* a line in pieces */
    CHECK_INT(smallest.bytes, strlen("long line"));
    OK(coreproc_service_wait_idle(service, INT64_MAX, &err));
    CHECK_OUTPUT(process, "long line\n");
    CHECK_INT(finish(process).exit_code, 3);
    coreproc_subscription_free(largest.subscription);
    coreproc_subscription_free(smallest.subscription);
    end_service(service);
}

static void sizes_out_of_range_are_refused(void)
{
    static const uint64_t wrong[] = {(uint64_t)INT64_MAX + 1, UINT64_MAX - 1};
    coreproc_service *service = new_service(), *none = untouched;
    coreproc_subscription *out = untouched;
    coreproc_command *command = new_sh("printf kept");
    for (size_t i = 0; i < 2; i++) {
        const coreproc_service_options options = {.struct_size = sizeof options, .capture_bytes = wrong[i]};
        const coreproc_subscription_options queue = {.struct_size = sizeof queue, .queue_bytes = wrong[i]};
        const coreproc_subscription_options line = {.struct_size = sizeof line, .max_line_bytes = wrong[i]};
        REFUSED_NAMING("capture", coreproc_service_new(&options, &none, &err));
        REFUSED_NAMING("queue_bytes", coreproc_subscription_open(service, &queue, &out, &err));
        REFUSED_NAMING("max_line_bytes", coreproc_subscription_open(service, &line, &out, &err));
        REFUSED_NAMING("capture", coreproc_command_capture(command, wrong[i], &err));
        REFUSED_NAMING("capture head", coreproc_command_capture_head(command, wrong[i], &err));
    }
    CHECK(none == untouched && out == untouched);
    coreproc_process *process = spawn(service, command);
    wait_closed(process);
    CHECK_OUTPUT(process, "kept");
    coreproc_process_free(process);
    end_service(service);
}

static void reserved_fields_must_be_zero(void)
{
    coreproc_service *service = new_service(), *none = untouched;
    coreproc_command *command = new_command("true", NULL);
    const coreproc_service_options options = {.struct_size = sizeof options, .reserved = 1};
    const coreproc_stop_options stop = {.struct_size = sizeof stop, .reserved = 1};
    REFUSED_NAMING("reserved", coreproc_service_new(&options, &none, &err));
    REFUSED_NAMING("reserved", coreproc_command_stop_options(command, &stop, &err));
    CHECK(none == untouched);
    coreproc_command_free(command);
    end_service(service);
}

static void the_smallest_info_is_read_no_further(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn(service, new_command("true", NULL));
    wait_closed(process);
    struct {
        coreproc_process_info info;
        uint64_t guard;
    } fenced = {.info.struct_size = sizeof fenced.info, .guard = UINT64_MAX};
    OK(coreproc_process_info_get(process, &fenced.info, &err));
    CHECK(fenced.guard == UINT64_MAX);
    coreproc_process_free(process);
    end_service(service);
}

static void contradictions_are_refused_before_anything_is_spawned(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("true", NULL);
    coreproc_process *process = untouched;
    OK(coreproc_command_detach(command, &err));
    coreproc_result result = coreproc_command_stdio(command, COREPROC_STREAM_STDOUT, COREPROC_STDIO_PIPE, &err);
    if (result == COREPROC_OK) /* a builder may be set in any order, so it is spawn that can tell */
        REFUSED_NAMING("stdout", coreproc_command_spawn(command, service, &process, &err));
    else
        FAILS(COREPROC_INVALID_ARGUMENT, result);
    CHECK(process == untouched);
    coreproc_command_free(command);
    uint64_t count = 4711;
    OK(coreproc_service_count(service, &count, &err));
    CHECK_INT(count, 0);
    end_service(service);
}

static void an_fd_must_be_open_when_it_is_given_and_may_be_closed_then(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("true", NULL);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0);
    close(fd);
    const int bad[] = {fd, -1, 1 << 30, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        coreproc_result result = coreproc_command_stdio_fd(command, COREPROC_STREAM_STDIN, bad[i], &err);
        CHECK_INT(coreproc_error_errno(err), EBADF);
        FAILS_NAMING(COREPROC_SYSTEM, "stdin", result);
    }
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    OK(coreproc_command_stdio_fd(command, COREPROC_STREAM_STDIN, fd, &err));
    close(fd);
    CHECK_INT(finish(spawn(service, command)).exit_code, 0);
    end_service(service);
}

static void calls_after_close_say_so(void)
{
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL), *out = untouched;
    coreproc_batch *batch = untouched;
    coreproc_process *process = untouched;
    coreproc_command *command = new_command("true", NULL);
    OK(coreproc_subscription_close(subscription, &err));
    FAILS(COREPROC_CLOSED, coreproc_subscription_take(subscription, 0, 0, &batch, &err));
    FAILS(COREPROC_CLOSED, coreproc_subscription_take(subscription, 0, -1, &batch, &err));
    int32_t fd = 4711;
    coreproc_result result = coreproc_subscription_fd(subscription, &fd, &err); /* readable: at its end */
    CHECK(result == COREPROC_OK || result == COREPROC_CLOSED);
    FAILS(result, result);
    OK(coreproc_service_close(service, COREPROC_CLOSE_LEAVE, &err));
    FAILS(COREPROC_CLOSED, coreproc_command_spawn(command, service, &process, &err));
    FAILS(COREPROC_CLOSED, coreproc_subscription_open(service, NULL, &out, &err));
    CHECK(batch == untouched && process == untouched && out == untouched);
    coreproc_command_free(command);
    coreproc_subscription_free(subscription);
    end_service(service);
}

static void a_subscription_belongs_to_one_service(void)
{
    coreproc_service *service = new_service(), *other = new_service();
    const coreproc_subscription_options named = {.struct_size = sizeof named, .scope = COREPROC_SUBSCRIBE_NAMED};
    coreproc_subscription *subscription = open_subscription(other, &named);
    coreproc_command *command = new_command("true", NULL);
    coreproc_process *process = untouched;
    OK(coreproc_command_subscribe(command, subscription, &err));
    REFUSED_NAMING("subscription", coreproc_command_spawn(command, service, &process, &err));
    CHECK(process == untouched);
    if (process != untouched)
        finish(process);
    coreproc_command_free(command);
    coreproc_subscription_free(subscription);
    end_service(service);
    end_service(other);
}

int main(void)
{
    check_begin();
    RUN(every_free_takes_null);
    RUN(every_getter_takes_null);
    RUN(identity_calls_refuse_what_they_cannot_use);
    RUN(activity_calls_refuse_what_they_cannot_use);
    RUN(service_calls_refuse_null);
    RUN(command_calls_refuse_null);
    RUN(process_calls_refuse_null);
    RUN(subscription_calls_refuse_null);
    RUN(bad_lengths_are_refused);
    RUN(bad_strings_are_refused_with_the_field_named);
    RUN(unknown_values_are_refused_with_the_field_named);
    RUN(structs_can_grow_but_not_shrink);
    RUN(no_struct_ends_inside_a_field);
    RUN(the_largest_sizes_and_times_are_like_any_other);
    RUN(sizes_out_of_range_are_refused);
    RUN(reserved_fields_must_be_zero);
    RUN(the_smallest_info_is_read_no_further);
    RUN(contradictions_are_refused_before_anything_is_spawned);
    RUN(an_fd_must_be_open_when_it_is_given_and_may_be_closed_then);
    RUN(calls_after_close_say_so);
    RUN(a_subscription_belongs_to_one_service);
    return check_end();
}
