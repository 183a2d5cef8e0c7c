/* The health server and its client, through the header. */
#include <arpa/inet.h>
#include <semaphore.h>
#include <sys/socket.h>

#include "help.h"

#define FOREVER CHECK_DEADLINE_MS

static coreproc_health *new_health(const coreproc_health_options *options)
{
    coreproc_health *health = NULL;
    OK(coreproc_health_new(TEXT("127.0.0.1:0"), options, &health, &err));
    MUST(health != NULL);
    return health;
}

static char *address_of(coreproc_health *health, char *text, size_t size)
{
    coreproc_bytes *bytes = NULL;
    OK(coreproc_health_address(health, &bytes, &err));
    MUST(coreproc_bytes_len(bytes) < size);
    memcpy(text, coreproc_bytes_data(bytes), coreproc_bytes_len(bytes));
    text[coreproc_bytes_len(bytes)] = '\0';
    coreproc_bytes_free(bytes);
    return text;
}

static coreproc_health *serve(const coreproc_health_options *options)
{
    coreproc_health *health = new_health(options);
    OK(coreproc_health_start(health, &err));
    return health;
}

static void end(coreproc_health *health)
{
    OK(coreproc_health_stop(health, FOREVER, &err));
    coreproc_health_free(health);
}

/* Asks once, and gives the answer; "" if there was none. */
static bool probe(coreproc_health *health, uint32_t endpoint, char *reason, size_t size)
{
    char address[128];
    uint32_t ok = 7;
    coreproc_bytes *bytes = NULL;
    address_of(health, address, sizeof address);
    OK(coreproc_health_probe(TEXT(address), endpoint, FOREVER, &ok, &bytes, &err));
    CHECK(ok <= 1);
    size_t len = coreproc_bytes_len(bytes) < size - 1 ? coreproc_bytes_len(bytes) : size - 1;
    memcpy(reason, coreproc_bytes_data(bytes), len);
    reason[len] = '\0';
    coreproc_bytes_free(bytes);
    return ok == 1;
}

static void check_answer(coreproc_health *health, uint32_t endpoint, bool ok, const char *expected)
{
    char reason[256];
    CHECK_INT(probe(health, endpoint, reason, sizeof reason), ok);
    CHECK_TEXT(reason, expected);
}

/* Reads the whole answer to a request, as bytes. */
static size_t exchange(coreproc_health *health, const char *request, char *answer, size_t size)
{
    char address[128];
    char *colon = strrchr(address_of(health, address, sizeof address), ':');
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    MUST(send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request));
    size_t got = 0;
    for (ssize_t n; got < size - 1 && (n = recv(fd, answer + got, size - 1 - got, 0)) > 0;)
        got += (size_t)n;
    answer[got] = '\0';
    close(fd);
    return got;
}

/* ---- checks ---- */

struct check {
    atomic_int calls, destroyed;
    int32_t code;
    const char *reason;
    coreproc_health *stop; /* to be stopped from inside */
    sem_t entered, go;
    bool waits;
};

static int32_t on_check(coreproc_check_answer *answer, void *user_data)
{
    struct check *check = user_data;
    atomic_fetch_add(&check->calls, 1);
    if (check->waits) {
        sem_post(&check->entered);
        sem_wait(&check->go);
    }
    if (check->stop != NULL)
        FAILS(COREPROC_DEADLOCK, coreproc_health_stop(check->stop, FOREVER, &err));
    if (check->reason != NULL)
        OK(coreproc_check_answer_reason(answer, TEXT(check->reason), &err));
    return check->code;
}

static void on_destroy(void *user_data)
{
    struct check *check = user_data;
    atomic_fetch_add(&check->destroyed, 1);
}

static void add(coreproc_health *health, const char *name, struct check *check)
{
    OK(coreproc_health_add_check(health, TEXT(name), on_check, check, on_destroy, &err));
}

/* ---- tests ---- */

