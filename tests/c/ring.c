/* The ring buffer: what it keeps, how it is copied, and many threads at once. */
#include "help.h"

static coreproc_ring *new_ring(size_t size)
{
    coreproc_ring *ring = NULL;
    OK(coreproc_ring_new(size, &ring, &err));
    MUST(ring != NULL);
    return ring;
}

static bool ring_is(coreproc_ring *ring, const char *text)
{
    char buffer[64] = {0};
    size_t held = sizeof buffer;
    OK(coreproc_ring_copy(ring, (uint8_t *)buffer, sizeof buffer - 1, &held, &err));
    CHECK_INT(coreproc_ring_len(ring), held);
    return check_int((long long)held, (long long)strlen(text), "held", __FILE__, __LINE__) &&
           check_text(buffer, text, "copy", __FILE__, __LINE__);
}

static void write_text(coreproc_ring *ring, const char *text)
{
    OK(coreproc_ring_write(ring, (const uint8_t *)text, strlen(text), &err));
}

static void it_keeps_the_last_bytes(void)
{
    coreproc_ring *ring = new_ring(5);
    CHECK_INT(coreproc_ring_cap(ring), 5);
    CHECK(ring_is(ring, ""));
    write_text(ring, "abc");
    CHECK(ring_is(ring, "abc"));
    write_text(ring, "def");
    CHECK(ring_is(ring, "bcdef"));
    write_text(ring, "0123456789");
    CHECK(ring_is(ring, "56789"));
    OK(coreproc_ring_write(ring, NULL, 0, &err));
    CHECK(ring_is(ring, "56789"));
    coreproc_ring_reset(ring);
    CHECK(ring_is(ring, ""));
    CHECK_INT(coreproc_ring_cap(ring), 5);
    write_text(ring, "new");
    CHECK(ring_is(ring, "new"));
    coreproc_ring_free(ring);
}

static void size_zero_keeps_nothing(void)
{
    coreproc_ring *ring = new_ring(0);
    write_text(ring, "anything");
    CHECK(ring_is(ring, ""));
    CHECK_INT(coreproc_ring_cap(ring), 0);
    coreproc_ring_free(ring);
}

static void a_copy_that_does_not_fit_copies_nothing(void)
{
    coreproc_ring *ring = new_ring(100);
    uint8_t *buffer = malloc(6); /* of exactly that size, for the sanitizers */
    size_t held = 0;
    MUST(buffer != NULL);
    memset(buffer, 'x', 6);
    write_text(ring, "sieben!");
    OK(coreproc_ring_copy(ring, buffer, 6, &held, &err));
    CHECK_INT(held, 7);
    CHECK(memcmp(buffer, "xxxxxx", 6) == 0);
    OK(coreproc_ring_copy(ring, NULL, 0, &held, &err));
    CHECK_INT(held, 7);
    CHECK_INT(coreproc_ring_len(ring), 7);
    free(buffer);
    coreproc_ring_free(ring);
}

static void a_reference_is_the_same_ring(void)
{
    coreproc_ring *ring = new_ring(10), *other = coreproc_ring_ref(ring);
    MUST(other != NULL);
    write_text(ring, "shared");
    coreproc_ring_free(ring);
    CHECK(ring_is(other, "shared"));
    coreproc_ring_free(other);
}

static void bad_input_is_an_error(void)
{
    coreproc_ring *ring = new_ring(4);
    size_t held = 77;
    uint8_t byte = 0;
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_ring_new(4, NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "ring", coreproc_ring_write(NULL, &byte, 1, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "data", coreproc_ring_write(ring, NULL, 1, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "data", coreproc_ring_write(ring, &byte, SIZE_MAX, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "ring", coreproc_ring_copy(NULL, &byte, 1, &held, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "buffer", coreproc_ring_copy(ring, NULL, 1, &held, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "buffer", coreproc_ring_copy(ring, &byte, SIZE_MAX, &held, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_ring_copy(ring, &byte, 1, NULL, &err));
    CHECK_INT(held, 77);
    CHECK(coreproc_ring_ref(NULL) == NULL);
    CHECK_INT(coreproc_ring_len(NULL), 0);
    CHECK_INT(coreproc_ring_cap(NULL), 0);
    coreproc_ring_reset(NULL);
    coreproc_ring_free(NULL);
    coreproc_ring_free(ring);
}

/* A size beyond all memory takes no memory by itself. */
static void a_huge_ring_takes_what_it_holds(void)
{
    coreproc_ring *ring = new_ring(SIZE_MAX);
    write_text(ring, "little");
    CHECK(ring_is(ring, "little"));
    coreproc_ring_free(ring);
}

/* In a child of fork, a lock may be held for ever. */
static void a_child_of_fork_is_refused(void)
{
    /* Where valgrind finds it in the child, which gives nothing back that is its parent's. */
    static coreproc_ring *ring;
    ring = new_ring(4);
    coreproc_ring *other = NULL;
    size_t held = 0;
    uint8_t byte = 'x';
    int status = -1;
    write_text(ring, "abc");
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        bool refused = coreproc_ring_new(4, &other, NULL) == COREPROC_FORKED &&
                       coreproc_ring_write(ring, &byte, 1, NULL) == COREPROC_FORKED &&
                       coreproc_ring_copy(ring, &byte, 1, &held, NULL) == COREPROC_FORKED &&
                       coreproc_ring_len(ring) == 0 && coreproc_ring_cap(ring) == 0;
        coreproc_ring_reset(ring);
        coreproc_ring_free(ring);
        _exit(refused ? 0 : 1);
    }
    MUST(waitpid(child, &status, 0) == child);
    CHECK_INT(status, 0);
    CHECK(ring_is(ring, "abc"));
    coreproc_ring_free(ring);
}

enum { RECORD = 16 };

static void *write_records(void *ring)
{
    int count = check_count(20000);
    for (int i = 0; i < count; i++) {
        uint8_t record[RECORD];
        memset(record, 'a' + i % 26, sizeof record);
        MUST(coreproc_ring_write(ring, record, sizeof record, NULL) == COREPROC_OK);
    }
    return NULL;
}

static void *copy_records(void *ring)
{
    int count = check_count(2000);
    for (int i = 0; i < count; i++) {
        uint8_t records[64 * RECORD];
        size_t held = 0;
        MUST(coreproc_ring_copy(ring, records, sizeof records, &held, NULL) == COREPROC_OK);
        MUST(held <= sizeof records && held % RECORD == 0);
        for (size_t at = 0; at < held; at++)
            CHECK_INT(records[at], records[at - at % RECORD]);
        if (i % 100 == 99)
            coreproc_ring_reset(ring);
    }
    return NULL;
}

static void each_call_is_one_step_to_all_threads(void)
{
    coreproc_ring *ring = new_ring(64 * RECORD);
    pthread_t threads[5];
    for (int i = 0; i < 5; i++)
        threads[i] = start_thread(i < 3 ? write_records : copy_records, ring);
    for (int i = 0; i < 5; i++)
        join_thread(threads[i]);
    coreproc_ring_free(ring);
}

int main(void)
{
    check_begin();
    RUN(it_keeps_the_last_bytes);
    RUN(size_zero_keeps_nothing);
    RUN(a_copy_that_does_not_fit_copies_nothing);
    RUN(a_reference_is_the_same_ring);
    RUN(bad_input_is_an_error);
    RUN(a_huge_ring_takes_what_it_holds);
    RUN(a_child_of_fork_is_refused);
    RUN(each_call_is_one_step_to_all_threads);
    return check_end();
}
