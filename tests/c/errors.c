/* Spawns that fail: result, errno, operation, stage, message; and nothing left of them. */
#include <sys/stat.h>

#include "help.h"

static char dir[] = "/tmp/coreproc-c-XXXXXX";

/* Makes a file in `dir`; its path is valid until the next call. */
static const char *new_file(const char *name, const char *content, mode_t mode)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0);
    MUST(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    MUST(fchmod(fd, mode) == 0);
    close(fd);
    return path;
}

struct failure {
    coreproc_result result;
    int number;
    const char *stage;
    const char *message; /* a part of it, with the cause, or NULL */
};

/* Takes the command. */
static void spawn_fails(coreproc_command *command, struct failure expected)
{
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL);
    coreproc_process *process = NULL;
    uint64_t count = 4711;
    coreproc_result result = coreproc_command_spawn(command, service, &process, &err);
    CHECK_INT(result, expected.result);
    CHECK(process == NULL);
    MUST(err != NULL);
    fprintf(check_out, "# %s\n", coreproc_error_message(err));
    CHECK_INT(coreproc_error_result(err), expected.result);
    CHECK_INT(coreproc_error_errno(err), expected.number);
    CHECK_TEXT(coreproc_error_operation(err), "spawn");
    CHECK_TEXT(coreproc_error_stage(err), expected.stage);
    if (expected.message != NULL)
        CHECK(strstr(coreproc_error_message(err), expected.message) != NULL);
    CHECK(strncmp(coreproc_error_message(err), "spawn \"", 7) == 0);
    coreproc_error_free(err);
    err = NULL;
    CHECK_INT(coreproc_command_spawn(command, service, &process, NULL), expected.result); /* the error is optional */
    coreproc_command_free(command);
    OK(coreproc_service_count(service, &count, &err));
    CHECK_INT(count, 0);
    coreproc_batch *batch = NULL;
    FAILS(COREPROC_TIMED_OUT, coreproc_subscription_take(subscription, 0, 0, &batch, &err)); /* no event either */
    coreproc_subscription_free(subscription);
    end_service(service);
}

static void an_unknown_program_fails_in_lookup(void)
{
    spawn_fails(new_command("gti", "status", NULL),
                (struct failure){COREPROC_NOT_FOUND, ENOENT, "lookup", "spawn \"gti\": lookup: no such program in PATH"});
}

static void an_unknown_path_fails_in_exec(void)
{
    spawn_fails(new_command("/nonexistent/gti", NULL), (struct failure){COREPROC_NOT_FOUND, ENOENT, "exec", "spawn \"/nonexistent/gti\": exec: no such file or directory"});
}

static void a_file_without_the_bit_is_not_executable(void)
{
    spawn_fails(new_command(new_file("plain", "#!/bin/sh\n", 0644), NULL),
                (struct failure){COREPROC_PERMISSION_DENIED, EACCES, "exec", "/plain\": exec: permission denied"});
}

static void an_unknown_interpreter_is_named_as_such(void)
{
    spawn_fails(new_command(new_file("script", "#!/nonexistent/interpreter\n", 0755), NULL),
                (struct failure){COREPROC_NOT_FOUND, ENOENT, "interpreter", "/script\": interpreter: "});
}

static void a_file_of_no_known_format_has_no_shell_fallback(void)
{
    spawn_fails(new_command(new_file("text", "echo not a script\n", 0755), NULL),
                (struct failure){COREPROC_SYSTEM, ENOEXEC, "exec", "/text\": exec: exec format error"});
}

static void a_missing_directory_fails_in_chdir(void)
{
    coreproc_command *command = new_command("true", NULL);
    OK(coreproc_command_cwd(command, TEXT("/nonexistent/directory"), &err));
    spawn_fails(command, (struct failure){COREPROC_NOT_FOUND, ENOENT, "chdir", "spawn \"true\": chdir: \"/nonexistent/directory\": no such file or directory"});
    command = new_command("true", NULL);
    OK(coreproc_command_cwd(command, TEXT(new_file("file", "", 0644)), &err));
    spawn_fails(command, (struct failure){COREPROC_SYSTEM, ENOTDIR, "chdir", "/file\": not a directory"});
}

static void too_many_arguments_fail_in_exec(void)
{
    size_t len = 100000;
    char *argument = malloc(len);
    MUST(argument != NULL);
    memset(argument, 'x', len);
    coreproc_command *command = new_command("true", NULL);
    for (int i = 0; i < 100; i++)
        OK(coreproc_command_arg(command, argument, len, &err));
    free(argument);
    spawn_fails(command, (struct failure){COREPROC_SYSTEM, E2BIG, "exec", "spawn \"true\": exec: argument list too long"});
}

