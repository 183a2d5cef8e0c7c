/* Pipelines and runs through the header: checked before anything starts, each spec ends once, and says why. */
#include "help.h"

static coreproc_pipeline *new_pipeline(void)
{
    coreproc_pipeline *pipeline = NULL;
    OK(coreproc_pipeline_new(&pipeline, &err));
    MUST(pipeline != NULL);
    return pipeline;
}

/* Takes the command. */
static size_t add(coreproc_pipeline *pipeline, const char *name, coreproc_command *command)
{
    size_t spec = SIZE_MAX;
    OK(coreproc_pipeline_add(pipeline, TEXT(name), command, &spec, &err));
    MUST(spec + 1 == coreproc_pipeline_spec_count(pipeline));
    coreproc_command_free(command);
    return spec;
}

static size_t add_sh(coreproc_pipeline *pipeline, const char *name, const char *script, const char *after)
{
    size_t spec = add(pipeline, name, new_sh(script));
    if (after != NULL)
        OK(coreproc_pipeline_after(pipeline, spec, TEXT(after), &err));
    return spec;
}

static coreproc_run *start(coreproc_pipeline *pipeline, coreproc_service *service, const coreproc_run_options *options)
{
    coreproc_run *run = NULL;
    OK(coreproc_run_start(pipeline, service, options, &run, &err));
    MUST(run != NULL && coreproc_run_id(run) > 0);
    return run;
}

static void wait_for(coreproc_run *run)
{
    OK(coreproc_run_wait(run, CHECK_DEADLINE_MS, &err));
}

static coreproc_run_info info_of_run(coreproc_run *run)
{
    coreproc_run_info info = {.struct_size = sizeof info};
    OK(coreproc_run_info_get(run, &info, &err));
    return info;
}

static coreproc_spec_result result_of(coreproc_run *run, size_t spec)
{
    coreproc_spec_result result = {.struct_size = sizeof result};
    OK(coreproc_run_spec_get(run, spec, &result, &err));
    CHECK_INT(strlen(result.name), result.name_len);
    CHECK_INT(strlen(result.error), result.error_len);
    CHECK((result.state == COREPROC_SPEC_PASSED) == (result.error_len == 0));
    return result;
}

/* The ways by which a spec tells the test of a step, and the test tells it to go on. */
struct talk {
    char dir[64], up[96], gate[96];
};

static struct talk new_talk(void)
{
    struct talk talk = {.dir = "/tmp/coreproc-c-XXXXXX"};
    MUST(mkdtemp(talk.dir) != NULL);
    snprintf(talk.up, sizeof talk.up, "%s/up", talk.dir);
    snprintf(talk.gate, sizeof talk.gate, "%s/gate", talk.dir);
    return talk;
}

