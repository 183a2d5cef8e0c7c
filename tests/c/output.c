/* What a child writes: the capture, chunks and lines, the modes of the standard streams, the drain bound. */
#include "help.h"

/* The events of one process. */
struct seen {
    char *bytes[2]; /* stdout, stderr; lines joined again */
    size_t len[2];
    size_t events, partial, no_newline, longest;
    coreproc_event exited, closed;
    char *holders;
};

static void seen_add(struct seen *seen, const coreproc_event *event, bool lines)
{
    int stream = event->kind == COREPROC_EVENT_STDERR;
    bool newline = lines && !(event->flags & (COREPROC_FLAG_PARTIAL | COREPROC_FLAG_NO_NEWLINE));
    seen->bytes[stream] = realloc(seen->bytes[stream], seen->len[stream] + event->len + 1);
    MUST(seen->bytes[stream] != NULL);
    memcpy(seen->bytes[stream] + seen->len[stream], event->data, event->len);
    seen->len[stream] += event->len;
    if (newline)
        seen->bytes[stream][seen->len[stream]++] = '\n';
    seen->partial += (event->flags & COREPROC_FLAG_PARTIAL) != 0;
    seen->no_newline += (event->flags & COREPROC_FLAG_NO_NEWLINE) != 0;
    if (event->len > seen->longest)
        seen->longest = event->len;
    CHECK(!lines || memchr(event->data, '\n', event->len) == NULL);
    CHECK(event->len > 0 || lines);
}

/* Reads a stream with one process up to its closed event, and checks the order on the way. */
static struct seen read_all(coreproc_subscription *subscription, bool lines)
{
    struct seen seen = {.events = 0};
    while (seen.closed.kind == 0) {
        coreproc_batch *batch = take(subscription, 0);
        MUST(batch != NULL);
        for (size_t i = 0; i < event_count(batch); i++) {
            const coreproc_event *event = event_at(batch, i);
            CHECK_INT(event->sequence, ++seen.events);
            CHECK(event->data != NULL);
            CHECK((event->kind == COREPROC_EVENT_STARTED) == (event->sequence == 1));
            if (event->kind == COREPROC_EVENT_STDOUT || event->kind == COREPROC_EVENT_STDERR)
                seen_add(&seen, event, lines);
            else if (event->kind == COREPROC_EVENT_EXITED)
                seen.exited = *event;
            else if (event->kind == COREPROC_EVENT_CLOSED) {
                seen.closed = *event;
                seen.holders = strndup((const char *)event->data, event->len);
            }
        }
        coreproc_batch_free(batch);
    }
    CHECK_INT(seen.exited.kind, COREPROC_EVENT_EXITED);
    return seen;
}

static void seen_free(struct seen *seen)
{
    free(seen->bytes[0]);
    free(seen->bytes[1]);
    free(seen->holders);
}

static bool seen_is(const struct seen *seen, int stream, const void *data, size_t len)
{
    return seen->len[stream] == len && (len == 0 || memcmp(seen->bytes[stream], data, len) == 0);
}

/* Runs a command (which it takes) under a subscription of its own. */
static struct seen run_seen(coreproc_command *command, const coreproc_subscription_options *options)
{
    bool lines = options->delivery == 0 || options->delivery == COREPROC_DELIVERY_LINES;
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, options);
    coreproc_process *process = spawn(service, command);
    struct seen seen = read_all(subscription, lines);
    CHECK_INT(seen.closed.process_id, coreproc_process_id(process));
    CHECK_INT(seen.closed.pid, coreproc_process_pid(process));
    coreproc_process_free(process);
    coreproc_subscription_free(subscription);
    end_service(service);
    return seen;
}

static const coreproc_subscription_options by_lines = {.struct_size = sizeof by_lines, .delivery = COREPROC_DELIVERY_LINES};
static const coreproc_subscription_options by_chunks = {.struct_size = sizeof by_chunks, .delivery = COREPROC_DELIVERY_CHUNKS};

/* Makes reproducible bytes of every value. */
static uint8_t *noise(size_t len)
{
    uint8_t *bytes = malloc(len);
    MUST(bytes != NULL);
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < len; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes[i] = (uint8_t)(state >> 32);
    }
    return bytes;
}

struct fixture {
    char path[32];
    uint8_t *bytes;
    size_t len;
};

