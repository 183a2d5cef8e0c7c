/*
 * Each function of the header in the conditions that hosts make: a thread that is cancelled in the call, signals
 * without SA_RESTART, descriptors closed under the library, memory at its limit. The call returns, the host lives, and
 * nothing of the host's is touched. Each case has a process of its own.
 */
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "help.h"

/* A bound for calls that need no more than a moment, and for the waits of WAIT_MS: far above what they take. */
#define BOUND_S 60
#define WAIT_MS 50
#define NONE SIZE_MAX

struct world {
    coreproc_service *service;
    coreproc_subscription *subscription, *quiet;
    coreproc_command *command;
    coreproc_process *process, *deaf;
    coreproc_batch *batch;
    coreproc_error *failure;
    coreproc_bytes *bytes;
    coreproc_ring *ring;
    coreproc_cancel *cancel;
    coreproc_handle *handle;
    coreproc_activity activity;
    coreproc_activities *activities;
    coreproc_handle_info found;
    /* The thread of a log keeps its service from being driven. */
    coreproc_service *log_service;
    coreproc_log *log;
    coreproc_log_follower *follower;
    coreproc_log_info log_info;
    char log_path[64];
    char identity[256];
    coreproc_pid_file *pid_file;
    coreproc_registry *registry;
    coreproc_entries *entries;
    coreproc_health *health;
    coreproc_daemon *daemon, *stopping;
    coreproc_pipeline *pipeline;
    coreproc_run *run, *ended;
    coreproc_history *history;
    coreproc_progress *progress;
    coreproc_bytes *address;
    coreproc_daemon_entry entry;
    coreproc_process_info info;
    char name[64];
    uint8_t buffer[64];
    /* The result of the call. */
    coreproc_result result;
    coreproc_error *error;
    void *out;
};

/* The flat command "true". */
static const uint8_t flat_true[] = {1, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 't', 'r', 'u', 'e'};

/* More than a pipe holds. */
static const uint8_t much[256 * 1024];

/* Callbacks have cancellation points of their own, on whatever thread they run. */
static void on_events(const coreproc_event *events, size_t count, size_t stride, void *user_data)
{
    (void)events, (void)count, (void)stride, (void)user_data;
    pthread_testcancel();
}

static void on_destroy(void *user_data)
{
    (void)user_data;
    pthread_testcancel();
}

static int32_t on_check(coreproc_check_answer *answer, void *user_data)
{
    (void)user_data;
    (void)coreproc_check_answer_reason(answer, TEXT("says no"), NULL);
    pthread_testcancel();
    return 1;
}

static coreproc_run *start_run(struct world *w, const char *script)
{
    const coreproc_run_options options = {.struct_size = sizeof options, .progress = w->progress};
    coreproc_pipeline *pipeline = NULL;
    coreproc_run *run = NULL;
    size_t spec = 0;
    coreproc_command *command = new_sh(script);
    OK(coreproc_pipeline_new(&pipeline, &err));
    OK(coreproc_pipeline_add(pipeline, TEXT("only"), command, &spec, &err));
    OK(coreproc_run_start(pipeline, w->service, &options, &run, &err));
    coreproc_command_free(command);
    coreproc_pipeline_free(pipeline);
    return run;
}

static void build(struct world *w)
{
    const coreproc_subscription_options named = {.struct_size = sizeof named, .scope = COREPROC_SUBSCRIBE_NAMED};
    size_t spec = 0;
    *w = (struct world){.info.struct_size = sizeof w->info};
    w->service = new_service();
    w->quiet = open_subscription(w->service, &named);
    w->subscription = open_subscription(w->service, &named);
    w->command = new_command("true", NULL);
    coreproc_command *command = new_piped_sh("cat");
    OK(coreproc_command_subscribe(command, w->subscription, &err));
    w->process = spawn(w->service, command);
    w->deaf = spawn_piped_sh(w->service, "exec sleep 1000");
    size_t written = 0;
    OK(coreproc_process_write(w->deaf, much, sizeof much, 0, &written, &err));
    w->batch = take(w->subscription, 1);
    (void)coreproc_command_new(NULL, 1, NULL, &w->failure);
    OK(coreproc_process_output(w->process, &w->bytes, &err));
    OK(coreproc_ring_new(64, &w->ring, &err));
    OK(coreproc_cancel_new(&w->cancel, &err));
    coreproc_bytes *identity = NULL;
    OK(coreproc_process_identity(w->deaf, &identity, &err));
    MUST(coreproc_bytes_len(identity) < sizeof w->identity);
    memcpy(w->identity, coreproc_bytes_data(identity), coreproc_bytes_len(identity));
    coreproc_bytes_free(identity);
    OK(coreproc_handle_open(TEXT(w->identity), &w->handle, &err));
    w->found.struct_size = sizeof w->found;
    w->log_service = new_service();
    snprintf(w->log_path, sizeof w->log_path, "every-call-%d.log", (int)getpid());
    OK(coreproc_log_open(w->log_service, TEXT(w->log_path), NULL, &w->log, &err));
    OK(coreproc_log_follow(w->log, 0, &w->follower, &err));
    w->log_info.struct_size = sizeof w->log_info;
    w->activity.struct_size = sizeof w->activity;
    OK(coreproc_service_activities(w->service, &w->activities, &err));
    snprintf(w->name, sizeof w->name, "every-call-%d", (int)getpid());
    char dir[80];
    snprintf(dir, sizeof dir, "%s.d", w->name);
    OK(coreproc_pid_file_new(TEXT(w->name), &w->pid_file, &err));
    OK(coreproc_registry_new(TEXT(dir), &w->registry, &err));
    w->entry = (coreproc_daemon_entry){.struct_size = sizeof w->entry, .code = "c", .code_len = 1, .daemon = "d", .daemon_len = 1, .pid = (int32_t)getpid()};
    OK(coreproc_registry_register(w->registry, &w->entry, &err));
    OK(coreproc_registry_list(w->registry, &w->entries, &err));
    OK(coreproc_health_new(TEXT("127.0.0.1:0"), NULL, &w->health, &err));
    OK(coreproc_health_add_check(w->health, TEXT("no"), on_check, NULL, on_destroy, &err));
    OK(coreproc_health_start(w->health, &err));
    OK(coreproc_health_address(w->health, &w->address, &err));
    OK(coreproc_daemon_new(NULL, &w->daemon, &err));
    OK(coreproc_daemon_start(w->daemon, &err));
    OK(coreproc_daemon_new(NULL, &w->stopping, &err));
    OK(coreproc_pipeline_new(&w->pipeline, &err));
    OK(coreproc_pipeline_add(w->pipeline, TEXT("first"), w->command, &spec, &err));
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    OK(coreproc_progress_open(w->service, null, NULL, &w->progress, &err));
    close(null);
    w->run = start_run(w, "exec sleep 1000");
    w->ended = start_run(w, "exit 3");
    OK(coreproc_run_wait(w->ended, CHECK_DEADLINE_MS, &err));
    snprintf(dir, sizeof dir, "%s.history", w->name);
    OK(coreproc_history_open(TEXT(dir), TEXT("pipeline"), &w->history, &err));
}

