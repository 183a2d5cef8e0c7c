/* Events by pull: the fd and poll, several takers, backpressure, close, the end of the stream. */
#include <poll.h>
#include <sys/stat.h>

#include "help.h"

enum { MAX_PROCESSES = 64 };

static int subscription_fd(coreproc_subscription *subscription)
{
    int32_t fd = -1;
    OK(coreproc_subscription_fd(subscription, &fd, &err));
    return fd;
}

static coreproc_process *spawn_lines(coreproc_service *service, int lines)
{
    char last[16];
    snprintf(last, sizeof last, "%d", lines);
    return spawn(service, new_command("seq", "1", last, NULL));
}

/* The state of a check of order and content of one process that writes `seq`; zeroed at first. */
struct progress {
    atomic_flag out; /* a batch of this process is with a taker */
    uint64_t sequence;
    int line, exited, closed;
};

static void follow(struct progress *progress, const coreproc_event *event)
{
    CHECK_INT(event->sequence, ++progress->sequence);
    switch (event->kind) {
    case COREPROC_EVENT_STARTED:
        CHECK_INT(event->sequence, 1);
        break;
    case COREPROC_EVENT_STDOUT: {
        char expected[16];
        snprintf(expected, sizeof expected, "%d", ++progress->line);
        CHECK(event->len == strlen(expected) && memcmp(event->data, expected, event->len) == 0);
        break;
    }
    case COREPROC_EVENT_EXITED:
        CHECK_INT(++progress->exited, 1);
        CHECK_INT(event->exit_code, 0);
        break;
    case COREPROC_EVENT_CLOSED:
        CHECK_INT(progress->exited, 1);
        CHECK_INT(++progress->closed, 1);
        break;
    default:
        CHECK(!"known kind");
    }
}

/* All events of a batch belong to one process, known by its id. */
static uint64_t follow_batch(struct progress *all, coreproc_batch *batch)
{
    uint64_t id = event_at(batch, 0)->process_id;
    MUST(id >= 1 && id <= MAX_PROCESSES);
    CHECK(!atomic_flag_test_and_set(&all[id].out));
    for (size_t i = 0; i < event_count(batch); i++) {
        CHECK_INT(event_at(batch, i)->process_id, id);
        follow(&all[id], event_at(batch, i));
    }
    atomic_flag_clear(&all[id].out);
    return id;
}

static void poll_loop(bool reads_the_fd)
{
    struct progress all[MAX_PROCESSES + 1];
    memset(all, 0, sizeof all);
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL);
    int fd = subscription_fd(subscription), count = 20, closed = 0;
    for (int i = 0; i < count; i++)
        coreproc_process_free(spawn_lines(service, 100));
    OK(coreproc_service_close(service, COREPROC_CLOSE_LEAVE, &err));
    for (bool ended = false; !ended;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        MUST(poll(&ready, 1, CHECK_DEADLINE_MS) == 1);
        char sink[64];
        if (reads_the_fd)
            while (read(fd, sink, sizeof sink) > 0)
                ;
        for (;;) {
            coreproc_batch *batch = NULL;
            coreproc_result result = coreproc_subscription_take(subscription, 0, 0, &batch, &err);
            if (result != COREPROC_OK) {
                ended = result == COREPROC_CLOSED;
                FAILS(ended ? COREPROC_CLOSED : COREPROC_TIMED_OUT, result);
                break;
            }
            uint64_t id = follow_batch(all, batch);
            closed += all[id].closed == 1 && all[id].line == 100 && event_at(batch, event_count(batch) - 1)->kind == COREPROC_EVENT_CLOSED;
            coreproc_batch_free(batch);
        }
    }
    CHECK_INT(closed, count);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    CHECK_INT(poll(&ready, 1, 0), 1); /* the end stays readable */
    char byte;
    while (read(fd, &byte, 1) > 0)
        ;
    CHECK_INT(read(fd, &byte, 1), 0);
    coreproc_subscription_free(subscription);
    end_service(service);
}

static void one_thread_can_poll_and_take(void)
{
    poll_loop(false);
}

static void a_loop_may_read_the_bytes_of_the_fd(void)
{
    poll_loop(true);
}

