/* The library is a guest: signal table, mask, directory, umask, environment and limits stay the host's. */
#include <sys/resource.h>
#include <sys/stat.h>

#include "help.h"

extern char **environ;

static const int mask_signals[] = {SIGUSR1, SIGWINCH};

struct host {
    struct sigaction actions[65];
    sigset_t mask;
    char cwd[256], environment[65536];
    mode_t umask;
    struct rlimit limits[RLIM_NLIMITS];
};

static void on_signal(int signal)
{
    (void)signal;
}

static void look(struct host *host)
{
    memset(host, 0, sizeof *host);
    for (int signal = 1; signal <= SIGRTMAX; signal++)
        if (signal < 32 || signal >= SIGRTMIN)
            MUST(sigaction(signal, NULL, &host->actions[signal]) == 0);
    MUST(pthread_sigmask(SIG_BLOCK, NULL, &host->mask) == 0);
    MUST(getcwd(host->cwd, sizeof host->cwd) != NULL);
    host->umask = umask(0);
    umask(host->umask);
    char *end = host->environment;
    for (char **entry = environ; *entry != NULL; entry++) {
        MUST(end + strlen(*entry) + 1 < host->environment + sizeof host->environment);
        end = stpcpy(end, *entry) + 1;
    }
    for (int limit = 0; limit < (int)RLIM_NLIMITS; limit++)
        MUST(getrlimit((__rlimit_resource_t)limit, &host->limits[limit]) == 0);
}

static void work(void)
{
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL);
    finish(spawn_sh(service, "echo out; echo err >&2"));
    coreproc_command *command = new_command("cat", NULL);
    OK(coreproc_command_cwd(command, TEXT("/"), &err));
    OK(coreproc_command_env(command, TEXT("ADDED=1"), &err));
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDIN, COREPROC_STDIO_PIPE, &err));
    coreproc_process *process = spawn(service, command), *none = NULL;
    OK(coreproc_process_stop(process, NULL, &err));
    finish(process);
    command = new_command("gti", NULL);
    FAILS(COREPROC_NOT_FOUND, coreproc_command_spawn(command, service, &none, &err));
    coreproc_command_free(command);
    coreproc_subscription_free(subscription);
    end_service(service);
}

static void the_hosts_state_is_left_alone(void)
{
    static struct host before, after;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigset_t mask, saved;
    MUST(sigaction(SIGCHLD, &action, NULL) == 0);
    MUST(sigaction(SIGUSR2, &action, NULL) == 0);
    sigemptyset(&mask);
    for (size_t i = 0; i < sizeof mask_signals / sizeof *mask_signals; i++)
        sigaddset(&mask, mask_signals[i]);
    MUST(pthread_sigmask(SIG_BLOCK, &mask, &saved) == 0);
    umask(027);
    look(&before);
    work();
    look(&after);
    for (int signal = 1; signal <= SIGRTMAX; signal++) {
        CHECK(before.actions[signal].sa_handler == after.actions[signal].sa_handler);
        CHECK_INT(before.actions[signal].sa_flags, after.actions[signal].sa_flags);
        CHECK_INT(sigismember(&before.mask, signal), sigismember(&after.mask, signal));
    }
    CHECK_TEXT(after.cwd, before.cwd);
    CHECK_INT(after.umask, before.umask);
    CHECK(memcmp(before.environment, after.environment, sizeof before.environment) == 0);
    CHECK(memcmp(before.limits, after.limits, sizeof before.limits) == 0);
    MUST(pthread_sigmask(SIG_SETMASK, &saved, NULL) == 0);
    action.sa_handler = SIG_DFL;
    MUST(sigaction(SIGCHLD, &action, NULL) == 0);
}

static atomic_int signals_handled;

static void count_signal(int signal)
{
    (void)signal;
    atomic_fetch_add(&signals_handled, 1);
}

struct interrupted {
    coreproc_service *service;
    coreproc_process *process;
    coreproc_subscription *subscription;
};

static void *wait_for_the_process(void *argument)
{
    CHECK_INT(wait_closed(((struct interrupted *)argument)->process).exit_code, 3);
    return NULL;
}

static void *wait_for_idle(void *argument)
{
    OK(coreproc_service_wait_idle(((struct interrupted *)argument)->service, -1, &err));
    return NULL;
}

static void *wait_for_the_end(void *argument)
{
    for (coreproc_batch *batch; (batch = take(((struct interrupted *)argument)->subscription, 0)) != NULL;)
        coreproc_batch_free(batch);
    return NULL;
}

/* Writes more than the pipe holds, so that it waits for the reader. */
static void *write_much(void *argument)
{
    static uint8_t much[1 << 20];
    write_all(((struct interrupted *)argument)->process, much, sizeof much);
    OK(coreproc_process_close_stdin(((struct interrupted *)argument)->process, &err));
    return NULL;
}