/* Frees everything; the processes end with the test. */
static void tear_down(struct world *w)
{
    coreproc_error_free(w->error);
    coreproc_error_free(w->failure);
    coreproc_batch_free(w->batch);
    coreproc_bytes_free(w->bytes);
    coreproc_bytes_free(w->address);
    coreproc_ring_free(w->ring);
    coreproc_cancel_free(w->cancel);
    coreproc_handle_free(w->handle);
    coreproc_log_follower_free(w->follower);
    coreproc_log_free(w->log);
    coreproc_service_free(w->log_service);
    remove(w->log_path);
    coreproc_activities_free(w->activities);
    coreproc_pid_file_free(w->pid_file);
    coreproc_entries_free(w->entries);
    coreproc_registry_free(w->registry);
    coreproc_health_free(w->health);
    coreproc_daemon_free(w->daemon);
    coreproc_daemon_free(w->stopping);
    coreproc_pipeline_free(w->pipeline);
    coreproc_progress_free(w->progress);
    coreproc_history_free(w->history);
    coreproc_run_free(w->run);
    coreproc_run_free(w->ended);
    coreproc_command_free(w->command);
    coreproc_process_free(w->process);
    coreproc_process_free(w->deaf);
    coreproc_subscription_free(w->subscription);
    coreproc_subscription_free(w->quiet);
    coreproc_service_free(w->service);
}

#define ADDRESS(w) (const char *)coreproc_bytes_data((w)->address), coreproc_bytes_len((w)->address)
#define OUT(w) (void *)&(w)->out
#define BYTES(w) (coreproc_bytes *)(w)->out