static void a_loop_of_the_host_can_drive_the_service(void)
{
    struct progress all[MAX_PROCESSES + 1];
    memset(all, 0, sizeof all);
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL), *other = open_subscription(service, NULL);
    int32_t fd = -1, none = -1;
    OK(coreproc_subscription_drive(subscription, &fd, &err));
    CHECK(fd > 2);
    CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
    FAILS(COREPROC_BUSY, coreproc_subscription_drive(other, &none, &err));
    coreproc_batch *batch = NULL;
    FAILS(COREPROC_INVALID_ARGUMENT, coreproc_subscription_take(subscription, 0, -1, &batch, &err));
    CHECK_INT(none, -1);
    for (int i = 0; i < 20; i++)
        coreproc_process_free(spawn_lines(service, 100));
    int closed = 0;
    while (closed < 20) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        MUST(poll(&ready, 1, CHECK_DEADLINE_MS) == 1);
        coreproc_result result;
        while ((result = coreproc_subscription_take(subscription, 0, 0, &batch, &err)) == COREPROC_OK) {
            uint64_t id = follow_batch(all, batch);
            closed += all[id].closed == 1 && event_at(batch, event_count(batch) - 1)->kind == COREPROC_EVENT_CLOSED;
            coreproc_batch_free(batch);
        }
        FAILS(COREPROC_TIMED_OUT, result);
    }
    coreproc_subscription_free(other);
    coreproc_subscription_free(subscription);
    CHECK_INT(finish(spawn_lines(service, 1)).exit_code, 0); /* the library's thread is back */
    end_service(service);
}

static void ends_alone_can_be_asked_for(void)
{
    coreproc_service *service = new_service();
    const coreproc_subscription_options options = {.struct_size = sizeof options, .lifecycle = COREPROC_LIFECYCLE_ENDS};
    const coreproc_subscription_options unknown = {.struct_size = sizeof unknown, .lifecycle = 3};
    coreproc_subscription *subscription = open_subscription(service, &options), *none = NULL;
    FAILS(COREPROC_INVALID_ARGUMENT, coreproc_subscription_open(service, &unknown, &none, &err));
    finish(spawn(service, new_command("true", NULL)));
    coreproc_batch *batch = take(subscription, 0);
    CHECK_INT(event_count(batch), 1);
    CHECK_INT(event_at(batch, 0)->kind, COREPROC_EVENT_CLOSED);
    coreproc_batch_free(batch);
    coreproc_subscription_free(subscription);
    end_service(service);
}

static void fd_is_a_nonblocking_pipe_that_children_do_not_get(void)
{
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL);
    int fd = subscription_fd(subscription);
    struct stat stat;
    CHECK(fd > 2);
    CHECK(fstat(fd, &stat) == 0 && S_ISFIFO(stat.st_mode));
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_INT(subscription_fd(subscription), fd);
    coreproc_subscription_free(subscription);
    end_service(service);
}

struct crew {
    coreproc_subscription *subscription;
    struct progress *all;
};

static void *taker(void *argument)
{
    struct crew *crew = argument;
    for (coreproc_batch *batch; (batch = take(crew->subscription, 7)) != NULL;) {
        CHECK(event_count(batch) >= 1 && event_count(batch) <= 7);
        follow_batch(crew->all, batch);
        coreproc_batch_free(batch);
    }
    return NULL;
}

static void several_takers_keep_each_process_in_order(void)
{
    struct progress all[MAX_PROCESSES + 1];
    memset(all, 0, sizeof all);
    coreproc_service *service = new_service();
    struct crew crew = {open_subscription(service, NULL), all};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = start_thread(taker, &crew);
    for (int i = 0; i < 16; i++)
        coreproc_process_free(spawn_lines(service, 1000));
    OK(coreproc_service_close(service, COREPROC_CLOSE_LEAVE, &err));
    for (int i = 0; i < 4; i++)
        join_thread(threads[i]);
    for (int id = 1; id <= 16; id++) {
        CHECK_INT(all[id].line, 1000);
        CHECK_INT(all[id].closed, 1);
    }
    coreproc_subscription_free(crew.subscription);
    end_service(service);
}