static struct fixture new_fixture(size_t len)
{
    struct fixture fixture = {"/tmp/coreproc-c-XXXXXX", noise(len), len};
    int fd = mkstemp(fixture.path);
    MUST(fd >= 0);
    for (size_t done = 0; done < len;) {
        ssize_t written = write(fd, fixture.bytes + done, len - done);
        MUST(written > 0);
        done += (size_t)written;
    }
    close(fd);
    return fixture;
}

static void free_fixture(struct fixture *fixture)
{
    unlink(fixture->path);
    free(fixture->bytes);
}

static void capture_is_byte_exact(void)
{
    struct fixture fixture = new_fixture(1000001);
    coreproc_service *service = new_service();
    coreproc_process *process = spawn(service, new_command("cat", fixture.path, NULL));
    coreproc_process_info info = wait_closed(process);
    CHECK_INT(info.stdout_bytes, fixture.len);
    CHECK_INT(info.dropped_bytes, 0);
    CHECK(output_is(process, fixture.bytes, fixture.len));
    coreproc_process_free(process);
    end_service(service);
    free_fixture(&fixture);
}

static void capture_keeps_the_newest_and_counts_the_rest(void)
{
    struct fixture fixture = new_fixture(300000);
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("cat", fixture.path, NULL);
    OK(coreproc_command_capture(command, 1000, &err));
    coreproc_process *process = spawn(service, command);
    coreproc_process_info info = wait_closed(process);
    CHECK_INT(info.stdout_bytes, fixture.len);
    CHECK_INT(info.dropped_bytes, fixture.len - 1000);
    CHECK(output_is(process, fixture.bytes + fixture.len - 1000, 1000));
    coreproc_process_free(process);

    command = new_command("cat", fixture.path, NULL);
    OK(coreproc_command_capture(command, COREPROC_CAPTURE_NONE, &err));
    process = spawn(service, command);
    info = wait_closed(process);
    CHECK_INT(info.stdout_bytes, fixture.len);
    CHECK_INT(info.dropped_bytes, fixture.len);
    CHECK(output_is(process, "", 0));
    coreproc_process_free(process);
    end_service(service);
    free_fixture(&fixture);
}

static void capture_of_the_largest_size_keeps_everything(void)
{
    struct fixture fixture = new_fixture(3000001); /* more than the default */
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("cat", fixture.path, NULL);
    OK(coreproc_command_capture(command, INT64_MAX, &err));
    coreproc_process *process = spawn(service, command);
    CHECK_INT(wait_closed(process).dropped_bytes, 0);
    CHECK(output_is(process, fixture.bytes, fixture.len));
    coreproc_process_free(process);
    end_service(service);
    free_fixture(&fixture);
}

static void output_ends_with_a_nul_that_is_not_counted(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_sh(service, "printf 'text'");
    coreproc_bytes *bytes = NULL;
    wait_closed(process);
    OK(coreproc_process_output(process, &bytes, &err));
    CHECK_INT(coreproc_bytes_len(bytes), 4);
    CHECK(strcmp((const char *)coreproc_bytes_data(bytes), "text") == 0);
    coreproc_bytes_free(bytes);

    /* No holders: empty, and still a string. */
    OK(coreproc_process_holders(process, &bytes, &err));
    CHECK_INT(coreproc_bytes_len(bytes), 0);
    CHECK(strcmp((const char *)coreproc_bytes_data(bytes), "") == 0);
    coreproc_bytes_free(bytes);
    coreproc_process_free(process);

    process = spawn_sh(service, ":");
    wait_closed(process);
    OK(coreproc_process_output(process, &bytes, &err));
    CHECK_INT(coreproc_bytes_len(bytes), 0);
    CHECK(strcmp((const char *)coreproc_bytes_data(bytes), "") == 0);
    coreproc_bytes_free(bytes);
    coreproc_process_free(process);
    end_service(service);
}

static void capture_default_is_the_services(void)
{
    const coreproc_service_options options = {.struct_size = sizeof options, .capture_bytes = 5};
    coreproc_service *service = NULL;
    OK(coreproc_service_new(&options, &service, &err));
    coreproc_process *process = spawn_sh(service, "printf 0123456789");
    coreproc_command *command = new_sh("printf 0123456789");
    OK(coreproc_command_capture(command, 3, &err));
    coreproc_process *own = spawn(service, command);
    wait_closed(process);
    wait_closed(own);
    CHECK_OUTPUT(process, "56789");
    CHECK_OUTPUT(own, "789");
    coreproc_process_free(process);
    coreproc_process_free(own);
    end_service(service);
}