/* Each can be called again and again. `expected` is its result when nothing is wrong. */
#define CALLS(X, R)                                                                                                         \
    X(after_fork_child, coreproc_after_fork_child())                                                                        \
    X(activities_first, (void)coreproc_activities_first(w->activities, NULL, NULL))                                         \
    X(activities_free, coreproc_activities *was = w->activities; w->activities = NULL; coreproc_activities_free(was))       \
    X(abi_version, (void)coreproc_abi_version())                                                                            \
    X(batch_events, size_t count = 0; size_t stride = 0; (void)coreproc_batch_events(w->batch, &count, &stride))            \
    X(batch_free, coreproc_batch *was = w->batch; w->batch = NULL; coreproc_batch_free(was))                                                           \
    R(batch_process, OK, w->result = coreproc_batch_process(w->batch, OUT(w), &w->error))                                   \
    X(bytes_data, (void)coreproc_bytes_data(w->bytes))                                                                      \
    X(bytes_free, coreproc_bytes *was = w->bytes; w->bytes = NULL; coreproc_bytes_free(was))                                                           \
    X(bytes_len, (void)coreproc_bytes_len(w->bytes))                                                                        \
    R(check_answer_reason, INVALID_ARGUMENT, w->result = coreproc_check_answer_reason(NULL, TEXT("why"), &w->error))        \
    R(command_arg, OK, w->result = coreproc_command_arg(w->command, TEXT("x"), &w->error))                                  \
    R(command_arg0, OK, w->result = coreproc_command_arg0(w->command, TEXT("x"), &w->error))                                \
    R(command_capture_head, OK, w->result = coreproc_command_capture_head(w->command, 100, &w->error))                      \
    R(command_capture_lines, OK, w->result = coreproc_command_capture_lines(w->command, 100, &w->error))                    \
    R(command_capture_apart, OK, w->result = coreproc_command_capture_apart(w->command, &w->error))                         \
    R(process_output_of, INVALID_ARGUMENT, w->result = coreproc_process_output_of(w->process, 9, NULL, NULL, OUT(w),        \
        &w->error))                                                                                                         \
    R(command_capture, OK, w->result = coreproc_command_capture(w->command, 100, &w->error))                                \
    R(command_cwd, OK, w->result = coreproc_command_cwd(w->command, TEXT("/"), &w->error))                                  \
    R(command_detach, OK, w->result = coreproc_command_detach(w->command, &w->error))                                       \
    R(command_drain, OK, w->result = coreproc_command_drain(w->command, 1, 1, &w->error))                                   \
    R(command_env, OK, w->result = coreproc_command_env(w->command, TEXT("A=1"), &w->error))                                \
    R(command_env_clear, OK, w->result = coreproc_command_env_clear(w->command, &w->error))                                 \
    R(command_env_whole, OK, w->result = coreproc_command_env_whole(w->command, "A=1", 4, &w->error))                       \
    X(command_free, coreproc_command *was = w->command; w->command = NULL; coreproc_command_free(was))                                                   \
    R(command_from_flat, OK, w->result = coreproc_command_from_flat(flat_true, sizeof flat_true, OUT(w), &w->error))        \
    R(command_from_json, OK, w->result = coreproc_command_from_json(TEXT("{\"version\":1,\"program\":\"true\"}"),           \
        OUT(w), &w->error))                                                                                                 \
    R(command_contain, OK, w->result = coreproc_command_contain(w->command, COREPROC_CONTAIN_PREFER, &w->error))            \
    R(command_memory_max, OK, w->result = coreproc_command_memory_max(w->command, 0, &w->error))                            \
    R(command_processes_max, OK, w->result = coreproc_command_processes_max(w->command, 0, &w->error))                      \
    R(command_cpu_max, OK, w->result = coreproc_command_cpu_max(w->command, 0, &w->error))                                  \
    R(process_tree, OK, w->result = coreproc_process_tree(w->process, OUT(w), &w->error))                                   \
    R(command_report_stops, OK, w->result = coreproc_command_report_stops(w->command, COREPROC_UNLIMITED, &w->error))       \
    R(process_look_for_stops, INVALID_ARGUMENT, w->result = coreproc_process_look_for_stops(w->process, &w->error))         \
    R(process_pause, OK, w->result = coreproc_process_pause(w->process, COREPROC_SCOPE_TREE, &w->error);                    \
        coreproc_process_resume(w->process, COREPROC_SCOPE_TREE, NULL))                                                     \
    R(process_resume, OK, w->result = coreproc_process_resume(w->process, COREPROC_SCOPE_TREE, &w->error))                  \
    R(command_group, OK, w->result = coreproc_command_group(w->command, COREPROC_GROUP_OWN, &w->error))                     \
    R(command_new, OK, w->result = coreproc_command_new(TEXT("true"), OUT(w), &w->error))                                   \
    R(command_search_path, OK, w->result = coreproc_command_search_path(w->command, TEXT("/bin"), &w->error))               \
    R(command_spawn, OK, w->result = coreproc_command_spawn(w->command, w->service, OUT(w), &w->error))                     \
    R(command_spool_max, OK, w->result = coreproc_command_spool_max(w->command, 100, &w->error))                            \
    R(command_stdio, OK, w->result = coreproc_command_stdio(w->command, COREPROC_STREAM_STDOUT,                             \
        COREPROC_STDIO_SPOOL, &w->error))                                                                                   \
    R(command_stdio_fd, OK, w->result = coreproc_command_stdio_fd(w->command, COREPROC_STREAM_STDIN, 0, &w->error))         \
    R(command_stdio_file, OK, w->result = coreproc_command_stdio_file(w->command, COREPROC_STREAM_STDIN,                    \
        TEXT("/dev/null"), COREPROC_FILE_READ, &w->error))                                                                  \
    R(command_descriptor, OK, w->result = coreproc_command_descriptor(w->command, 9, COREPROC_DESCRIPTOR_OUTPUT,            \
        &w->error))                                                                                                         \
    R(command_descriptor_data, OK, w->result = coreproc_command_descriptor_data(w->command, 9, (const uint8_t *)"x", 1,     \
        &w->error))                                                                                                         \
    R(command_descriptor_fd, OK, w->result = coreproc_command_descriptor_fd(w->command, 9, 0, &w->error))                   \
    R(command_descriptor_file, OK, w->result = coreproc_command_descriptor_file(w->command, 9, TEXT("/dev/null"),           \
        COREPROC_FILE_READ, &w->error))                                                                                     \
    R(command_user, OK, w->result = coreproc_command_user(w->command, TEXT("root"), &w->error))                             \
    R(command_primary_group, OK, w->result = coreproc_command_primary_group(w->command, TEXT("0"), &w->error))              \
    R(command_supplementary_groups, OK, w->result = coreproc_command_supplementary_groups(w->command, TEXT("0,adm"),        \
        &w->error))                                                                                                         \
    R(command_umask, OK, w->result = coreproc_command_umask(w->command, 027, &w->error))                                    \
    R(command_no_new_privileges, OK, w->result = coreproc_command_no_new_privileges(w->command, &w->error))                 \
    R(command_drop_capabilities, OK, w->result = coreproc_command_drop_capabilities(w->command, TEXT("all"), &w->error))    \
    R(command_keep_ignored, OK, w->result = coreproc_command_keep_ignored(w->command, 1, &w->error))                        \
    R(command_cwd_fd, OK, w->result = coreproc_command_cwd_fd(w->command, 0, &w->error))                                    \
    R(command_resource_limit, OK, w->result = coreproc_command_resource_limit(w->command, 4, 0, 0, &w->error))              \
    R(command_nice, OK, w->result = coreproc_command_nice(w->command, 19, &w->error))                                       \
    R(command_scheduling, OK, w->result = coreproc_command_scheduling(w->command, 0, 0, &w->error))                         \
    R(command_io_priority, OK, w->result = coreproc_command_io_priority(w->command, COREPROC_IO_IDLE, 0, &w->error))        \
    R(command_cpu_affinity, OK, w->result = coreproc_command_cpu_affinity(w->command, &(const uint32_t){0}, 1, &w->error))  \
    R(command_oom_score, OK, w->result = coreproc_command_oom_score(w->command, 1000, &w->error))                           \
    R(command_die_with_host, OK, w->result = coreproc_command_die_with_host(w->command, 9, &w->error))                      \
    R(command_listen_fd, OK, w->result = coreproc_command_listen_fd(w->command, 0, TEXT("web"), &w->error))                 \
    R(process_descriptor_close, OK, w->result = coreproc_process_descriptor_close(w->process, 9, &w->error))                \
    R(process_descriptor_write, STDIN_CLOSED, w->result = coreproc_process_descriptor_write(w->process, 9,                  \
        (const uint8_t *)"x", 1, 0, NULL, &w->error))                                                                       \
    R(command_pty, OK, w->result = coreproc_command_pty(w->command, 80, 24, COREPROC_PTY_COOKED, &w->error))                \
    R(command_foreground, OK, w->result = coreproc_command_foreground(w->command, 0, &w->error))                            \
    R(process_foreground, INVALID_ARGUMENT, w->result = coreproc_process_foreground(w->process, &w->error))                 \
    R(process_resize, INVALID_ARGUMENT, w->result = coreproc_process_resize(w->process, 80, 24, &w->error))                 \
    R(command_stdin_data, OK, w->result = coreproc_command_stdin_data(w->command, (const uint8_t *)"x", 1, &w->error))      \
    R(command_stop_options, OK, w->result = coreproc_command_stop_options(w->command, NULL, &w->error))                     \
    R(command_subscribe, OK, w->result = coreproc_command_subscribe(w->command, w->subscription, &w->error))                \
    R(command_start_timeout, OK, w->result = coreproc_command_start_timeout(w->command, 100000, &w->error))                 \
    R(command_silence_timeout, OK, w->result = coreproc_command_silence_timeout(w->command, 100000, &w->error))             \
    R(command_cpu_time_limit, OK, w->result = coreproc_command_cpu_time_limit(w->command, 100000, &w->error))               \
    R(command_output_limit, OK, w->result = coreproc_command_output_limit(w->command, 1 << 30, &w->error))                  \
    R(command_timeout, OK, w->result = coreproc_command_timeout(w->command, 1000, &w->error))                               \
    R(daemon_add_check, INVALID_STATE, w->result = coreproc_daemon_add_check(w->daemon, TEXT("x"), on_check, NULL,          \
        on_destroy, &w->error))                                                                                             \
    X(daemon_free, coreproc_daemon *was = w->daemon; w->daemon = NULL; coreproc_daemon_free(was))                                                       \
    R(daemon_health_address, OK, w->result = coreproc_daemon_health_address(w->daemon, OUT(w), &w->error))       \
    R(daemon_new, OK, w->result = coreproc_daemon_new(NULL, OUT(w), &w->error))                                             \
    X(daemon_ready, (void)coreproc_daemon_ready(w->daemon))                                                                 \
    X(daemon_ref, (void)coreproc_daemon_ref(w->daemon))                                                                     \
    R(daemon_request_stop, OK, w->result = coreproc_daemon_request_stop(w->stopping, &w->error))                            \
    R(daemon_restore_signals, OK, w->result = coreproc_daemon_restore_signals(w->daemon, &w->error))                        \
    R(daemon_run, OK, (void)coreproc_daemon_start(w->stopping, NULL);                                                       \
        (void)coreproc_daemon_request_stop(w->stopping, NULL); w->result = coreproc_daemon_run(w->stopping, &w->error))     \
    R(daemon_set_ready, OK, w->result = coreproc_daemon_set_ready(w->daemon, 1, &w->error))                                 \
    R(daemon_start, INVALID_STATE, w->result = coreproc_daemon_start(w->daemon, &w->error))                                 \
    R(daemon_stop, OK, w->result = coreproc_daemon_stop(w->daemon, &w->error))                                              \
    R(daemon_stop_on_signals, OK, w->result = coreproc_daemon_stop_on_signals(w->daemon, &w->error))                        \
    R(daemon_wait_for_stop_request, TIMED_OUT, w->result = coreproc_daemon_wait_for_stop_request(w->daemon, WAIT_MS,        \
        &w->error))                                                                                                         \
    X(entries_first, size_t count = 0; size_t stride = 0; (void)coreproc_entries_first(w->entries, &count, &stride))        \
    X(entries_free, coreproc_entries *was = w->entries; w->entries = NULL; coreproc_entries_free(was))                                                   \
    X(entries_problem, (void)coreproc_entries_problem(w->entries, 0))                                                       \
    X(error_errno, (void)coreproc_error_errno(w->failure))                                                                  \
    X(error_free, coreproc_error *was = w->failure; w->failure = NULL; coreproc_error_free(was))                                                       \
    X(error_message, (void)coreproc_error_message(w->failure))                                                              \
    X(error_operation, (void)coreproc_error_operation(w->failure))                                                          \
    X(error_result, (void)coreproc_error_result(w->failure))                                                                \
    X(error_stage, (void)coreproc_error_stage(w->failure))                                                                  \
    R(command_log, OK, w->result = coreproc_command_log(w->command, w->log, 0, &w->error))                                  \
    R(log_follow, OK, w->result = coreproc_log_follow(w->log, 0, OUT(w), &w->error))                                        \
    X(log_follower_free, coreproc_log_follower *was = w->follower; w->follower = NULL; coreproc_log_follower_free(was))     \
    R(log_follower_read, TIMED_OUT, w->result = coreproc_log_follower_read(w->follower, 9, WAIT_MS, NULL, NULL, OUT(w),     \
        &w->error))                                                                                                         \
    X(log_free, coreproc_log *was = w->log; w->log = NULL; coreproc_log_free(was))                                          \
    R(log_info_get, OK, w->result = coreproc_log_info_get(w->log, &w->log_info, &w->error))                                 \
    R(log_open, OK, w->result = coreproc_log_open(w->log_service, TEXT(w->log_path), NULL, OUT(w), &w->error))                  \
    X(log_ref, (void)coreproc_log_ref(w->log))                                                                              \
    R(log_reopen, OK, w->result = coreproc_log_reopen(w->log, &w->error))                                                   \
    R(log_rotate, OK, w->result = coreproc_log_rotate(w->log, &w->error))                                                   \
    R(log_wait_idle, OK, w->result = coreproc_log_wait_idle(w->log, WAIT_MS, &w->error))                                    \
    X(handle_fd, (void)coreproc_handle_fd(w->handle))                                                                       \
    X(handle_free, coreproc_handle *was = w->handle; w->handle = NULL; coreproc_handle_free(was))                           \
    R(handle_info_get, OK, w->result = coreproc_handle_info_get(w->handle, &w->found, &w->error))                           \
    R(handle_open, OK, w->result = coreproc_handle_open(TEXT(w->identity), OUT(w), &w->error))                              \
    X(handle_pid, (void)coreproc_handle_pid(w->handle))                                                                     \
    X(handle_ref, (void)coreproc_handle_ref(w->handle))                                                                     \
    R(handle_signal, OK, w->result = coreproc_handle_signal(w->handle, SIGCONT, COREPROC_SCOPE_DEFAULT, &w->error))         \
    R(handle_wait, TIMED_OUT, w->result = coreproc_handle_wait(w->handle, WAIT_MS, &w->found, &w->error))                   \
    R(health_add_check, OK, w->result = coreproc_health_add_check(w->health, TEXT("x"), on_check, NULL,          \
        on_destroy, &w->error))                                                                                             \
    R(health_address, OK, w->result = coreproc_health_address(w->health, OUT(w), &w->error))                                \
    X(health_free, coreproc_health *was = w->health; w->health = NULL; coreproc_health_free(was))                                                       \
    R(health_new, OK, w->result = coreproc_health_new(TEXT("127.0.0.1:0"), NULL, OUT(w), &w->error))                        \
    R(health_probe, OK, uint32_t ok; coreproc_bytes *why; w->result = coreproc_health_probe(ADDRESS(w),                     \
        COREPROC_ENDPOINT_HEALTH, 20 * WAIT_MS, &ok, &why, &w->error))                                                      \
    X(health_ready, (void)coreproc_health_ready(w->health))                                                                 \
    X(health_ref, (void)coreproc_health_ref(w->health))                                                                     \
    R(health_set_ready, OK, w->result = coreproc_health_set_ready(w->health, 1, &w->error))                                 \
    R(health_start, INVALID_STATE, w->result = coreproc_health_start(w->health, &w->error))                                 \
    R(health_stop, OK, w->result = coreproc_health_stop(w->health, 20 * WAIT_MS, &w->error))                                \
    R(health_wait, OK, uint32_t ok; coreproc_bytes *why; w->result = coreproc_health_wait(ADDRESS(w),                       \
        COREPROC_ENDPOINT_HEALTH, WAIT_MS, &ok, &why, &w->error))                                                           \
    X(history_free, coreproc_history *was = w->history; w->history = NULL; coreproc_history_free(was))                                                   \
    R(history_open, OK, w->result = coreproc_history_open(TEXT("other.history"), TEXT("p"), OUT(w), &w->error))             \
    X(history_problem, (void)coreproc_history_problem(w->history))                                                          \
    R(history_record, OK, w->result = coreproc_history_record(w->history, w->ended, &w->error))                             \
    R(identity_of_pid, OK, w->result = coreproc_identity_of_pid((int32_t)getpid(), OUT(w), &w->error))                      \
    R(pid_file_acquire, OK, w->result = coreproc_pid_file_acquire(w->pid_file, &w->error))                                  \
    X(pid_file_free, coreproc_pid_file *was = w->pid_file; w->pid_file = NULL; coreproc_pid_file_free(was))                                               \
    X(pid_file_held, (void)coreproc_pid_file_held(w->pid_file))                                                             \
    R(pid_file_new, OK, w->result = coreproc_pid_file_new(TEXT("some.pid"), OUT(w), &w->error))                             \
    X(pid_file_path, (void)coreproc_pid_file_path(w->pid_file))                                                             \
    R(pid_file_read, OK, uint32_t state; int32_t pid; coreproc_bytes *why; w->result =                                      \
        coreproc_pid_file_read(TEXT("none.pid"), &state, &pid, &why, &w->error))                                            \
    X(pid_file_ref, (void)coreproc_pid_file_ref(w->pid_file))                                                               \
    R(pid_file_release, OK, (void)coreproc_pid_file_acquire(w->pid_file, NULL); w->result =                                 \
        coreproc_pid_file_release(w->pid_file, &w->error))                                                                  \
    R(pipeline_add, OK, size_t spec; w->result = coreproc_pipeline_add(w->pipeline, TEXT("x"), w->command, &spec,           \
        &w->error))                                                                                                         \
    R(pipeline_after, OK, w->result = coreproc_pipeline_after(w->pipeline, 0, TEXT("x"), &w->error))                        \
    R(pipeline_allow_failure, OK, w->result = coreproc_pipeline_allow_failure(w->pipeline, 0, 1, &w->error))                \
    R(pipeline_always_run, OK, w->result = coreproc_pipeline_always_run(w->pipeline, 0, 1, &w->error))                      \
    R(pipeline_check, OK, w->result = coreproc_pipeline_check(w->pipeline, &w->error))                                      \
    X(pipeline_free, coreproc_pipeline *was = w->pipeline; w->pipeline = NULL; coreproc_pipeline_free(was))                                               \
    R(pipeline_from_json, OK, w->result =                                                                                   \
        coreproc_pipeline_from_json(TEXT("{\"version\":1,\"specs\":[{\"name\":\"x\",\"command\":[\"true\"]}]}"), OUT(w),      \
        &w->error))                                                                                                         \
    R(pipeline_name, OK, w->result = coreproc_pipeline_name(w->pipeline, TEXT("x"), &w->error))                             \
    R(pipeline_new, OK, w->result = coreproc_pipeline_new(OUT(w), &w->error))                                               \
    R(pipeline_problems, OK, w->result = coreproc_pipeline_problems(w->pipeline, OUT(w), &w->error))                        \
    R(pipeline_retries, OK, w->result = coreproc_pipeline_retries(w->pipeline, 0, 1, 1, 1, &w->error))                      \
    X(pipeline_spec_count, (void)coreproc_pipeline_spec_count(w->pipeline))                                                 \
    R(process_activity, OK, w->result = coreproc_process_activity(w->process, &w->activity, &w->error))                     \
    R(process_close_output, OK, w->result = coreproc_process_close_output(w->process, COREPROC_STREAM_STDERR, &w->error))   \
    R(process_close_stdin, OK, w->result = coreproc_process_close_stdin(w->process, &w->error))                             \
    X(process_free, coreproc_process *was = w->deaf; w->deaf = NULL; coreproc_process_free(was))                                                         \
    X(cancel_free, coreproc_cancel *was = w->cancel; w->cancel = NULL; coreproc_cancel_free(was))                          \
    R(cancel_new, OK, w->result = coreproc_cancel_new(OUT(w), &w->error))                                                   \
    X(cancel_ref, (void)coreproc_cancel_ref(w->cancel))                                                                     \
    R(cancel_waits, OK, w->result = coreproc_cancel_waits(w->cancel, &w->error))                                            \
    R(process_wait_all, TIMED_OUT, w->result = coreproc_process_wait_all((const coreproc_process *const[]){w->deaf},        \
        1, COREPROC_STATE_CLOSED, WAIT_MS, w->cancel, &w->error))                                                           \
    R(process_wait_any, TIMED_OUT, w->result = coreproc_process_wait_any((const coreproc_process *const[]){w->deaf},        \
        1, COREPROC_STATE_CLOSED, WAIT_MS, w->cancel, (size_t[1]){0}, &w->error))                                           \
    R(process_wait_fd, OK, int32_t fd = -1;                                                                                 \
        w->result = coreproc_process_wait_fd(w->deaf, COREPROC_STATE_CLOSED, &fd, &w->error);                               \
        if (fd >= 0) syscall(SYS_close, fd))                                                                                          \
    R(process_info_json, OK, w->result = coreproc_process_info_json(w->process, OUT(w), &w->error))                         \
    R(process_post_mortem, OK, w->result = coreproc_process_post_mortem(w->process, OUT(w), &w->error))                     \
    R(process_holders, OK, w->result = coreproc_process_holders(w->process, OUT(w), &w->error))                             \
    X(process_id, (void)coreproc_process_id(w->process))                                                                    \
    R(process_identity, OK, w->result = coreproc_process_identity(w->process, OUT(w), &w->error))                           \
    R(process_info_get, OK, w->result = coreproc_process_info_get(w->process, &w->info, &w->error))                         \
    R(process_kill, OK, w->result = coreproc_process_kill(w->process, COREPROC_SCOPE_DEFAULT, &w->error))                   \
    R(process_output, OK, w->result = coreproc_process_output(w->process, OUT(w), &w->error))                               \
    X(process_pid, (void)coreproc_process_pid(w->process))                                                                  \
    X(process_ref, (void)coreproc_process_ref(w->process))                                                                  \
    R(process_signal, OK, w->result = coreproc_process_signal(w->process, SIGCONT, COREPROC_SCOPE_DEFAULT, &w->error))      \
    R(process_stop, OK, w->result = coreproc_process_stop(w->process, NULL, &w->error))                                     \
    R(process_wait, TIMED_OUT, w->result = coreproc_process_wait(w->process, COREPROC_STATE_CLOSED, WAIT_MS,                \
        &w->info, &w->error))                                                                                               \
    R(process_write, TIMED_OUT, size_t written; w->result = coreproc_process_write(w->deaf, much, sizeof much,              \
        WAIT_MS, &written, &w->error))                                                                                      \
    X(progress_free, coreproc_progress *was = w->progress; w->progress = NULL; coreproc_progress_free(was))                                               \
    R(progress_open, OK, w->result = coreproc_progress_open(w->service, 2, NULL, OUT(w), &w->error))                        \
    R(progress_watch, TIMED_OUT, w->result = coreproc_progress_watch(w->progress, w->run, WAIT_MS, &w->error))              \
    X(registry_dir, (void)coreproc_registry_dir(w->registry))                                                               \
    X(registry_free, coreproc_registry *was = w->registry; w->registry = NULL; coreproc_registry_free(was))                                               \
    R(registry_get, OK, w->result = coreproc_registry_get(w->registry, "c", 1, "d", 1, OUT(w), &w->error))                  \
    R(registry_list, OK, w->result = coreproc_registry_list(w->registry, OUT(w), &w->error))                                \
    R(registry_new, OK, w->result = coreproc_registry_new(TEXT("other.d"), OUT(w), &w->error))                              \
    R(registry_new_plain, OK, w->result = coreproc_registry_new_plain(TEXT("other.d"), OUT(w), &w->error))                  \
    X(registry_ref, (void)coreproc_registry_ref(w->registry))                                                               \
    R(registry_register, OK, w->result = coreproc_registry_register(w->registry, &w->entry, &w->error))                     \
    R(registry_unregister, OK, w->result = coreproc_registry_unregister(w->registry, "c", 1, "d", 1, &w->error))            \
    X(result_name, (void)coreproc_result_name(COREPROC_OK))                                                                 \
    X(ring_cap, (void)coreproc_ring_cap(w->ring))                                                                           \
    R(ring_copy, OK, size_t len; w->result = coreproc_ring_copy(w->ring, w->buffer, sizeof w->buffer, &len, &w->error))     \
    X(ring_free, coreproc_ring *was = w->ring; w->ring = NULL; coreproc_ring_free(was))                                                               \
    X(ring_len, (void)coreproc_ring_len(w->ring))                                                                           \
    R(ring_new, OK, w->result = coreproc_ring_new(64, OUT(w), &w->error))                                                   \
    X(ring_ref, (void)coreproc_ring_ref(w->ring))                                                                           \
    X(ring_reset, coreproc_ring_reset(w->ring))                                                                             \
    R(ring_write, OK, w->result = coreproc_ring_write(w->ring, w->buffer, sizeof w->buffer, &w->error))                     \
    R(run_cancel, OK, w->result = coreproc_run_cancel(w->run, &w->error))                                                   \
    X(run_free, coreproc_run *was = w->run; w->run = NULL; coreproc_run_free(was))                                                                   \
    X(run_id, (void)coreproc_run_id(w->run))                                                                                \
    R(run_info_get, OK, coreproc_run_info info = {.struct_size = sizeof info}; w->result =                      \
        coreproc_run_info_get(w->ended, &info, &w->error))                                                                  \
    X(run_ref, (void)coreproc_run_ref(w->run))                                                                              \
    R(run_report, OK, w->result = coreproc_run_report(w->ended, COREPROC_REPORT_JSON, OUT(w), &w->error))                   \
    X(run_spec_count, (void)coreproc_run_spec_count(w->run))                                                                \
    R(run_spec_get, OK, coreproc_spec_result spec = {.struct_size = sizeof spec}; w->result =                   \
        coreproc_run_spec_get(w->ended, 0, &spec, &w->error))                                                               \
    R(run_start, OK, w->result = coreproc_run_start(w->pipeline, w->service, NULL, OUT(w), &w->error))                      \
    R(run_wait, TIMED_OUT, w->result = coreproc_run_wait(w->run, WAIT_MS, &w->error))                                       \
    R(service_activities, OK, w->result = coreproc_service_activities(w->service, OUT(w), &w->error))                       \
    R(service_close, OK, w->result = coreproc_service_close(w->service, COREPROC_CLOSE_LEAVE, &w->error))                   \
    R(service_count, OK, uint64_t count; w->result = coreproc_service_count(w->service, &count, &w->error))                 \
    X(service_free, coreproc_service *was = w->service; w->service = NULL; coreproc_service_free(was))                                                   \
    R(service_new, OK, w->result = coreproc_service_new(NULL, OUT(w), &w->error))                                           \
    R(service_process, OK, w->result = coreproc_service_process(w->service, 1, OUT(w), &w->error))                          \
    X(service_ref, (void)coreproc_service_ref(w->service))                                                                  \
    R(service_spawn_flat, OK, w->result = coreproc_service_spawn_flat(w->service, flat_true, sizeof flat_true,              \
        w->subscription, OUT(w), &w->info, &w->error))                                                                      \
    R(service_wait_idle, TIMED_OUT, w->result = coreproc_service_wait_idle(w->service, WAIT_MS, &w->error))                 \
    R(subscription_close, OK, w->result = coreproc_subscription_close(w->quiet, &w->error))                                 \
    R(subscription_drive, OK, int32_t fd; coreproc_service *own = NULL; coreproc_subscription *drives = NULL;           \
        (void)coreproc_service_new(NULL, &own, NULL); (void)coreproc_subscription_open(own, NULL, &drives, NULL);       \
        w->result = coreproc_subscription_drive(drives, &fd, &w->error))                                                \
    R(subscription_fd, OK, int32_t fd; w->result = coreproc_subscription_fd(w->subscription, &fd, &w->error))               \
    X(subscription_free, coreproc_subscription *was = w->quiet; w->quiet = NULL; coreproc_subscription_free(was))                                             \
    R(subscription_listen, OK, w->result = coreproc_subscription_listen(w->service, NULL, on_events, NULL,                  \
        on_destroy, OUT(w), &w->error))                                                                                     \
    R(subscription_open, OK, w->result = coreproc_subscription_open(w->service, NULL, OUT(w), &w->error))                   \
    X(subscription_ref, (void)coreproc_subscription_ref(w->subscription))                                                   \
    R(subscription_take, TIMED_OUT, w->result = coreproc_subscription_take(w->quiet, 0, WAIT_MS, OUT(w), &w->error))        \
    X(version, (void)coreproc_version())


