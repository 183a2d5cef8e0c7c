/* strangers TIMES [RUNG...]: no signal of the library's ever reaches a process that is not its own.
 *
 * Runs hosts in a PID namespace of their own. Each lets a child end, or stops it, and the first process of the
 * namespace gives the child's number to a canary (clone3 with set_tid, Linux 5.5) the moment it is free: a leader of
 * a session and of a group, which any signal to the number, or to the group of that number, ends. One round for each
 * rung of the ladder (or those named by their numbers), each way in which a host can take its children's ends away,
 * and each call that signals, TIMES times.
 * Linked with libcoreproc alone, so that it runs statically linked on any kernel. Prints TAP and figures.
 */
#include <coreproc.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TEXT(string) (string), strlen(string)
#define MUST(condition) ((condition) ? (void)0 : give_up(#condition, __LINE__))

static void give_up(const char *what, int line)
{
    fprintf(stderr, "strangers.c:%d: %s: %s\n", line, what, strerror(errno));
    _exit(99);
}

static void nap_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- What a kernel or its filters lack. --- */

typedef struct {
    long call;
    int argument; /* -1: whatever the arguments are */
    uint32_t mask, value;
    bool equal; /* refused if it is this value, or if it is not */
    int error;
} refusal;

#define NO_CLONE3 {SYS_clone3, -1, 0, 0, true, ENOSYS}
#define NO_VFORK {SYS_clone, 0, CLONE_VFORK, CLONE_VFORK, true, EPERM}
#define NO_CLONE_PIDFD {SYS_clone, 0, CLONE_PIDFD, CLONE_PIDFD, true, EINVAL}
#define NO_GROUP_SIGNAL {SYS_pidfd_send_signal, 3, UINT32_MAX, 0, false, EINVAL}
#define NO_PIDFD_SIGNAL {SYS_pidfd_send_signal, -1, 0, 0, true, ENOSYS}
#define NO_EXIT_INFO {SYS_ioctl, 1, 0xffff, 0xff0b, true, ENOTTY}
#define NO_WAITID {SYS_waitid, -1, 0, 0, true, EPERM}

static const struct {
    const char *name;
    refusal refusals[4];
} rungs[] = {
    {"all that there is", {{0}}},
    {"no clone3", {NO_CLONE3}},
    {"fork", {NO_CLONE3, NO_VFORK}},
    {"fork, pidfd_open", {NO_CLONE3, NO_VFORK, NO_CLONE_PIDFD}},
    {"no group signals by pidfd", {NO_GROUP_SIGNAL, NO_EXIT_INFO}},
    {"no signals by pidfd", {NO_PIDFD_SIGNAL, NO_EXIT_INFO}},
    {"pidfd_open, no signals by pidfd", {NO_CLONE3, NO_VFORK, NO_CLONE_PIDFD, NO_PIDFD_SIGNAL}},
    {"no waitid, no group signals by pidfd", {NO_WAITID, NO_GROUP_SIGNAL, NO_EXIT_INFO}},
};

static void install(const refusal *refusals, size_t count)
{
    struct sock_filter filter[64];
    size_t n = 0;
    for (size_t i = 0; i < count && refusals[i].error != 0; i++) {
        const refusal *r = &refusals[i];
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)r->call, 0, r->argument < 0 ? 1 : 4);
        if (r->argument >= 0) {
            uint32_t at = offsetof(struct seccomp_data, args) + 8 * (uint32_t)r->argument;
            filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at);
            filter[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, r->mask);
            filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->value, r->equal ? 0 : 1, r->equal ? 1 : 0);
        }
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)r->error);
    }
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = (unsigned short)n, .filter = filter};
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* --- What a host does to its children's ends. --- */

static const char *const thefts[] = {"nobody steals", "SIGCHLD ignored", "SA_NOCLDWAIT", "reaping thread"};

static void *reap_all(void *argument)
{
    (void)argument;
    for (;;)
        if (waitpid(-1, NULL, 0) < 0)
            sched_yield();
    return NULL;
}

