/* Signal, kill, stop as a policy, timeout; the process or its group. */
#include <poll.h>
#include "help.h"

/* A script that ends its own child does so by SIGKILL: between fork and exec a shell can lose other signals. */

/* A script that ignores SIGTERM, says "ready", and stays. */
static const char *const stubborn = "trap '' TERM; echo ready; while :; do sleep 1000; done";
/* A script that starts two children in the group, says their pids, and stays. */
static const char *const family = "sleep 1000 & echo $!; sleep 1000 & echo $!; echo ready; wait";

static coreproc_stop_options stop_by(uint64_t grace_ms)
{
    return (coreproc_stop_options){.struct_size = sizeof(coreproc_stop_options), .grace_ms = grace_ms};
}

/* Reads the pids that a script printed, one on each line. */
static int pids_of(coreproc_process *process, int pids[2])
{
    char *text = output_text(process), *next = text;
    int count = 0;
    while (count < 2 && *next >= '0' && *next <= '9') {
        pids[count++] = (int)strtol(next, &next, 10);
        next += *next == '\n';
    }
    free(text);
    return count;
}

static void a_signal_arrives(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_sh(service, "trap 'kill -KILL $!; exit 3' USR1; sleep 1000 & echo ready; wait");
    wait_output(process, "ready\n");
    OK(coreproc_process_signal(process, 0, COREPROC_SCOPE_PROCESS, &err));
    OK(coreproc_process_signal(process, SIGUSR1, COREPROC_SCOPE_DEFAULT, &err));
    coreproc_process_info info = wait_closed(process);
    CHECK_INT(info.exit_code, 3);
    CHECK_INT(info.signal, 0);
    CHECK_INT(info.cause, COREPROC_CAUSE_NATURAL);
    FAILS(COREPROC_NOT_RUNNING, coreproc_process_signal(process, SIGUSR1, COREPROC_SCOPE_DEFAULT, &err));
    FAILS(COREPROC_NOT_RUNNING, coreproc_process_signal(process, 0, COREPROC_SCOPE_PROCESS, &err));
    FAILS(COREPROC_NOT_RUNNING, coreproc_process_kill(process, COREPROC_SCOPE_DEFAULT, &err));
    coreproc_process_free(process);
    end_service(service);
}

static void kill_is_said_in_signal_and_cause(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn(service, new_command("sleep", "1000", NULL));
    OK(coreproc_process_kill(process, COREPROC_SCOPE_PROCESS, &err));
    coreproc_process_info info = finish(process);
    CHECK_INT(info.signal, SIGKILL);
    CHECK_INT(info.exit_code, -1);
    CHECK_INT(info.cause, COREPROC_CAUSE_KILLED);
    end_service(service);
}

static void stop_asks_first(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn(service, new_command("sleep", "1000", NULL));
    OK(coreproc_process_stop(process, NULL, &err));
    coreproc_process_info info = wait_closed(process);
    CHECK_INT(info.signal, SIGTERM);
    CHECK_INT(info.cause, COREPROC_CAUSE_STOPPED);
    coreproc_process_free(process);

    process = spawn_sh(service, "trap 'kill -KILL $!; exit 0' TERM; sleep 1000 & echo ready; wait");
    wait_output(process, "ready\n");
    coreproc_stop_options polite = stop_by(COREPROC_UNLIMITED);
    polite.scope = COREPROC_SCOPE_PROCESS;
    OK(coreproc_process_stop(process, &polite, &err));
    info = finish(process);
    CHECK_INT(info.exit_code, 0);
    CHECK_INT(info.signal, 0);
    CHECK_INT(info.cause, COREPROC_CAUSE_STOPPED);

    process = spawn(service, new_command("sleep", "1000", NULL));
    coreproc_stop_options by_int = stop_by(0);
    by_int.signal = SIGINT;
    OK(coreproc_process_stop(process, &by_int, &err));
    CHECK_INT(finish(process).signal, SIGINT);
    end_service(service);
}

