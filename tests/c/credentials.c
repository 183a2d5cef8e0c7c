/* As whom a process runs and what it may use. */
#include "help.h"

#include <poll.h>
#include <sched.h>
#include <sys/resource.h>

static void limits_and_priorities_are_those_of_the_child(void)
{
    static const char script[] = "umask; ulimit -f; ulimit -c; cat /proc/self/oom_score_adj;"
                                 "while read key value; do case $key in NoNewPrivs:|Cpus_allowed_list:) echo $value;; esac;"
                                 "done </proc/self/status; read line </proc/self/stat;"
                                 "set -- $line; shift 18; echo $1; shift 22; echo $1";
    const uint32_t first = 0;
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("/bin/sh", "-c", script, NULL);
    OK(coreproc_command_umask(command, 031, &err));
    OK(coreproc_command_resource_limit(command, RLIMIT_FSIZE, 20 * 512, 30 * 512, &err));
    OK(coreproc_command_resource_limit(command, RLIMIT_CORE, 0, 0, &err));
    OK(coreproc_command_oom_score(command, 1000, &err));
    OK(coreproc_command_no_new_privileges(command, &err));
    OK(coreproc_command_cpu_affinity(command, &first, 1, &err));
    OK(coreproc_command_nice(command, 19, &err));
    OK(coreproc_command_scheduling(command, SCHED_BATCH, 0, &err));
    OK(coreproc_command_io_priority(command, COREPROC_IO_BEST_EFFORT, 7, &err));
    coreproc_process *process = spawn(service, command);
    CHECK_INT(wait_closed(process).exit_code, 0);
    CHECK_OUTPUT(process, "0031\n20\n0\n1000\n1\n0\n19\n3\n");
    coreproc_process_free(process);
    end_service(service);
}

static void a_user_is_dropped_to_or_refused_with_its_stage(void)
{
    static const char script[] = "while read key value; do case $key in Uid:|Gid:|Groups:|CapEff:|CapBnd:)"
                                 "echo $key $value;; esac; done </proc/self/status";
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("/bin/sh", "-c", script, NULL);
    coreproc_process *process = NULL;
    OK(coreproc_command_user(command, TEXT("65534"), &err));
    OK(coreproc_command_primary_group(command, TEXT("65533"), &err));
    OK(coreproc_command_supplementary_groups(command, TEXT("1,2"), &err));
    OK(coreproc_command_keep_ignored(command, SIGHUP, &err));
    OK(coreproc_command_drop_capabilities(command, TEXT("all"), &err));
    OK(coreproc_command_no_new_privileges(command, &err));
    if (geteuid() == 0) {
        process = spawn(service, command);
        CHECK_INT(wait_closed(process).exit_code, 0);
        CHECK_OUTPUT(process, "Uid: 65534 65534 65534 65534\nGid: 65533 65533 65533 65533\nGroups: 1 2\n"
                              "CapEff: 0000000000000000\nCapBnd: 0000000000000000\n");
        coreproc_process_free(process);
    } else {
        FAILS_NAMING(COREPROC_PERMISSION_DENIED, "supplementary groups", coreproc_command_spawn(command, service, &process, &err));
        coreproc_command_free(command);
    }
    command = new_command("true", NULL);
    OK(coreproc_command_user(command, TEXT("no such user"), &err));
    FAILS_NAMING(COREPROC_NOT_FOUND, "no such user", coreproc_command_spawn(command, service, &process, &err));
    coreproc_command_free(command);
    end_service(service);
}

static void a_directory_is_entered_by_its_descriptor(void)
{
    int directory = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MUST(directory >= 0);
    coreproc_service *service = new_service();
    /* The directory of the host's own entries, which has another name in the child. */
    coreproc_command *command = new_command("/bin/sh", "-c", "read pid rest <stat; [ $pid = $1 ] && [ $pid != $$ ]", "sh", NULL);
    char own[16];
    snprintf(own, sizeof own, "%d", (int)getpid());
    OK(coreproc_command_arg(command, TEXT(own), &err));
    OK(coreproc_command_cwd(command, TEXT("/"), &err));
    OK(coreproc_command_cwd_fd(command, directory, &err));
    close(directory);
    coreproc_process *process = spawn(service, command);
    CHECK_INT(wait_closed(process).exit_code, 0);
    coreproc_process_free(process);
    end_service(service);
}

static const char *self;

/* Starts a process that says that it runs, and waits for a line of its input, which is the host's. */
static void host(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("/bin/sh", "-c", "trap '' TERM; echo up; read line", NULL);
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDIN, COREPROC_STDIO_INHERIT, &err));
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDOUT, COREPROC_STDIO_INHERIT, &err));
    OK(coreproc_command_die_with_host(command, SIGKILL, &err));
    spawn(service, command);
    close(STDOUT_FILENO);
    for (;;)
        pause();
}

static void a_process_dies_with_its_host(void)
{
    int gate[2], said[2];
    char text[4] = "";
    MUST(pipe2(gate, O_CLOEXEC) == 0 && pipe2(said, O_CLOEXEC) == 0);
    pid_t killed = fork();
    MUST(killed >= 0);
    if (killed == 0) {
        dup2(gate[0], STDIN_FILENO);
        dup2(said[1], STDOUT_FILENO);
        execl(self, self, "host", (char *)NULL);
        _exit(127);
    }
    close(gate[0]);
    close(said[1]);
    MUST(read(said[0], text, 3) == 3);
    CHECK_TEXT(text, "up\n");
    MUST(kill(killed, SIGKILL) == 0 && waitpid(killed, NULL, 0) == killed);
    /* The process was the last to have the other end. No line has come, so only the signal can have ended it. */
    struct pollfd end = {.fd = said[0], .events = POLLIN};
    CHECK_INT(poll(&end, 1, 60000), 1);
    CHECK_INT(read(said[0], text, 1), 0);
    close(gate[1]);
    close(said[0]);
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc == 2)
        host();
    check_begin();
    RUN(limits_and_priorities_are_those_of_the_child);
    RUN(a_user_is_dropped_to_or_refused_with_its_stage);
    RUN(a_directory_is_entered_by_its_descriptor);
    RUN(a_process_dies_with_its_host);
    return check_end();
}