static void a_slow_consumer_stalls_its_own_process_alone(void)
{
    struct progress all[MAX_PROCESSES + 1];
    memset(all, 0, sizeof all);
    const coreproc_subscription_options options = {.struct_size = sizeof options, .queue_bytes = 65536};
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, &options);
    coreproc_process *slow = spawn_lines(service, 600000);
    coreproc_batch *held = take(subscription, 1);
    CHECK_INT(event_at(held, 0)->process_id, coreproc_process_id(slow));
    for (int i = 0; i < 8; i++)
        coreproc_process_free(spawn_lines(service, 10));
    for (int closed = 0; closed < 8;) {
        coreproc_batch *batch = take(subscription, 0);
        uint64_t id = follow_batch(all, batch);
        CHECK(id != coreproc_process_id(slow));
        closed += all[id].closed;
        coreproc_batch_free(batch);
    }
    CHECK_INT(info_of(slow).state, COREPROC_STATE_RUNNING); /* 4 MB neither fit the queue nor the pipe */
    follow_batch(all, held);
    coreproc_batch_free(held);
    while (all[coreproc_process_id(slow)].closed == 0) {
        coreproc_batch *batch = take(subscription, 0);
        follow_batch(all, batch);
        coreproc_batch_free(batch);
    }
    CHECK_INT(all[coreproc_process_id(slow)].line, 600000);
    coreproc_process_free(slow);
    coreproc_subscription_free(subscription);
    end_service(service);
}

static void an_unread_exit_is_no_late_exit(void)
{
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL);
    coreproc_process *process = spawn_sh(service, "echo short; exit 3");
    CHECK_INT(wait_until(process, COREPROC_STATE_EXITED).exit_code, 3);
    CHECK_INT(wait_closed(process).exit_code, 3);
    uint32_t kinds[8] = {0}, count = 0;
    while (count < 4) {
        coreproc_batch *batch = take(subscription, 1);
        kinds[count++] = event_at(batch, 0)->kind;
        coreproc_batch_free(batch);
    }
    CHECK_INT(kinds[0], COREPROC_EVENT_STARTED);
    CHECK(kinds[1] == COREPROC_EVENT_STDOUT || kinds[1] == COREPROC_EVENT_EXITED); /* which comes first is open */
    CHECK(kinds[1] + kinds[2] == COREPROC_EVENT_STDOUT + COREPROC_EVENT_EXITED);
    CHECK_INT(kinds[3], COREPROC_EVENT_CLOSED);
    coreproc_process_free(process);
    coreproc_subscription_free(subscription);
    end_service(service);
}

/* Reads to the end of the stream, and counts the events of each process. */
static void count_to_end(coreproc_subscription *subscription, int events[8])
{
    memset(events, 0, 8 * sizeof *events);
    for (coreproc_batch *batch; (batch = take(subscription, 0)) != NULL;) {
        for (size_t i = 0; i < event_count(batch); i++) {
            uint64_t id = event_at(batch, i)->process_id;
            MUST(id < 8);
            events[id]++;
        }
        coreproc_batch_free(batch);
    }
}

static void scope_is_all_later_processes_or_the_named(void)
{
    const coreproc_subscription_options named_options = {.struct_size = sizeof named_options, .scope = COREPROC_SUBSCRIBE_NAMED};
    coreproc_service *service = new_service();
    coreproc_process *before = spawn_piped_sh(service, "read line; echo 1");
    coreproc_subscription *all = open_subscription(service, NULL);
    coreproc_subscription *named = open_subscription(service, &named_options);
    coreproc_process_free(spawn_sh(service, "echo 2"));
    coreproc_command *command = new_sh("echo 3");
    OK(coreproc_command_subscribe(command, named, &err));
    coreproc_process_free(spawn(service, command));
    OK(coreproc_process_close_stdin(before, &err));
    finish(before);
    OK(coreproc_service_close(service, COREPROC_CLOSE_LEAVE, &err));
    int events[8];
    count_to_end(all, events);
    CHECK(events[1] == 0 && events[2] == 4 && events[3] == 4);
    count_to_end(named, events);
    CHECK(events[1] == 0 && events[2] == 0 && events[3] == 4);
    coreproc_subscription_free(all);
    coreproc_subscription_free(named);
    end_service(service);
}