static void a_stop_that_worked_does_not_wait_out_its_grace(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn(service, new_command("sleep", "1000", NULL));
    coreproc_stop_options hours = stop_by(3600000);
    OK(coreproc_process_stop(process, &hours, &err));
    CHECK_INT(finish(process).signal, SIGTERM);
    end_service(service);
}

static void a_child_that_ignores_the_stop_dies_after_the_grace(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_sh(service, stubborn);
    wait_output(process, "ready\n");
    coreproc_stop_options options = stop_by(20);
    OK(coreproc_process_stop(process, &options, &err));
    coreproc_process_info info = finish(process);
    CHECK_INT(info.signal, SIGKILL);
    CHECK_INT(info.cause, COREPROC_CAUSE_STOPPED);
    end_service(service);
}

static void a_second_stop_kills(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_sh(service, stubborn);
    wait_output(process, "ready\n");
    coreproc_stop_options patient = stop_by(COREPROC_UNLIMITED);
    OK(coreproc_process_stop(process, &patient, &err));
    OK(coreproc_process_signal(process, 0, COREPROC_SCOPE_PROCESS, &err));
    OK(coreproc_process_stop(process, &patient, &err));
    coreproc_process_info info = wait_closed(process);
    CHECK_INT(info.signal, SIGKILL);
    CHECK_INT(info.cause, COREPROC_CAUSE_STOPPED);
    OK(coreproc_process_stop(process, NULL, &err)); /* what has ended is stopped */
    coreproc_process_free(process);
    end_service(service);
}

static void steps_follow_each_other_by_time_and_by_further_stops(void)
{
    /* SIGURG and SIGWINCH are ignored by default. */
    const coreproc_stop_step steps[] = {
        {.signal = SIGURG, .grace_ms = COREPROC_UNLIMITED},
        {.signal = SIGWINCH, .grace_ms = COREPROC_UNLIMITED},
        {.signal = SIGUSR1, .grace_ms = COREPROC_UNLIMITED},
        {.signal = SIGKILL},
    };
    coreproc_stop_options options = {.struct_size = sizeof options, .steps = steps, .steps_len = 4};
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("sleep", "1000", NULL);
    OK(coreproc_command_stop_options(command, &options, &err));
    options.steps = NULL; /* they were copied */
    coreproc_process *process = spawn(service, command);
    OK(coreproc_process_stop(process, NULL, &err));
    OK(coreproc_process_stop(process, NULL, &err));
    OK(coreproc_process_stop(process, NULL, &err));
    coreproc_process_info info = finish(process);
    CHECK_INT(info.signal, SIGUSR1);
    CHECK_INT(info.cause, COREPROC_CAUSE_STOPPED);
    end_service(service);
}

static void the_commands_stop_options_are_the_default(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_sh(stubborn);
    coreproc_stop_options options = stop_by(20);
    OK(coreproc_command_stop_options(command, &options, &err));
    coreproc_process *process = spawn(service, command);
    wait_output(process, "ready\n");
    OK(coreproc_process_stop(process, NULL, &err));
    CHECK_INT(finish(process).signal, SIGKILL);
    end_service(service);
}

static void a_stop_leaves_nobody_of_the_group(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_sh(service, family);
    int pids[2];
    wait_output(process, "ready\n");
    MUST(pids_of(process, pids) == 2);
    OK(coreproc_process_stop(process, NULL, &err));
    coreproc_process_info info = finish(process);
    CHECK_INT(info.flags & COREPROC_FLAG_DRAIN_BOUND, 0);
    CHECK_EVENTUALLY(is_dead(pids[0]) && is_dead(pids[1]));
    end_service(service);
}

