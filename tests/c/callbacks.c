/* Events by callback: one thread, never two calls at once, close, destroy exactly once, no blocking calls inside. */
#include <semaphore.h>
#include <sys/prctl.h>

#include "help.h"

struct listener {
    atomic_int calls, inside, events, closed, destroyed;
    bool after_destroy, two_at_once;
    void (*act)(struct listener *listener, const coreproc_event *first); /* on the dispatcher's thread */
    coreproc_service *service;
    coreproc_process *process;
    coreproc_subscription *subscription, *other;
    sem_t entered, go;
    atomic_bool left;
    uint64_t sequence;
};

static void on_events(const coreproc_event *events, size_t count, size_t stride, void *user_data)
{
    struct listener *listener = user_data;
    listener->two_at_once |= atomic_fetch_add(&listener->inside, 1) != 0;
    listener->after_destroy |= atomic_load(&listener->destroyed) != 0;
    CHECK(count > 0);
    CHECK(stride >= sizeof *events);
    if (listener->act != NULL)
        listener->act(listener, events);
    for (size_t i = 0; i < count; i++) {
        const coreproc_event *event = (const coreproc_event *)(const void *)((const char *)events + i * stride);
        CHECK_INT(event->process_id, events->process_id);
        atomic_fetch_add(&listener->events, 1);
        atomic_fetch_add(&listener->closed, event->kind == COREPROC_EVENT_CLOSED);
    }
    atomic_fetch_add(&listener->calls, 1);
    atomic_fetch_sub(&listener->inside, 1);
}

static void on_destroy(void *user_data)
{
    struct listener *listener = user_data;
    listener->after_destroy |= atomic_load(&listener->inside) != 0;
    atomic_fetch_add(&listener->destroyed, 1);
}

static void listener_init(struct listener *listener, coreproc_service *service)
{
    memset(listener, 0, sizeof *listener);
    listener->service = service;
    MUST(sem_init(&listener->entered, 0, 0) == 0 && sem_init(&listener->go, 0, 0) == 0);
}

static void listen_to(struct listener *listener)
{
    OK(coreproc_subscription_listen(listener->service, NULL, on_events, listener, on_destroy, &listener->subscription, &err));
    MUST(listener->subscription != NULL);
}

/* The listener must be free of its subscription by now. */
static void listener_ends(struct listener *listener)
{
    CHECK_EVENTUALLY(atomic_load(&listener->destroyed) == 1);
    end_service(listener->service);
    CHECK_EVENTUALLY(check_threads() == 1); /* so that no callback can come any more */
    CHECK_INT(atomic_load(&listener->destroyed), 1);
    CHECK(!listener->after_destroy);
    CHECK(!listener->two_at_once);
    sem_destroy(&listener->entered);
    sem_destroy(&listener->go);
}

static void look_at_the_thread(struct listener *listener, const coreproc_event *first)
{
    (void)listener, (void)first;
    char name[32] = "";
    sigset_t mask;
    CHECK(prctl(PR_GET_NAME, name) == 0);
    CHECK_TEXT(name, "coreproc-dsp");
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0);
    for (int signal = 1; signal <= SIGRTMAX; signal++)
        if (signal != SIGKILL && signal != SIGSTOP && (signal < 32 || signal >= SIGRTMIN))
            CHECK(sigismember(&mask, signal) == 1);
}

static void callbacks_run_on_one_thread_with_signals_blocked(void)
{
    struct listener listener;
    listener_init(&listener, new_service());
    listener.act = look_at_the_thread;
    listen_to(&listener);
    for (int i = 0; i < 8; i++)
        coreproc_process_free(spawn(listener.service, new_command("seq", "1", "100", NULL)));
    CHECK_EVENTUALLY(atomic_load(&listener.closed) == 8);
    CHECK_INT(atomic_load(&listener.events), 8 * 103);
    OK(coreproc_subscription_close(listener.subscription, &err));
    coreproc_subscription_free(listener.subscription);
    listener_ends(&listener);
}

static void follow_sequence(struct listener *listener, const coreproc_event *first)
{
    CHECK_INT(first->sequence, listener->sequence + 1);
}

static void on_ordered(const coreproc_event *events, size_t count, size_t stride, void *user_data)
{
    on_events(events, count, stride, user_data);
    ((struct listener *)user_data)->sequence += count;
}