static void every_subscription_gets_everything(void)
{
    coreproc_service *service = new_service();
    coreproc_subscription *subscriptions[3];
    for (int i = 0; i < 3; i++)
        subscriptions[i] = open_subscription(service, NULL);
    coreproc_process_free(spawn_lines(service, 50));
    OK(coreproc_service_close(service, COREPROC_CLOSE_LEAVE, &err));
    for (int i = 0; i < 3; i++) {
        int events[8];
        count_to_end(subscriptions[i], events);
        CHECK_INT(events[1], 53);
        coreproc_subscription_free(subscriptions[i]);
    }
    end_service(service);
}

static void *wait_for_the_end(void *subscription)
{
    coreproc_batch *batch = NULL;
    FAILS(COREPROC_CLOSED, coreproc_subscription_take(subscription, 0, -1, &batch, &err));
    CHECK(batch == NULL);
    return NULL;
}

static void close_wakes_every_waiter_and_is_idempotent(void)
{
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = start_thread(wait_for_the_end, subscription);
    OK(coreproc_subscription_close(subscription, &err));
    for (int i = 0; i < 4; i++)
        join_thread(threads[i]);
    OK(coreproc_subscription_close(subscription, &err));
    wait_for_the_end(subscription);
    coreproc_subscription_free(subscription);
    end_service(service);
}

static void the_end_of_the_service_wakes_every_waiter(void)
{
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = start_thread(wait_for_the_end, subscription);
    OK(coreproc_service_close(service, COREPROC_CLOSE_LEAVE, &err));
    for (int i = 0; i < 4; i++)
        join_thread(threads[i]);
    coreproc_subscription_free(subscription);
    end_service(service);
}

static void close_discards_and_lifts_the_backpressure(void)
{
    const coreproc_subscription_options options = {.struct_size = sizeof options, .queue_bytes = 4096};
    coreproc_service *service = new_service();
    coreproc_subscription *closed = open_subscription(service, &options);
    coreproc_process *process = spawn_lines(service, 600000);
    coreproc_batch *batch = take(closed, 1);
    CHECK_INT(info_of(process).state, COREPROC_STATE_RUNNING);
    OK(coreproc_subscription_close(closed, &err));
    CHECK_INT(wait_closed(process).exit_code, 0);
    CHECK_INT(event_at(batch, 0)->kind, COREPROC_EVENT_STARTED); /* a batch in hand stays valid */
    coreproc_batch_free(batch);
    coreproc_subscription_free(closed);
    coreproc_process_free(process);

    coreproc_subscription *freed = open_subscription(service, &options);
    process = spawn_lines(service, 600000);
    coreproc_batch_free(take(freed, 1));
    coreproc_subscription_free(freed);
    CHECK_INT(wait_closed(process).exit_code, 0);
    coreproc_process_free(process);
    end_service(service);
}

static void a_child_nobody_listens_to_never_stalls(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("head", "-c", "20000000", "/dev/zero", NULL);
    OK(coreproc_command_capture(command, COREPROC_CAPTURE_NONE, &err));
    CHECK_INT(finish(spawn(service, command)).stdout_bytes, 20000000);
    end_service(service);
}

static void batches_outlive_subscription_and_service(void)
{
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL);
    finish(spawn_sh(service, "echo kept"));
    coreproc_batch *batch = NULL;
    for (size_t events = 0; events < 4; events += event_count(batch)) {
        coreproc_batch_free(batch);
        batch = take(subscription, 4);
    }
    coreproc_subscription_free(subscription);
    end_service(service);
    const coreproc_event *last = event_at(batch, event_count(batch) - 1);
    CHECK_INT(last->kind, COREPROC_EVENT_CLOSED);
    for (size_t i = 0; i < event_count(batch); i++)
        if (event_at(batch, i)->kind == COREPROC_EVENT_STDOUT)
            CHECK(event_at(batch, i)->len == 4 && memcmp(event_at(batch, i)->data, "kept", 4) == 0);
    coreproc_batch_free(batch);
}