static void a_group_is_reached_after_its_leader_ended(void)
{
    for (int by_stop = 0; by_stop < 2; by_stop++) {
        coreproc_service *service = new_service();
        coreproc_command *command = new_sh("sleep 1000 & echo $!; exit 4");
        OK(coreproc_command_drain(command, COREPROC_UNLIMITED, COREPROC_UNLIMITED, &err));
        coreproc_process *process = spawn(service, command);
        CHECK_INT(wait_until(process, COREPROC_STATE_EXITED).state, COREPROC_STATE_EXITED);
        wait_output(process, "\n");
        int pids[2];
        MUST(pids_of(process, pids) == 1);
        CHECK(!is_dead(pids[0]));
        coreproc_stop_options options = stop_by(0);
        options.scope = COREPROC_SCOPE_GROUP;
        FAILS(COREPROC_NOT_RUNNING, coreproc_process_kill(process, COREPROC_SCOPE_PROCESS, &err));
        OK(by_stop ? coreproc_process_stop(process, &options, &err) : coreproc_process_kill(process, COREPROC_SCOPE_GROUP, &err));
        coreproc_process_info info = finish(process);
        CHECK_INT(info.exit_code, 4);
        CHECK_INT(info.cause, COREPROC_CAUSE_NATURAL);
        CHECK_INT(info.flags, 0);
        CHECK_EVENTUALLY(is_dead(pids[0]));
        end_service(service);
    }
}

static void scope_process_spares_the_group(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_sh(family);
    OK(coreproc_command_drain(command, COREPROC_UNLIMITED, COREPROC_UNLIMITED, &err));
    coreproc_process *process = spawn(service, command);
    int pids[2];
    wait_output(process, "ready\n");
    MUST(pids_of(process, pids) == 2);
    OK(coreproc_process_kill(process, COREPROC_SCOPE_PROCESS, &err));
    CHECK_INT(wait_until(process, COREPROC_STATE_EXITED).signal, SIGKILL);
    CHECK(!is_dead(pids[0]) && !is_dead(pids[1]));
    OK(coreproc_process_kill(process, COREPROC_SCOPE_GROUP, &err));
    CHECK_INT(finish(process).flags, 0);
    CHECK_EVENTUALLY(is_dead(pids[0]) && is_dead(pids[1]));
    end_service(service);
}

static void a_timeout_runs_the_stop_policy(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("sleep", "1000", NULL);
    OK(coreproc_command_timeout(command, 20, &err));
    coreproc_process_info info = finish(spawn(service, command));
    CHECK_INT(info.signal, SIGTERM);
    CHECK_INT(info.cause, COREPROC_CAUSE_TIMEOUT);

    command = new_sh("trap '' TERM; sleep 1000 & echo $!; while :; do wait; done");
    coreproc_stop_options options = stop_by(20);
    OK(coreproc_command_timeout(command, 200, &err));
    OK(coreproc_command_stop_options(command, &options, &err));
    coreproc_process *process = spawn(service, command);
    info = wait_closed(process);
    CHECK_INT(info.cause, COREPROC_CAUSE_TIMEOUT);
    CHECK(info.signal == SIGKILL || info.signal == SIGTERM); /* TERM on a machine too slow to have set the trap */
    int pids[2];
    if (pids_of(process, pids) == 1)
        CHECK_EVENTUALLY(is_dead(pids[0]));
    coreproc_process_free(process);

    command = new_command("true", NULL);
    OK(coreproc_command_timeout(command, 3600000, &err));
    CHECK_INT(finish(spawn(service, command)).cause, COREPROC_CAUSE_NATURAL);
    command = new_command("true", NULL);
    OK(coreproc_command_timeout(command, COREPROC_UNLIMITED, &err));
    CHECK_INT(finish(spawn(service, command)).cause, COREPROC_CAUSE_NATURAL);
    end_service(service);
}