static void nothing_is_lost_by_an_exit_right_after_the_last_write(void)
{
    coreproc_service *service = new_service();
    int rounds = check_count(50);
    coreproc_process *processes[16];
    char expected[6 * 2000 + 1] = "";
    for (int i = 0; i < 2000; i++)
        snprintf(expected + 6 * i, 7, "%05d\n", i);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < 16; i++)
            processes[i] = spawn(service, new_command("seq", "-f", "%05g", "0", "1999", NULL));
        for (int i = 0; i < 16; i++) {
            wait_closed(processes[i]);
            CHECK_OUTPUT(processes[i], expected);
            coreproc_process_free(processes[i]);
        }
    }
    end_service(service);
}

static void chunks_arrive_as_written(void)
{
    struct fixture fixture = new_fixture(1000001);
    struct seen seen = run_seen(new_command("cat", fixture.path, NULL), &by_chunks);
    CHECK(seen_is(&seen, 0, fixture.bytes, fixture.len));
    CHECK(seen_is(&seen, 1, "", 0));
    CHECK_INT(seen.partial + seen.no_newline, 0);
    seen_free(&seen);
    free_fixture(&fixture);
}

static void lines_end_at_newlines_only(void)
{
    static const char text[] = "plain\n\ncarriage\r\nnul\0inside\n\xff\xfe\xc3(\n";
    struct seen seen = run_seen(new_sh("printf 'plain\\n\\ncarriage\\r\\nnul\\000inside\\n\\377\\376\\303(\\n'"), &by_lines);
    CHECK(seen_is(&seen, 0, text, sizeof text - 1));
    CHECK_INT(seen.events, 3 + 5);
    CHECK_INT(seen.partial + seen.no_newline, 0);
    seen_free(&seen);
}

static void a_last_line_without_newline_is_kept_and_flagged(void)
{
    struct seen seen = run_seen(new_sh("printf 'one\\ntwo'; printf 'three' >&2"), &by_lines);
    CHECK(seen_is(&seen, 0, "one\ntwo", 7));
    CHECK(seen_is(&seen, 1, "three", 5));
    CHECK_INT(seen.no_newline, 2);
    seen_free(&seen);
}

static void long_lines_arrive_in_flagged_pieces(void)
{
    static const size_t edges[] = {65535, 65536, 65537};
    coreproc_subscription_options options = by_lines;
    options.max_line_bytes = 65536;
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        char script[128];
        snprintf(script, sizeof script, "head -c %zu /dev/zero | tr '\\0' x; echo; echo end", edges[i]);
        struct seen seen = run_seen(new_sh(script), &options);
        char *expected = malloc(edges[i] + 5);
        MUST(expected != NULL);
        memset(expected, 'x', edges[i]);
        memcpy(expected + edges[i], "\nend\n", 5);
        CHECK(seen_is(&seen, 0, expected, edges[i] + 5));
        CHECK_INT(seen.partial, edges[i] > options.max_line_bytes);
        CHECK(seen.longest <= options.max_line_bytes);
        free(expected);
        seen_free(&seen);
    }
}

static void a_line_beyond_the_queue_is_no_stall(void)
{
    coreproc_subscription_options options = by_lines;
    options.queue_bytes = 65536;
    struct fixture fixture = new_fixture(3000000);
    for (size_t i = 0; i < fixture.len; i++) /* one line */
        fixture.bytes[i] = fixture.bytes[i] == '\n' ? ' ' : fixture.bytes[i];
    FILE *file = fopen(fixture.path, "we");
    MUST(file != NULL && fwrite(fixture.bytes, 1, fixture.len, file) == fixture.len && fclose(file) == 0);
    struct seen seen = run_seen(new_command("cat", fixture.path, NULL), &options);
    CHECK(seen_is(&seen, 0, fixture.bytes, fixture.len));
    CHECK(seen.partial > 0);
    CHECK_INT(seen.no_newline, 1);
    seen_free(&seen);
    free_fixture(&fixture);
}