static void a_batch_has_its_process_also_when_that_is_closed(void)
{
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL);
    CHECK_INT(finish(spawn_lines(service, 3)).exit_code, 0);
    coreproc_batch *batch = take(subscription, SIZE_MAX);
    coreproc_process *process = NULL, *other = NULL;
    OK(coreproc_batch_process(batch, &process, &err));
    CHECK_INT(coreproc_process_id(process), event_at(batch, 0)->process_id);
    FAILS(COREPROC_INVALID_ARGUMENT, coreproc_batch_process(batch, NULL, &err));
    OK(coreproc_subscription_close(subscription, &err));
    FAILS(COREPROC_NOT_FOUND, coreproc_batch_process(batch, &other, &err));
    CHECK(other == NULL);
    coreproc_batch_free(batch);
    coreproc_bytes *output = NULL;
    OK(coreproc_process_output(process, &output, &err));
    CHECK_INT(coreproc_bytes_len(output), 6);
    coreproc_bytes_free(output);
    coreproc_process_free(process);
    coreproc_subscription_free(subscription);
    end_service(service);
}

static void take_looks_or_waits(void)
{
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL);
    coreproc_batch *batch = NULL;
    FAILS(COREPROC_TIMED_OUT, coreproc_subscription_take(subscription, 0, 0, &batch, &err));
    FAILS(COREPROC_TIMED_OUT, coreproc_subscription_take(subscription, 0, 1, &batch, &err));
    CHECK_INT(coreproc_subscription_take(subscription, 0, 0, &batch, NULL), COREPROC_TIMED_OUT);
    CHECK(batch == NULL);
    coreproc_process *process = spawn_piped_sh(service, "read line");
    OK(coreproc_subscription_take(subscription, 0, 0, &batch, &err)); /* started is there before spawn returns */
    CHECK_INT(event_count(batch), 1);
    CHECK_INT(event_at(batch, 0)->kind, COREPROC_EVENT_STARTED);
    CHECK_INT(event_at(batch, 0)->exit_code, -1);
    CHECK_INT(event_at(batch, 0)->signal, 0);
    CHECK_INT(event_at(batch, 0)->cause, COREPROC_CAUSE_NONE);
    coreproc_batch_free(batch);
    OK(coreproc_process_close_stdin(process, &err));
    finish(process);
    coreproc_subscription_free(subscription);
    end_service(service);
}

static void references_keep_a_subscription_open(void)
{
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL);
    coreproc_subscription *second = coreproc_subscription_ref(subscription);
    coreproc_subscription_free(subscription);
    finish(spawn_lines(service, 1));
    coreproc_batch *batch = take(second, 0);
    CHECK_INT(event_at(batch, 0)->kind, COREPROC_EVENT_STARTED);
    coreproc_batch_free(batch);
    coreproc_subscription_free(second);
    end_service(service);
}

/* Takes all that waits, without waiting: the events of one kind, and the bytes of their data. */
static size_t drain(coreproc_subscription *subscription, uint32_t kind, char *data, size_t room)
{
    size_t count = 0, used = 0;
    coreproc_batch *batch = NULL;
    while (coreproc_subscription_take(subscription, 0, 0, &batch, NULL) == COREPROC_OK) {
        for (size_t i = 0; i < event_count(batch); i++) {
            const coreproc_event *event = event_at(batch, i);
            if (event->kind != kind) continue;
            count++;
            MUST(used + event->len < room);
            memcpy(data + used, event->data, event->len);
            used += event->len;
        }
        coreproc_batch_free(batch);
    }
    data[used] = 0;
    return count;
}

static void a_full_queue_drops_and_says_how_much(void)
{
    static const uint32_t policies[] = {COREPROC_OVERFLOW_DROP_OLDEST, COREPROC_OVERFLOW_DROP_NEWEST};
    for (size_t i = 0; i < 2; i++) {
        coreproc_service *service = new_service();
        const coreproc_subscription_options options = {
            .struct_size = sizeof options,
            .queue_bytes = 1000,
            .overflow = policies[i],
            .kinds = 1u << COREPROC_EVENT_STDOUT | 1u << COREPROC_EVENT_CLOSED,
        };
        coreproc_subscription *counted = open_subscription(service, &options);
        coreproc_subscription *kept = open_subscription(service, &options);
        /* Nothing is taken, and it is not slowed. */
        finish(spawn_lines(service, 100000));
        static char overflow[1 << 16], lines[1 << 20];
        size_t told = drain(counted, COREPROC_EVENT_OVERFLOW, overflow, sizeof overflow);
        size_t delivered = drain(kept, COREPROC_EVENT_STDOUT, lines, sizeof lines);
        CHECK_INT(told, 1);
        unsigned long long bytes = 0, events = 0;
        CHECK_INT(sscanf(overflow, "%llu %llu", &bytes, &events), 2);
        CHECK_INT(events + delivered, 100000);
        CHECK_INT(bytes + strlen(lines) + delivered, 588895);
        coreproc_subscription_free(counted);
        coreproc_subscription_free(kept);
        end_service(service);
    }
}