static void files_that_cannot_be_opened_name_their_stream(void)
{
    coreproc_command *command = new_command("true", NULL);
    OK(coreproc_command_stdio_file(command, COREPROC_STREAM_STDIN, TEXT("/nonexistent/in"), COREPROC_FILE_READ, &err));
    spawn_fails(command, (struct failure){COREPROC_NOT_FOUND, ENOENT, "stdin", "spawn \"true\": stdin: \"/nonexistent/in\": no such file"});
    command = new_command("true", NULL);
    OK(coreproc_command_stdio_file(command, COREPROC_STREAM_STDOUT, TEXT("/nonexistent/out"), COREPROC_FILE_TRUNCATE, &err));
    spawn_fails(command, (struct failure){COREPROC_NOT_FOUND, ENOENT, "stdout", "spawn \"true\": stdout: \"/nonexistent/out\": no such file"});
    command = new_command("true", NULL);
    OK(coreproc_command_stdio_file(command, COREPROC_STREAM_STDERR, TEXT("/proc"), COREPROC_FILE_APPEND, &err));
    spawn_fails(command, (struct failure){COREPROC_SYSTEM, EISDIR, "stderr", "spawn \"true\": stderr: \"/proc\": "});
}

static void a_fifo_without_another_end_fails_at_once(void)
{
    char path[64];
    snprintf(path, sizeof path, "%s/fifo", dir);
    MUST(mkfifo(path, 0600) == 0);
    coreproc_command *command = new_command("true", NULL);
    OK(coreproc_command_stdio_file(command, COREPROC_STREAM_STDIN, TEXT(path), COREPROC_FILE_READ, &err));
    spawn_fails(command, (struct failure){COREPROC_SYSTEM, ENXIO, "stdin", "/fifo\" is a FIFO that nobody has opened for writing"});
    command = new_command("true", NULL);
    OK(coreproc_command_stdio_file(command, COREPROC_STREAM_STDOUT, TEXT(path), COREPROC_FILE_TRUNCATE, &err));
    spawn_fails(command, (struct failure){COREPROC_SYSTEM, ENXIO, "stdout", "/fifo\" is a FIFO that nobody has opened for reading"});
}

static void a_success_leaves_the_error_alone(void)
{
    coreproc_error *untouched = (coreproc_error *)(uintptr_t)8;
    coreproc_service *service = NULL;
    CHECK_INT(coreproc_service_new(NULL, &service, &untouched), COREPROC_OK);
    CHECK(untouched == (coreproc_error *)(uintptr_t)8);
    end_service(service);
}

static void an_error_outlives_what_it_is_about(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("gti", NULL);
    coreproc_process *process = NULL;
    coreproc_error *kept = NULL;
    CHECK_INT(coreproc_command_spawn(command, service, &process, &kept), COREPROC_NOT_FOUND);
    coreproc_command_free(command);
    end_service(service);
    CHECK_TEXT(coreproc_error_message(kept), "spawn \"gti\": lookup: no such program in PATH");
    coreproc_error_free(kept);
}

static void *fail_often(void *argument)
{
    coreproc_service *service = argument;
    const char *const programs[] = {"gti", "/nonexistent/gti", "/proc/version", "/tmp"};
    int rounds = 60 / (check_under("valgrind") ? 20 : 1);
    for (int i = 0; i < rounds; i++) {
        coreproc_command *command = new_command(programs[i % 4], NULL);
        coreproc_process *process = NULL;
        if (i % 8 >= 4)
            OK(coreproc_command_cwd(command, TEXT("/nonexistent/directory"), &err));
        OK(coreproc_command_stdio(command, COREPROC_STREAM_STDIN, COREPROC_STDIO_PIPE, &err));
        CHECK(coreproc_command_spawn(command, service, &process, NULL) < 0);
        CHECK(process == NULL);
        coreproc_command_free(command);
    }
    return NULL;
}

static void thousands_of_failures_leave_nothing(void)
{
    CHECK_EVENTUALLY(check_threads() == 1); /* the services of other tests have ended */
    coreproc_service *service = new_service();
    finish(spawn_sh(service, "exit 0")); /* whatever is made once is made now */
    int fds = check_fds(), threads = check_threads();
    pthread_t crew[16];
    for (int round = check_count(2); round > 0; round--) {
        for (int i = 0; i < 16; i++)
            crew[i] = start_thread(fail_often, service);
        for (int i = 0; i < 16; i++)
            join_thread(crew[i]);
    }
    CHECK_EVENTUALLY(check_threads() == threads); /* a joined thread may still be on its way out of /proc */
    CHECK_INT(check_fds(), fds);
    CHECK(!check_has_children());
    end_service(service);
}

int main(void)
{
    check_begin();
    check_name = "directory";
    MUST(mkdtemp(dir) != NULL);
    RUN(an_unknown_program_fails_in_lookup);
    RUN(an_unknown_path_fails_in_exec);
    RUN(a_file_without_the_bit_is_not_executable);
    RUN(a_missing_directory_fails_in_chdir);
    if (!check_under("valgrind")) { /* its execve cannot come back once the file has been found */
        RUN(an_unknown_interpreter_is_named_as_such);
        RUN(a_file_of_no_known_format_has_no_shell_fallback);
        RUN(too_many_arguments_fail_in_exec);
    }
    RUN(files_that_cannot_be_opened_name_their_stream);
    RUN(a_fifo_without_another_end_fails_at_once);
    RUN(a_success_leaves_the_error_alone);
    RUN(an_error_outlives_what_it_is_about);
    RUN(thousands_of_failures_leave_nothing);
    static const char *const files[] = {"plain", "script", "text", "file", "fifo"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
    return check_end();
}