struct call {
    const char *name;
    coreproc_result expected;
    void (*run)(struct world *w);
};

#define DEFINE(name, ...)                      \
    static void call_##name(struct world *w)   \
    {                                          \
        (void)w;                               \
        __VA_ARGS__;                           \
    }
#define DEFINE_WITH_RESULT(name, expected, ...) DEFINE(name, __VA_ARGS__)
CALLS(DEFINE, DEFINE_WITH_RESULT)

#define ENTRY(name, ...) {"coreproc_" #name, COREPROC_OK, call_##name},
#define ENTRY_WITH_RESULT(name, expected, ...) {"coreproc_" #name, COREPROC_##expected, call_##name},
static const struct call calls[] = {CALLS(ENTRY, ENTRY_WITH_RESULT)};
#define COUNT (sizeof calls / sizeof calls[0])

static void every_exported_symbol_is_called(void)
{
    char path[4096], line[128];
    snprintf(path, sizeof path, "%.*s/../abi/symbols.txt", (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__);
    FILE *file = fopen(path, "re");
    MUST(file != NULL);
    size_t symbols = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        bool found = false;
        for (size_t i = 0; i < COUNT; i++)
            found |= strcmp(calls[i].name, line) == 0;
        if (!CHECK(found))
            fprintf(check_out, "# %s has no call here\n", line);
        symbols++;
    }
    fclose(file);
    CHECK_INT(symbols, COUNT);
    fprintf(check_out, "# %zu functions\n", symbols);
}