static void end_talk(const struct talk *talk)
{
    unlink(talk->up);
    unlink(talk->gate);
    MUST(rmdir(talk->dir) == 0);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static void results_come_in_the_order_of_the_pipeline(void)
{
    coreproc_service *service = new_service();
    coreproc_pipeline *pipeline = new_pipeline();
    add_sh(pipeline, "link", "printf linked", "compile");
    add_sh(pipeline, "compile", "printf compiled", NULL);
    size_t lint = add_sh(pipeline, "lint", "echo warning; exit 3", NULL);
    OK(coreproc_pipeline_allow_failure(pipeline, lint, 1, &err));
    add(pipeline, "missing", new_command("/does/not/exist", NULL));
    add_sh(pipeline, "ship", "exit 0", "missing");
    OK(coreproc_pipeline_name(pipeline, TEXT("nightly"), &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "NUL", coreproc_pipeline_name(pipeline, "a\0b", 3, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "NUL", coreproc_pipeline_after(pipeline, 0, "a\0b", 3, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "UTF-8", coreproc_pipeline_name(pipeline, TEXT("\xff"), &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "pipeline", coreproc_pipeline_name(NULL, TEXT("x"), &err));
    OK(coreproc_pipeline_check(pipeline, &err));
    coreproc_run *run = start(pipeline, service, NULL);
    coreproc_pipeline_free(pipeline); /* copied */
    CHECK_INT(coreproc_run_spec_count(run), 5);
    wait_for(run);
    coreproc_run_info info = info_of_run(run);
    CHECK_INT(info.ended, 1);
    CHECK_INT(info.success, 0);
    CHECK_INT(info.total, 5);
    CHECK_INT(info.passed, 2);
    CHECK_INT(info.failed, 2);
    CHECK_INT(info.skipped, 1);
    CHECK_INT(info.waiting + info.running + info.retrying + info.cancelled + info.timed_out, 0);
    CHECK(info.duration_ns > 0 && info.started_monotonic_ns > 0 && info.started_realtime_ns > 0);
    coreproc_spec_result result = result_of(run, 0);
    CHECK_TEXT(result.name, "link");
    CHECK_INT(result.state, COREPROC_SPEC_PASSED);
    CHECK(result.output_len == 6 && memcmp(result.output, "linked", 6) == 0);
    CHECK(result.exit_code == 0 && result.signal == 0 && result.attempts == 1 && result.duration_ns > 0);
    CHECK(result.started_monotonic_ns > result_of(run, 1).started_monotonic_ns);
    result = result_of(run, 2);
    CHECK_INT(result.state, COREPROC_SPEC_FAILED);
    CHECK_INT(result.exit_code, 3);
    CHECK_INT(result.allow_failure, 1);
    CHECK_TEXT(result.error, "exit code 3");
    result = result_of(run, 3);
    CHECK_INT(result.state, COREPROC_SPEC_FAILED);
    CHECK_INT(result.exit_code, -1);
    CHECK(strstr(result.error, "spawn \"/does/not/exist\"") != NULL);
    result = result_of(run, 4);
    CHECK_INT(result.state, COREPROC_SPEC_SKIPPED);
    CHECK_TEXT(result.error, "skipped: \"missing\" failed");
    CHECK(result.attempts == 0 && result.started_monotonic_ns == 0 && result.output != NULL && result.output_len == 0);
    coreproc_bytes *json = NULL;
    OK(coreproc_run_report(run, COREPROC_REPORT_JSON, &json, &err));
    CHECK(memmem(coreproc_bytes_data(json), coreproc_bytes_len(json), TEXT("\"name\":\"nightly\"")) != NULL);
    coreproc_bytes_free(json);
    /* Another reference has results of its own. */
    coreproc_run *other = coreproc_run_ref(run);
    coreproc_run_free(run);
    CHECK_TEXT(result_of(other, 1).name, "compile");
    coreproc_run_free(other);
    end_service(service);
}

static void what_is_wrong_is_said_before_anything_starts(void)
{
    coreproc_service *service = new_service();
    coreproc_pipeline *pipeline = new_pipeline();
    coreproc_run *run = NULL;
    coreproc_bytes *problems = NULL;
    add_sh(pipeline, "build", "exit 0", NULL);
    OK(coreproc_pipeline_problems(pipeline, &problems, &err));
    CHECK(coreproc_bytes_len(problems) == 2 && memcmp(coreproc_bytes_data(problems), "[]", 2) == 0);
    coreproc_bytes_free(problems);
    add_sh(pipeline, "test", "exit 0", "biuld");
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "specs[1].after[0]: unknown spec \"biuld\", did you mean \"build\"?",
                 coreproc_pipeline_check(pipeline, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "did you mean \"build\"?", coreproc_run_start(pipeline, service, NULL, &run, &err));
    CHECK(run == NULL);
    add_sh(pipeline, "a", "exit 0", "b");
    add_sh(pipeline, "b", "exit 0", "a");
    OK(coreproc_pipeline_problems(pipeline, &problems, &err));
    char *json = strndup((const char *)coreproc_bytes_data(problems), coreproc_bytes_len(problems));
    MUST(json != NULL);
    CHECK_TEXT(json, "[{\"kind\":\"unknown_dependency\",\"specs\":[1],\"place\":\"specs[1].after[0]\","
                     "\"message\":\"unknown spec \\\"biuld\\\", did you mean \\\"build\\\"?\"},"
                     "{\"kind\":\"cycle\",\"specs\":[2,3],\"place\":\"specs[2].after\","
                     "\"message\":\"cycle: \\\"a\\\" -> \\\"b\\\" -> \\\"a\\\", each after the next\"}]");
    free(json);
    coreproc_bytes_free(problems);
    coreproc_pipeline_free(pipeline);
    uint64_t count = 1;
    OK(coreproc_service_count(service, &count, &err));
    CHECK_INT(count, 0);
    end_service(service);
}

static void arguments_are_checked(void)
{
    coreproc_service *service = new_service();
    coreproc_pipeline *pipeline = new_pipeline(), *none = NULL;
    coreproc_command *command = new_sh("exit 0");
    coreproc_run *run = NULL;
    coreproc_bytes *bytes = NULL;
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out: is NULL", coreproc_pipeline_new(NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "pipeline: is NULL", coreproc_pipeline_add(none, "a", 1, command, NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "command: is NULL", coreproc_pipeline_add(pipeline, "a", 1, NULL, NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "name: is NULL", coreproc_pipeline_add(pipeline, NULL, 1, command, NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "not UTF-8", coreproc_pipeline_add(pipeline, "\xff", 1, command, NULL, &err));
    CHECK_INT(coreproc_pipeline_spec_count(pipeline), 0);
    OK(coreproc_pipeline_add(pipeline, NULL, 0, command, NULL, &err)); /* the check will say that it is empty */
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "specs[0].name: is empty", coreproc_pipeline_check(pipeline, &err));
    coreproc_pipeline_free(pipeline);
    pipeline = new_pipeline();
    OK(coreproc_pipeline_add(pipeline, "a", 1, command, NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "spec: 1 is not below 1", coreproc_pipeline_after(pipeline, 1, "a", 1, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "allowed: 2", coreproc_pipeline_allow_failure(pipeline, 0, 2, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "always: 2", coreproc_pipeline_always_run(pipeline, 0, 2, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "pipeline: is NULL", coreproc_pipeline_retries(none, 0, 1, 0, 0, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "pipeline: is NULL", coreproc_pipeline_check(NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "pipeline: is NULL", coreproc_pipeline_problems(NULL, &bytes, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out: is NULL", coreproc_pipeline_problems(pipeline, NULL, &err));

    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "pipeline: is NULL", coreproc_run_start(NULL, service, NULL, &run, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "service: is NULL", coreproc_run_start(pipeline, NULL, NULL, &run, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out: is NULL", coreproc_run_start(pipeline, service, NULL, NULL, &err));
    coreproc_run_options options = {.struct_size = sizeof options, .mode = 4};
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "mode: unknown value 4", coreproc_run_start(pipeline, service, &options, &run, &err));
    options = (coreproc_run_options){.struct_size = sizeof options, .on_failure = 3};
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "on_failure", coreproc_run_start(pipeline, service, &options, &run, &err));
    options = (coreproc_run_options){.struct_size = sizeof options, .reserved = 1};
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "reserved", coreproc_run_start(pipeline, service, &options, &run, &err));
    options = (coreproc_run_options){.struct_size = 8};
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "struct_size 8", coreproc_run_start(pipeline, service, &options, &run, &err));
    CHECK(run == NULL);

    run = start(pipeline, service, NULL);
    coreproc_run_info info = {.struct_size = 8};
    coreproc_spec_result result = {.struct_size = 8};
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "timeout_ms: -2", coreproc_run_wait(run, -2, &err));
    wait_for(run);
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "struct_size 8", coreproc_run_info_get(run, &info, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "struct_size 8", coreproc_run_spec_get(run, 0, &result, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out: is NULL", coreproc_run_info_get(run, NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out: is NULL", coreproc_run_spec_get(run, 0, NULL, &err));
    result.struct_size = sizeof result;
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "spec: 1 is not below 1", coreproc_run_spec_get(run, 1, &result, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "run: is NULL", coreproc_run_wait(NULL, 0, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "run: is NULL", coreproc_run_cancel(NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "run: is NULL", coreproc_run_info_get(NULL, &info, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "run: is NULL", coreproc_run_spec_get(NULL, 0, &result, &err));
    CHECK_INT(coreproc_run_id(NULL) + coreproc_run_spec_count(NULL) + coreproc_pipeline_spec_count(NULL), 0);
    CHECK(coreproc_run_ref(NULL) == NULL);
    coreproc_run_free(NULL);
    coreproc_pipeline_free(NULL);

    OK(coreproc_service_close(service, COREPROC_CLOSE_LEAVE, &err));
    coreproc_run *late = NULL;
    FAILS(COREPROC_CLOSED, coreproc_run_start(pipeline, service, NULL, &late, &err));
    coreproc_run_free(run);
    coreproc_command_free(command);
    coreproc_pipeline_free(pipeline);
    end_service(service);
}

static void a_run_is_cancelled_and_its_clean_up_still_runs(void)
{
    coreproc_service *service = new_service();
    struct talk talk = new_talk();
    char script[512];
    coreproc_pipeline *pipeline = new_pipeline();
    snprintf(script, sizeof script, "touch %s; exec sleep 1000", talk.up);
    add_sh(pipeline, "long", script, NULL);
    add_sh(pipeline, "next", "exit 0", "long");
    size_t clean = add_sh(pipeline, "clean", "printf cleaned", "next");
    OK(coreproc_pipeline_always_run(pipeline, clean, 1, &err));
    coreproc_run *run = start(pipeline, service, NULL);
    CHECK_EVENTUALLY(exists(talk.up));
    coreproc_spec_result early = {.struct_size = sizeof early};
    FAILS(COREPROC_INVALID_STATE, coreproc_run_spec_get(run, 0, &early, &err));
    FAILS(COREPROC_TIMED_OUT, coreproc_run_wait(run, 0, &err));
    coreproc_run_info info = info_of_run(run);
    CHECK(info.ended == 0 && info.running == 1 && info.waiting == 2 && info.duration_ns == 0);
    OK(coreproc_run_cancel(run, &err));
    wait_for(run);
    OK(coreproc_run_cancel(run, &err));
    coreproc_spec_result result = result_of(run, 0);
    CHECK_INT(result.state, COREPROC_SPEC_CANCELLED);
    CHECK_INT(result.signal, SIGTERM);
    CHECK_TEXT(result.error, "cancelled: the run was cancelled");
    CHECK_TEXT(result_of(run, 1).error, "skipped: the run was cancelled");
    result = result_of(run, 2);
    CHECK(result.output_len == 7 && memcmp(result.output, "cleaned", 7) == 0);
    coreproc_run_free(run);
    coreproc_pipeline_free(pipeline);
    end_talk(&talk);
    end_service(service);
}

static void attempts_timeouts_deadlines_and_modes_are_as_told(void)
{
    coreproc_service *service = new_service();
    coreproc_pipeline *pipeline = new_pipeline();
    size_t flaky = add_sh(pipeline, "flaky", "exit 4", NULL);
    OK(coreproc_pipeline_retries(pipeline, flaky, 2, 1, 1, &err));
    coreproc_command *slow = new_command("sleep", "1000", NULL);
    OK(coreproc_command_timeout(slow, 20, &err));
    add(pipeline, "slow", slow);
    coreproc_run_options options = {.struct_size = sizeof options, .limit = COREPROC_UNLIMITED, .on_failure = COREPROC_KEEP_GOING};
    coreproc_run *run = start(pipeline, service, &options);
    wait_for(run);
    CHECK_INT(result_of(run, 0).attempts, 3);
    CHECK_INT(result_of(run, 1).state, COREPROC_SPEC_TIMED_OUT);
    CHECK_TEXT(result_of(run, 1).error, "timed out after 20 ms");
    CHECK_INT(info_of_run(run).timed_out, 1);
    coreproc_run_free(run);
    /* The first failure ends a sequential run. */
    options = (coreproc_run_options){.struct_size = sizeof options, .mode = COREPROC_RUN_SEQUENTIAL};
    run = start(pipeline, service, &options);
    wait_for(run);
    CHECK_TEXT(result_of(run, 1).error, "skipped: \"flaky\" failed");
    coreproc_run_free(run);
    coreproc_pipeline_free(pipeline);

    pipeline = new_pipeline();
    add(pipeline, "endless", new_command("sleep", "1000", NULL));
    /* The deadline is long enough for the start, even under valgrind on a busy machine. */
    options = (coreproc_run_options){.struct_size = sizeof options, .mode = COREPROC_RUN_PARALLEL, .deadline_ms = 1000};
    run = start(pipeline, service, &options);
    wait_for(run);
    CHECK_TEXT(result_of(run, 0).error, "cancelled: the deadline of the run passed");
    coreproc_run_free(run);
    coreproc_pipeline_free(pipeline);
    end_service(service);
}

static void events_tell_of_runs_and_of_the_specs_of_processes(void)
{
    static const uint32_t expected[] = {COREPROC_EVENT_RUN_STARTED, COREPROC_EVENT_SPEC_STARTED, COREPROC_EVENT_SPEC_RETRYING,
                                        COREPROC_EVENT_SPEC_STARTED, COREPROC_EVENT_SPEC_ENDED, COREPROC_EVENT_SPEC_ENDED,
                                        COREPROC_EVENT_RUN_ENDED};
    coreproc_service *service = new_service();
    const coreproc_subscription_options named = {.struct_size = sizeof named, .scope = COREPROC_SUBSCRIBE_NAMED};
    coreproc_subscription *subscription = open_subscription(service, &named);
    coreproc_pipeline *pipeline = new_pipeline();
    size_t bad = add_sh(pipeline, "bad", "echo hello; exit 5", NULL);
    OK(coreproc_pipeline_retries(pipeline, bad, 1, 1, 1, &err));
    add_sh(pipeline, "next", "exit 0", "bad");
    coreproc_run_options options = {.struct_size = sizeof options, .subscription = subscription};
    coreproc_run *run = start(pipeline, service, &options);
    wait_for(run);
    end_service(service);
    size_t seen = 0, lines = 0;
    for (coreproc_batch *batch; (batch = take(subscription, 0)) != NULL; coreproc_batch_free(batch)) {
        for (size_t i = 0; i < event_count(batch); i++) {
            const coreproc_event *event = event_at(batch, i);
            CHECK_INT(event->run_id, coreproc_run_id(run));
            if (event->process_id != event->run_id) {
                CHECK(event->spec == bad && (event->attempt == 1 || event->attempt == 2) && event->spec_state == 0);
                lines += event->kind == COREPROC_EVENT_STDOUT && event->len == 5 && memcmp(event->data, "hello", 5) == 0;
                continue;
            }
            MUST(seen < sizeof expected / sizeof *expected);
            CHECK_INT(event->kind, expected[seen]);
            seen++;
            CHECK_INT(event->sequence, seen);
            CHECK_INT(event->pid, 0);
            switch (seen) {
            case 1: CHECK(event->spec == COREPROC_NO_SPEC && event->attempt == 0); break;
            case 2: CHECK(event->spec == 0 && event->attempt == 1 && event->len == 3 && memcmp(event->data, "bad", 3) == 0); break;
            case 3: CHECK(event->exit_code == 5 && event->attempt == 1 && memcmp(event->data, "exit code 5", 11) == 0); break;
            case 5: CHECK(event->exit_code == 5 && event->attempt == 2 && event->spec_state == COREPROC_SPEC_FAILED); break;
            case 6: CHECK(event->spec == 1 && event->attempt == 0 && event->spec_state == COREPROC_SPEC_SKIPPED); break;
            case 7: CHECK(event->spec == COREPROC_NO_SPEC && event->exit_code == 1); break;
            default: break;
            }
        }
    }
    CHECK_INT(seen, 7);
    CHECK_INT(lines, 2);
    coreproc_subscription_free(subscription);
    coreproc_run_free(run);
    coreproc_pipeline_free(pipeline);
}

struct inside {
    coreproc_run *run;
    atomic_int forever, looked;
};

static void wait_inside(const coreproc_event *events, size_t count, size_t stride, void *user_data)
{
    (void)events, (void)count, (void)stride;
    struct inside *inside = user_data;
    atomic_store(&inside->forever, coreproc_run_wait(inside->run, -1, NULL));
    atomic_store(&inside->looked, coreproc_run_wait(inside->run, 0, NULL));
}

static void waiting_inside_a_callback_is_refused(void)
{
    coreproc_service *service = new_service();
    coreproc_pipeline *pipeline = new_pipeline();
    add(pipeline, "endless", new_command("sleep", "1000", NULL));
    struct inside inside = {.run = start(pipeline, service, NULL)};
    coreproc_subscription *listener = NULL;
    OK(coreproc_subscription_listen(service, NULL, wait_inside, &inside, NULL, &listener, &err));
    finish(spawn_sh(service, "exit 0"));
    CHECK_EVENTUALLY(atomic_load(&inside.looked) != 0);
    CHECK_INT(atomic_load(&inside.forever), COREPROC_DEADLOCK);
    CHECK_INT(atomic_load(&inside.looked), COREPROC_TIMED_OUT);
    OK(coreproc_run_cancel(inside.run, &err));
    wait_for(inside.run);
    OK(coreproc_subscription_close(listener, &err));
    coreproc_subscription_free(listener);
    coreproc_run_free(inside.run);
    coreproc_pipeline_free(pipeline);
    end_service(service);
}

static void freeing_a_run_cancels_nothing(void)
{
    coreproc_service *service = new_service();
    struct talk talk = new_talk();
    char script[512];
    coreproc_pipeline *pipeline = new_pipeline();
    add_sh(pipeline, "first", "exit 0", NULL);
    snprintf(script, sizeof script, "touch %s", talk.up);
    add_sh(pipeline, "second", script, "first");
    coreproc_run_free(start(pipeline, service, NULL));
    coreproc_pipeline_free(pipeline);
    coreproc_service_free(service); /* it is kept open until the run has ended */
    CHECK_EVENTUALLY(exists(talk.up));
    CHECK_EVENTUALLY(check_threads() == 1);
    end_talk(&talk);
}

static void *waits_and_looks(void *run)
{
    wait_for(run);
    for (size_t i = 0; i < coreproc_run_spec_count(run); i++)
        CHECK_INT(result_of(run, i).state, COREPROC_SPEC_PASSED);
    return NULL;
}

static void several_threads_wait_for_one_run(void)
{
    coreproc_service *service = new_service();
    coreproc_pipeline *pipeline = new_pipeline();
    for (int i = 0, specs = check_count(50); i < specs; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        add_sh(pipeline, name, "exit 0", i == 0 ? NULL : "s0");
    }
    coreproc_run *run = start(pipeline, service, NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = start_thread(waits_and_looks, run);
    for (int i = 0; i < 4; i++)
        join_thread(threads[i]);
    CHECK_INT(info_of_run(run).success, 1);
    coreproc_run_free(run);
    coreproc_pipeline_free(pipeline);
    end_service(service);
}

static int call_in_child(coreproc_service *service, coreproc_pipeline *pipeline, coreproc_run *run)
{
    coreproc_pipeline *made = NULL;
    coreproc_run *started = NULL;
    coreproc_bytes *bytes = NULL;
    coreproc_command *command = NULL;
    coreproc_run_info info = {.struct_size = sizeof info};
    coreproc_spec_result result = {.struct_size = sizeof result};
    const coreproc_result results[] = {
        coreproc_pipeline_new(&made, NULL),
        coreproc_pipeline_name(pipeline, "x", 1, NULL),
        coreproc_pipeline_add(pipeline, "x", 1, command, NULL, NULL),
        coreproc_pipeline_after(pipeline, 0, "x", 1, NULL),
        coreproc_pipeline_allow_failure(pipeline, 0, 1, NULL),
        coreproc_pipeline_always_run(pipeline, 0, 1, NULL),
        coreproc_pipeline_retries(pipeline, 0, 1, 0, 0, NULL),
        coreproc_pipeline_check(pipeline, NULL),
        coreproc_pipeline_problems(pipeline, &bytes, NULL),
        coreproc_run_start(pipeline, service, NULL, &started, NULL),
        coreproc_run_wait(run, -1, NULL),
        coreproc_run_cancel(run, NULL),
        coreproc_run_info_get(run, &info, NULL),
        coreproc_run_spec_get(run, 0, &result, NULL),
    };
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        if (results[i] != COREPROC_FORKED)
            return (int)i + 1;
    coreproc_run_free(coreproc_run_ref(run));
    return 0;
}

static void in_a_forked_child_every_call_is_refused(void)
{
    coreproc_service *service = new_service();
    coreproc_pipeline *pipeline = new_pipeline();
    add(pipeline, "endless", new_command("sleep", "1000", NULL));
    coreproc_run *run = start(pipeline, service, NULL);
    /* The result comes through a pipe, because valgrind has an exit code of its own for a child without its parent's
     * threads. */
    int ends[2], refused = -1;
    MUST(pipe2(ends, O_CLOEXEC) == 0);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        int result = call_in_child(service, pipeline, run);
        _exit(write(ends[1], &result, sizeof result) != sizeof result);
    }
    close(ends[1]);
    MUST(read(ends[0], &refused, sizeof refused) == sizeof refused);
    close(ends[0]);
    MUST(waitpid(child, NULL, 0) == child);
    CHECK_INT(refused, 0);
    FAILS(COREPROC_TIMED_OUT, coreproc_run_wait(run, 0, &err)); /* untouched */
    OK(coreproc_run_cancel(run, &err));
    wait_for(run);
    coreproc_run_free(run);
    coreproc_pipeline_free(pipeline);
    end_service(service);
}

int main(void)
{
    check_begin();
    RUN(results_come_in_the_order_of_the_pipeline);
    RUN(what_is_wrong_is_said_before_anything_starts);
    RUN(arguments_are_checked);
    RUN(a_run_is_cancelled_and_its_clean_up_still_runs);
    RUN(attempts_timeouts_deadlines_and_modes_are_as_told);
    RUN(events_tell_of_runs_and_of_the_specs_of_processes);
    RUN(waiting_inside_a_callback_is_refused);
    RUN(freeing_a_run_cancels_nothing);
    RUN(several_threads_wait_for_one_run);
    RUN(in_a_forked_child_every_call_is_refused);
    return check_end();
}
