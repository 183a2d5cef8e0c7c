/* How many bytes the library copies of the output of a process that writes much, as the cargo feature `fault-injection`
 * counts them. Alone in its process, because the count is of all of it. */
#include "help.h"
#include <stdatomic.h>

/* Bytes of output that the library has copied so far. */
uint64_t coreproc_test_copied_bytes(void);

#define CHUNKS "exec dd if=/dev/zero bs=64k count=1000 status=none"
#define LINES "yes 0123456789012345678901234567890123456789012345678901234567890123456789012345678 | " \
              "dd bs=64k count=1000 iflag=fullblock status=none"
#define TOTAL (1000u << 16)

struct listener {
    bool lines;
    uint64_t bytes;
    atomic_bool closed;
};

static void count_bytes(const coreproc_event *events, size_t count, size_t stride, void *user_data)
{
    struct listener *listener = user_data;
    for (size_t i = 0; i < count; i++) {
        const coreproc_event *event = (const coreproc_event *)((const char *)events + i * stride);
        if (event->kind == COREPROC_EVENT_STDOUT)
            listener->bytes += event->len + (listener->lines && (event->flags & COREPROC_FLAG_NO_NEWLINE) == 0);
        else if (event->kind == COREPROC_EVENT_CLOSED)
            atomic_store(&listener->closed, true);
    }
}

/* Returns the copied bytes for each byte of output. */
static double copies(const char *script, uint32_t delivery)
{
    struct listener listener = {.lines = delivery == COREPROC_DELIVERY_LINES};
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = NULL;
    coreproc_subscription_options options = {.struct_size = sizeof options, .delivery = delivery};
    OK(coreproc_subscription_listen(service, &options, count_bytes, &listener, NULL, &subscription, &err));
    uint64_t before = coreproc_test_copied_bytes();
    CHECK_INT(finish(spawn_sh(service, script)).stdout_bytes, TOTAL);
    CHECK_EVENTUALLY(atomic_load(&listener.closed));
    uint64_t copied = coreproc_test_copied_bytes() - before;
    CHECK_INT(listener.bytes, delivery == COREPROC_DELIVERY_NONE ? 0 : TOTAL);
    coreproc_subscription_free(subscription);
    end_service(service);
    fprintf(check_out, "# %.4f bytes were copied for each byte\n", (double)copied / TOTAL);
    /* What came before it was known to write much was copied. */
    CHECK(copied > 0);
    return (double)copied / TOTAL;
}

static void what_is_captured_is_not_copied(void)
{
    CHECK(copies(CHUNKS, COREPROC_DELIVERY_NONE) <= 0.02);
}

static void chunks_are_not_copied(void)
{
    CHECK(copies(CHUNKS, COREPROC_DELIVERY_CHUNKS) <= 0.02);
}

static void lines_are_not_copied(void)
{
    CHECK(copies(LINES, COREPROC_DELIVERY_LINES) <= 0.05);
}

int main(void)
{
    check_begin();
    RUN(what_is_captured_is_not_copied);
    RUN(chunks_are_not_copied);
    RUN(lines_are_not_copied);
    return check_end();
}