/* Ends the processes that a case has left running, which are now children of this process. */
static void end_orphans(void)
{
    for (;;) {
        FILE *children = fopen("/proc/thread-self/children", "re");
        MUST(children != NULL);
        int pid = 0;
        while (fscanf(children, "%d", &pid) == 1)
            kill(pid, SIGKILL);
        fclose(children);
        if (pid == 0)
            return;
        while (waitpid(-1, NULL, 0) > 0) {
        }
    }
}

/* The case of this process. It returns what was wrong; 0 if all is well. */
static int (*case_body)(const struct call *call, struct world *w);

/*
 * Runs a case for each function, each in a process of its own: the library is not yet used in this one, so the child of
 * fork is no child of a fork of its host. It must end by itself, in time, and say nothing.
 */
static void each_call_of(size_t count, int (*body)(const struct call *call, struct world *w))
{
    int64_t started = check_now_ms();
    int good = 0;
    case_body = body;
    const char *only = getenv("EVERY_CALL_ONLY");
    for (size_t i = 0; i < count; i++) {
        if (only != NULL && strcmp(only, calls[i].name) != 0)
            continue;
        int said = memfd_create("stderr", 0);
        MUST(said >= 0);
        fflush(check_out);
        pid_t pid = fork();
        MUST(pid >= 0);
        if (pid == 0) {
            struct world w;
            dup2(said, STDERR_FILENO);
            alarm(BOUND_S);
            build(&w);
            _exit(case_body(&calls[i], &w));
        }
        int status = 0;
        MUST(waitpid(pid, &status, 0) == pid);
        end_orphans();
        char text[512] = "";
        ssize_t len = pread(said, text, sizeof text - 1, 0);
        close(said);
        bool right = WIFEXITED(status) && WEXITSTATUS(status) == 0 && len == 0;
        if (!CHECK(right))
            fprintf(check_out, "# %s: status %#x, said \"%s\"\n", calls[i].name, (unsigned)status, text);
        good += right;
    }
    fprintf(check_out, "# %s: %d of %zu calls, %lld ms\n", check_name, good, count, (long long)(check_now_ms() - started));
}

