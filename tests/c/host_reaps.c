/* Hosts that steal our children: the right status or "unknown", never a false one. */
#include <sched.h>

#include "help.h"

enum { AT_ONCE = 16 };

static void an_end_is_true_or_unknown(coreproc_process_info info, int exit_code, int signal, int told[2])
{
    bool unknown = info.flags & COREPROC_FLAG_STATUS_UNKNOWN;
    CHECK_INT(info.exit_code, unknown ? -1 : exit_code);
    CHECK_INT(info.signal, unknown ? 0 : signal);
    told[unknown]++;
}

static void run_many(void)
{
    int told[2] = {0, 0};
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL);
    for (int round = check_count(60); round > 0; round--) {
        coreproc_process *processes[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) {
            char script[64];
            snprintf(script, sizeof script, i % 4 == 3 ? "kill -%d $$" : "exit %d", i % 4 == 3 ? SIGKILL : 1 + i);
            processes[i] = spawn_sh(service, script);
        }
        for (int i = 0; i < AT_ONCE; i++)
            an_end_is_true_or_unknown(finish(processes[i]), i % 4 == 3 ? -1 : 1 + i, i % 4 == 3 ? SIGKILL : 0, told);
    }
    OK(coreproc_service_close(service, COREPROC_CLOSE_LEAVE, &err));
    int exited = 0;
    for (coreproc_batch *batch; (batch = take(subscription, 0)) != NULL; coreproc_batch_free(batch))
        for (size_t i = 0; i < event_count(batch); i++) {
            const coreproc_event *event = event_at(batch, i);
            exited += event->kind == COREPROC_EVENT_EXITED;
            CHECK(event->kind != COREPROC_EVENT_EXITED || event->exit_code != 0);
        }
    CHECK_INT(exited, told[0] + told[1]);
    fprintf(check_out, "# %s: %d exact, %d unknown\n", check_name, told[0], told[1]);
    coreproc_subscription_free(subscription);
    end_service(service);
}

static void with_sigchld(void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, saved;
    MUST(sigaction(SIGCHLD, &action, &saved) == 0);
    run_many();
    MUST(sigaction(SIGCHLD, &saved, NULL) == 0);
}

static void a_host_may_ignore_sigchld(void)
{
    with_sigchld(SIG_IGN, 0);
}

static void a_host_may_ask_for_no_zombies(void)
{
    with_sigchld(SIG_DFL, SA_NOCLDWAIT);
}

static atomic_bool stop_stealing;
static atomic_int stolen;

static void *steal(void *argument)
{
    (void)argument;
    while (!atomic_load(&stop_stealing)) {
        if (waitpid(-1, NULL, 0) > 0)
            atomic_fetch_add(&stolen, 1);
        else
            sched_yield();
    }
    return NULL;
}

static void a_host_may_loop_on_waitpid(void)
{
    atomic_store(&stop_stealing, false);
    pthread_t thief = start_thread(steal, NULL);
    run_many();
    atomic_store(&stop_stealing, true);
    join_thread(thief);
    fprintf(check_out, "# %s: %d stolen\n", check_name, atomic_load(&stolen));
    CHECK(atomic_load(&stolen) > 0 || check_under("valgrind")); /* a test in which nothing was stolen tests nothing */
}

static void a_host_keeps_its_own_children(void)
{
    pid_t own = fork();
    MUST(own >= 0);
    if (own == 0)
        _exit(42);
    coreproc_service *service = new_service();
    for (int i = 0; i < 20; i++)
        CHECK_INT(finish(spawn_sh(service, "exit 7")).exit_code, 7);
    end_service(service);
    int status = 0;
    CHECK_INT(waitpid(own, &status, 0), own);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

int main(void)
{
    check_begin();
    RUN(a_host_may_ignore_sigchld);
    RUN(a_host_may_ask_for_no_zombies);
    RUN(a_host_may_loop_on_waitpid);
    RUN(a_host_keeps_its_own_children);
    return check_end();
}