static void a_listener_sees_a_process_in_order(void)
{
    struct listener listener;
    listener_init(&listener, new_service());
    listener.act = follow_sequence;
    OK(coreproc_subscription_listen(listener.service, NULL, on_ordered, &listener, on_destroy, &listener.subscription, &err));
    coreproc_process_free(spawn(listener.service, new_command("seq", "1", "20000", NULL)));
    CHECK_EVENTUALLY(atomic_load(&listener.closed) == 1);
    CHECK_INT(atomic_load(&listener.events), 20003);
    coreproc_subscription_free(listener.subscription);
    listener_ends(&listener);
}

static void destroy_runs_once_however_it_ends(void)
{
    for (int way = 0; way < 4; way++) {
        struct listener listener;
        listener_init(&listener, new_service());
        listen_to(&listener);
        coreproc_process_free(spawn_sh(listener.service, "echo some"));
        if (way == 0) { /* close, then free */
            OK(coreproc_subscription_close(listener.subscription, &err));
            OK(coreproc_subscription_close(listener.subscription, &err));
            coreproc_subscription_free(listener.subscription);
        } else if (way == 1) { /* free alone */
            coreproc_subscription_free(listener.subscription);
        } else { /* the stream ends by itself */
            OK(coreproc_service_close(listener.service, COREPROC_CLOSE_LEAVE, &err));
            CHECK_EVENTUALLY(atomic_load(&listener.destroyed) == 1);
            CHECK_INT(atomic_load(&listener.closed), 1);
            if (way == 2)
                OK(coreproc_subscription_close(listener.subscription, &err));
            coreproc_subscription_free(listener.subscription);
        }
        listener_ends(&listener);
    }
}

static void destroy_may_be_null(void)
{
    struct listener listener;
    listener_init(&listener, new_service());
    OK(coreproc_subscription_listen(listener.service, NULL, on_events, &listener, NULL, &listener.subscription, &err));
    finish(spawn_sh(listener.service, "echo some"));
    CHECK_EVENTUALLY(atomic_load(&listener.closed) == 1);
    coreproc_subscription_free(listener.subscription);
    end_service(listener.service);
    CHECK_EVENTUALLY(check_threads() == 1);
    CHECK_INT(atomic_load(&listener.destroyed), 0);
}

static void destroy_runs_once_when_listen_fails(void)
{
    coreproc_service *service = new_service(), *closed = new_service();
    coreproc_subscription *out = NULL;
    coreproc_subscription_options unknown = {.struct_size = sizeof unknown, .delivery = 99};
    coreproc_subscription_options small = {.struct_size = 4};
    OK(coreproc_service_close(closed, COREPROC_CLOSE_LEAVE, &err));
    struct listener listener;
    listener_init(&listener, service);
#define REFUSED(expected, ...)                                                    \
    do {                                                                          \
        atomic_store(&listener.destroyed, 0);                                     \
        FAILS(expected, coreproc_subscription_listen(__VA_ARGS__));               \
        CHECK_INT(atomic_load(&listener.destroyed), 1);                           \
    } while (0)
    REFUSED(COREPROC_INVALID_ARGUMENT, NULL, NULL, on_events, &listener, on_destroy, &out, &err);
    REFUSED(COREPROC_INVALID_ARGUMENT, service, NULL, NULL, &listener, on_destroy, &out, &err);
    REFUSED(COREPROC_INVALID_ARGUMENT, service, NULL, on_events, &listener, on_destroy, NULL, &err);
    REFUSED(COREPROC_INVALID_ARGUMENT, service, &unknown, on_events, &listener, on_destroy, &out, &err);
    REFUSED(COREPROC_INVALID_ARGUMENT, service, &small, on_events, &listener, on_destroy, &out, &err);
    REFUSED(COREPROC_CLOSED, closed, NULL, on_events, &listener, on_destroy, &out, &err);
#undef REFUSED
    CHECK(out == NULL);
    CHECK_INT(atomic_load(&listener.calls), 0);
    end_service(service);
    end_service(closed);
}