static void each_call(int (*body)(const struct call *call, struct world *w))
{
    each_call_of(COUNT, body);
}

static bool thread_sleeps(pid_t thread)
{
    char path[64], line[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    FILE *stat = fopen(path, "re");
    if (stat == NULL)
        return false;
    bool read = fgets(line, sizeof line, stat) != NULL;
    fclose(stat);
    const char *end = read ? strrchr(line, ')') : NULL;
    return end != NULL && end[2] == 'S';
}

static bool all_threads_sleep(void)
{
    DIR *dir = opendir("/proc/self/task");
    MUST(dir != NULL);
    bool all = true;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != (int)getpid())
            all &= thread_sleeps(atoi(entry->d_name));
    closedir(dir);
    return all;
}

/* --- As it is --- */

static int as_it_is(const struct call *call, struct world *w)
{
    call->run(w);
    bool right = CHECK_INT(w->result, call->expected);
    if (!right)
        fprintf(check_out, "# %s: %s\n", call->name, w->error == NULL ? "" : coreproc_error_message(w->error));
    tear_down(w);
    return right ? 0 : 10;
}

static void each_works(void)
{
    each_call(as_it_is);
}

/* --- Cancelled --- */

struct cancelled {
    const struct call *call;
    struct world *w;
    atomic_int turns;
    atomic_bool returned;
};