static void output_can_be_asked_for_as_utf8(void)
{
    coreproc_service *service = new_service();
    const coreproc_subscription_options options = {
        .struct_size = sizeof options,
        .delivery = COREPROC_DELIVERY_CHUNKS,
        .encoding = COREPROC_ENCODING_UTF8,
        .kinds = 1u << COREPROC_EVENT_STDOUT,
    };
    coreproc_subscription *subscription = open_subscription(service, &options);
    coreproc_process *process = spawn_piped_sh(service, "printf 'a\\303'; read line; printf '\\274\\377b'");
    coreproc_batch *batch = take(subscription, 0);
    CHECK_INT(event_count(batch), 1);
    CHECK(event_at(batch, 0)->len == 1 && event_at(batch, 0)->data[0] == 'a');
    CHECK_INT(event_at(batch, 0)->flags, 0);
    coreproc_batch_free(batch);
    OK(coreproc_process_close_stdin(process, &err));
    batch = take(subscription, 0);
    CHECK_INT(event_count(batch), 1);
    CHECK(event_at(batch, 0)->len == 6 && memcmp(event_at(batch, 0)->data, "\303\274\357\277\275b", 6) == 0);
    CHECK_INT(event_at(batch, 0)->flags, COREPROC_FLAG_REPLACED);
    coreproc_batch_free(batch);
    finish(process);
    coreproc_subscription_free(subscription);
    end_service(service);
}

static void batches_have_a_limit(void)
{
    coreproc_service *service = new_service();
    const coreproc_subscription_options options = {
        .struct_size = sizeof options, .kinds = 1u << COREPROC_EVENT_STDOUT, .batch_events = 3};
    const coreproc_subscription_options bytes = {
        .struct_size = sizeof bytes, .kinds = 1u << COREPROC_EVENT_STDOUT, .batch_bytes = 2};
    coreproc_subscription *by_events = open_subscription(service, &options);
    coreproc_subscription *by_bytes = open_subscription(service, &bytes);
    finish(spawn_lines(service, 10)); /* 1 to 10: eleven bytes */
    static const size_t events[] = {3, 3, 3, 1}, fit[] = {2, 2, 2, 2, 1, 1};
    for (size_t i = 0; i < 4; i++) {
        coreproc_batch *batch = take(by_events, 0);
        CHECK_INT(event_count(batch), events[i]);
        coreproc_batch_free(batch);
    }
    for (size_t i = 0; i < 6; i++) {
        coreproc_batch *batch = take(by_bytes, 0);
        CHECK_INT(event_count(batch), fit[i]);
        coreproc_batch_free(batch);
    }
    coreproc_subscription_free(by_events);
    coreproc_subscription_free(by_bytes);
    end_service(service);
}

int main(void)
{
    check_begin();
    RUN(one_thread_can_poll_and_take);
    RUN(a_loop_may_read_the_bytes_of_the_fd);
    RUN(a_loop_of_the_host_can_drive_the_service);
    RUN(ends_alone_can_be_asked_for);
    RUN(fd_is_a_nonblocking_pipe_that_children_do_not_get);
    RUN(several_takers_keep_each_process_in_order);
    RUN(a_slow_consumer_stalls_its_own_process_alone);
    RUN(an_unread_exit_is_no_late_exit);
    RUN(scope_is_all_later_processes_or_the_named);
    RUN(every_subscription_gets_everything);
    RUN(close_wakes_every_waiter_and_is_idempotent);
    RUN(the_end_of_the_service_wakes_every_waiter);
    RUN(close_discards_and_lifts_the_backpressure);
    RUN(a_child_nobody_listens_to_never_stalls);
    RUN(batches_outlive_subscription_and_service);
    RUN(a_batch_has_its_process_also_when_that_is_closed);
    RUN(take_looks_or_waits);
    RUN(references_keep_a_subscription_open);
    RUN(a_full_queue_drops_and_says_how_much);
    RUN(output_can_be_asked_for_as_utf8);
    RUN(batches_have_a_limit);
    return check_end();
}
