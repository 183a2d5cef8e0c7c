/* Processes that are written down and found again, child or not. */
#include <poll.h>

#include "help.h"

#define LINUX(major, minor) (kernel() >= (major) * 1000 + (minor))

static int kernel(void)
{
    int major = 0, minor = 0;
    FILE *file = fopen("/proc/sys/kernel/osrelease", "re");
    MUST(file != NULL && fscanf(file, "%d.%d", &major, &minor) == 2);
    fclose(file);
    return major * 1000 + minor;
}

static char *text_of(coreproc_bytes *bytes)
{
    char *text = strndup((const char *)coreproc_bytes_data(bytes), coreproc_bytes_len(bytes));
    MUST(text != NULL);
    coreproc_bytes_free(bytes);
    return text;
}

static char *identity_of(coreproc_process *process)
{
    coreproc_bytes *bytes = NULL;
    OK(coreproc_process_identity(process, &bytes, &err));
    return text_of(bytes);
}

static coreproc_handle *open_handle(const char *identity)
{
    coreproc_handle *handle = NULL;
    OK(coreproc_handle_open(TEXT(identity), &handle, &err));
    MUST(handle != NULL);
    return handle;
}

static coreproc_handle_info handle_info(coreproc_handle *handle)
{
    coreproc_handle_info info = {.struct_size = sizeof info};
    OK(coreproc_handle_info_get(handle, &info, &err));
    return info;
}

static void check_fields(const char *text)
{
    int fields = 1;
    for (const char *at = text; (at = strchr(at, ':')) != NULL; at++)
        fields++;
    CHECK_INT(fields, 7);
    CHECK(strncmp(text, "coreproc:1:", 11) == 0);
    const char *pidfs = strrchr(text, ':') + 1;
    CHECK((strcmp(pidfs, "-") != 0) == LINUX(6, 9));
}

static void a_child_is_found_by_its_text(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped_sh(service, "read line; exit 7");
    char *text = identity_of(process);
    check_fields(text);
    coreproc_handle *handle = open_handle(text), *other = coreproc_handle_ref(handle);
    MUST(other != NULL);
    coreproc_handle_free(handle);
    CHECK_INT(coreproc_handle_pid(other), coreproc_process_pid(process));
    CHECK_INT(handle_info(other).state, COREPROC_STATE_RUNNING);
    CHECK_INT(handle_info(other).exit_code, -1);
    CHECK_INT(handle_info(other).pid, coreproc_process_pid(process));
    FAILS(COREPROC_TIMED_OUT, coreproc_handle_wait(other, 0, NULL, &err));
    struct pollfd poll_fd = {.fd = coreproc_handle_fd(other), .events = POLLIN};
    CHECK_INT(poll(&poll_fd, 1, 0), 0);

    OK(coreproc_process_close_stdin(process, &err));
    coreproc_handle_info info = {.struct_size = sizeof info};
    OK(coreproc_handle_wait(other, CHECK_DEADLINE_MS, &info, &err));
    CHECK_INT(poll(&poll_fd, 1, 0), 1);
    CHECK_INT(info.state, COREPROC_STATE_EXITED);
    CHECK_INT(info.signal, 0);
    /* The service may have reaped it before it was asked. */
    CHECK(info.exit_code == 7 || (!LINUX(6, 15) && info.exit_code == -1 && info.flags == COREPROC_FLAG_STATUS_UNKNOWN));
    CHECK_INT(wait_closed(process).exit_code, 7);
    CHECK_INT(handle_info(other).exit_code, LINUX(6, 15) ? 7 : -1);
    CHECK_INT(handle_info(other).flags, LINUX(6, 15) ? 0 : COREPROC_FLAG_STATUS_UNKNOWN);

    FAILS(COREPROC_NOT_RUNNING, coreproc_handle_signal(other, SIGTERM, COREPROC_SCOPE_PROCESS, &err));
    coreproc_bytes *bytes = NULL;
    FAILS(COREPROC_NOT_RUNNING, coreproc_process_identity(process, &bytes, &err));
    coreproc_handle *none = NULL;
    FAILS_NAMING(COREPROC_NOT_FOUND, "it has ended", coreproc_handle_open(TEXT(text), &none, &err));
    CHECK(none == NULL && bytes == NULL);
    free(text);
    coreproc_handle_free(other);
    coreproc_process_free(process);
    end_service(service);
}