static void each_deadline_is_the_cause_of_its_end(void)
{
    static const struct {
        coreproc_result (*set)(coreproc_command *, uint64_t, coreproc_error **);
        uint64_t limit;
        const char *script;
        uint32_t cause;
    } deadlines[] = {
        {coreproc_command_start_timeout, 50, "sleep 1000", COREPROC_CAUSE_START_TIMEOUT},
        {coreproc_command_silence_timeout, 100, "echo begun; sleep 1000", COREPROC_CAUSE_SILENCE},
        {coreproc_command_cpu_time_limit, 50, "while :; do :; done", COREPROC_CAUSE_CPU_TIME},
        {coreproc_command_output_limit, 5, "echo more; sleep 1000", COREPROC_CAUSE_NATURAL},
        {coreproc_command_output_limit, 4, "echo more; sleep 1000", COREPROC_CAUSE_OUTPUT_LIMIT},
    };
    coreproc_service *service = new_service();
    for (size_t i = 0; i < sizeof deadlines / sizeof *deadlines; i++) {
        coreproc_command *command = new_sh(deadlines[i].script);
        OK(deadlines[i].set(command, deadlines[i].limit, &err));
        coreproc_process *process = spawn(service, command);
        if (deadlines[i].cause == COREPROC_CAUSE_NATURAL) {
            wait_output(process, "more\n"); /* the limit itself is allowed */
            OK(coreproc_process_signal(process, SIGTERM, COREPROC_SCOPE_GROUP, &err));
        }
        coreproc_process_info info = finish(process);
        CHECK_INT(info.cause, deadlines[i].cause);
        CHECK_INT(info.signal, SIGTERM);

        command = new_command("true", NULL);
        OK(deadlines[i].set(command, 1, &err));
        OK(deadlines[i].set(command, i % 2 ? 0 : COREPROC_UNLIMITED, &err)); /* takes it back */
        OK(coreproc_command_stdio(command, COREPROC_STREAM_STDOUT, COREPROC_STDIO_NULL, &err));
        OK(coreproc_command_stdio(command, COREPROC_STREAM_STDERR, COREPROC_STDIO_NULL, &err));
        CHECK_INT(finish(spawn(service, command)).cause, COREPROC_CAUSE_NATURAL);
    }
    coreproc_command *command = new_command("true", NULL);
    coreproc_process *process = NULL;
    OK(coreproc_command_output_limit(command, 1, &err));
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDOUT, COREPROC_STDIO_NULL, &err));
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDERR, COREPROC_STDIO_NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "output limit", coreproc_command_spawn(command, service, &process, &err));
    coreproc_command_free(command);
    end_service(service);
}

static void *cancel_soon(void *cancel)
{
    coreproc_error *error = NULL;
    CHECK_INT(coreproc_cancel_waits(cancel, &error), COREPROC_OK);
    return NULL;
}

static void several_are_waited_for_by_calls_and_descriptors(void)
{
    coreproc_service *service = new_service();
    coreproc_process *first = spawn(service, new_command("sleep", "1000", NULL));
    coreproc_process *second = spawn(service, new_command("sleep", "1000", NULL));
    const coreproc_process *both[] = {first, second};
    size_t index = 0;
    int32_t fd = -1;
    OK(coreproc_process_wait_fd(second, COREPROC_STATE_CLOSED, &fd, &err));
    struct pollfd watched = {.fd = fd, .events = POLLIN};
    CHECK_INT(poll(&watched, 1, 0), 0);
    FAILS(COREPROC_TIMED_OUT, coreproc_process_wait_any(both, 2, COREPROC_STATE_EXITED, 0, NULL, &index, &err));

    coreproc_cancel *cancel = NULL;
    OK(coreproc_cancel_new(&cancel, &err));
    pthread_t thread = start_thread(cancel_soon, cancel);
    FAILS(COREPROC_CLOSED, coreproc_process_wait_all(both, 2, COREPROC_STATE_CLOSED, -1, cancel, &err));
    pthread_join(thread, NULL);
    coreproc_cancel_free(cancel);

    OK(coreproc_process_kill(second, COREPROC_SCOPE_DEFAULT, &err));
    OK(coreproc_process_wait_any(both, 2, COREPROC_STATE_CLOSED, -1, NULL, &index, &err));
    CHECK_INT(index, 1);
    CHECK_INT(poll(&watched, 1, -1), 1);
    CHECK(watched.revents & POLLIN);
    close(fd);
    OK(coreproc_process_kill(first, COREPROC_SCOPE_DEFAULT, &err));
    OK(coreproc_process_wait_all(both, 2, COREPROC_STATE_CLOSED, -1, NULL, &err));
    coreproc_process_free(first);
    coreproc_process_free(second);
    end_service(service);
}