static void callbacks_stop_after_close(void)
{
    struct listener listener;
    listener_init(&listener, new_service());
    listen_to(&listener);
    coreproc_process *process = spawn_piped_sh(listener.service, "echo before; read line; seq 1 1000");
    CHECK_EVENTUALLY(atomic_load(&listener.events) >= 2);
    OK(coreproc_subscription_close(listener.subscription, &err));
    int calls = atomic_load(&listener.calls);
    OK(coreproc_process_close_stdin(process, &err));
    finish(process);
    CHECK_INT(atomic_load(&listener.calls), calls);
    coreproc_subscription_free(listener.subscription);
    listener_ends(&listener);
    CHECK_INT(atomic_load(&listener.calls), calls);
}

static void wait_inside(struct listener *listener, const coreproc_event *first)
{
    (void)first;
    sem_post(&listener->entered);
    sem_wait(&listener->go);
    for (int i = 0; i < 20; i++) /* room for a close that would not wait */
        check_pause();
    atomic_store(&listener->left, true);
}

static void *close_and_look(void *argument)
{
    struct listener *listener = argument;
    OK(coreproc_subscription_close(listener->subscription, &err));
    CHECK(atomic_load(&listener->left));
    return NULL;
}

static void close_waits_for_a_running_callback(void)
{
    struct listener listener;
    listener_init(&listener, new_service());
    listener.act = wait_inside;
    listen_to(&listener);
    coreproc_process *process = spawn_sh(listener.service, "echo some; exit 2");
    sem_wait(&listener.entered);
    CHECK_INT(finish(process).exit_code, 2); /* a callback that blocks delays no exit */
    pthread_t closers[2] = {start_thread(close_and_look, &listener), start_thread(close_and_look, &listener)};
    sem_post(&listener.go);
    join_thread(closers[0]);
    join_thread(closers[1]);
    CHECK_INT(atomic_load(&listener.calls), 1);
    coreproc_subscription_free(listener.subscription);
    listener_ends(&listener);
}

static void free_does_not_wait_for_a_running_callback(void)
{
    struct listener listener;
    listener_init(&listener, new_service());
    listener.act = wait_inside;
    listen_to(&listener);
    finish(spawn_sh(listener.service, "echo some"));
    sem_wait(&listener.entered);
    coreproc_subscription_free(listener.subscription);
    CHECK_INT(atomic_load(&listener.destroyed), 0);
    sem_post(&listener.go);
    CHECK_EVENTUALLY(atomic_load(&listener.destroyed) == 1);
    CHECK_INT(atomic_load(&listener.calls), 1);
    listener_ends(&listener);
}

static void close_inside(struct listener *listener, const coreproc_event *first)
{
    (void)first;
    sem_wait(&listener->go); /* `subscription` is set */
    OK(coreproc_subscription_close(listener->subscription, &err));
    OK(coreproc_subscription_close(listener->subscription, &err));
    CHECK_INT(atomic_load(&listener->destroyed), 0);
}

static void close_from_inside_a_callback_is_the_last_callback(void)
{
    struct listener listener;
    listener_init(&listener, new_service());
    listener.act = close_inside;
    listen_to(&listener);
    sem_post(&listener.go);
    finish(spawn(listener.service, new_command("seq", "1", "100", NULL)));
    CHECK_EVENTUALLY(atomic_load(&listener.destroyed) == 1);
    CHECK_INT(atomic_load(&listener.calls), 1);
    coreproc_subscription_free(listener.subscription);
    listener_ends(&listener);
}

static void free_inside(struct listener *listener, const coreproc_event *first)
{
    (void)first;
    sem_wait(&listener->go);
    coreproc_subscription_free(listener->subscription);
    CHECK_INT(atomic_load(&listener->destroyed), 0);
}

static void the_last_handle_may_be_freed_inside_a_callback(void)
{
    struct listener listener;
    listener_init(&listener, new_service());
    listener.act = free_inside;
    listen_to(&listener);
    sem_post(&listener.go);
    finish(spawn(listener.service, new_command("seq", "1", "100", NULL)));
    CHECK_EVENTUALLY(atomic_load(&listener.destroyed) == 1);
    CHECK_INT(atomic_load(&listener.calls), 1);
    listener_ends(&listener);
}