/* One that no service knows: it is signalled, and stays for its parent. */
static void a_process_of_the_host_is_found_and_not_reaped(void)
{
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0)
        for (;;)
            pause();
    coreproc_bytes *bytes = NULL;
    OK(coreproc_identity_of_pid((int32_t)pid, &bytes, &err));
    char *text = text_of(bytes);
    coreproc_handle *handle = open_handle(text);
    OK(coreproc_handle_signal(handle, 0, COREPROC_SCOPE_DEFAULT, &err));
    OK(coreproc_handle_signal(handle, SIGKILL, COREPROC_SCOPE_PROCESS, &err));
    coreproc_handle_info info = {.struct_size = sizeof info};
    OK(coreproc_handle_wait(handle, CHECK_DEADLINE_MS, &info, &err));
    CHECK_INT(info.signal, SIGKILL);
    CHECK_INT(info.exit_code, -1);
    CHECK_INT(info.flags, 0);
    /* A zombie is still to be found. */
    coreproc_handle_free(open_handle(text));
    int status = 0;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status));
    coreproc_handle *none = NULL;
    FAILS(COREPROC_NOT_FOUND, coreproc_handle_open(TEXT(text), &none, &err));
    CHECK_INT(handle_info(handle).signal, LINUX(6, 15) ? SIGKILL : 0);
    free(text);
    coreproc_handle_free(handle);
}

static void a_group_is_reached_by_its_leader_where_the_kernel_can(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped_sh(service, "trap '' TERM; (trap - TERM; exec cat /dev/zero) >/dev/null & wait");
    char *text = identity_of(process);
    coreproc_handle *handle = open_handle(text);
    if (LINUX(6, 9))
        OK(coreproc_handle_signal(handle, SIGKILL, COREPROC_SCOPE_GROUP, &err));
    else {
        FAILS(COREPROC_UNSUPPORTED, coreproc_handle_signal(handle, SIGKILL, COREPROC_SCOPE_GROUP, &err));
        OK(coreproc_process_kill(process, COREPROC_SCOPE_GROUP, &err));
    }
    CHECK_INT(finish(process).signal, SIGKILL);
    free(text);
    coreproc_handle_free(handle);
    end_service(service);
}

/* Replaces the field at this place. */
static void with(char *to, size_t size, const char *text, int place, const char *field)
{
    const char *at = text;
    for (int i = 0; i < place; i++)
        at = strchr(at, ':') + 1;
    const char *end = strchr(at, ':');
    snprintf(to, size, "%.*s%s%s", (int)(at - text), text, field, end == NULL ? "" : end);
}

static void what_another_boot_or_namespace_had_is_refused(void)
{
    coreproc_bytes *bytes = NULL;
    coreproc_handle *none = NULL;
    OK(coreproc_identity_of_pid((int32_t)getpid(), &bytes, &err));
    char *text = text_of(bytes), other[512];
    with(other, sizeof other, text, 4, "00000000-0000-0000-0000-000000000000");
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "boot", coreproc_handle_open(TEXT(other), &none, &err));
    with(other, sizeof other, text, 5, "1");
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "PID namespace", coreproc_handle_open(TEXT(other), &none, &err));
    /* By the start alone, and by the pidfs inode alone. */
    with(other, sizeof other, text, 6, "-");
    coreproc_handle_free(open_handle(other));
    char late[512];
    with(late, sizeof late, other, 3, "1");
    FAILS_NAMING(COREPROC_NOT_FOUND, "another process's", coreproc_handle_open(TEXT(late), &none, &err));
    if (LINUX(6, 9)) {
        with(other, sizeof other, text, 3, "-");
        coreproc_handle_free(open_handle(other));
        with(other, sizeof other, text, 6, "1");
        FAILS_NAMING(COREPROC_NOT_FOUND, "another process's", coreproc_handle_open(TEXT(other), &none, &err));
    }
    CHECK(none == NULL);
    free(text);
}

int main(void)
{
    check_begin();
    RUN(a_child_is_found_by_its_text);
    RUN(a_process_of_the_host_is_found_and_not_reaped);
    RUN(a_group_is_reached_by_its_leader_where_the_kernel_can);
    RUN(what_another_boot_or_namespace_had_is_refused);
    return check_end();
}