static void be_a_thief(size_t theft)
{
    struct sigaction action = {.sa_handler = theft == 1 ? SIG_IGN : SIG_DFL, .sa_flags = theft == 2 ? SA_NOCLDWAIT : 0};
    MUST(sigaction(SIGCHLD, &action, NULL) == 0);
    pthread_t thread;
    if (theft == 3)
        MUST(pthread_create(&thread, NULL, reap_all, NULL) == 0);
}

/* --- The children. --- */

static const char *self;

static void report(const char *format, long number)
{
    char line[64];
    int length = snprintf(line, sizeof line, format, number);
    MUST(write(STDOUT_FILENO, line, (size_t)length) == length);
}

/* A daemon in another session holds the output, so that the process stays open; with a member, one more process of its
 * group that SIGTERM does not end. */
static int child(const char *kind)
{
    int ready[2];
    MUST(pipe(ready) == 0);
    bool has_member = strchr(kind, 'm') != NULL, ends = strchr(kind, 'e') != NULL;
    pid_t daemon = fork();
    if (daemon == 0) {
        setsid();
        MUST(write(ready[1], "d", 1) == 1);
        for (;;)
            pause();
    }
    pid_t member = has_member ? fork() : 0;
    if (has_member && member == 0) {
        signal(SIGTERM, SIG_IGN);
        MUST(write(ready[1], "m", 1) == 1);
        for (;;)
            pause();
    }
    char bytes[2];
    for (int left = has_member ? 2 : 1; left > 0; left--)
        MUST(read(ready[0], bytes, 1) == 1);
    report("ready %ld\n", member);
    while (!ends)
        pause();
    return 7;
}

/* --- What the host asks of the first process of its namespace. --- */

enum { PLACE = 1, IS_HIT, HAS_ENDED };

typedef struct {
    int what, pid, ms;
} request;

static int channel;

static void ask(int what, int pid, int ms)
{
    request r = {what, pid, ms};
    MUST(send(channel, &r, sizeof r, 0) == (ssize_t)sizeof r);
}

static int answer(void)
{
    int value;
    MUST(recv(channel, &value, sizeof value, 0) == (ssize_t)sizeof value);
    return value;
}

static bool is_answered(int *value)
{
    return recv(channel, value, sizeof *value, MSG_DONTWAIT) == (ssize_t)sizeof *value;
}

/* --- The host. --- */

enum { KILL, STOP, SIGNAL_GROUP, SIGNAL_PROCESS, CLOSE_KILL, CLOSE_STOP, TIMEOUT };
static const char *const verbs[] = {"kill", "stop", "signal group", "signal process", "close(kill)", "close(stop)", "timeout"};

/* late: the child ended long ago. race: it ends while it is signalled. grace: it ends within the grace, a member of its
 * group does not. tree: it ended long ago, a member of its group did not. */
static const struct {
    const char *name, *kind;
    int verbs[7]; /* up to the first -1 */
} plots[] = {
    {"late", "e", {KILL, STOP, SIGNAL_GROUP, SIGNAL_PROCESS, CLOSE_KILL, CLOSE_STOP, -1}},
    {"race", "", {KILL, STOP, SIGNAL_GROUP, SIGNAL_PROCESS, CLOSE_KILL, CLOSE_STOP, -1}},
    {"grace", "m", {STOP, CLOSE_STOP, TIMEOUT, -1}},
    {"tree", "em", {KILL, STOP, CLOSE_KILL, CLOSE_STOP, -1}},
};
enum { LATE, RACE, GRACE, TREE };

typedef struct {
    int rounds, placed, hit, false_statuses, unreached, surprises;
    int ok, not_running, unsupported;
} figures;

static figures *sum; /* shared with the hosts */