static void *called_with_a_cancel_pending(void *argument)
{
    struct cancelled *c = argument;
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    pthread_cancel(pthread_self());
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
    c->call->run(c->w);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    atomic_store(&c->returned, state == PTHREAD_CANCEL_ENABLE);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
    pthread_testcancel();
    return NULL;
}

static int with_a_cancel_pending(const struct call *call, struct world *w)
{
    struct cancelled c = {.call = call, .w = w};
    bool cancelled = join_thread(start_thread(called_with_a_cancel_pending, &c)) == PTHREAD_CANCELED;
    bool right = CHECK(cancelled) & CHECK(atomic_load(&c.returned)) & CHECK_INT(w->result, call->expected);
    tear_down(w);
    return right ? 0 : 10;
}

static void a_cancel_that_is_pending_acts_after_each_call(void)
{
    each_call(with_a_cancel_pending);
}

static void *called_until_cancelled(void *argument)
{
    struct cancelled *c = argument;
    int old;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
    for (;;) {
        atomic_fetch_add(&c->turns, 1);
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
        c->call->run(c->w);
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    }
    return NULL;
}

static int cancelled_at_any_moment(const struct call *call, struct world *w)
{
    const char *scale = getenv("COREPROC_SCALE");
    int count = scale != NULL && *scale != '\0' && atof(scale) < 1 ? 2 : 10;
    for (int i = 0; i < count; i++) {
        struct cancelled c = {.call = call, .w = w};
        pthread_t thread = start_thread(called_until_cancelled, &c);
        while (atomic_load(&c.turns) < 1 + i % 3)
            sched_yield();
        for (int spin = 0; spin < i * 97; spin++)
            atomic_load(&c.turns);
        pthread_cancel(thread);
        /* It does not return by itself. glibc 2.36 forgets the result when a cancel acts as it is enabled. */
        (void)join_thread(thread);
    }
    /* The library still works for other threads. */
    coreproc_service *service = new_service();
    coreproc_process *process = spawn(service, new_command("true", NULL));
    finish(process);
    coreproc_service_free(service);
    return 0;
}

static void an_asynchronous_cancel_ends_the_thread_and_not_the_host(void)
{
    each_call(cancelled_at_any_moment);
}

static void cancel_myself(const coreproc_event *events, size_t count, size_t stride, void *user_data)
{
    (void)events, (void)count, (void)stride;
    pthread_cancel(pthread_self());
    pthread_testcancel();
    atomic_fetch_add((atomic_int *)user_data, 1);
}

static void a_callback_that_cancels_its_thread_goes_on(void)
{
    int status = 0;
    fflush(check_out);
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        alarm(BOUND_S);
        atomic_int events = 0;
        coreproc_service *service = new_service();
        coreproc_subscription *subscription = NULL;
        OK(coreproc_subscription_listen(service, NULL, cancel_myself, &events, NULL, &subscription, &err));
        finish(spawn(service, new_command("true", NULL)));
        finish(spawn(service, new_command("true", NULL)));
        OK(coreproc_service_close(service, COREPROC_CLOSE_LEAVE, &err));
        CHECK_EVENTUALLY(atomic_load(&events) >= 2);
        OK(coreproc_subscription_close(subscription, &err));
        coreproc_subscription_free(subscription);
        coreproc_service_free(service);
        _exit(atomic_load(&check_faults) == 0 ? 0 : 10);
    }
    MUST(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
}

/* --- Signals without SA_RESTART --- */

static void on_signal(int signal)
{
    (void)signal;
}

static void *called_once(void *argument)
{
    struct cancelled *c = argument;
    c->call->run(c->w);
    atomic_store(&c->returned, true);
    return NULL;
}

static int under_signals(const struct call *call, struct world *w)
{
    struct cancelled c = {.call = call, .w = w};
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    pthread_t thread = start_thread(called_once, &c);
    int sent = 0;
    for (; !atomic_load(&c.returned); sent++) {
        pthread_kill(thread, SIGUSR1);
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
    join_thread(thread);
    bool right = CHECK_INT(w->result, call->expected);
    if (!right)
        fprintf(check_out, "# %s: %s\n", call->name, w->error == NULL ? "" : coreproc_error_message(w->error));
    tear_down(w);
    return right ? 0 : 10;
}

static void signals_without_sa_restart_change_nothing(void)
{
    each_call(under_signals);
}

/* --- Descriptors that the host closes --- */

/* Closes all descriptors except the streams and the one with which this test reports. */
static void close_all(void)
{
    unsigned keep = (unsigned)fileno(check_out);
    syscall(SYS_close_range, 3u, keep - 1, 0u);
    syscall(SYS_close_range, keep + 1, ~0u, 0u);
}

static int closed_under_it(const struct call *call, struct world *w)
{
    close_all();
    call->run(w);
    tear_down(w);
    return 0;
}

static void closed_descriptors_hang_no_call(void)
{
    each_call(closed_under_it);
}

#define FILES 64

/* The numbers are the host's own files at once: nothing closes them, and nothing writes to them. */
static int reused_under_it(const struct call *call, struct world *w)
{
    int files[FILES];
    struct stat before[FILES], after;
    /* These have no loop of ours that could notice; the header says so. */
    (void)coreproc_health_stop(w->health, CHECK_DEADLINE_MS, NULL);
    coreproc_progress_free(w->progress);
    w->progress = NULL;
    /* What is at work in that very moment may still meet a number that is used again; the header says so, too. */
    CHECK_EVENTUALLY(all_threads_sleep());
    close_all();
    for (int i = 0; i < FILES; i++) {
        files[i] = memfd_create("host", 0);
        MUST(files[i] >= 0 && fstat(files[i], &before[i]) == 0);
    }
    call->run(w);
    bool right = true;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < FILES; i++) {
            bool same = fstat(files[i], &after) == 0 && after.st_ino == before[i].st_ino && after.st_size == 0;
            if (!same)
                fprintf(check_out, "# %s: descriptor %d is not the host's file %s\n", call->name, files[i],
                        round == 0 ? "after the call" : "after the frees");
            right &= same;
        }
        if (round == 0)
            tear_down(w);
    }
    return right ? 0 : 10;
}