/* What arrives whole is split here, and has to be what lines one by one would have been. */
static void whole_lines_arrive_in_one_piece_and_end_at_newlines(void)
{
    static const char script[] = "printf 'one\\n\\nthree\\r\\n'; printf 'err\\n' >&2; printf '0123456789abc\\nrest'";
    const coreproc_subscription_options options = {
        .struct_size = sizeof options, .delivery = COREPROC_DELIVERY_WHOLE_LINES, .max_line_bytes = 10};
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, &options);
    coreproc_process *process = spawn(service, new_sh(script));
    char out[64] = "", err[64] = "";
    size_t partial = 0, no_newline = 0;
    for (bool closed = false; !closed;) {
        coreproc_batch *batch = take(subscription, 0);
        MUST(batch != NULL);
        for (size_t i = 0; i < event_count(batch); i++) {
            const coreproc_event *event = event_at(batch, i);
            closed |= event->kind == COREPROC_EVENT_CLOSED;
            if (event->kind != COREPROC_EVENT_STDOUT && event->kind != COREPROC_EVENT_STDERR)
                continue;
            strncat(event->kind == COREPROC_EVENT_STDOUT ? out : err, (const char *)event->data, event->len);
            bool whole = !(event->flags & (COREPROC_FLAG_PARTIAL | COREPROC_FLAG_NO_NEWLINE));
            CHECK(event->len > 0);
            CHECK_INT(event->data[event->len - 1] == '\n', whole);
            CHECK(whole || memchr(event->data, '\n', event->len) == NULL);
            if (event->flags & COREPROC_FLAG_PARTIAL) {
                CHECK(event->len == 10 && memcmp(event->data, "0123456789", 10) == 0);
                partial++;
            }
            if (event->flags & COREPROC_FLAG_NO_NEWLINE) {
                CHECK(event->len == 4 && memcmp(event->data, "rest", 4) == 0);
                no_newline++;
            }
        }
        coreproc_batch_free(batch);
    }
    CHECK_TEXT(out, "one\n\nthree\r\n0123456789abc\nrest");
    CHECK_TEXT(err, "err\n");
    CHECK_INT(partial, 1);
    CHECK_INT(no_newline, 1);
    coreproc_process_free(process);
    coreproc_subscription_free(subscription);
    end_service(service);
}

static void delivery_none_brings_lifecycle_events_alone(void)
{
    const coreproc_subscription_options options = {.struct_size = sizeof options, .delivery = COREPROC_DELIVERY_NONE};
    struct seen seen = run_seen(new_sh("echo out; echo err >&2; exit 4"), &options);
    CHECK_INT(seen.events, 3);
    CHECK_INT(seen.exited.exit_code, 4);
    CHECK_INT(seen.closed.exit_code, 4);
    CHECK_INT(seen.exited.cause, COREPROC_CAUSE_NATURAL);
    CHECK(seen.exited.monotonic_ns != 0 && seen.exited.realtime_ns != 0);
    seen_free(&seen);
}

static void merged_streams_keep_the_exact_order(void)
{
    coreproc_command *command = new_sh("i=0; while [ $i -lt 500 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done");
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDERR, COREPROC_STDIO_MERGE, &err));
    struct seen seen = run_seen(command, &by_lines);
    char expected[500 * 10] = "", *end = expected;
    for (int i = 0; i < 500; i++)
        end += sprintf(end, "o%d\ne%d\n", i, i);
    CHECK(seen_is(&seen, 0, expected, strlen(expected)));
    CHECK_INT(seen.len[1], 0);
    seen_free(&seen);
}

static void streams_can_be_null_files_and_fds(void)
{
    char out[] = "/tmp/coreproc-c-XXXXXX", in[] = "/tmp/coreproc-c-XXXXXX", text[64] = "";
    int out_fd = mkstemp(out), in_fd = mkstemp(in);
    MUST(out_fd >= 0 && in_fd >= 0);
    MUST(write(out_fd, "old content\n", 12) == 12);
    MUST(write(in_fd, "from a file\n", 12) == 12);
    coreproc_service *service = new_service();

    coreproc_command *command = new_sh("cat; echo noise >&2");
    OK(coreproc_command_stdio_file(command, COREPROC_STREAM_STDIN, TEXT(in), COREPROC_FILE_READ, &err));
    OK(coreproc_command_stdio_file(command, COREPROC_STREAM_STDOUT, TEXT(out), COREPROC_FILE_TRUNCATE, &err));
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDERR, COREPROC_STDIO_NULL, &err));
    coreproc_process *process = spawn(service, command);
    coreproc_process_info info = wait_closed(process);
    CHECK_INT(info.stdout_bytes + info.stderr_bytes, 0);
    CHECK_OUTPUT(process, "");
    coreproc_process_free(process);

    command = new_sh("echo appended; echo by fd >&2");
    OK(coreproc_command_stdio_file(command, COREPROC_STREAM_STDOUT, TEXT(out), COREPROC_FILE_APPEND, &err));
    int fd = open(out, O_WRONLY | O_APPEND | O_CLOEXEC);
    MUST(fd >= 0);
    OK(coreproc_command_stdio_fd(command, COREPROC_STREAM_STDERR, fd, &err));
    close(fd); /* it was duplicated */
    finish(spawn(service, command));
    CHECK_INT(pread(out_fd, text, sizeof text - 1, 0), strlen("from a file\nappended\nby fd\n"));
    CHECK_TEXT(text, "from a file\nappended\nby fd\n");

    command = new_sh("cat; echo done");
    process = spawn(service, command); /* stdin is null unless told */
    wait_closed(process);
    CHECK_OUTPUT(process, "done\n");
    coreproc_process_free(process);
    end_service(service);
    close(out_fd);
    close(in_fd);
    unlink(out);
    unlink(in);
}

