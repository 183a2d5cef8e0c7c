/* Short forms of the calls every test makes; each checks the error contract as well. */
#ifndef HELP_H
#define HELP_H

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>

#include "check.h"

#define TEXT(string) (string), strlen(string)

/* Every call below is given `&err`. */
static _Thread_local coreproc_error *err;

static inline void call_ok(coreproc_result result, const char *call, const char *file, int line)
{
    if (result != COREPROC_OK)
        fprintf(check_out, "# %s: %s\n", coreproc_result_name(result), err == NULL ? "(no error)" : coreproc_error_message(err));
    if (!check_that(result == COREPROC_OK && err == NULL, call, file, line))
        check_give_up();
}

static inline bool call_fails(coreproc_result expected, const char *needle, coreproc_result result, const char *call, const char *file, int line)
{
    bool holds = check_that(result == expected, call, file, line);
    if (result != expected)
        fprintf(check_out, "# is %s, should be %s\n", coreproc_result_name(result), coreproc_result_name(expected));
    if (result == COREPROC_OK)
        return check_that(err == NULL, call, file, line) && holds;
    if (!check_that(err != NULL, call, file, line))
        return false;
    holds &= check_that(coreproc_error_result(err) == result, call, file, line);
    holds &= check_that(*coreproc_error_message(err) != '\0', call, file, line);
    if (needle != NULL && strstr(coreproc_error_message(err), needle) == NULL) {
        fprintf(check_out, "# \"%s\" lacks \"%s\"\n", coreproc_error_message(err), needle);
        holds = check_that(false, call, file, line);
    }
    coreproc_error_free(err);
    err = NULL;
    return holds;
}

#define OK(call) call_ok((call), #call, __FILE__, __LINE__)
#define FAILS(expected, call) call_fails((expected), NULL, (call), #call, __FILE__, __LINE__)
/* The message must contain `needle`: the field, the cause. */
#define FAILS_NAMING(expected, needle, call) call_fails((expected), (needle), (call), #call, __FILE__, __LINE__)

static inline coreproc_service *new_service(void)
{
    coreproc_service *service = NULL;
    OK(coreproc_service_new(NULL, &service, &err));
    MUST(service != NULL);
    return service;
}

/* Waits until every process is closed, then frees the service. */
static inline void end_service(coreproc_service *service)
{
    OK(coreproc_service_close(service, COREPROC_CLOSE_LEAVE, &err));
    OK(coreproc_service_wait_idle(service, CHECK_DEADLINE_MS, &err));
    coreproc_service_free(service);
}

/* Makes a command with arguments up to a NULL. */
__attribute__((sentinel)) static inline coreproc_command *new_command(const char *program, ...)
{
    coreproc_command *command = NULL;
    va_list args;
    OK(coreproc_command_new(TEXT(program), &command, &err));
    MUST(command != NULL);
    va_start(args, program);
    for (const char *arg; (arg = va_arg(args, const char *)) != NULL;)
        OK(coreproc_command_arg(command, TEXT(arg), &err));
    va_end(args);
    return command;
}

static inline coreproc_command *new_sh(const char *script)
{
    return new_command("/bin/sh", "-c", script, NULL);
}

/* Spawns a command, and frees it. */
static inline coreproc_process *spawn(coreproc_service *service, coreproc_command *command)
{
    coreproc_process *process = NULL;
    OK(coreproc_command_spawn(command, service, &process, &err));
    MUST(process != NULL);
    coreproc_command_free(command);
    return process;
}

static inline coreproc_process *spawn_sh(coreproc_service *service, const char *script)
{
    return spawn(service, new_sh(script));
}

/* Makes a command with a pipe for stdin: such a script waits by `read` until the test writes or closes. */
static inline coreproc_command *new_piped_sh(const char *script)
{
    coreproc_command *command = new_sh(script);
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDIN, COREPROC_STDIO_PIPE, &err));
    return command;
}

static inline coreproc_process *spawn_piped_sh(coreproc_service *service, const char *script)
{
    return spawn(service, new_piped_sh(script));
}

static inline coreproc_process_info info_of(coreproc_process *process)
{
    coreproc_process_info info = {.struct_size = sizeof info};
    OK(coreproc_process_info_get(process, &info, &err));
    return info;
}

static inline coreproc_process_info wait_until(coreproc_process *process, uint32_t until)
{
    coreproc_process_info info = {.struct_size = sizeof info};
    OK(coreproc_process_wait(process, until, CHECK_DEADLINE_MS, &info, &err));
    return info;
}

static inline coreproc_process_info wait_closed(coreproc_process *process)
{
    return wait_until(process, COREPROC_STATE_CLOSED);
}