static void numbers_that_the_host_uses_again_are_not_touched(void)
{
    each_call(reused_under_it);
}

static void *wait_for_process(void *argument)
{
    coreproc_error *error = NULL;
    coreproc_result result = coreproc_process_wait(argument, COREPROC_STATE_CLOSED, -1, NULL, &error);
    return (void *)(intptr_t)(result == COREPROC_SYSTEM ? coreproc_error_errno(error) : result);
}

static void *wait_for_idle(void *argument)
{
    coreproc_error *error = NULL;
    coreproc_result result = coreproc_service_wait_idle(argument, -1, &error);
    return (void *)(intptr_t)(result == COREPROC_SYSTEM ? coreproc_error_errno(error) : result);
}

static void *wait_for_event(void *argument)
{
    coreproc_error *error = NULL;
    coreproc_batch *batch = NULL;
    coreproc_result result = coreproc_subscription_take(argument, 0, -1, &batch, &error);
    return (void *)(intptr_t)(result == COREPROC_SYSTEM ? coreproc_error_errno(error) : result);
}

static void *wait_for_run(void *argument)
{
    coreproc_error *error = NULL;
    coreproc_result result = coreproc_run_wait(argument, -1, &error);
    return (void *)(intptr_t)(result == COREPROC_SYSTEM ? coreproc_error_errno(error) : result);
}

static int lost_while_all_wait(const struct call *call, struct world *w)
{
    (void)call;
    void *(*const bodies[])(void *) = {wait_for_process, wait_for_idle, wait_for_event, wait_for_run};
    void *const arguments[] = {w->process, w->service, w->quiet, w->run};
    pthread_t threads[4];
    coreproc_subscription *listening = NULL;
    OK(coreproc_subscription_listen(w->service, NULL, on_events, NULL, on_destroy, &listening, &err));
    for (int i = 0; i < 4; i++)
        threads[i] = start_thread(bodies[i], arguments[i]);
    CHECK_EVENTUALLY(all_threads_sleep());
    close_all();
    for (int i = 0; i < 4; i++)
        CHECK_INT((intptr_t)join_thread(threads[i]), EBADF);
    /* Later calls fail in the same way. */
    coreproc_process *process = NULL;
    FAILS_NAMING(COREPROC_SYSTEM, "descriptors", coreproc_command_spawn(w->command, w->service, &process, &err));
    FAILS_NAMING(COREPROC_SYSTEM, "descriptors", coreproc_process_kill(w->process, COREPROC_SCOPE_DEFAULT, &err));
    FAILS_NAMING(COREPROC_SYSTEM, "descriptors", coreproc_process_wait(w->process, COREPROC_STATE_CLOSED, 0, NULL, &err));
    /* No thread spins: those of the service have ended. */
    coreproc_subscription_free(listening);
    for (bool found = true; found;) {
        DIR *dir = opendir("/proc/self/task");
        MUST(dir != NULL);
        found = false;
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
            char path[300], name[32] = "";
            snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
            FILE *comm = fopen(path, "re");
            if (comm != NULL) {
                found |= fgets(name, sizeof name, comm) != NULL &&
                         (strcmp(name, "coreproc-sup\n") == 0 || strcmp(name, "coreproc-dsp\n") == 0);
                fclose(comm);
            }
        }
        closedir(dir);
        check_pause();
    }
    /* A new service works. */
    coreproc_service *service = new_service();
    finish(spawn(service, new_command("true", NULL)));
    end_service(service);
    tear_down(w);
    return atomic_load(&check_faults) == 0 ? 0 : 10;
}

static void closed_descriptors_end_every_wait(void)
{
    each_call_of(1, lost_while_all_wait);
}

/* --- Memory at its limit --- */

struct starved {
    const struct call *call;
    struct world *w;
    sem_t go;
};

static void *called_when_told(void *argument)
{
    struct starved *s = argument;
    while (sem_wait(&s->go) != 0) {
    }
    s->call->run(s->w);
    return NULL;
}

/* Takes all memory: no further mapping succeeds, and no malloc beyond what is left of `left` bytes. */
static void eat_all(size_t left)
{
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
    void *rest = malloc(left);
    MUST(rest != NULL && setrlimit(RLIMIT_AS, &none) == 0);
    for (size_t size = 1 << 20; size >= 16; size /= 2)
        while (malloc(size) != NULL) {
        }
    free(rest);
}

static size_t left_over;

static int starved(const struct call *call, struct world *w)
{
    struct starved s = {.call = call, .w = w};
    MUST(sem_init(&s.go, 0, 0) == 0);
    /* Its stack is there already, and no thread is about to start: the header speaks of those. */
    pthread_t thread = start_thread(called_when_told, &s);
    CHECK_EVENTUALLY(all_threads_sleep());
    eat_all(left_over);
    MUST(sem_post(&s.go) == 0);
    join_thread(thread);
    const struct rlimit all = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    MUST(setrlimit(RLIMIT_AS, &all) == 0);
    /* A refusal must be reported as one. */
    if (w->result == COREPROC_OUT_OF_MEMORY && coreproc_error_result(w->error) != COREPROC_OUT_OF_MEMORY)
        return 10;
    tear_down(w);
    return 0;
}

static void no_call_aborts_when_memory_is_at_its_limit(void)
{
    const size_t limits[] = {64, 1024, 16 * 1024, 256 * 1024};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        left_over = limits[i];
        fprintf(check_out, "# %zu bytes are left\n", left_over);
        each_call(starved);
    }
}

/*
 * A thread with the asynchronous type is cancelled between any two instructions, also in the few before and after the
 * call proper, which only optimised code keeps free of what cannot be unwound; and only code without debug assertions
 * closes a descriptor that is not open without an abort. The reserve of memory is in what is shipped alone.
 */
#define RUN_OPTIMISED(test) \
    (check_under("release") ? RUN(test) : (void)fprintf(check_out, "# %s: in tests/c_release.rs alone\n", #test))

int main(void)
{
    check_begin();
    MUST(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    RUN(every_exported_symbol_is_called);
    RUN(each_works);
    RUN(a_cancel_that_is_pending_acts_after_each_call);
    RUN(a_callback_that_cancels_its_thread_goes_on);
    RUN(signals_without_sa_restart_change_nothing);
    RUN_OPTIMISED(an_asynchronous_cancel_ends_the_thread_and_not_the_host);
    RUN_OPTIMISED(no_call_aborts_when_memory_is_at_its_limit);
    RUN_OPTIMISED(closed_descriptors_end_every_wait);
    RUN_OPTIMISED(closed_descriptors_hang_no_call);
    RUN_OPTIMISED(numbers_that_the_host_uses_again_are_not_touched);
    return check_end();
}