static void inherited_streams_are_the_hosts(void)
{
    char path[] = "/tmp/coreproc-c-XXXXXX", text[64] = "";
    int file = mkstemp(path), saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    MUST(file >= 0 && saved >= 0);
    MUST(dup2(file, STDOUT_FILENO) == STDOUT_FILENO);
    coreproc_service *service = new_service();
    coreproc_command *command = new_sh("echo inherited");
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDOUT, COREPROC_STDIO_INHERIT, &err));
    finish(spawn(service, command));
    MUST(dup2(saved, STDOUT_FILENO) == STDOUT_FILENO);
    close(saved);
    CHECK(pread(file, text, sizeof text - 1, 0) > 0);
    CHECK_TEXT(text, "inherited\n");
    end_service(service);
    close(file);
    unlink(path);
}

static void a_grandchild_that_holds_stdout_delays_closed_by_the_bound_at_most(void)
{
    int gate[2];
    MUST(pipe2(gate, O_CLOEXEC) == 0);
    coreproc_service *service = new_service();
    coreproc_subscription *subscription = open_subscription(service, NULL);
    /* The grandchild goes on only when the gate opens, which happens after `closed` was seen. */
    coreproc_command *command = new_sh("exec 3<&0; (cat <&3 >/dev/null; echo late) & echo $!; exit 6");
    OK(coreproc_command_stdio_fd(command, COREPROC_STREAM_STDIN, gate[0], &err));
    OK(coreproc_command_drain(command, 50, 200, &err));
    coreproc_process *process = spawn(service, command);
    close(gate[0]);
    CHECK_INT(wait_until(process, COREPROC_STATE_EXITED).exit_code, 6);
    struct seen seen = read_all(subscription, true);
    CHECK(seen.closed.flags & COREPROC_FLAG_DRAIN_BOUND);
    CHECK(wait_closed(process).flags & COREPROC_FLAG_DRAIN_BOUND);
    MUST(seen.len[0] > 1);
    int grandchild = atoi(seen.bytes[0]);
    CHECK(!is_dead(grandchild));
    char name[32];
    snprintf(name, sizeof name, "%d ", grandchild);
    CHECK(strstr(seen.holders, name) != NULL);
    coreproc_bytes *holders = NULL;
    OK(coreproc_process_holders(process, &holders, &err));
    CHECK_INT(coreproc_bytes_len(holders), strlen(seen.holders));
    CHECK(memcmp(coreproc_bytes_data(holders), seen.holders, strlen(seen.holders)) == 0);
    coreproc_bytes_free(holders);
    close(gate[1]);
    CHECK_EVENTUALLY(info_of(process).discarded_bytes == strlen("late\n")); /* written, not killed by SIGPIPE */
    CHECK_EVENTUALLY(is_dead(grandchild));
    coreproc_process_free(process);
    coreproc_subscription_free(subscription);
    seen_free(&seen);
    end_service(service);
}

static void nobody_holds_after_a_plain_end(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped_sh(service, "read line");
    coreproc_bytes *holders = NULL;
    OK(coreproc_process_holders(process, &holders, &err));
    CHECK_INT(coreproc_bytes_len(holders), 0);
    CHECK(coreproc_bytes_data(holders) != NULL);
    coreproc_bytes_free(holders);
    OK(coreproc_process_close_stdin(process, &err));
    CHECK_INT(wait_closed(process).flags & COREPROC_FLAG_DRAIN_BOUND, 0);
    OK(coreproc_process_holders(process, &holders, &err));
    CHECK_INT(coreproc_bytes_len(holders), 0);
    coreproc_bytes_free(holders);
    coreproc_process_free(process);
    end_service(service);
}

