/* Writing to a child: backpressure, close, and the ways a write can fail. */
#include "help.h"

static coreproc_process *spawn_piped(coreproc_service *service, coreproc_command *command)
{
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDIN, COREPROC_STDIO_PIPE, &err));
    return spawn(service, command);
}

static void cat_returns_every_byte(void)
{
    enum { LEN = 3000000 };
    uint8_t *sent = malloc(LEN);
    MUST(sent != NULL);
    for (size_t i = 0; i < LEN; i++)
        sent[i] = (uint8_t)(i * 7 + i / 251);
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("cat", NULL);
    OK(coreproc_command_capture(command, LEN, &err));
    coreproc_process *process = spawn_piped(service, command);
    write_all(process, sent, LEN);
    OK(coreproc_process_close_stdin(process, &err));
    coreproc_process_info info = wait_closed(process);
    CHECK_INT(info.exit_code, 0);
    CHECK_INT(info.stdout_bytes, LEN);
    CHECK(output_is(process, sent, LEN));
    coreproc_process_free(process);
    end_service(service);
    free(sent);
}

static void a_given_input_arrives_whole(void)
{
    enum { LEN = 3000000 };
    uint8_t *given = malloc(LEN);
    MUST(given != NULL);
    for (size_t i = 0; i < LEN; i++)
        given[i] = (uint8_t)(i * 7 + i / 251);
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("cat", NULL);
    OK(coreproc_command_capture(command, LEN, &err));
    OK(coreproc_command_stdin_data(command, given, LEN, &err));
    coreproc_process *process = spawn(service, command);
    FAILS(COREPROC_STDIN_CLOSED, coreproc_process_write(process, given, 1, -1, NULL, &err));
    coreproc_process_info info = wait_closed(process);
    CHECK_INT(info.exit_code, 0);
    CHECK_INT(info.unwritten_bytes, 0);
    CHECK(output_is(process, given, LEN));
    coreproc_process_free(process);
    command = new_command("true", NULL);
    OK(coreproc_command_stdin_data(command, given, LEN, &err));
    process = spawn(service, command);
    info = wait_closed(process);
    CHECK_INT(info.exit_code, 0);
    CHECK(info.unwritten_bytes > 0 && info.unwritten_bytes < LEN);
    coreproc_process_free(process);
    end_service(service);
    free(given);
}

static void other_descriptors_are_read_and_written(void)
{
    coreproc_service *service = new_service();
    const coreproc_subscription_options options = {.struct_size = sizeof options, .delivery = COREPROC_DELIVERY_LINES};
    coreproc_subscription *subscription = open_subscription(service, &options);
    coreproc_command *command = new_command("sh", "-c", "read line <&3; echo got $line >&4; cat <&5; cat <&6; cat <&7", NULL);
    OK(coreproc_command_descriptor(command, 3, COREPROC_DESCRIPTOR_INPUT, &err));
    OK(coreproc_command_descriptor(command, 4, COREPROC_DESCRIPTOR_OUTPUT, &err));
    OK(coreproc_command_descriptor_data(command, 5, (const uint8_t *)"five\n", 5, &err));
    OK(coreproc_command_descriptor_file(command, 6, TEXT("/dev/null"), COREPROC_FILE_READ, &err));
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    OK(coreproc_command_descriptor_fd(command, 7, null, &err));
    close(null);
    coreproc_process *process = spawn(service, command);
    size_t written = 0;
    OK(coreproc_process_descriptor_write(process, 3, (const uint8_t *)"one\n", 4, -1, &written, &err));
    CHECK_INT(written, 4);
    OK(coreproc_process_descriptor_close(process, 3, &err));
    CHECK_INT(wait_closed(process).exit_code, 0);
    CHECK_OUTPUT(process, "five\n");
    coreproc_bytes *output = NULL;
    OK(coreproc_process_output_of(process, 4, NULL, NULL, &output, &err));
    CHECK(strcmp((const char *)coreproc_bytes_data(output), "got one\n") == 0);
    coreproc_bytes_free(output);
    bool seen = false;
    for (bool closed = false; !closed;) {
        coreproc_batch *batch = take(subscription, 0);
        size_t count = 0, stride = 0;
        (void)coreproc_batch_events(batch, &count, &stride);
        for (size_t i = 0; i < count; i++) {
            const coreproc_event *event = event_at(batch, i);
            closed |= event->kind == COREPROC_EVENT_CLOSED;
            if (event->kind == COREPROC_EVENT_OUTPUT) {
                seen = true;
                CHECK_INT(event->descriptor, 4);
                CHECK(event->len == 7 && memcmp(event->data, "got one", 7) == 0);
            } else {
                CHECK_INT(event->descriptor, 0);
            }
        }
        coreproc_batch_free(batch);
    }
    CHECK(seen);
    coreproc_subscription_free(subscription);
    coreproc_process_free(process);
    end_service(service);
}

