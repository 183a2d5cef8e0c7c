/* After the host forks, every call in the child says FORKED: it neither hangs nor reaches the parent's children. */
#include "help.h"

static coreproc_service *service;
static coreproc_command *command;
static coreproc_process *process;
static coreproc_subscription *subscription, *listener;
static coreproc_error *old_error;
static coreproc_batch *old_batch;
static coreproc_bytes *old_bytes;

/* The pipe into which the child writes what went wrong; the parent's TAP stays the parent's. */
static int report_fd;

static void report(const char *what)
{
    ssize_t written = write(report_fd, what, strlen(what));
    (void)written;
}

#define FORKED(call)                                    \
    do {                                                \
        coreproc_error *error = NULL, **err_arg = &error; \
        if ((call) != COREPROC_FORKED)                  \
            report(#call "\n");                         \
        coreproc_error_free(error);                     \
        (void)err_arg;                                  \
    } while (0)
#define E err_arg

static void ignore_events(const coreproc_event *events, size_t count, size_t stride, void *user_data)
{
    (void)events, (void)count, (void)stride, (void)user_data;
}

static int destroyed;

static void count_destroy(void *user_data)
{
    (void)user_data;
    destroyed++;
}

static void every_call(void)
{
    coreproc_service *new_one = NULL;
    coreproc_command *new_command_ = NULL;
    coreproc_process *found = NULL;
    coreproc_subscription *opened = NULL;
    coreproc_batch *batch = NULL;
    coreproc_bytes *bytes = NULL;
    coreproc_process_info info = {.struct_size = sizeof info};
    const coreproc_stop_options stop = {.struct_size = sizeof stop};
    uint64_t count;
    size_t written;
    int32_t fd;
    const uint8_t byte = 'x';
    FORKED(coreproc_service_new(NULL, &new_one, E));
    FORKED(coreproc_service_process(service, 1, &found, E));
    FORKED(coreproc_service_count(service, &count, E));
    FORKED(coreproc_service_wait_idle(service, -1, E));
    FORKED(coreproc_command_new("true", 4, &new_command_, E));
    FORKED(coreproc_command_arg(command, "x", 1, E));
    FORKED(coreproc_command_arg0(command, "x", 1, E));
    FORKED(coreproc_command_env(command, "A=1", 3, E));
    FORKED(coreproc_command_env_clear(command, E));
    FORKED(coreproc_command_env_whole(command, "A=1", 4, E));
    FORKED(coreproc_command_cwd(command, "/", 1, E));
    FORKED(coreproc_command_search_path(command, "/", 1, E));
    FORKED(coreproc_command_stdio(command, COREPROC_STREAM_STDIN, COREPROC_STDIO_NULL, E));
    FORKED(coreproc_command_stdio_fd(command, COREPROC_STREAM_STDIN, 0, E));
    FORKED(coreproc_command_stdio_file(command, COREPROC_STREAM_STDIN, "/dev/null", 9, COREPROC_FILE_READ, E));
    FORKED(coreproc_command_capture(command, 0, E));
    FORKED(coreproc_command_group(command, COREPROC_GROUP_OWN, E));
    FORKED(coreproc_command_pty(command, 0, 0, COREPROC_PTY_RAW, E));
    FORKED(coreproc_command_foreground(command, 0, E));
    FORKED(coreproc_command_detach(command, E));
    FORKED(coreproc_command_spool_max(command, 0, E));
    FORKED(coreproc_command_timeout(command, 0, E));
    FORKED(coreproc_command_start_timeout(command, 0, E));
    FORKED(coreproc_command_silence_timeout(command, 0, E));
    FORKED(coreproc_command_report_stops(command, 0, E));
    FORKED(coreproc_command_cpu_time_limit(command, 0, E));
    FORKED(coreproc_command_output_limit(command, 0, E));
    FORKED(coreproc_command_contain(command, 0, E));
    FORKED(coreproc_command_memory_max(command, 0, E));
    FORKED(coreproc_command_processes_max(command, 0, E));
    FORKED(coreproc_command_cpu_max(command, 0, E));
    FORKED(coreproc_command_stop_options(command, &stop, E));
    FORKED(coreproc_command_drain(command, 0, 0, E));
    FORKED(coreproc_command_subscribe(command, subscription, E));
    FORKED(coreproc_command_spawn(command, service, &found, E));
    FORKED(coreproc_process_info_get(process, &info, E));
    FORKED(coreproc_process_wait(process, COREPROC_STATE_CLOSED, -1, &info, E));
    FORKED(coreproc_process_wait(process, COREPROC_STATE_EXITED, 0, NULL, E));
    FORKED(coreproc_process_output(process, &bytes, E));
    FORKED(coreproc_process_holders(process, &bytes, E));
    FORKED(coreproc_process_tree(process, &bytes, E));
    FORKED(coreproc_process_look_for_stops(process, E));
    FORKED(coreproc_process_pause(process, COREPROC_SCOPE_TREE, E));
    FORKED(coreproc_process_resume(process, COREPROC_SCOPE_TREE, E));
    FORKED(coreproc_process_post_mortem(process, &bytes, E));
    const coreproc_process *one[] = {process};
    coreproc_cancel *cancel = NULL;
    size_t index = 0;
    int32_t wait_fd = -1;
    FORKED(coreproc_process_wait_any(one, 1, COREPROC_STATE_CLOSED, 0, NULL, &index, E));
    FORKED(coreproc_process_wait_all(one, 1, COREPROC_STATE_CLOSED, 0, NULL, E));
    FORKED(coreproc_process_wait_fd(process, COREPROC_STATE_CLOSED, &wait_fd, E));
    FORKED(coreproc_cancel_new(&cancel, E));
    FORKED(coreproc_process_info_json(process, &bytes, E));
    FORKED(coreproc_process_signal(process, SIGKILL, COREPROC_SCOPE_GROUP, E));
    FORKED(coreproc_process_kill(process, COREPROC_SCOPE_DEFAULT, E));
    FORKED(coreproc_process_stop(process, NULL, E));
    FORKED(coreproc_process_write(process, &byte, 1, -1, &written, E));
    FORKED(coreproc_process_close_stdin(process, E));
    FORKED(coreproc_process_resize(process, 80, 24, E));
    FORKED(coreproc_process_foreground(process, E));
    FORKED(coreproc_subscription_open(service, NULL, &opened, E));
    FORKED(coreproc_subscription_listen(service, NULL, ignore_events, NULL, count_destroy, &opened, E));
    FORKED(coreproc_subscription_fd(subscription, &fd, E));
    FORKED(coreproc_subscription_drive(subscription, &fd, E));
    FORKED(coreproc_subscription_take(subscription, 0, -1, &batch, E));
    FORKED(coreproc_subscription_close(subscription, E));
    FORKED(coreproc_subscription_close(listener, E));
    FORKED(coreproc_service_close(service, COREPROC_CLOSE_KILL, E));
    if (destroyed != 1)
        report("destroy ran not once\n");
}

static void what_still_works(void)
{
    coreproc_error *error = NULL;
    if (coreproc_service_close(service, COREPROC_CLOSE_KILL, &error) != COREPROC_FORKED || error == NULL)
        report("no error\n");
    else if (*coreproc_error_message(error) == '\0' || coreproc_error_result(error) != COREPROC_FORKED)
        report("bad error\n");
    coreproc_error_free(error);
    if (strcmp(coreproc_error_message(old_error), "spawn \"gti\": lookup: no such program in PATH") != 0)
        report("old error\n");
    if (coreproc_bytes_len(old_bytes) != 6)
        report("old bytes\n");
    if (coreproc_process_id(process) != 1 || coreproc_process_pid(process) <= 0)
        report("identity\n");
    coreproc_error_free(old_error);
    coreproc_bytes_free(old_bytes);
    coreproc_batch_free(old_batch);
    coreproc_process_free(coreproc_process_ref(process));
    coreproc_service_free(coreproc_service_ref(service));
    coreproc_subscription_free(coreproc_subscription_ref(subscription));
    /* These are the last references: free never blocks and never kills. */
    coreproc_subscription_free(listener);
    coreproc_subscription_free(subscription);
    coreproc_process_free(process);
    coreproc_command_free(command);
    coreproc_service_free(service);
}

static void make_everything(void)
{
    service = new_service();
    subscription = open_subscription(service, NULL);
    OK(coreproc_subscription_listen(service, NULL, ignore_events, NULL, NULL, &listener, &err));
    process = spawn_piped_sh(service, "echo ready; read line; exit 5");
    wait_output(process, "ready\n");
    OK(coreproc_process_output(process, &old_bytes, &err));
    old_batch = take(subscription, 0);
    command = new_command("gti", NULL);
    coreproc_process *none = NULL;
    CHECK_INT(coreproc_command_spawn(command, service, &none, &old_error), COREPROC_NOT_FOUND);
}

static void free_everything(void)
{
    coreproc_error_free(old_error);
    coreproc_bytes_free(old_bytes);
    coreproc_batch_free(old_batch);
    coreproc_subscription_free(listener);
    coreproc_subscription_free(subscription);
    coreproc_command_free(command);
    end_service(service);
}

/* Runs `body` in a fork; fails with what it reported, or if it does not come to its end. */
static void in_a_fork(void (*body)(void))
{
    int pipe_fds[2];
    char text[4096] = "";
    size_t len = 0;
    MUST(pipe2(pipe_fds, O_CLOEXEC) == 0);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        alarm(CHECK_DEADLINE_MS / 1000);
        close(pipe_fds[0]);
        report_fd = pipe_fds[1];
        body();
        report("end");
        _exit(0);
    }
    close(pipe_fds[1]);
    ssize_t got;
    while (len < sizeof text - 1 && (got = read(pipe_fds[0], text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)got;
    close(pipe_fds[0]);
    CHECK_TEXT(text, "end");
    MUST(waitpid(child, NULL, 0) == child);
}

static void every_call_in_a_fork_gives_forked(void)
{
    make_everything();
    in_a_fork(every_call);
    CHECK_INT(info_of(process).state, COREPROC_STATE_RUNNING); /* the fork's kill, stop, close had no effect */
    write_all(process, "\n", 1);                              /* nor is its stdin closed */
    CHECK_INT(finish(process).exit_code, 5);
    free_everything();
}

static void a_fork_keeps_no_end_of_a_childs_pipes(void)
{
    coreproc_service *own = new_service();
    coreproc_process *cat = spawn_piped_sh(own, "exec cat");
    coreproc_process *yes = spawn(own, new_command("yes", NULL));
    int hold[2], answer[2];
    MUST(pipe2(hold, O_CLOEXEC) == 0 && pipe2(answer, O_CLOEXEC) == 0);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        char said = 'k';
        int reused[16];
        alarm(CHECK_DEADLINE_MS / 1000);
        /* Other files have the numbers that were closed, and keep them when the last handles are freed. */
        for (size_t i = 0; i < 16; i++)
            reused[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        coreproc_process_free(cat);
        coreproc_process_free(yes);
        coreproc_service_free(own);
        for (size_t i = 0; i < 16; i++)
            if (fcntl(reused[i], F_GETFD) < 0)
                said = 'c';
        char byte;
        if (read(hold[0], &byte, 1) != 1)
            said = 'r';
        /* The status does not tell, because it is valgrind's: memory that is freed in a fork is left to the kernel. */
        _exit(write(answer[1], &said, 1) == 1 ? 0 : 1);
    }
    write_all(cat, "last words", 10);
    OK(coreproc_process_close_stdin(cat, &err));
    wait_closed(cat);
    CHECK_OUTPUT(cat, "last words");
    OK(coreproc_process_close_output(yes, COREPROC_STREAM_STDOUT, &err));
    CHECK_INT(wait_closed(yes).signal, SIGPIPE);
    /* All that while the fork lived. */
    MUST(waitpid(child, NULL, WNOHANG) == 0);
    MUST(write(hold[1], "!", 1) == 1);
    char said = '\0';
    MUST(read(answer[0], &said, 1) == 1);
    CHECK_INT(said, 'k');
    MUST(waitpid(child, NULL, 0) == child);
    for (size_t i = 0; i < 2; i++) {
        close(hold[i]);
        close(answer[i]);
    }
    coreproc_process_free(cat);
    coreproc_process_free(yes);
    end_service(own);
}

static void handles_can_be_freed_in_a_fork(void)
{
    make_everything();
    in_a_fork(what_still_works);
    CHECK_INT(info_of(process).state, COREPROC_STATE_RUNNING);
    OK(coreproc_process_close_stdin(process, &err));
    CHECK_INT(finish(process).exit_code, 5);
    free_everything();
}

static void use_everything(void)
{
    coreproc_service *first = NULL;
    coreproc_command *echo = NULL;
    coreproc_process *child = NULL;
    coreproc_bytes *bytes = NULL;
    if (coreproc_service_new(NULL, &first, NULL) != COREPROC_OK || coreproc_command_new("echo", 4, &echo, NULL) != COREPROC_OK ||
        coreproc_command_spawn(echo, first, &child, NULL) != COREPROC_OK ||
        coreproc_process_wait(child, COREPROC_STATE_CLOSED, CHECK_DEADLINE_MS, NULL, NULL) != COREPROC_OK ||
        coreproc_process_output(child, &bytes, NULL) != COREPROC_OK || coreproc_bytes_len(bytes) != 1)
        report("not usable\n");
    coreproc_bytes_free(bytes);
    coreproc_process_free(child);
    coreproc_command_free(echo);
    coreproc_service_free(first);
}

/* Daemons fork before they work. */
static void a_fork_before_the_first_use_is_as_good_as_its_parent(void)
{
    in_a_fork(use_everything);
}

static atomic_bool stop_spawning;

static void *spawn_on(void *argument)
{
    while (!atomic_load(&stop_spawning))
        finish(spawn(argument, new_command("true", NULL)));
    return NULL;
}

static void only_wait(void)
{
    FORKED(coreproc_service_wait_idle(service, -1, E));
    FORKED(coreproc_command_spawn(command, service, &process, E));
    FORKED(coreproc_service_close(service, COREPROC_CLOSE_KILL, E));
}

/* Locks of the library may be held by other threads at that moment. */
static void forks_amid_spawns_do_not_hang(void)
{
    service = new_service();
    command = new_command("true", NULL);
    atomic_store(&stop_spawning, false);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = start_thread(spawn_on, service);
    for (int round = check_count(50); round > 0; round--)
        in_a_fork(only_wait);
    atomic_store(&stop_spawning, true);
    for (int i = 0; i < 4; i++)
        join_thread(threads[i]);
    coreproc_command_free(command);
    end_service(service);
}

/* What is new works, what is old is the parent's. */
static void begin_again(void)
{
    FORKED(coreproc_service_wait_idle(service, -1, E));
    coreproc_after_fork_child();
    FORKED(coreproc_service_wait_idle(service, -1, E));
    FORKED(coreproc_command_spawn(command, service, &process, E));
    FORKED(coreproc_service_close(service, COREPROC_CLOSE_KILL, E));
    for (int i = 0; i < 3; i++)
        use_everything();
    coreproc_service_free(service);
    use_everything();
}

static void a_fork_that_begins_again_is_usable(void)
{
    service = new_service();
    command = new_command("true", NULL);
    coreproc_after_fork_child(); /* does nothing here */
    atomic_store(&stop_spawning, false);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = start_thread(spawn_on, service);
    for (int round = check_count(200); round > 0; round--)
        in_a_fork(begin_again);
    atomic_store(&stop_spawning, true);
    for (int i = 0; i < 3; i++)
        join_thread(threads[i]);
    coreproc_command_free(command);
    end_service(service);
}

int main(void)
{
    check_begin();
    RUN(a_fork_before_the_first_use_is_as_good_as_its_parent); /* must be the first to use the library */
    RUN(every_call_in_a_fork_gives_forked);
    RUN(a_fork_keeps_no_end_of_a_childs_pipes);
    RUN(handles_can_be_freed_in_a_fork);
    RUN(forks_amid_spawns_do_not_hang);
    RUN(a_fork_that_begins_again_is_usable);
    return check_end();
}