/* It is as in a shell pipeline whose reader has ended. */
static void an_output_that_is_closed_ends_its_writer(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_sh(service, "exec yes");
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "process", coreproc_process_close_output(NULL, COREPROC_STREAM_STDOUT, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "stream", coreproc_process_close_output(process, COREPROC_STREAM_STDIN, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "stream", coreproc_process_close_output(process, 99, &err));
    OK(coreproc_process_close_output(process, COREPROC_STREAM_STDERR, &err));
    OK(coreproc_process_close_output(process, COREPROC_STREAM_STDOUT, &err));
    OK(coreproc_process_close_output(process, COREPROC_STREAM_STDOUT, &err));
    CHECK_INT(finish(process).signal, SIGPIPE);
    end_service(service);
}

/* Checks a capture of two parts. */
static void check_captured(coreproc_process *process, uint32_t number, const char *head, uint64_t gap, const char *tail)
{
    size_t head_len = 0;
    uint64_t between = 0;
    coreproc_bytes *bytes = NULL;
    OK(coreproc_process_output_of(process, number, &head_len, &between, &bytes, &err));
    CHECK_INT(head_len, strlen(head));
    CHECK_INT(between, gap);
    CHECK_INT(coreproc_bytes_len(bytes), strlen(head) + strlen(tail));
    CHECK(memcmp(coreproc_bytes_data(bytes), head, strlen(head)) == 0);
    CHECK(strcmp((const char *)coreproc_bytes_data(bytes) + strlen(head), tail) == 0);
    coreproc_bytes_free(bytes);
}

static void first_and_last_bytes_and_lines_are_kept(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("seq", "1000", NULL);
    OK(coreproc_command_capture_head(command, 4, &err));
    OK(coreproc_command_capture_lines(command, 2, &err));
    coreproc_process *process = spawn(service, command);
    wait_closed(process);
    check_captured(process, COREPROC_OUTPUT_TOGETHER, "1\n2\n", 3880, "999\n1000\n");
    CHECK_OUTPUT(process, "1\n2\n999\n1000\n");
    CHECK_INT(finish(process).dropped_bytes, 3880);

    command = new_sh("echo one >&2; echo two; echo three >&2");
    OK(coreproc_command_capture_apart(command, &err));
    process = spawn(service, command);
    wait_closed(process);
    check_captured(process, 1, "", 0, "two\n");
    check_captured(process, 2, "", 0, "one\nthree\n");
    CHECK_OUTPUT(process, "two\none\nthree\n");
    coreproc_bytes *none = NULL;
    FAILS(COREPROC_INVALID_ARGUMENT, coreproc_process_output_of(process, COREPROC_OUTPUT_TOGETHER, NULL, NULL, &none, &err));
    FAILS(COREPROC_INVALID_ARGUMENT, coreproc_process_output_of(process, 3, NULL, NULL, &none, &err));
    FAILS(COREPROC_INVALID_ARGUMENT, coreproc_process_output_of(process, 70000, NULL, NULL, &none, &err));
    finish(process);
    end_service(service);
}

int main(void)
{
    check_begin();
    RUN(capture_is_byte_exact);
    RUN(capture_keeps_the_newest_and_counts_the_rest);
    RUN(capture_of_the_largest_size_keeps_everything);
    RUN(output_ends_with_a_nul_that_is_not_counted);
    RUN(capture_default_is_the_services);
    RUN(nothing_is_lost_by_an_exit_right_after_the_last_write);
    RUN(chunks_arrive_as_written);
    RUN(lines_end_at_newlines_only);
    RUN(a_last_line_without_newline_is_kept_and_flagged);
    RUN(long_lines_arrive_in_flagged_pieces);
    RUN(a_line_beyond_the_queue_is_no_stall);
    RUN(whole_lines_arrive_in_one_piece_and_end_at_newlines);
    RUN(delivery_none_brings_lifecycle_events_alone);
    RUN(merged_streams_keep_the_exact_order);
    RUN(streams_can_be_null_files_and_fds);
    RUN(inherited_streams_are_the_hosts);
    RUN(a_grandchild_that_holds_stdout_delays_closed_by_the_bound_at_most);
    RUN(nobody_holds_after_a_plain_end);
    RUN(an_output_that_is_closed_ends_its_writer);
    RUN(first_and_last_bytes_and_lines_are_kept);
    return check_end();
}