static void verb(int which, coreproc_service *service, coreproc_process *process)
{
    coreproc_error *error = NULL;
    coreproc_result result = 0;
    switch (which) {
    case KILL: result = coreproc_process_kill(process, COREPROC_SCOPE_DEFAULT, &error); break;
    case STOP: result = coreproc_process_stop(process, NULL, &error); break;
    case SIGNAL_GROUP: result = coreproc_process_signal(process, SIGUSR1, COREPROC_SCOPE_GROUP, &error); break;
    case SIGNAL_PROCESS: result = coreproc_process_signal(process, SIGUSR1, COREPROC_SCOPE_PROCESS, &error); break;
    case CLOSE_KILL: result = coreproc_service_close(service, COREPROC_CLOSE_KILL, &error); break;
    case CLOSE_STOP: result = coreproc_service_close(service, COREPROC_CLOSE_STOP, &error); break;
    default: return;
    }
    sum->ok += result == COREPROC_OK;
    sum->not_running += result == COREPROC_NOT_RUNNING;
    sum->unsupported += result == COREPROC_UNSUPPORTED;
    if (result != COREPROC_OK && result != COREPROC_NOT_RUNNING && result != COREPROC_UNSUPPORTED) {
        sum->surprises++;
        printf("# %s: %s\n", verbs[which], coreproc_error_message(error));
    }
    coreproc_error_free(error);
}

/* The exit code of a host whose child's time was over before the child was ready. */
#define TOO_EARLY 98

static long member_of(coreproc_process *process)
{
    coreproc_process_info info = {.struct_size = sizeof info};
    for (long end = now_ms() + 60000; now_ms() < end; nap_ms(1)) {
        coreproc_bytes *bytes = NULL;
        MUST(coreproc_process_output(process, &bytes, NULL) == COREPROC_OK);
        char text[64] = "";
        size_t length = coreproc_bytes_len(bytes);
        memcpy(text, coreproc_bytes_data(bytes), length < 63 ? length : 63);
        coreproc_bytes_free(bytes);
        if (strchr(text, '\n') != NULL)
            return strtol(text + strlen("ready "), NULL, 10);
        MUST(coreproc_process_info_get(process, &info, NULL) == COREPROC_OK);
        if (info.state != COREPROC_STATE_RUNNING && info.cause == COREPROC_CAUSE_TIMEOUT)
            _exit(TOO_EARLY);
    }
    MUST(!"the child says that it is ready");
    return 0;
}

static void host(size_t rung, size_t theft, size_t plot, int which, uint64_t timeout_ms)
{
    install(rungs[rung].refusals, COUNT(rungs[rung].refusals));
    be_a_thief(theft);
    coreproc_service *service = NULL;
    coreproc_command *command = NULL;
    coreproc_process *process = NULL;
    coreproc_error *error = NULL;
    coreproc_stop_options stop = {.struct_size = sizeof stop, .grace_ms = plot == GRACE ? 250 : 20};
    MUST(coreproc_service_new(NULL, &service, NULL) == COREPROC_OK);
    MUST(coreproc_command_new(TEXT(self), &command, NULL) == COREPROC_OK);
    MUST(coreproc_command_arg(command, TEXT("child"), NULL) == COREPROC_OK);
    MUST(coreproc_command_arg(command, TEXT(plots[plot].kind), NULL) == COREPROC_OK);
    MUST(coreproc_command_drain(command, COREPROC_UNLIMITED, COREPROC_UNLIMITED, NULL) == COREPROC_OK);
    MUST(coreproc_command_stop_options(command, &stop, NULL) == COREPROC_OK);
    if (which == TIMEOUT)
        MUST(coreproc_command_timeout(command, timeout_ms, NULL) == COREPROC_OK);
    coreproc_result spawned = coreproc_command_spawn(command, service, &process, &error);
    if (spawned != COREPROC_OK)
        give_up(coreproc_error_message(error), __LINE__);
    int pid = coreproc_process_pid(process);
    int member = (int)member_of(process);
    coreproc_process_info info = {.struct_size = sizeof info};
    int placed = 0, hit = 0;
    if (plot == RACE) {
        /* The number is taken the moment it is free, and the calls go on. */
        ask(PLACE, pid, 300);
        bool known = false;
        for (long end = now_ms() + 20; !known || now_ms() < end; known = known || is_answered(&placed))
            verb(which, service, process);
    } else {
        if (plot == GRACE)
            verb(which, service, process);
        MUST(coreproc_process_wait(process, COREPROC_STATE_EXITED, 60000, &info, NULL) == COREPROC_OK);
        ask(PLACE, pid, plot == TREE ? 0 : plot == GRACE ? 100 : 30);
        placed = answer();
        if (plot != GRACE)
            verb(which, service, process), verb(which, service, process);
    }
    int unsupported = sum->unsupported;
    if (member > 0 && !(plot == TREE && unsupported > 0)) {
        ask(HAS_ENDED, member, 20000);
        if (answer() != 1)
            sum->unreached++, printf("# %s: the member of the group was not reached\n", verbs[which]);
    }
    nap_ms(plot == LATE ? 25 : 0); /* a stop's grace */
    ask(IS_HIT, 0, 0);
    hit = answer();
    MUST(coreproc_process_info_get(process, &info, NULL) == COREPROC_OK);
    bool is_unknown = info.flags & COREPROC_FLAG_STATUS_UNKNOWN;
    bool is_false = info.state == COREPROC_STATE_RUNNING ? false
        : is_unknown                                     ? info.exit_code != -1 || info.signal != 0
        : plots[plot].kind[0] == 'e'                     ? info.exit_code != 7 || info.signal != 0
                                                         : info.exit_code != -1 || info.signal == 0;
    sum->rounds++;
    sum->placed += placed;
    sum->hit += hit != 0;
    sum->false_statuses += is_false;
    if (hit != 0 || is_false)
        printf("# %s, %s, %s, %s: %s\n", rungs[rung].name, thefts[theft], plots[plot].name, verbs[which], hit ? "a stranger was hit" : "false status");
    fflush(stdout);
    _exit(0);
}

