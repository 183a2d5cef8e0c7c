/* The end of a service: close by each mode, wait_idle, and what is refused afterwards. */
#include "help.h"

static void close_refuses_spawns_and_leaves_children(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped_sh(service, "read line; exit 3"), *none = NULL;
    coreproc_subscription *subscription = NULL;
    OK(coreproc_service_close(service, COREPROC_CLOSE_LEAVE, &err));
    coreproc_command *command = new_command("true", NULL);
    FAILS(COREPROC_CLOSED, coreproc_command_spawn(command, service, &none, &err));
    FAILS(COREPROC_CLOSED, coreproc_subscription_open(service, NULL, &subscription, &err));
    CHECK(none == NULL && subscription == NULL);
    coreproc_command_free(command);
    FAILS(COREPROC_TIMED_OUT, coreproc_service_wait_idle(service, 0, &err));
    FAILS(COREPROC_TIMED_OUT, coreproc_service_wait_idle(service, 1, &err));
    CHECK_INT(info_of(process).state, COREPROC_STATE_RUNNING);
    OK(coreproc_process_close_stdin(process, &err));
    CHECK_INT(finish(process).exit_code, 3);
    OK(coreproc_service_wait_idle(service, -1, &err));
    OK(coreproc_service_close(service, COREPROC_CLOSE_LEAVE, &err));
    OK(coreproc_service_close(service, COREPROC_CLOSE_STOP, &err));
    OK(coreproc_service_close(service, COREPROC_CLOSE_KILL, &err));
    coreproc_service_free(service);
}

static void close_stops_each_by_its_own_policy(void)
{
    coreproc_service *service = new_service();
    coreproc_process *plain = spawn(service, new_command("sleep", "1000", NULL));
    coreproc_command *command = new_command("sleep", "1000", NULL);
    const coreproc_stop_options by_int = {.struct_size = sizeof by_int, .signal = SIGINT};
    OK(coreproc_command_stop_options(command, &by_int, &err));
    coreproc_process *interrupted = spawn(service, command);
    command = new_sh("trap '' TERM; echo ready; while :; do sleep 1000; done");
    const coreproc_stop_options soon = {.struct_size = sizeof soon, .grace_ms = 20};
    OK(coreproc_command_stop_options(command, &soon, &err));
    coreproc_process *stubborn = spawn(service, command);
    wait_output(stubborn, "ready\n");
    OK(coreproc_service_close(service, COREPROC_CLOSE_STOP, &err));
    OK(coreproc_service_wait_idle(service, CHECK_DEADLINE_MS, &err));
    coreproc_process *all[] = {plain, interrupted, stubborn};
    static const int signals[] = {SIGTERM, SIGINT, SIGKILL};
    for (int i = 0; i < 3; i++) {
        coreproc_process_info info = finish(all[i]);
        CHECK_INT(info.signal, signals[i]);
        CHECK_INT(info.cause, COREPROC_CAUSE_STOPPED);
    }
    coreproc_service_free(service);
}

static void close_can_be_made_stronger(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_sh("trap '' TERM; echo ready; while :; do sleep 1000; done");
    const coreproc_stop_options patient = {.struct_size = sizeof patient, .grace_ms = COREPROC_UNLIMITED};
    OK(coreproc_command_stop_options(command, &patient, &err));
    coreproc_process *process = spawn(service, command);
    wait_output(process, "ready\n");
    OK(coreproc_service_close(service, COREPROC_CLOSE_LEAVE, &err));
    OK(coreproc_service_close(service, COREPROC_CLOSE_STOP, &err));
    CHECK_INT(info_of(process).state, COREPROC_STATE_RUNNING);
    OK(coreproc_service_close(service, COREPROC_CLOSE_KILL, &err));
    OK(coreproc_service_wait_idle(service, CHECK_DEADLINE_MS, &err));
    CHECK_INT(finish(process).signal, SIGKILL);
    coreproc_service_free(service);
}

static void kill_ends_all_at_once(void)
{
    coreproc_service *service = new_service();
    coreproc_process *processes[20];
    for (int i = 0; i < 20; i++)
        processes[i] = spawn(service, new_command("sleep", "1000", NULL));
    OK(coreproc_service_close(service, COREPROC_CLOSE_KILL, &err));
    OK(coreproc_service_wait_idle(service, CHECK_DEADLINE_MS, &err));
    for (int i = 0; i < 20; i++) {
        coreproc_process_info info = finish(processes[i]);
        CHECK_INT(info.signal, SIGKILL);
        CHECK_INT(info.cause, COREPROC_CAUSE_KILLED);
    }
    coreproc_service_free(service);
}

static uint64_t count_of(coreproc_service *service)
{
    uint64_t count = 4711;
    OK(coreproc_service_count(service, &count, &err));
    return count;
}

static void count_is_of_processes_not_yet_closed(void)
{
    coreproc_service *service = new_service();
    CHECK_INT(count_of(service), 0);
    OK(coreproc_service_wait_idle(service, 0, &err));
    coreproc_process *first = spawn_piped_sh(service, "read line");
    coreproc_process *second = spawn_piped_sh(service, "read line");
    CHECK_INT(count_of(service), 2);
    OK(coreproc_process_close_stdin(first, &err));
    wait_closed(first);
    CHECK_INT(count_of(service), 1);
    OK(coreproc_process_close_stdin(second, &err));
    wait_closed(second);
    CHECK_INT(count_of(service), 0);
    coreproc_process_free(first);
    coreproc_process_free(second);
    end_service(service);
}

static void *idle_waiter(void *service)
{
    OK(coreproc_service_wait_idle(service, -1, &err));
    return NULL;
}

static void everyone_who_waits_for_idle_is_woken(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped_sh(service, "read line");
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = start_thread(idle_waiter, service);
    OK(coreproc_process_close_stdin(process, &err));
    for (int i = 0; i < 4; i++)
        join_thread(threads[i]);
    coreproc_process_free(process);
    end_service(service);
}

static void a_service_that_never_spawned_leaves_nothing(void)
{
    for (int i = 0; i < 20; i++)
        coreproc_service_free(new_service());
    CHECK_EVENTUALLY(check_threads() == 1);
    CHECK_INT(check_fds(), check_fds_at_start);
}

int main(void)
{
    check_begin();
    RUN(close_refuses_spawns_and_leaves_children);
    RUN(close_stops_each_by_its_own_policy);
    RUN(close_can_be_made_stronger);
    RUN(kill_ends_all_at_once);
    RUN(count_is_of_processes_not_yet_closed);
    RUN(everyone_who_waits_for_idle_is_woken);
    RUN(a_service_that_never_spawned_leaves_nothing);
    return check_end();
}
