/* Panics inside the library, injected by the cargo feature `fault-injection`. */
#include "help.h"

coreproc_result coreproc_test_panic(const char *message, coreproc_error **err);
/* The service's supervisor panics at its next turn. */
void coreproc_test_panic_supervisor(coreproc_service *service);
/* A worker of the run panics at its next job. */
void coreproc_test_panic_run(coreproc_run *run);

static void a_panic_comes_back_as_an_error(void)
{
    FAILS_NAMING(COREPROC_PANIC, "the moon is in the way", coreproc_test_panic("the moon is in the way", &err));
    CHECK_INT(coreproc_test_panic("again", NULL), COREPROC_PANIC);
    coreproc_service *service = new_service(); /* the library goes on */
    CHECK_INT(finish(spawn_sh(service, "exit 3")).exit_code, 3);
    end_service(service);
}

struct waiters {
    coreproc_service *service;
    coreproc_process *process;
    coreproc_subscription *subscription;
};

static void *waits_for_the_process(void *argument)
{
    struct waiters *waiters = argument;
    FAILS_NAMING(COREPROC_PANIC, "injected", coreproc_process_wait(waiters->process, COREPROC_STATE_CLOSED, -1, NULL, &err));
    return NULL;
}

static void *waits_for_idle(void *argument)
{
    struct waiters *waiters = argument;
    FAILS_NAMING(COREPROC_PANIC, "injected", coreproc_service_wait_idle(waiters->service, -1, &err));
    return NULL;
}

static void *waits_for_events(void *argument)
{
    struct waiters *waiters = argument;
    coreproc_batch *batch = NULL;
    coreproc_result result;
    while ((result = coreproc_subscription_take(waiters->subscription, 0, -1, &batch, &err)) == COREPROC_OK)
        coreproc_batch_free(batch);
    FAILS_NAMING(COREPROC_PANIC, "injected", result);
    return NULL;
}

static void *waits_for_room(void *argument)
{
    struct waiters *waiters = argument;
    static uint8_t block[1 << 20];
    size_t written;
    coreproc_result result;
    while ((result = coreproc_process_write(waiters->process, block, sizeof block, -1, &written, &err)) == COREPROC_OK)
        ;
    FAILS_NAMING(COREPROC_PANIC, "injected", result);
    return NULL;
}

static void a_broken_supervisor_wakes_every_waiter(void)
{
    void *(*const bodies[])(void *) = {waits_for_the_process, waits_for_idle, waits_for_events, waits_for_room};
    struct waiters waiters = {.service = new_service()};
    waiters.subscription = open_subscription(waiters.service, NULL);
    coreproc_command *command = new_command("sleep", "1000", NULL);
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDIN, COREPROC_STDIO_PIPE, &err));
    waiters.process = spawn(waiters.service, command);
    int32_t pid = coreproc_process_pid(waiters.process);
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        threads[i] = start_thread(bodies[i % 4], &waiters);
    coreproc_test_panic_supervisor(waiters.service);
    for (int i = 0; i < 8; i++)
        join_thread(threads[i]);
    /* Later callers learn of it too, and nothing hangs. */
    for (int i = 0; i < 4; i++)
        bodies[i](&waiters);
    coreproc_process *none = NULL;
    command = new_command("true", NULL);
    FAILS_NAMING(COREPROC_PANIC, "injected", coreproc_command_spawn(command, waiters.service, &none, &err));
    coreproc_command_free(command);
    coreproc_subscription_free(waiters.subscription);
    coreproc_process_free(waiters.process);
    coreproc_service_free(waiters.service);
    CHECK(!is_dead(pid)); /* it killed no process */
    MUST(kill(pid, SIGKILL) == 0);
    MUST(waitpid(pid, NULL, 0) == pid || errno == ECHILD); /* reaped here, or by the library */
    coreproc_service *service = new_service(); /* another service is not affected */
    CHECK_INT(finish(spawn_sh(service, "exit 3")).exit_code, 3);
    end_service(service);
}

static void *waits_for_the_run(void *run)
{
    FAILS_NAMING(COREPROC_PANIC, "injected into the run", coreproc_run_wait(run, -1, &err));
    return NULL;
}