static void a_full_pipe_takes_a_part_then_times_out(void)
{
    enum { LEN = 4000000 };
    uint8_t *much = calloc(1, LEN);
    MUST(much != NULL);
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped(service, new_command("sleep", "1000", NULL));
    size_t written = 0, before = 4711;
    OK(coreproc_process_write(process, much, LEN, 0, &written, &err));
    CHECK(written > 0 && written < LEN);
    FAILS(COREPROC_TIMED_OUT, coreproc_process_write(process, much, LEN, 0, &before, &err));
    FAILS(COREPROC_TIMED_OUT, coreproc_process_write(process, much, LEN, 1, &before, &err));
    CHECK_INT(before, 4711);
    OK(coreproc_process_kill(process, COREPROC_SCOPE_GROUP, &err));
    finish(process);
    end_service(service);
    free(much);
}

static void write_eight_mib(coreproc_process *process)
{
    static uint8_t block[1 << 20];
    for (int i = 0; i < 8; i++)
        write_all(process, block, sizeof block);
    OK(coreproc_process_close_stdin(process, &err));
}

static void a_write_waits_for_its_reader(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped(service, new_command("wc", "-c", NULL));
    write_eight_mib(process);
    CHECK_INT(wait_closed(process).exit_code, 0);
    CHECK_OUTPUT(process, "8388608\n");
    coreproc_process_free(process);
    end_service(service);
}

/* The result with which the waiting write must be refused. */
static coreproc_result refusal;

static void *write_until_refused(void *process)
{
    static uint8_t block[65536];
    size_t written;
    coreproc_result result;
    while ((result = coreproc_process_write(process, block, sizeof block, -1, &written, &err)) == COREPROC_OK)
        ;
    CHECK_INT(result, refusal);
    FAILS(result, result);
    return NULL;
}

static void a_waiting_write_ends_with_the_child(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped(service, new_command("sleep", "1000", NULL));
    refusal = COREPROC_NOT_RUNNING;
    pthread_t writer = start_thread(write_until_refused, process);
    OK(coreproc_process_kill(process, COREPROC_SCOPE_DEFAULT, &err));
    join_thread(writer);
    finish(process);
    end_service(service);
}

static void a_waiting_write_ends_when_stdin_is_closed(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped(service, new_command("sleep", "1000", NULL));
    refusal = COREPROC_STDIN_CLOSED;
    pthread_t writer = start_thread(write_until_refused, process);
    OK(coreproc_process_close_stdin(process, &err));
    join_thread(writer);
    OK(coreproc_process_kill(process, COREPROC_SCOPE_DEFAULT, &err));
    finish(process);
    end_service(service);
}

static void close_is_idempotent_and_ends_writing(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped(service, new_command("cat", NULL));
    size_t written = 4711;
    OK(coreproc_process_close_stdin(process, &err));
    OK(coreproc_process_close_stdin(process, &err));
    coreproc_result result = coreproc_process_write(process, (const uint8_t *)"x", 1, 0, &written, &err);
    CHECK(result == COREPROC_STDIN_CLOSED || result == COREPROC_NOT_RUNNING); /* it ends on its own */
    FAILS(result, result);
    CHECK_INT(written, 4711);
    wait_closed(process);
    OK(coreproc_process_close_stdin(process, &err));
    coreproc_process_free(process);

    coreproc_process *deaf = spawn_piped(service, new_command("sleep", "1000", NULL));
    OK(coreproc_process_close_stdin(deaf, &err));
    FAILS(COREPROC_STDIN_CLOSED, coreproc_process_write(deaf, (const uint8_t *)"x", 1, -1, &written, &err));
    OK(coreproc_process_kill(deaf, COREPROC_SCOPE_DEFAULT, &err));
    finish(deaf);
    end_service(service);
}

