/* A thousand sleeping children cost no thread and no wake-up, and the next exit still arrives. */
#include <sys/resource.h>

#include "help.h"

enum { MAX_THREADS = 16 };

struct switches {
    int threads;
    struct {
        char name[32];
        int tid;
        long long voluntary, involuntary;
    } of[MAX_THREADS];
};

static void raise_fd_limit(rlim_t fds)
{
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (limit.rlim_cur >= fds)
        return;
    limit.rlim_cur = fds;
    if (limit.rlim_max < fds)
        limit.rlim_max = fds;
    MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* Returns the context switches of each of the library's threads so far. */
static struct switches look(void)
{
    struct switches switches;
    memset(&switches, 0, sizeof switches);
    DIR *tasks = opendir("/proc/self/task");
    MUST(tasks != NULL);
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        char path[64], line[256], name[32] = "";
        long long voluntary = -1, involuntary = -1;
        snprintf(path, sizeof path, "/proc/self/task/%.16s/status", task->d_name);
        FILE *file = task->d_name[0] == '.' ? NULL : fopen(path, "re");
        while (file != NULL && fgets(line, sizeof line, file) != NULL) {
            sscanf(line, "Name: %31s", name);
            sscanf(line, "voluntary_ctxt_switches: %lld", &voluntary);
            sscanf(line, "nonvoluntary_ctxt_switches: %lld", &involuntary);
        }
        if (file != NULL)
            fclose(file);
        if (strncmp(name, "coreproc-", 9) != 0)
            continue;
        MUST(switches.threads < MAX_THREADS && voluntary >= 0 && involuntary >= 0);
        snprintf(switches.of[switches.threads].name, sizeof switches.of->name, "%s", name);
        switches.of[switches.threads].tid = atoi(task->d_name);
        switches.of[switches.threads].voluntary = voluntary;
        switches.of[switches.threads++].involuntary = involuntary;
    }
    closedir(tasks);
    return switches;
}

static bool same(const struct switches *before, const struct switches *after)
{
    bool same = before->threads == after->threads;
    for (int i = 0; same && i < before->threads; i++)
        same = before->of[i].tid == after->of[i].tid && before->of[i].voluntary == after->of[i].voluntary &&
               before->of[i].involuntary == after->of[i].involuntary;
    return same;
}

/* Looks until two looks agree, because no event marks the end of the work of the spawns. */
static struct switches look_when_settled(void)
{
    int64_t end = check_now_ms() + CHECK_DEADLINE_MS;
    for (;;) {
        struct switches before = look();
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
        struct switches after = look();
        if (same(&before, &after))
            return after;
        MUST(check_now_ms() < end);
    }
}

static void count_closed(const coreproc_event *events, size_t count, size_t stride, void *user_data)
{
    for (size_t i = 0; i < count; i++)
        atomic_fetch_add((atomic_int *)user_data,
                         ((const coreproc_event *)(const void *)((const char *)events + i * stride))->kind == COREPROC_EVENT_CLOSED);
}

static void a_thousand_sleepers_cost_no_thread_and_no_wake_up(void)
{
    enum { CHILDREN = 1000 };
    static coreproc_process *processes[CHILDREN];
    static atomic_int closed;
    struct rlimit limit, afterwards;
    raise_fd_limit(8192);
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = NULL;
    OK(coreproc_subscription_listen(service, NULL, count_closed, &closed, NULL, &subscription, &err));
    processes[0] = spawn(service, new_command("sleep", "100000", NULL));
    int threads = check_threads();
    for (int i = 1; i < CHILDREN; i++)
        processes[i] = spawn(service, new_command("sleep", "100000", NULL));
    CHECK_INT(check_threads(), threads);
    struct switches before = look_when_settled();
    CHECK(before.threads >= 2);
    nanosleep(&(struct timespec){.tv_sec = 5}, NULL);
    struct switches after = look();
    CHECK_INT(after.threads, before.threads);
    for (int i = 0; i < before.threads; i++) {
        fprintf(check_out, "# %s: %lld voluntary, %lld involuntary switches in 5 s\n", before.of[i].name,
                after.of[i].voluntary - before.of[i].voluntary, after.of[i].involuntary - before.of[i].involuntary);
        CHECK_INT(after.of[i].tid, before.of[i].tid);
        CHECK_INT(after.of[i].voluntary, before.of[i].voluntary);
        CHECK_INT(after.of[i].involuntary, before.of[i].involuntary);
    }
    OK(coreproc_process_kill(processes[500], COREPROC_SCOPE_DEFAULT, &err));
    CHECK_INT(wait_closed(processes[500]).signal, SIGKILL);
    CHECK_EVENTUALLY(atomic_load(&closed) == 1);
    MUST(getrlimit(RLIMIT_NOFILE, &afterwards) == 0);
    CHECK(limit.rlim_cur == afterwards.rlim_cur && limit.rlim_max == afterwards.rlim_max);
    OK(coreproc_service_close(service, COREPROC_CLOSE_KILL, &err));
    OK(coreproc_service_wait_idle(service, CHECK_DEADLINE_MS, &err));
    CHECK_EVENTUALLY(atomic_load(&closed) == CHILDREN);
    for (int i = 0; i < CHILDREN; i++) {
        CHECK_INT(info_of(processes[i]).signal, SIGKILL);
        coreproc_process_free(processes[i]);
    }
    coreproc_subscription_free(subscription);
    coreproc_service_free(service);
}

int main(void)
{
    check_begin();
    RUN(a_thousand_sleepers_cost_no_thread_and_no_wake_up);
    return check_end();
}
