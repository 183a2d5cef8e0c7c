/* What surrounds a run: JSON, the view, the history, the report. */
#include "help.h"

#include <semaphore.h>
#include <sys/socket.h>
#include <sys/stat.h>

static coreproc_pipeline *parse(const char *json)
{
    coreproc_pipeline *pipeline = NULL;
    OK(coreproc_pipeline_from_json(TEXT(json), &pipeline, &err));
    MUST(pipeline != NULL);
    return pipeline;
}

/* Takes the pipeline. */
static coreproc_run *start(coreproc_pipeline *pipeline, coreproc_service *service, const coreproc_run_options *options)
{
    coreproc_run *run = NULL;
    OK(coreproc_run_start(pipeline, service, options, &run, &err));
    coreproc_pipeline_free(pipeline);
    MUST(run != NULL);
    return run;
}

static char *report(coreproc_run *run, uint32_t format)
{
    coreproc_bytes *bytes = NULL;
    OK(coreproc_run_report(run, format, &bytes, &err));
    MUST(bytes != NULL);
    size_t len = coreproc_bytes_len(bytes);
    char *text = strdup((const char *)coreproc_bytes_data(bytes));
    MUST(text != NULL);
    CHECK_INT(strlen(text), len);
    coreproc_bytes_free(bytes);
    return text;
}

static const char three[] =
    "{\"version\": 1, \"specs\": ["
    "{\"name\": \"build\", \"command\": [\"sh\", \"-c\", \"echo built\"]},"
    "{\"name\": \"test <1>\", \"after\": [\"build\"], \"command\": [\"sh\", \"-c\", \"exit 3\"]},"
    "{\"name\": \"deploy\", \"after\": [\"test <1>\"], \"command\": [\"true\"]}]}";

static void pipelines_are_read_from_json(void)
{
    coreproc_service *service = new_service();
    coreproc_pipeline *pipeline = parse(three);
    CHECK_INT(coreproc_pipeline_spec_count(pipeline), 3);
    coreproc_run *run = start(pipeline, service, NULL);
    OK(coreproc_run_wait(run, CHECK_DEADLINE_MS, &err));
    const uint32_t states[] = {COREPROC_SPEC_PASSED, COREPROC_SPEC_FAILED, COREPROC_SPEC_SKIPPED};
    for (size_t spec = 0; spec < 3; spec++) {
        coreproc_spec_result result = {.struct_size = sizeof result};
        OK(coreproc_run_spec_get(run, spec, &result, &err));
        CHECK_INT(result.state, states[spec]);
    }
    coreproc_run_free(run);
    end_service(service);
}