/* --- The first process of the namespace. --- */

static pid_t canary;

static bool place(pid_t number)
{
    int ready[2];
    MUST(pipe(ready) == 0);
    pid_t tid[1] = {number};
    struct clone_args arguments = {.exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)tid, .set_tid_size = 1};
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) {
        setsid();
        ssize_t written = write(ready[1], "c", 1);
        for (;;)
            written < 0 ? _exit(1) : (void)pause();
    }
    char byte;
    bool is_placed = pid > 0;
    MUST(is_placed || errno == EEXIST);
    close(ready[1]);
    if (is_placed)
        canary = (pid_t)pid, MUST(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    return is_placed;
}

static int serve(request r)
{
    int status = 0;
    long end = now_ms() + r.ms;
    switch (r.what) {
    case PLACE:
        do
            if (place(r.pid))
                return 1;
        while (now_ms() < end);
        return 0;
    case IS_HIT: return canary > 0 && waitpid(canary, &status, WNOHANG | WUNTRACED) != 0 ? (status == 0 ? -1 : status) : 0;
    case HAS_ENDED:
        do {
            if (waitpid(r.pid, &status, WNOHANG) == r.pid)
                return 1;
            nap_ms(1);
        } while (now_ms() < end);
        return 0;
    default: return 0;
    }
}

static bool round_of(size_t rung, size_t theft, size_t plot, int which, uint64_t timeout_ms)
{
    int ends[2];
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    canary = 0;
    fflush(stdout);
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        channel = ends[1];
        host(rung, theft, plot, which, timeout_ms);
    }
    close(ends[1]);
    request r;
    while (recv(ends[0], &r, sizeof r, 0) == (ssize_t)sizeof r) {
        int value = serve(r);
        if (send(ends[0], &value, sizeof value, MSG_NOSIGNAL) < 0)
            break;
    }
    close(ends[0]);
    int status = 0;
    bool is_fine = waitpid(pid, &status, 0) == pid && status == 0;
    bool is_early = WIFEXITED(status) && WEXITSTATUS(status) == TOO_EARLY && timeout_ms < 60000;
    if (!is_fine && !is_early)
        printf("# %s, %s, %s, %s: the host ended with status %x\n", rungs[rung].name, thefts[theft], plots[plot].name, verbs[which], (unsigned)status);
    kill(-1, SIGKILL); /* all of the namespace but this */
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
    return is_early ? round_of(rung, theft, plot, which, 2 * timeout_ms) : is_fine;
}