static void answers_are_those_of_the_contract(void)
{
    coreproc_health *health = serve(NULL);
    check_answer(health, COREPROC_ENDPOINT_HEALTH, true, "ok");
    check_answer(health, COREPROC_ENDPOINT_READY, true, "ready");
    CHECK_INT(coreproc_health_ready(health), 1);
    OK(coreproc_health_set_ready(health, 0, &err));
    CHECK_INT(coreproc_health_ready(health), 0);
    check_answer(health, COREPROC_ENDPOINT_READY, false, "503: not ready");
    char answer[1024];
    exchange(health, "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", answer, sizeof answer);
    CHECK(strncmp(answer, "HTTP/1.1 200 OK\r\n", 17) == 0);
    CHECK(strstr(answer, "\r\n\r\nok\n") != NULL);
    exchange(health, "POST /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", answer, sizeof answer);
    CHECK(strncmp(answer, "HTTP/1.1 405 ", 13) == 0);
    exchange(health, "nonsense\r\n\r\n", answer, sizeof answer);
    CHECK(strncmp(answer, "HTTP/1.1 400 ", 13) == 0);
    end(health);
}

static void checks_say_what_is_wrong(void)
{
    struct check good = {.code = 0, .reason = "of no effect"}, bad = {.code = 1, .reason = "no\ndatabase"},
                 plain = {.code = -7}, odd = {.code = 2, .reason = "caf\xe9"};
    coreproc_health *health = new_health(NULL);
    add(health, "good", &good);
    OK(coreproc_health_start(health, &err));
    check_answer(health, COREPROC_ENDPOINT_HEALTH, true, "ok");
    add(health, "", &bad);
    check_answer(health, COREPROC_ENDPOINT_HEALTH, false, "503: unhealthy: no database");
    add(health, "plain", &plain);
    add(health, "odd", &odd);
    check_answer(health, COREPROC_ENDPOINT_HEALTH, false,
                 "503: unhealthy: no database; plain: failed with -7; odd: caf\xef\xbf\xbd");
    char answer[2048];
    exchange(health, "GET /health HTTP/1.0\r\naccept: application/json\r\n\r\n", answer, sizeof answer);
    CHECK(strstr(answer, "\"state\":\"failed\"") != NULL && strstr(answer, "\"duration_ms\"") != NULL);
    CHECK_INT(atomic_load(&good.calls), 4);
    coreproc_health *same = coreproc_health_ref(health);
    end(health);
    CHECK_INT(atomic_load(&good.destroyed), 0);
    coreproc_health_free(same);
    struct check *all[] = {&good, &bad, &plain, &odd};
    for (int i = 0; i < 4; i++)
        CHECK_EVENTUALLY(atomic_load(&all[i]->destroyed) == 1);
}

static void destroy_runs_once_when_a_check_is_refused(void)
{
    struct check check = {.code = 0};
    coreproc_health *health = new_health(NULL);
    int refused = 0;
#define REFUSED(...)                                                                          \
    do {                                                                                      \
        FAILS(COREPROC_INVALID_ARGUMENT, coreproc_health_add_check(__VA_ARGS__));             \
        CHECK_INT(atomic_load(&check.destroyed), ++refused);                                  \
    } while (0)
    REFUSED(NULL, TEXT("a"), on_check, &check, on_destroy, &err);
    REFUSED(health, TEXT("a"), NULL, &check, on_destroy, &err);
    REFUSED(health, NULL, 1, on_check, &check, on_destroy, &err);
    REFUSED(health, TEXT("a\n"), on_check, &check, on_destroy, &err);
    REFUSED(health, "\xff", 1, on_check, &check, on_destroy, &err);
    add(health, "a", &check);
    REFUSED(health, TEXT("a"), on_check, &check, on_destroy, &err);
#undef REFUSED
    FAILS(COREPROC_INVALID_ARGUMENT, coreproc_health_add_check(health, TEXT("b"), NULL, &check, NULL, &err));
    coreproc_health_free(health); /* never started: gone at once */
    CHECK_INT(atomic_load(&check.destroyed), ++refused);
    CHECK_INT(atomic_load(&check.calls), 0);
}