static void mistakes_in_json_are_named_with_their_place(void)
{
    coreproc_pipeline *pipeline = NULL;
    FAILS_NAMING(COREPROC_MALFORMED, "specs[1].after[0]: unknown spec \"biuld\", did you mean \"build\"?",
        coreproc_pipeline_from_json(TEXT("{\"version\": 1, \"specs\": [{\"name\": \"build\", \"command\": [\"a\"]},"
                                         "{\"name\": \"b\", \"command\": [\"a\"], \"after\": [\"biuld\"]}]}"), &pipeline, &err));
    FAILS_NAMING(COREPROC_MALFORMED, "line 1, column 2", coreproc_pipeline_from_json(TEXT("{]"), &pipeline, &err));
    FAILS_NAMING(COREPROC_MALFORMED, "byte 1: is not UTF-8", coreproc_pipeline_from_json(TEXT("{\xff}"), &pipeline, &err));
    FAILS_NAMING(COREPROC_MALFORMED, "line 1, column 0", coreproc_pipeline_from_json(NULL, 0, &pipeline, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "json", coreproc_pipeline_from_json(NULL, 1, &pipeline, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_pipeline_from_json(TEXT(three), NULL, &err));
    CHECK(pipeline == NULL);
    coreproc_command *command = NULL;
    FAILS_NAMING(COREPROC_MALFORMED, "stdout: unknown value \"pip\", did you mean \"pipe\"?",
        coreproc_command_from_json(TEXT("{\"version\": 1, \"program\": \"a\", \"stdout\": \"pip\"}"), &command, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_command_from_json(TEXT("{}"), NULL, &err));
    CHECK(command == NULL);
}

static void commands_are_read_from_json(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = NULL;
    OK(coreproc_command_from_json(
        TEXT("{\"version\": 1, \"program\": \"sh\", \"args\": [\"-c\", \"echo $A; exit 4\"], \"env\": {\"A\": \"b\"}}"), &command, &err));
    coreproc_process *process = spawn(service, command);
    CHECK_INT(wait_closed(process).exit_code, 4);
    CHECK(output_is(process, "b\n", 2));
    coreproc_process_free(process);
    end_service(service);
}

static void a_run_that_has_ended_is_reported_in_every_format(void)
{
    coreproc_service *service = new_service();
    coreproc_run *run = start(parse(three), service, NULL);
    OK(coreproc_run_wait(run, CHECK_DEADLINE_MS, &err));
    static const struct {
        uint32_t format;
        const char *start, *needle;
    } formats[] = {
        {COREPROC_REPORT_JSON, "{\"version\":1,\"name\":null,\"success\":false,", "\"output\":\"built\\n\""},
        {COREPROC_REPORT_JUNIT, "<?xml", "name=\"test &lt;1&gt;\""},
        {COREPROC_REPORT_CHROME_TRACE, "{", "\"traceEvents\""},
        {COREPROC_REPORT_SVG, "<svg xmlns=\"http://www.w3.org/2000/svg\"", "test &lt;1&gt;"},
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        char *text = report(run, formats[i].format);
        CHECK(strncmp(text, formats[i].start, strlen(formats[i].start)) == 0);
        CHECK(strstr(text, formats[i].needle) != NULL);
        free(text);
    }
    coreproc_bytes *bytes = NULL;
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "format", coreproc_run_report(run, 0, &bytes, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "format", coreproc_run_report(run, 5, &bytes, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_run_report(run, COREPROC_REPORT_SVG, NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "run", coreproc_run_report(NULL, COREPROC_REPORT_SVG, &bytes, &err));
    CHECK(bytes == NULL);
    coreproc_run_free(run);
    end_service(service);
}

static void a_run_under_way_has_no_report_and_no_history(void)
{
    char gate[64] = "/tmp/coreproc-c-XXXXXX", path[96], json[256];
    MUST(mkdtemp(gate) != NULL);
    snprintf(path, sizeof path, "%s/gate", gate);
    MUST(mkfifo(path, 0600) == 0);
    snprintf(json, sizeof json,
        "{\"version\": 1, \"specs\": [{\"name\": \"waits\", \"command\": [\"sh\", \"-c\", \"read line < %s\"]}]}", path);
    coreproc_service *service = new_service();
    coreproc_run *run = start(parse(json), service, NULL);
    coreproc_bytes *bytes = NULL;
    coreproc_history *history = NULL;
    FAILS(COREPROC_INVALID_STATE, coreproc_run_report(run, COREPROC_REPORT_JSON, &bytes, &err));
    char file[96];
    snprintf(file, sizeof file, "%s/history", gate);
    OK(coreproc_history_open(TEXT(file), TEXT("p"), &history, &err));
    FAILS(COREPROC_INVALID_STATE, coreproc_history_record(history, run, &err));
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    MUST(fd >= 0 && write(fd, "\n", 1) == 1);
    close(fd);
    OK(coreproc_run_wait(run, CHECK_DEADLINE_MS, &err));
    OK(coreproc_history_record(history, run, &err));
    coreproc_history_free(history);
    coreproc_run_free(run);
    end_service(service);
    MUST(unlink(file) == 0 && unlink(path) == 0 && rmdir(gate) == 0);
}

static void a_history_is_kept_in_a_file_and_damage_is_said(void)
{
    char dir[64] = "/tmp/coreproc-c-XXXXXX", file[96], bad[96];
    MUST(mkdtemp(dir) != NULL);
    snprintf(file, sizeof file, "%s/history", dir);
    snprintf(bad, sizeof bad, "%s/history.bad", dir);
    coreproc_service *service = new_service();
    coreproc_history *history = NULL;
    OK(coreproc_history_open(TEXT(file), TEXT("p"), &history, &err));
    CHECK_TEXT(coreproc_history_problem(history), "");
    for (int i = 0; i < 2; i++) {
        const coreproc_run_options options = {.struct_size = sizeof options, .history = history};
        coreproc_run *run = start(parse(three), service, &options);
        OK(coreproc_run_wait(run, CHECK_DEADLINE_MS, &err));
        OK(coreproc_history_record(history, run, &err));
        coreproc_run_free(run);
    }
    coreproc_history_free(history);
    FILE *stream = fopen(file, "we");
    MUST(stream != NULL && fputs("{\"version\":", stream) >= 0 && fclose(stream) == 0);
    OK(coreproc_history_open(TEXT(file), TEXT("p"), &history, &err));
    CHECK(strstr(coreproc_history_problem(history), "set aside") != NULL);
    CHECK(access(bad, F_OK) == 0 && access(file, F_OK) != 0);
    coreproc_history_free(history);
    history = NULL;
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "not a regular file", coreproc_history_open(TEXT(dir), TEXT("p"), &history, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "UTF-8", coreproc_history_open(TEXT(file), TEXT("\xff"), &history, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_history_open(TEXT(file), TEXT("p"), NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "history", coreproc_history_record(NULL, NULL, &err));
    CHECK(history == NULL);
    CHECK_TEXT(coreproc_history_problem(NULL), "");
    coreproc_history_free(NULL);
    end_service(service);
    MUST(unlink(bad) == 0 && rmdir(dir) == 0);
}

static void a_view_writes_to_its_descriptor(void)
{
    int fds[2];
    MUST(pipe2(fds, O_CLOEXEC) == 0);
    coreproc_service *service = new_service();
    coreproc_progress *progress = NULL;
    const coreproc_progress_options plain = {
        .struct_size = sizeof plain, .style = COREPROC_PROGRESS_STYLE_PLAIN, .output = COREPROC_PROGRESS_OUTPUT_PREFIXED};
    OK(coreproc_progress_open(service, fds[1], &plain, &progress, &err));
    close(fds[1]); /* it has a duplicate */
    const coreproc_run_options options = {.struct_size = sizeof options, .progress = progress};
    coreproc_run *run = start(parse(three), service, &options);
    coreproc_run *other = start(parse(three), service, NULL);
    FAILS(COREPROC_INVALID_STATE, coreproc_progress_watch(progress, other, 0, &err));
    OK(coreproc_progress_watch(progress, run, CHECK_DEADLINE_MS, &err));
    OK(coreproc_run_wait(run, 0, &err));
    coreproc_progress_free(progress);
    char text[4096];
    size_t len = 0;
    for (ssize_t n; (n = read(fds[0], text + len, sizeof text - 1 - len)) > 0;)
        len += (size_t)n;
    text[len] = '\0';
    CHECK(strstr(text, "build    | built\n") != NULL);
    CHECK(strstr(text, "FAIL  test <1> ") != NULL);
    CHECK(strstr(text, "skip  deploy: ") != NULL);
    CHECK(strstr(text, ": 1 passed, 1 failed, 1 skipped\n") != NULL);
    CHECK(strchr(text, '\033') == NULL);
    close(fds[0]);
    OK(coreproc_run_wait(other, CHECK_DEADLINE_MS, &err));
    coreproc_run_free(other);
    coreproc_run_free(run);
    end_service(service);
}

static void what_a_view_cannot_be_is_refused(void)
{
    coreproc_service *service = new_service();
    coreproc_progress *progress = NULL;
    coreproc_progress_options options = {.struct_size = sizeof options, .style = 4};
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "style", coreproc_progress_open(service, 1, &options, &progress, &err));
    options = (coreproc_progress_options){.struct_size = sizeof options, .output = 4};
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "output", coreproc_progress_open(service, 1, &options, &progress, &err));
    options = (coreproc_progress_options){.struct_size = sizeof options, .reserved = 1};
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "reserved", coreproc_progress_open(service, 1, &options, &progress, &err));
    FAILS(COREPROC_SYSTEM, coreproc_progress_open(service, -1, NULL, &progress, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "service", coreproc_progress_open(NULL, 1, NULL, &progress, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "progress", coreproc_progress_watch(NULL, NULL, 0, &err));
    CHECK(progress == NULL);
    coreproc_progress_free(NULL);
    end_service(service);
}

struct watched {
    coreproc_progress *progress;
    coreproc_run *run;
    coreproc_result inside;
    sem_t looked;
};

static void *watch(void *argument)
{
    struct watched *watched = argument;
    OK(coreproc_progress_watch(watched->progress, watched->run, -1, &err));
    return NULL;
}

static void watch_inside(const coreproc_event *events, size_t count, size_t stride, void *user_data)
{
    (void)events, (void)count, (void)stride;
    struct watched *watched = user_data;
    watched->inside = coreproc_progress_watch(watched->progress, watched->run, -1, NULL);
    sem_post(&watched->looked);
}

static void a_view_that_another_thread_watches_is_waited_for_up_to_the_timeout(void)
{
    int fds[2];
    MUST(pipe2(fds, O_CLOEXEC) == 0);
    coreproc_service *service = new_service();
    struct watched watched = {0};
    MUST(sem_init(&watched.looked, 0, 0) == 0);
    OK(coreproc_progress_open(service, fds[1], NULL, &watched.progress, &err));
    const coreproc_run_options options = {.struct_size = sizeof options, .progress = watched.progress};
    watched.run = start(parse("{\"version\": 1, \"specs\": [{\"name\": \"long\", \"command\": [\"sleep\", \"1000\"]}]}"),
                        service, &options);
    pthread_t thread = start_thread(watch, &watched);
    char byte;
    MUST(read(fds[0], &byte, 1) == 1); /* it watches */
    FAILS_NAMING(COREPROC_TIMED_OUT, "another call", coreproc_progress_watch(watched.progress, watched.run, 0, &err));
    FAILS(COREPROC_TIMED_OUT, coreproc_progress_watch(watched.progress, watched.run, 1, &err));
    coreproc_subscription *listener = NULL;
    OK(coreproc_subscription_listen(service, NULL, watch_inside, &watched, NULL, &listener, &err));
    finish(spawn_sh(service, "exit 0"));
    sem_wait(&watched.looked);
    CHECK_INT(watched.inside, COREPROC_DEADLOCK);
    OK(coreproc_subscription_close(listener, &err));
    coreproc_subscription_free(listener);
    OK(coreproc_run_cancel(watched.run, &err));
    join_thread(thread);
    OK(coreproc_progress_watch(watched.progress, watched.run, 0, &err));
    coreproc_progress_free(watched.progress);
    coreproc_run_free(watched.run);
    sem_destroy(&watched.looked);
    close(fds[0]);
    close(fds[1]);
    end_service(service);
}

/* A child that writes more than its queue holds waits for its view, and goes on when that is freed. */
static void a_view_that_is_freed_lets_its_run_go_on(void)
{
    coreproc_service *service = new_service();
    coreproc_progress *progress = NULL;
    OK(coreproc_progress_open(service, STDERR_FILENO, NULL, &progress, &err));
    const coreproc_run_options options = {.struct_size = sizeof options, .progress = progress};
    coreproc_run *run = start(parse("{\"version\": 1, \"specs\": [{\"name\": \"much\", \"command\":"
                                    "[\"head\", \"-c\", \"8000000\", \"/dev/zero\"]}]}"), service, &options);
    FAILS(COREPROC_TIMED_OUT, coreproc_run_wait(run, 20, &err));
    coreproc_progress_free(progress);
    OK(coreproc_run_wait(run, CHECK_DEADLINE_MS, &err));
    coreproc_run_free(run);
    end_service(service);
}

struct reader {
    int fd;
    size_t lines;
    char last[256];
};

/* Reads until the view's last words, and counts the lines of output. */
static void *read_view(void *data)
{
    struct reader *reader = data;
    int copy = dup(reader->fd);
    MUST(copy >= 0);
    FILE *file = fdopen(copy, "r");
    MUST(file != NULL);
    char line[256];
    while (fgets(line, sizeof line, file) != NULL && strncmp(line, "done in", 7) != 0) {
        if (strncmp(line, "much | ", 7) == 0) {
            reader->lines++;
            snprintf(reader->last, sizeof reader->last, "%s", line + 7);
            reader->last[strcspn(reader->last, "\r\n")] = '\0';
        }
    }
    fclose(file);
    return NULL;
}

/* `ends` are where to read, and where the view writes; `go_on` has the first of them move again. */
static void stands_still(const int ends[2], const char *go_on)
{
    coreproc_service *service = new_service();
    coreproc_progress *progress = NULL;
    const coreproc_progress_options plain = {.struct_size = sizeof plain, .style = COREPROC_PROGRESS_STYLE_PLAIN};
    OK(coreproc_progress_open(service, ends[1], &plain, &progress, &err));
    const coreproc_run_options options = {.struct_size = sizeof options, .progress = progress};
    coreproc_run *run = start(parse("{\"version\": 1, \"specs\": [{\"name\": \"much\", \"command\": [\"seq\", \"40000\"]}]}"),
                              service, &options);
    for (int i = 0; i < 3; i++)
        FAILS(COREPROC_TIMED_OUT, coreproc_progress_watch(progress, run, 30, &err));
    MUST(*go_on == '\0' || write(ends[0], go_on, 1) == 1);
    struct reader reader = {.fd = ends[0]};
    pthread_t thread = start_thread(read_view, &reader);
    OK(coreproc_progress_watch(progress, run, CHECK_DEADLINE_MS, &err));
    join_thread(thread);
    CHECK_INT(reader.lines, 40000);
    CHECK_TEXT(reader.last, "40000");
    coreproc_progress_free(progress);
    coreproc_run_free(run);
    end_service(service);
    close(ends[0]);
    close(ends[1]);
}

static void what_takes_nothing_keeps_watch_no_longer_than_its_timeout_and_loses_nothing(void)
{
    int ends[2];
    MUST(pipe2(ends, O_CLOEXEC) == 0);
    stands_still(ends, "");
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    stands_still(ends, "");
    ends[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    MUST(ends[0] >= 0 && grantpt(ends[0]) == 0 && unlockpt(ends[0]) == 0);
    ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
    MUST(ends[1] >= 0);
    MUST(write(ends[0], "\x13", 1) == 1); /* Ctrl-S; what follows is Ctrl-Q */
    stands_still(ends, "\x11");
}

int main(void)
{
    check_begin();
    RUN(pipelines_are_read_from_json);
    RUN(mistakes_in_json_are_named_with_their_place);
    RUN(commands_are_read_from_json);
    RUN(a_run_that_has_ended_is_reported_in_every_format);
    RUN(a_run_under_way_has_no_report_and_no_history);
    RUN(a_history_is_kept_in_a_file_and_damage_is_said);
    RUN(a_view_writes_to_its_descriptor);
    RUN(what_a_view_cannot_be_is_refused);
    RUN(a_view_that_another_thread_watches_is_waited_for_up_to_the_timeout);
    RUN(a_view_that_is_freed_lets_its_run_go_on);
    RUN(what_takes_nothing_keeps_watch_no_longer_than_its_timeout_and_loses_nothing);
    return check_end();
}
