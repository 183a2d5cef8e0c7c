/* A host that closed fds 0-2 before it loaded us: nothing of ours lands there, and children still work. */
#include "help.h"

static void low_fds_stay_closed(void)
{
    for (int fd = 0; fd <= 2; fd++)
        CHECK(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
}

static void nothing_of_ours_lands_on_the_low_fds(void)
{
    coreproc_service *service = new_service();
    low_fds_stay_closed();
    coreproc_subscription *subscription = open_subscription(service, NULL);
    coreproc_process *process = spawn_piped_sh(service, "read line; echo $line; echo err >&2; exit 3");
    low_fds_stay_closed();
    write_all(process, TEXT("through\n"));
    CHECK_INT(wait_closed(process).exit_code, 3);
    char *text = output_text(process);
    CHECK(strstr(text, "through\n") != NULL && strstr(text, "err\n") != NULL);
    free(text);
    low_fds_stay_closed();
    coreproc_process_free(process);
    coreproc_subscription_free(subscription);
    end_service(service);
    low_fds_stay_closed();
}

static void children_get_exactly_the_three_streams(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn(service, new_command("ls", "/proc/self/fd", NULL));
    wait_closed(process);
    CHECK_OUTPUT(process, "0\n1\n2\n3\n");
    coreproc_process_free(process);

    coreproc_command *command = new_sh("cat; echo gone >&2");
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDERR, COREPROC_STDIO_NULL, &err));
    process = spawn(service, command);
    CHECK_INT(wait_closed(process).exit_code, 0);
    CHECK_OUTPUT(process, "");
    coreproc_process_free(process);

    command = new_sh("echo one; echo two >&2");
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDERR, COREPROC_STDIO_MERGE, &err));
    process = spawn(service, command);
    wait_closed(process);
    CHECK_OUTPUT(process, "one\ntwo\n");
    coreproc_process_free(process);
    low_fds_stay_closed();
    end_service(service);
}

static void failures_are_still_told(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("/nonexistent/gti", NULL);
    coreproc_process *process = NULL;
    FAILS(COREPROC_NOT_FOUND, coreproc_command_spawn(command, service, &process, &err));
    coreproc_command_free(command);
    low_fds_stay_closed();
    end_service(service);
}

int main(void)
{
    check_begin();
    for (int fd = 0; fd <= 2; fd++)
        close(fd);
    check_fds_at_start = check_fds();
    RUN(low_fds_stay_closed);
    RUN(nothing_of_ours_lands_on_the_low_fds);
    RUN(children_get_exactly_the_three_streams);
    RUN(failures_are_still_told);
    return check_end();
}