static void bad_arguments_are_refused(void)
{
    coreproc_health *health = NULL, *const untouched = NULL;
    coreproc_health_options unknown = {.struct_size = sizeof unknown, .reserved = 1}, small = {.struct_size = 8};
    uint32_t ok = 7;
    coreproc_bytes *bytes = NULL;
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "address", coreproc_health_new(NULL, 1, NULL, &health, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "address", coreproc_health_new("\xff", 1, NULL, &health, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_health_new(TEXT(":0"), NULL, NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "reserved", coreproc_health_new(TEXT(":0"), &unknown, &health, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "struct_size", coreproc_health_new(TEXT(":0"), &small, &health, &err));
    CHECK(health == untouched);
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "health", coreproc_health_start(NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "health", coreproc_health_stop(NULL, 0, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "health", coreproc_health_set_ready(NULL, 1, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "health", coreproc_health_address(NULL, &bytes, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "answer", coreproc_check_answer_reason(NULL, TEXT("x"), &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "endpoint", coreproc_health_probe(TEXT(":1"), 3, 0, &ok, NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "timeout_ms",
                 coreproc_health_wait(TEXT(":1"), COREPROC_ENDPOINT_READY, -2, &ok, NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_health_probe(TEXT(":1"), 1, 0, NULL, NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "no port", coreproc_health_wait(TEXT("here"), 1, -1, &ok, NULL, &err));
    CHECK_INT(ok, 7);
    CHECK_INT(coreproc_health_ready(NULL), 0);
    CHECK(coreproc_health_ref(NULL) == NULL);
    coreproc_health_free(NULL);
    OK(coreproc_health_new(TEXT("nowhere"), NULL, &health, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "nowhere", coreproc_health_start(health, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "ready", coreproc_health_set_ready(health, 2, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_health_address(health, NULL, &err));
    OK(coreproc_health_stop(health, 0, &err));
    coreproc_health_free(health);
}

static void states_are_kept(void)
{
    coreproc_health *health = serve(NULL), *other = NULL;
    char address[128];
    FAILS(COREPROC_INVALID_STATE, coreproc_health_start(health, &err));
    OK(coreproc_health_new(TEXT(address_of(health, address, sizeof address)), NULL, &other, &err));
    FAILS(COREPROC_BUSY, coreproc_health_start(other, &err));
    OK(coreproc_health_stop(health, FOREVER, &err));
    OK(coreproc_health_stop(health, FOREVER, &err));
    OK(coreproc_health_start(other, &err));
    check_answer(other, COREPROC_ENDPOINT_HEALTH, true, "ok");
    coreproc_health_free(health);
    end(other);
}

static void a_check_that_hangs_is_reported_and_left_alone(void)
{
    coreproc_health_options options = {.struct_size = sizeof options, .check_timeout_ms = 500};
    struct check stuck = {.code = 0, .waits = true};
    sem_init(&stuck.entered, 0, 0);
    sem_init(&stuck.go, 0, 0);
    coreproc_health *health = serve(&options);
    add(health, "stuck", &stuck);
    check_answer(health, COREPROC_ENDPOINT_HEALTH, false, "503: unhealthy: stuck: timed out after 500 ms");
    char reason[256];
    CHECK(!probe(health, COREPROC_ENDPOINT_HEALTH, reason, sizeof reason));
    CHECK(strstr(reason, "stuck: still running after ") != NULL);
    CHECK_INT(atomic_load(&stuck.calls), 1);
    end(health); /* does not wait for it */
    CHECK_INT(atomic_load(&stuck.destroyed), 0);
    sem_post(&stuck.go);
    CHECK_EVENTUALLY(atomic_load(&stuck.destroyed) == 1);
}

static void stop_from_inside_a_check_gives_deadlock(void)
{
    struct check check = {.code = 0};
    coreproc_health *health = serve(NULL);
    check.stop = health;
    add(health, "stops", &check);
    check_answer(health, COREPROC_ENDPOINT_HEALTH, true, "ok");
    CHECK_INT(atomic_load(&check.calls), 1);
    end(health);
    CHECK_EVENTUALLY(atomic_load(&check.destroyed) == 1);
}

static void *start_it(void *argument)
{
    OK(coreproc_health_start(argument, &err));
    return NULL;
}

static void waiting_ends_when_the_server_comes(void)
{
    char path[] = "unix:health-c.sock";
    coreproc_health *health = NULL;
    coreproc_bytes *reason = NULL;
    uint32_t ok = 7;
    OK(coreproc_health_wait(TEXT(path), COREPROC_ENDPOINT_READY, 5, &ok, &reason, &err));
    CHECK_INT(ok, 0);
    CHECK_INT(coreproc_bytes_len(reason), strlen("no such file or directory"));
    coreproc_bytes_free(reason);
    OK(coreproc_health_new(TEXT(path), NULL, &health, &err));
    pthread_t starter = start_thread(start_it, health);
    OK(coreproc_health_wait(TEXT(path), COREPROC_ENDPOINT_READY, FOREVER, &ok, NULL, &err));
    CHECK_INT(ok, 1);
    join_thread(starter);
    CHECK(access("health-c.sock", F_OK) == 0);
    end(health);
    CHECK(access("health-c.sock", F_OK) != 0);
}

static void free_stops_without_waiting(void)
{
    struct check stuck = {.code = 0, .waits = true};
    sem_init(&stuck.entered, 0, 0);
    sem_init(&stuck.go, 0, 0);
    coreproc_health *health = serve(NULL);
    char address[128];
    address_of(health, address, sizeof address);
    add(health, "stuck", &stuck);
    coreproc_health_free(health);
    uint32_t ok = 1;
    do
        OK(coreproc_health_probe(TEXT(address), COREPROC_ENDPOINT_READY, FOREVER, &ok, NULL, &err));
    while (ok == 1);
    CHECK_EVENTUALLY(atomic_load(&stuck.destroyed) == 1);
}

static void *ask_often(void *argument)
{
    int times = *(int *)argument;
    coreproc_health *health = *(coreproc_health **)((char *)argument + sizeof(void *));
    for (int i = 0; i < times; i++)
        check_answer(health, COREPROC_ENDPOINT_HEALTH, true, "ok");
    return NULL;
}

static void many_threads_may_ask_at_once(void)
{
    struct {
        int times;
        coreproc_health *health;
    } both = {check_count(100), serve(NULL)};
    struct check check = {.code = 0};
    add(both.health, "x", &check);
    pthread_t askers[4];
    for (int i = 0; i < 4; i++)
        askers[i] = start_thread(ask_often, &both);
    for (int i = 0; i < 4; i++)
        join_thread(askers[i]);
    end(both.health);
    CHECK_EVENTUALLY(atomic_load(&check.destroyed) == 1);
}

static void nothing_is_left_over(void)
{
    CHECK_EVENTUALLY(check_threads() == 1);
    int fds = check_fds();
    for (int i = 0; i < 20; i++) {
        coreproc_health *health = serve(NULL);
        check_answer(health, COREPROC_ENDPOINT_HEALTH, true, "ok");
        if (i % 2 == 0)
            OK(coreproc_health_stop(health, FOREVER, &err));
        coreproc_health_free(health);
    }
    CHECK_EVENTUALLY(check_threads() == 1);
    CHECK_EVENTUALLY(check_fds() == fds);
}

/* `cargo test` builds tokio with the features of the benches, and keeps a pair of sockets from its first runtime on.
 * The library as it is shipped, and as the sanitizer has it, keeps nothing. */
static void let_test_builds_keep_theirs(void)
{
    if (check_under("asan"))
        return;
    end(serve(NULL));
    CHECK_EVENTUALLY(check_threads() == 1);
    check_fds_at_start = check_fds();
}

int main(void)
{
    check_begin();
    let_test_builds_keep_theirs();
    RUN(answers_are_those_of_the_contract);
    RUN(checks_say_what_is_wrong);
    RUN(destroy_runs_once_when_a_check_is_refused);
    RUN(bad_arguments_are_refused);
    RUN(states_are_kept);
    RUN(a_check_that_hangs_is_reported_and_left_alone);
    RUN(stop_from_inside_a_check_gives_deadlock);
    RUN(waiting_ends_when_the_server_comes);
    RUN(free_stops_without_waiting);
    RUN(many_threads_may_ask_at_once);
    RUN(nothing_is_left_over);
    return check_end();
}