static void a_run_that_breaks_wakes_every_waiter_stops_what_runs_and_nothing_else(void)
{
    coreproc_service *service = new_service();
    coreproc_pipeline *pipeline = NULL;
    coreproc_command *command = new_command("sleep", "1000", NULL);
    coreproc_run *run = NULL;
    OK(coreproc_pipeline_new(&pipeline, &err));
    OK(coreproc_pipeline_add(pipeline, TEXT("endless"), command, NULL, &err));
    OK(coreproc_run_start(pipeline, service, NULL, &run, &err));
    coreproc_subscription *subscription = open_subscription(service, NULL);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = start_thread(waits_for_the_run, run);
    coreproc_test_panic_run(run);
    for (int i = 0; i < 3; i++)
        join_thread(threads[i]);
    waits_for_the_run(run);
    coreproc_spec_result result = {.struct_size = sizeof result};
    FAILS(COREPROC_PANIC, coreproc_run_spec_get(run, 0, &result, &err));
    OK(coreproc_run_cancel(run, &err));
    coreproc_run_free(run);
    coreproc_subscription_free(subscription);
    CHECK_INT(finish(spawn_sh(service, "exit 3")).exit_code, 3); /* the service goes on */
    OK(coreproc_run_start(pipeline, service, NULL, &run, &err));
    OK(coreproc_run_cancel(run, &err));
    OK(coreproc_run_wait(run, -1, &err));
    coreproc_run_free(run);
    coreproc_pipeline_free(pipeline);
    coreproc_command_free(command);
    end_service(service);
}

static void a_broken_service_wakes_those_who_wait_for_a_run(void)
{
    coreproc_service *service = new_service();
    coreproc_pipeline *pipeline = NULL;
    coreproc_command *command = new_command("sleep", "1000", NULL);
    coreproc_run *run = NULL;
    OK(coreproc_pipeline_new(&pipeline, &err));
    OK(coreproc_pipeline_add(pipeline, TEXT("endless"), command, NULL, &err));
    OK(coreproc_run_start(pipeline, service, NULL, &run, &err));
    coreproc_test_panic_supervisor(service);
    FAILS_NAMING(COREPROC_PANIC, "injected into the supervisor", coreproc_run_wait(run, -1, &err));
    FAILS(COREPROC_PANIC, coreproc_run_start(pipeline, service, NULL, &run, &err));
    coreproc_run_free(run);
    coreproc_pipeline_free(pipeline);
    coreproc_command_free(command);
    coreproc_service_free(service);
    CHECK_EVENTUALLY(check_threads() == 1);
    /* The processes that had started were stopped; those that are left are reaped here. */
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

static void a_panic_prints_nothing(void)
{
    char path[] = "/tmp/coreproc-c-XXXXXX";
    int file = mkstemp(path), saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    MUST(file >= 0 && saved >= 0 && dup2(file, STDERR_FILENO) == STDERR_FILENO);
    FAILS(COREPROC_PANIC, coreproc_test_panic("quietly", &err));
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL);
    coreproc_batch *batch = NULL;
    coreproc_test_panic_supervisor(service);
    FAILS(COREPROC_PANIC, coreproc_subscription_take(subscription, 0, -1, &batch, &err));
    coreproc_subscription_free(subscription);
    coreproc_service_free(service);
    CHECK_EVENTUALLY(check_threads() == 1);
    MUST(dup2(saved, STDERR_FILENO) == STDERR_FILENO);
    close(saved);
    CHECK_INT(lseek(file, 0, SEEK_END), 0);
    close(file);
    unlink(path);
}

static void count_destroy(void *user_data)
{
    atomic_fetch_add((atomic_int *)user_data, 1);
}

static void ignore_events(const coreproc_event *events, size_t count, size_t stride, void *user_data)
{
    (void)events, (void)count, (void)stride, (void)user_data;
}

static void a_listener_of_a_broken_service_is_destroyed_once(void)
{
    static atomic_int destroyed;
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = NULL;
    OK(coreproc_subscription_listen(service, NULL, ignore_events, &destroyed, count_destroy, &subscription, &err));
    coreproc_test_panic_supervisor(service);
    CHECK_EVENTUALLY(atomic_load(&destroyed) == 1);
    coreproc_subscription_free(subscription);
    coreproc_service_free(service);
    CHECK_EVENTUALLY(check_threads() == 1);
    CHECK_INT(atomic_load(&destroyed), 1);
}

int main(void)
{
    check_begin();
    RUN(a_panic_comes_back_as_an_error);
    RUN(a_broken_supervisor_wakes_every_waiter);
    RUN(a_run_that_breaks_wakes_every_waiter_stops_what_runs_and_nothing_else);
    RUN(a_broken_service_wakes_those_who_wait_for_a_run);
    RUN(a_panic_prints_nothing);
    RUN(a_listener_of_a_broken_service_is_destroyed_once);
    return check_end();
}