static int run_all(int times, int count, char **wanted)
{
    int passed = 0, failed = 0;
    figures all = {0};
    for (size_t rung = 0; rung < COUNT(rungs); rung++) {
        bool is_wanted = count == 0;
        for (int i = 0; i < count; i++)
            is_wanted |= strtoul(wanted[i], NULL, 10) == rung;
        for (size_t theft = 0; is_wanted && theft < COUNT(thefts); theft++) {
            figures here = {0};
            int faults = 0;
            for (int time = 0; time < times; time++)
                for (size_t plot = 0; plot < COUNT(plots); plot++)
                    for (size_t v = 0; plots[plot].verbs[v] >= 0; v++) {
                        *sum = (figures){0};
                        faults += !round_of(rung, theft, plot, plots[plot].verbs[v], 400);
                        for (size_t i = 0; i < sizeof here / sizeof(int); i++)
                            ((int *)&here)[i] += ((int *)sum)[i];
                    }
            faults += here.hit + here.false_statuses + here.unreached + here.surprises;
            /* A test in which no number was taken tests nothing. */
            faults += here.placed == 0 && theft != 0;
            *(faults == 0 ? &passed : &failed) += 1;
            printf("%s - %s, %s: %d rounds, %d canaries, %d hit, %d false statuses, %d unreached; answers: %d ok, %d not running, %d unproven\n",
                   faults == 0 ? "ok" : "not ok", rungs[rung].name, thefts[theft], here.rounds, here.placed, here.hit, here.false_statuses, here.unreached,
                   here.ok, here.not_running, here.unsupported);
            fflush(stdout);
            for (size_t i = 0; i < sizeof all / sizeof(int); i++)
                ((int *)&all)[i] += ((int *)&here)[i];
        }
    }
    struct utsname name;
    uname(&name);
    printf("# Linux %s: %d rounds, %d canaries placed, %d strangers hit, %d false statuses, %d members unreached\n", name.release, all.rounds, all.placed, all.hit,
           all.false_statuses, all.unreached);
    printf("%d passed, %d failed\n", passed, failed);
    fflush(stdout);
    return failed == 0 ? 0 : 1;
}

/* Enters a PID and a mount namespace; for a user other than root, a user namespace around them. */
static void enter_namespaces(void)
{
    if (unshare(CLONE_NEWPID | CLONE_NEWNS) == 0)
        return;
    MUST(errno == EPERM);
    unsigned uid = getuid(), gid = getgid();
    MUST(unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS) == 0);
    const struct {
        const char *path;
        unsigned id;
    } maps[] = {{"/proc/self/uid_map", uid}, {"/proc/self/setgroups", 0}, {"/proc/self/gid_map", gid}};
    for (size_t i = 0; i < COUNT(maps); i++) {
        FILE *file = fopen(maps[i].path, "w");
        MUST(file != NULL);
        if (i == 1)
            fputs("deny", file);
        else
            fprintf(file, "0 %u 1", maps[i].id);
        MUST(fclose(file) == 0);
    }
}

int main(int argc, char **argv)
{
    static char path[4096];
    MUST(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    self = path;
    if (argc == 3 && strcmp(argv[1], "child") == 0)
        return child(argv[2]);
    int times = argc > 1 ? atoi(argv[1]) : 1;
    MUST(times > 0);
    sum = mmap(NULL, sizeof *sum, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(sum != MAP_FAILED);
    enter_namespaces();
    pid_t first = fork();
    MUST(first >= 0);
    if (first == 0) {
        MUST(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
        MUST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        MUST(mount("proc", "/proc", "proc", 0, NULL) == 0);
        exit(run_all(times, argc > 2 ? argc - 2 : 0, argv + 2));
    }
    int status = 0;
    MUST(waitpid(first, &status, 0) == first);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