static void stdin_that_is_no_pipe_cannot_be_written(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn(service, new_command("sleep", "1000", NULL));
    size_t written = 4711;
    FAILS(COREPROC_STDIN_CLOSED, coreproc_process_write(process, (const uint8_t *)"x", 1, 0, &written, &err));
    OK(coreproc_process_close_stdin(process, &err));
    OK(coreproc_process_kill(process, COREPROC_SCOPE_DEFAULT, &err));
    finish(process);
    end_service(service);
}

static void a_reader_that_left_is_an_error_and_no_signal(void)
{
    struct sigaction action;
    MUST(sigaction(SIGPIPE, NULL, &action) == 0);
    MUST(action.sa_handler == SIG_DFL); /* a SIGPIPE would end this test */
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped(service, new_sh("exec 0<&-; echo closed; exec sleep 1000"));
    wait_output(process, "closed\n");
    size_t written = 4711;
    coreproc_result result = coreproc_process_write(process, (const uint8_t *)"x", 1, -1, &written, &err);
    CHECK_INT(result, COREPROC_STDIN_CLOSED);
    MUST(err != NULL);
    CHECK_INT(coreproc_error_errno(err), EPIPE);
    FAILS(COREPROC_STDIN_CLOSED, result);
    CHECK_INT(written, 4711);
    OK(coreproc_process_kill(process, COREPROC_SCOPE_DEFAULT, &err));
    finish(process);
    end_service(service);
}

static void input_to_a_child_that_exits_is_not_running_every_time(void)
{
    coreproc_service *service = new_service();
    for (int i = 0; i < 100; i++) {
        coreproc_process *process = spawn_piped(service, new_sh(i % 2 ? "exit 0" : "exec 0<&-; exit 0"));
        size_t written;
        coreproc_result result;
        while ((result = coreproc_process_write(process, (const uint8_t *)"x", 1, -1, &written, &err)) == COREPROC_OK)
            ;
        /* A child that closes its input first may be held up before it ends. */
        CHECK(result == COREPROC_NOT_RUNNING || (i % 2 == 0 && result == COREPROC_STDIN_CLOSED));
        FAILS(result, result);
        wait_closed(process);
        FAILS(COREPROC_NOT_RUNNING, coreproc_process_write(process, (const uint8_t *)"x", 1, -1, &written, &err));
        coreproc_process_free(process);
    }
    end_service(service);
}

static void an_ended_process_cannot_be_written(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped(service, new_command("true", NULL));
    wait_closed(process);
    size_t written = 4711;
    FAILS(COREPROC_NOT_RUNNING, coreproc_process_write(process, (const uint8_t *)"x", 1, -1, &written, &err));
    CHECK_INT(written, 4711);
    coreproc_process_free(process);
    end_service(service);
}

static void nothing_can_be_written(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped(service, new_command("cat", NULL));
    size_t written = 4711;
    OK(coreproc_process_write(process, NULL, 0, -1, &written, &err));
    CHECK_INT(written, 0);
    OK(coreproc_process_close_stdin(process, &err));
    wait_closed(process);
    CHECK_OUTPUT(process, "");
    coreproc_process_free(process);
    end_service(service);
}

int main(void)
{
    check_begin();
    RUN(cat_returns_every_byte);
    RUN(a_given_input_arrives_whole);
    RUN(other_descriptors_are_read_and_written);
    RUN(a_full_pipe_takes_a_part_then_times_out);
    RUN(a_write_waits_for_its_reader);
    RUN(a_waiting_write_ends_with_the_child);
    RUN(a_waiting_write_ends_when_stdin_is_closed);
    RUN(close_is_idempotent_and_ends_writing);
    RUN(stdin_that_is_no_pipe_cannot_be_written);
    RUN(a_reader_that_left_is_an_error_and_no_signal);
    RUN(input_to_a_child_that_exits_is_not_running_every_time);
    RUN(an_ended_process_cannot_be_written);
    RUN(nothing_can_be_written);
    return check_end();
}