static void block_inside(struct listener *listener, const coreproc_event *first)
{
    if (first->kind != COREPROC_EVENT_STARTED)
        return;
    coreproc_batch *batch = NULL;
    sem_wait(&listener->go); /* `process` is set */
    FAILS(COREPROC_DEADLOCK, coreproc_process_wait(listener->process, COREPROC_STATE_EXITED, -1, NULL, &err));
    FAILS(COREPROC_DEADLOCK, coreproc_process_wait(listener->process, COREPROC_STATE_CLOSED, 1000, NULL, &err));
    FAILS(COREPROC_DEADLOCK, coreproc_service_wait_idle(listener->service, -1, &err));
    FAILS(COREPROC_DEADLOCK, coreproc_service_wait_idle(listener->service, 1000, &err));
    FAILS(COREPROC_DEADLOCK, coreproc_subscription_take(listener->other, 0, -1, &batch, &err));
    CHECK(batch == NULL);
    FAILS(COREPROC_TIMED_OUT, coreproc_process_wait(listener->process, COREPROC_STATE_EXITED, 0, NULL, &err)); /* only looks */
    FAILS(COREPROC_TIMED_OUT, coreproc_service_wait_idle(listener->service, 0, &err));
    static uint8_t much[4 << 20];
    size_t written = 0;
    OK(coreproc_process_write(listener->process, much, sizeof much, -1, &written, &err)); /* what fits needs no waiting */
    CHECK(written < sizeof much);
    FAILS(COREPROC_DEADLOCK, coreproc_process_write(listener->process, much, sizeof much, -1, &written, &err));
    CHECK_INT(info_of(listener->process).state, COREPROC_STATE_RUNNING);
    OK(coreproc_process_signal(listener->process, 0, COREPROC_SCOPE_PROCESS, &err));
    coreproc_process_free(spawn_sh(listener->service, "exit 0"));
    OK(coreproc_process_kill(listener->process, COREPROC_SCOPE_GROUP, &err));
    atomic_store(&listener->left, true);
}

static void blocking_calls_inside_a_callback_give_deadlock(void)
{
    const coreproc_subscription_options named = {.struct_size = sizeof named, .scope = COREPROC_SUBSCRIBE_NAMED};
    struct listener listener;
    listener_init(&listener, new_service());
    listener.act = block_inside;
    listener.other = open_subscription(listener.service, &named);
    const coreproc_subscription_options by_name = named;
    OK(coreproc_subscription_listen(listener.service, &by_name, on_events, &listener, on_destroy, &listener.subscription, &err));
    coreproc_command *command = new_command("sleep", "1000", NULL);
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDIN, COREPROC_STDIO_PIPE, &err));
    OK(coreproc_command_subscribe(command, listener.subscription, &err));
    listener.process = spawn(listener.service, command);
    sem_post(&listener.go);
    CHECK_INT(wait_closed(listener.process).signal, SIGKILL);
    CHECK_EVENTUALLY(atomic_load(&listener.closed) == 1);
    CHECK(atomic_load(&listener.left));
    coreproc_process_free(listener.process);
    coreproc_subscription_free(listener.subscription);
    coreproc_subscription_free(listener.other);
    listener_ends(&listener);
}

static void a_listener_has_neither_fd_nor_take(void)
{
    struct listener listener;
    listener_init(&listener, new_service());
    listen_to(&listener);
    int32_t fd = -7;
    coreproc_batch *batch = NULL;
    FAILS(COREPROC_INVALID_ARGUMENT, coreproc_subscription_fd(listener.subscription, &fd, &err));
    FAILS(COREPROC_INVALID_ARGUMENT, coreproc_subscription_take(listener.subscription, 0, 0, &batch, &err));
    CHECK_INT(fd, -7);
    CHECK(batch == NULL);
    coreproc_subscription_free(listener.subscription);
    listener_ends(&listener);
}

int main(void)
{
    check_begin();
    RUN(callbacks_run_on_one_thread_with_signals_blocked);
    RUN(a_listener_sees_a_process_in_order);
    RUN(destroy_runs_once_however_it_ends);
    RUN(destroy_may_be_null);
    RUN(destroy_runs_once_when_listen_fails);
    RUN(callbacks_stop_after_close);
    RUN(close_waits_for_a_running_callback);
    RUN(free_does_not_wait_for_a_running_callback);
    RUN(close_from_inside_a_callback_is_the_last_callback);
    RUN(the_last_handle_may_be_freed_inside_a_callback);
    RUN(blocking_calls_inside_a_callback_give_deadlock);
    RUN(a_listener_has_neither_fd_nor_take);
    return check_end();
}