static void next_event(coreproc_subscription *subscription, uint32_t kind, int signal)
{
    coreproc_batch *batch = take(subscription, 1);
    MUST(batch != NULL);
    CHECK_INT(event_at(batch, 0)->kind, kind);
    CHECK_INT(event_at(batch, 0)->signal, signal);
    coreproc_batch_free(batch);
}

static void stops_are_events_and_a_state(void)
{
    static const uint64_t intervals[] = {1, 0, COREPROC_UNLIMITED};
    coreproc_service *service = new_service();
    coreproc_process_info info = {.struct_size = sizeof info};
    for (size_t i = 0; i < sizeof intervals / sizeof *intervals; i++) {
        const coreproc_subscription_options options = {
            .struct_size = sizeof options,
            .kinds = 1u << COREPROC_EVENT_STOPPED | 1u << COREPROC_EVENT_CONTINUED | 1u << COREPROC_EVENT_EXITED};
        coreproc_subscription *subscription = open_subscription(service, &options);
        coreproc_command *command = new_command("sleep", "1000", NULL);
        OK(coreproc_command_report_stops(command, intervals[i], &err));
        coreproc_process *process = spawn(service, command);
        OK(coreproc_process_pause(process, COREPROC_SCOPE_PROCESS, &err));
        do {
            OK(coreproc_process_look_for_stops(process, &err));
            OK(coreproc_process_info_get(process, &info, &err));
        } while (!info.stopped);
        CHECK_INT(info.stop_signal, SIGSTOP);
        next_event(subscription, COREPROC_EVENT_STOPPED, SIGSTOP);
        OK(coreproc_process_resume(process, COREPROC_SCOPE_PROCESS, &err));
        do {
            OK(coreproc_process_look_for_stops(process, &err));
            OK(coreproc_process_info_get(process, &info, &err));
        } while (info.stopped);
        CHECK_INT(info.stop_signal, 0);
        next_event(subscription, COREPROC_EVENT_CONTINUED, 0);
        OK(coreproc_process_kill(process, COREPROC_SCOPE_DEFAULT, &err));
        CHECK_INT(finish(process).signal, SIGKILL);
        next_event(subscription, COREPROC_EVENT_EXITED, SIGKILL);
        coreproc_subscription_free(subscription);
    }
    coreproc_process *process = spawn(service, new_command("true", NULL));
    FAILS(COREPROC_INVALID_ARGUMENT, coreproc_process_look_for_stops(process, &err));
    (void)finish(process);
    end_service(service);
}

int main(void)
{
    check_begin();
    RUN(a_signal_arrives);
    RUN(kill_is_said_in_signal_and_cause);
    RUN(stop_asks_first);
    RUN(a_stop_that_worked_does_not_wait_out_its_grace);
    RUN(a_child_that_ignores_the_stop_dies_after_the_grace);
    RUN(a_second_stop_kills);
    RUN(steps_follow_each_other_by_time_and_by_further_stops);
    RUN(the_commands_stop_options_are_the_default);
    RUN(a_stop_leaves_nobody_of_the_group);
    RUN(a_group_is_reached_after_its_leader_ended);
    RUN(scope_process_spares_the_group);
    RUN(a_timeout_runs_the_stop_policy);
    RUN(each_deadline_is_the_cause_of_its_end);
    RUN(stops_are_events_and_a_state);
    RUN(several_are_waited_for_by_calls_and_descriptors);
    return check_end();
}
