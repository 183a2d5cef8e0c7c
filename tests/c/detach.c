/* Detached children outlive a host killed by SIGKILL and go on writing, to a file and to a spool. */
#include <sys/stat.h>

#include "help.h"

static const char *self;
static char dir[] = "/tmp/coreproc-c-XXXXXX";

static const char *in_dir(const char *name)
{
    static char paths[4][64];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

/* Runs the host that will be killed: this program again, which spawns a child by `kind` and says its pid. */
_Noreturn static void host(const char *folder, const char *kind)
{
    check_out = stderr; /* stdout is the parent's pipe */
    snprintf(dir, sizeof dir, "%s", folder);
    coreproc_service *service = new_service();
    /* The child goes on when the gate opens; it says so in `result` only if its write to stdout went well. */
    coreproc_command *command = new_command("/bin/sh", "-c", "echo before; read go <\"$1\"; echo after && echo written >\"$2\"", "sh",
                                            in_dir("gate"), in_dir("result"), NULL);
    OK(coreproc_command_detach(command, &err));
    if (strcmp(kind, "file") == 0)
        OK(coreproc_command_stdio_file(command, COREPROC_STREAM_STDOUT, TEXT(in_dir("output")), COREPROC_FILE_APPEND, &err));
    coreproc_process *process = spawn(service, command);
    if (strcmp(kind, "spool") == 0)
        wait_output(process, "before\n");
    int32_t pid = coreproc_process_pid(process);
    MUST(write(STDOUT_FILENO, &pid, sizeof pid) == sizeof pid);
    for (;;)
        pause();
}

static size_t read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    text[len > 0 ? len : 0] = '\0';
    return len > 0 ? (size_t)len : 0;
}

static void outlives_its_host(const char *kind)
{
    MUST(mkdtemp(dir) != NULL);
    MUST(mkfifo(in_dir("gate"), 0600) == 0);
    int said[2];
    MUST(pipe2(said, O_CLOEXEC) == 0);
    pid_t killed = fork();
    MUST(killed >= 0);
    if (killed == 0) {
        dup2(said[1], STDOUT_FILENO);
        execl(self, self, dir, kind, (char *)NULL);
        _exit(127);
    }
    close(said[1]);
    int32_t pid = 0;
    MUST(read(said[0], &pid, sizeof pid) == sizeof pid);
    close(said[0]);
    MUST(kill(killed, SIGKILL) == 0 && waitpid(killed, NULL, 0) == killed);
    CHECK(!is_dead(pid));
    int gate = open(in_dir("gate"), O_WRONLY | O_CLOEXEC);
    MUST(gate >= 0 && write(gate, "\n", 1) == 1);
    close(gate);
    CHECK_EVENTUALLY(is_dead(pid));
    char text[64];
    read_file(in_dir("result"), text, sizeof text);
    CHECK_TEXT(text, "written\n");
    if (strcmp(kind, "file") == 0) {
        read_file(in_dir("output"), text, sizeof text);
        CHECK_TEXT(text, "before\nafter\n");
    }
    unlink(in_dir("gate"));
    unlink(in_dir("result"));
    unlink(in_dir("output"));
    rmdir(dir);
    memset(dir + strlen(dir) - 6, 'X', 6);
}

static void a_detached_child_goes_on_writing_to_its_file(void)
{
    outlives_its_host("file");
}

static void a_detached_child_goes_on_writing_to_its_spool(void)
{
    outlives_its_host("spool");
}

static void a_detached_child_has_its_own_session(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_piped_sh("read line");
    OK(coreproc_command_detach(command, &err));
    coreproc_process *process = spawn(service, command);
    CHECK_INT(getsid(coreproc_process_pid(process)), coreproc_process_pid(process));
    OK(coreproc_process_close_stdin(process, &err));
    finish(process);
    end_service(service);
}

static void a_spool_is_captured_and_followed(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_sh("seq 1 20000; echo err >&2");
    OK(coreproc_command_detach(command, &err));
    coreproc_subscription *subscription = open_subscription(service, NULL);
    coreproc_process *process = spawn(service, command);
    coreproc_process_info info = wait_closed(process);
    CHECK_INT(info.exit_code, 0);
    CHECK_INT(info.discarded_bytes, 0);
    CHECK_INT(info.stderr_bytes, 4);
    OK(coreproc_service_close(service, COREPROC_CLOSE_LEAVE, &err));
    int line = 0;
    for (coreproc_batch *batch; (batch = take(subscription, 0)) != NULL; coreproc_batch_free(batch))
        for (size_t i = 0; i < event_count(batch); i++) {
            const coreproc_event *event = event_at(batch, i);
            char expected[16];
            if (event->kind != COREPROC_EVENT_STDOUT)
                continue;
            snprintf(expected, sizeof expected, "%d", ++line);
            CHECK(event->len == strlen(expected) && memcmp(event->data, expected, event->len) == 0);
        }
    CHECK_INT(line, 20000);
    coreproc_process_free(process);
    coreproc_subscription_free(subscription);
    end_service(service);
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc == 3)
        host(argv[1], argv[2]);
    check_begin();
    RUN(a_detached_child_goes_on_writing_to_its_file);
    RUN(a_detached_child_goes_on_writing_to_its_spool);
    RUN(a_detached_child_has_its_own_session);
    RUN(a_spool_is_captured_and_followed);
    return check_end();
}