static void a_hosts_signal_handler_ends_no_wait(void)
{
    void *(*const bodies[])(void *) = {wait_for_the_process, wait_for_idle, wait_for_the_end, write_much};
    struct sigaction action = {.sa_handler = count_signal}, saved; /* without SA_RESTART: system calls end with EINTR */
    MUST(sigaction(SIGUSR1, &action, &saved) == 0);
    int gate[2];
    MUST(pipe2(gate, O_CLOEXEC) == 0);
    struct interrupted shared = {.service = new_service()};
    shared.subscription = open_subscription(shared.service, NULL);
    coreproc_command *command = new_sh("read line <&2; cat >/dev/null; exit 3");
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDIN, COREPROC_STDIO_PIPE, &err));
    OK(coreproc_command_stdio_fd(command, COREPROC_STREAM_STDERR, gate[0], &err));
    shared.process = spawn(shared.service, command);
    close(gate[0]);
    OK(coreproc_service_close(shared.service, COREPROC_CLOSE_LEAVE, &err));
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = start_thread(bodies[i], &shared);
    for (int round = 1; round <= 50; round++) {
        for (int i = 0; i < 4; i++)
            MUST(pthread_kill(threads[i], SIGUSR1) == 0);
        CHECK_EVENTUALLY(atomic_load(&signals_handled) >= round); /* at least one, as signals may merge */
    }
    close(gate[1]);
    for (int i = 0; i < 4; i++)
        join_thread(threads[i]);
    coreproc_process_free(shared.process);
    coreproc_subscription_free(shared.subscription);
    end_service(shared.service);
    MUST(sigaction(SIGUSR1, &saved, NULL) == 0);
}

/* Returns the value of a line `name:\tvalue` of a status file; -1 if the thread has gone. */
static long long thread_mask(const char *task, const char *name)
{
    char path[64], line[256];
    long long mask = -1;
    snprintf(path, sizeof path, "/proc/self/task/%.16s/status", task);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            mask = (long long)strtoull(line + strlen(name), NULL, 16);
    if (file != NULL)
        fclose(file);
    return mask;
}

static bool is_named_ours(const char *task)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%.16s/comm", task);
    FILE *comm = fopen(path, "re");
    bool read = comm != NULL && fgets(name, sizeof name, comm) != NULL;
    if (comm != NULL)
        fclose(comm);
    return read && strncmp(name, "coreproc-", 9) == 0;
}

static void every_thread_of_the_library_blocks_all_signals(void)
{
    CHECK_EVENTUALLY(check_threads() == 1); /* the services of other tests have ended */
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped_sh(service, "read line");
    char self[16];
    snprintf(self, sizeof self, "%d", (int)getpid());
    int threads = 0;
    DIR *tasks = opendir("/proc/self/task");
    MUST(tasks != NULL);
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        if (task->d_name[0] == '.' || strcmp(task->d_name, self) == 0)
            continue;
        CHECK_EVENTUALLY(is_named_ours(task->d_name)); /* a thread names itself, after its start */
        /* KILL, STOP and the two that glibc keeps for itself cannot be blocked. */
        unsigned long long open = 1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1) | 3ull << 31;
        CHECK(((unsigned long long)thread_mask(task->d_name, "SigBlk:") | open) == ~0ull);
        threads++;
    }
    closedir(tasks);
    CHECK(threads >= 1);
    OK(coreproc_process_close_stdin(process, &err));
    finish(process);
    end_service(service);
}

static void nothing_is_printed(void)
{
    char path[] = "/tmp/coreproc-c-XXXXXX";
    int file = mkstemp(path), saved[3];
    MUST(file >= 0);
    for (int fd = 1; fd <= 2; fd++) {
        saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
        MUST(saved[fd] >= 0 && dup2(file, fd) == fd);
    }
    work();
    for (int fd = 1; fd <= 2; fd++) {
        MUST(dup2(saved[fd], fd) == fd);
        close(saved[fd]);
    }
    struct stat stat;
    CHECK(fstat(file, &stat) == 0 && stat.st_size == 0);
    close(file);
    unlink(path);
}

static atomic_bool in_handler, handler_may_end;

static void stay(int signal)
{
    (void)signal;
    atomic_store(&in_handler, true);
    while (!atomic_load(&handler_may_end)) {
    }
}

static void *wait_to_the_end(void *process)
{
    wait_closed(process);
    return NULL;
}

/* The thread that waits does the work of the service meanwhile; the handler keeps it from that. */
static void a_handler_that_stays_in_a_waiting_thread_delays_no_timeout(void)
{
    struct sigaction action = {.sa_handler = stay}, before;
    MUST(sigaction(SIGUSR1, &action, &before) == 0);
    coreproc_service *service = new_service();
    coreproc_process *waited = spawn_piped_sh(service, "read line");
    pthread_t waiter = start_thread(wait_to_the_end, waited);
    coreproc_command *command = new_command("sleep", "1000", NULL);
    OK(coreproc_command_timeout(command, 300, &err));
    coreproc_process *limited = spawn(service, command);
    while (!atomic_load(&in_handler)) {
        pthread_kill(waiter, SIGUSR1);
        check_pause();
    }
    /* The end of the process is seen, too: the thread that met the deadline goes on with the rest. */
    CHECK_EVENTUALLY(info_of(limited).state != COREPROC_STATE_RUNNING);
    CHECK_INT(info_of(limited).cause, COREPROC_CAUSE_TIMEOUT);
    CHECK(!atomic_load(&handler_may_end));
    atomic_store(&handler_may_end, true);
    OK(coreproc_process_close_stdin(waited, &err));
    join_thread(waiter);
    finish(limited);
    coreproc_process_free(waited);
    end_service(service);
    MUST(sigaction(SIGUSR1, &before, NULL) == 0);
}

int main(void)
{
    check_begin();
    RUN(the_hosts_state_is_left_alone);
    if (!check_under("valgrind")) /* which keeps the mask of a thread to itself */
        RUN(every_thread_of_the_library_blocks_all_signals);
    RUN(a_hosts_signal_handler_ends_no_wait);
    RUN(a_handler_that_stays_in_a_waiting_thread_delays_no_timeout);
    RUN(nothing_is_printed);
    return check_end();
}