/* Waits until a process is closed, and frees it. */
static inline coreproc_process_info finish(coreproc_process *process)
{
    coreproc_process_info info = wait_closed(process);
    coreproc_process_free(process);
    return info;
}

static inline bool output_is(coreproc_process *process, const void *data, size_t len)
{
    coreproc_bytes *bytes = NULL;
    OK(coreproc_process_output(process, &bytes, &err));
    MUST(bytes != NULL);
    bool same = coreproc_bytes_len(bytes) == len && (len == 0 || memcmp(coreproc_bytes_data(bytes), data, len) == 0) &&
                coreproc_bytes_data(bytes)[len] == '\0';
    if (!same)
        fprintf(check_out, "# output has %zu bytes, should have %zu: \"%.*s\"\n", coreproc_bytes_len(bytes), len,
                (int)(coreproc_bytes_len(bytes) < 200 ? coreproc_bytes_len(bytes) : 200),
                (const char *)coreproc_bytes_data(bytes));
    coreproc_bytes_free(bytes);
    return same;
}

#define CHECK_OUTPUT(process, string) CHECK(output_is((process), TEXT(string)))

/* Waits until the captured output holds `needle`. */
static inline void wait_output(coreproc_process *process, const char *needle)
{
    int64_t end = check_now_ms() + CHECK_DEADLINE_MS;
    for (bool found = false; !found; check_pause()) {
        coreproc_bytes *bytes = NULL;
        OK(coreproc_process_output(process, &bytes, &err));
        found = memmem(coreproc_bytes_data(bytes), coreproc_bytes_len(bytes), needle, strlen(needle)) != NULL;
        coreproc_bytes_free(bytes);
        MUST(found || check_now_ms() < end);
    }
}

/* Returns the captured output as a string, which the caller frees. */
static inline char *output_text(coreproc_process *process)
{
    coreproc_bytes *bytes = NULL;
    OK(coreproc_process_output(process, &bytes, &err));
    char *text = strndup((const char *)coreproc_bytes_data(bytes), coreproc_bytes_len(bytes));
    MUST(text != NULL);
    coreproc_bytes_free(bytes);
    return text;
}

static inline void write_all(coreproc_process *process, const void *data, size_t len)
{
    const uint8_t *next = data;
    while (len > 0) {
        size_t written = 0;
        OK(coreproc_process_write(process, next, len, CHECK_DEADLINE_MS, &written, &err));
        MUST(written > 0 && written <= len);
        next += written;
        len -= written;
    }
}

static inline coreproc_subscription *open_subscription(coreproc_service *service, const coreproc_subscription_options *options)
{
    coreproc_subscription *subscription = NULL;
    OK(coreproc_subscription_open(service, options, &subscription, &err));
    MUST(subscription != NULL);
    return subscription;
}

/* Takes the next batch; NULL at the end of the stream. */
static inline coreproc_batch *take(coreproc_subscription *subscription, size_t max_events)
{
    coreproc_batch *batch = NULL;
    coreproc_result result = coreproc_subscription_take(subscription, max_events, CHECK_DEADLINE_MS, &batch, &err);
    if (result == COREPROC_CLOSED) {
        FAILS(COREPROC_CLOSED, result);
        return NULL;
    }
    OK(result);
    MUST(batch != NULL);
    return batch;
}

static inline const coreproc_event *event_at(const coreproc_batch *batch, size_t index)
{
    size_t count = 0, stride = 0;
    const coreproc_event *events = coreproc_batch_events(batch, &count, &stride);
    MUST(index < count);
    MUST(stride >= sizeof(coreproc_event));
    return (const coreproc_event *)(const void *)((const char *)events + index * stride);
}

static inline size_t event_count(const coreproc_batch *batch)
{
    size_t count = 0, stride = 0;
    (void)coreproc_batch_events(batch, &count, &stride);
    return count;
}

static inline pthread_t start_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, body, argument) == 0);
    return thread;
}

static inline void *join_thread(pthread_t thread)
{
    void *value = NULL;
    MUST(pthread_join(thread, &value) == 0);
    return value;
}

/* Returns whether a foreign process has ended: it is gone, or a zombie that is not yet reaped. */
static inline bool is_dead(pid_t pid)
{
    char path[64], line[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *stat = fopen(path, "re");
    if (stat == NULL)
        return true;
    bool read = fgets(line, sizeof line, stat) != NULL;
    fclose(stat);
    const char *end = read ? strrchr(line, ')') : NULL;
    return end == NULL || end[2] == 'Z' || end[2] == 'X';
}

#endif
