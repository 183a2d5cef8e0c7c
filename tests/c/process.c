/* A process from spawn to its end: identity, status, environment, handles. */
#include <sys/resource.h>
#include <sys/stat.h>

#include "help.h"

static void echo_exits_with_zero_and_its_output(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn(service, new_command("echo", "one", "two  three", "", NULL));
    CHECK(coreproc_process_pid(process) > 0);
    coreproc_process_info info = wait_closed(process);
    CHECK_INT(info.struct_size, sizeof info);
    CHECK_INT(info.state, COREPROC_STATE_CLOSED);
    CHECK_INT(info.id, coreproc_process_id(process));
    CHECK_INT(info.pid, coreproc_process_pid(process));
    CHECK_INT(info.exit_code, 0);
    CHECK_INT(info.signal, 0);
    CHECK_INT(info.cause, COREPROC_CAUSE_NATURAL);
    CHECK_INT(info.flags, 0);
    CHECK_INT(info.stdout_bytes, strlen("one two  three \n"));
    CHECK_INT(info.stderr_bytes, 0);
    CHECK_INT(info.dropped_bytes, 0);
    CHECK_INT(info.discarded_bytes, 0);
    CHECK_OUTPUT(process, "one two  three \n");
    coreproc_process_free(process);
    end_service(service);
}

static void a_running_process_has_no_status_yet(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped_sh(service, "read line; exit 3");
    coreproc_process_info info = info_of(process);
    CHECK_INT(info.state, COREPROC_STATE_RUNNING);
    CHECK_INT(info.exit_code, -1);
    CHECK_INT(info.signal, 0);
    CHECK_INT(info.cause, COREPROC_CAUSE_NONE);
    CHECK(info.started_monotonic_ns != 0 && info.started_realtime_ns != 0);
    CHECK_INT(info.exited_monotonic_ns, 0);
    CHECK_INT(info.closed_monotonic_ns, 0);
    write_all(process, "\n", 1);
    info = wait_closed(process);
    CHECK_INT(info.exit_code, 3);
    CHECK(info.started_monotonic_ns <= info.exited_monotonic_ns);
    CHECK(info.exited_monotonic_ns <= info.closed_monotonic_ns);
    coreproc_process_free(process);
    end_service(service);
}

static void all_256_exit_codes_are_exact(void)
{
    coreproc_service *service = new_service();
    coreproc_process *processes[16];
    char script[32];
    for (int code = 0; code < 256; code += 16) {
        for (int i = 0; i < 16; i++) {
            snprintf(script, sizeof script, "exit %d", code + i);
            processes[i] = spawn_sh(service, script);
        }
        for (int i = 0; i < 16; i++) {
            coreproc_process_info info = finish(processes[i]);
            CHECK_INT(info.exit_code, code + i);
            CHECK_INT(info.signal, 0);
            CHECK_INT(info.flags, 0);
        }
    }
    end_service(service);
}

static bool ends_a_process(int signal)
{
    switch (signal) {
    case SIGCHLD:
    case SIGCONT:
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGURG:
    case SIGWINCH:
        return false;
    default:
        return true;
    }
}

static void every_deadly_signal_is_exact(void)
{
    struct rlimit saved, none;
    MUST(getrlimit(RLIMIT_CORE, &saved) == 0);
    none = saved;
    none.rlim_cur = 0;
    MUST(setrlimit(RLIMIT_CORE, &none) == 0);
    coreproc_service *service = new_service();
    int last = check_under("valgrind") ? 63 : 64; /* valgrind keeps 64 for itself */
    for (int signal = 1; signal <= last; signal++) {
        if (!ends_a_process(signal))
            continue;
        coreproc_process *process = spawn(service, new_command("sleep", "1000", NULL));
        OK(coreproc_process_signal(process, signal, COREPROC_SCOPE_PROCESS, &err));
        coreproc_process_info info = finish(process);
        CHECK_INT(info.signal, signal);
        CHECK_INT(info.exit_code, -1);
        CHECK_INT(info.flags, 0);
    }
    end_service(service);
    MUST(setrlimit(RLIMIT_CORE, &saved) == 0);
}

static void an_exit_code_above_128_is_no_signal(void)
{
    coreproc_service *service = new_service();
    coreproc_process_info coded = finish(spawn_sh(service, "exit 137"));
    coreproc_process_info killed = finish(spawn_sh(service, "kill -KILL $$"));
    CHECK_INT(coded.exit_code, 137);
    CHECK_INT(coded.signal, 0);
    CHECK_INT(killed.exit_code, -1);
    CHECK_INT(killed.signal, SIGKILL);
    CHECK_INT(killed.cause, COREPROC_CAUSE_NATURAL);
    end_service(service);
}

static void ids_count_from_one_in_each_service(void)
{
    coreproc_service *services[2] = {new_service(), new_service()};
    for (uint64_t id = 1; id <= 3; id++)
        for (int i = 0; i < 2; i++) {
            coreproc_process *process = spawn(services[i], new_command("true", NULL));
            CHECK_INT(coreproc_process_id(process), id);
            finish(process);
        }
    end_service(services[0]);
    end_service(services[1]);
}

static void wait_looks_waits_and_steps_through_both_ends(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped_sh(service, "read line");
    coreproc_process_info info = {.struct_size = sizeof info, .exit_code = 77};
    FAILS(COREPROC_TIMED_OUT, coreproc_process_wait(process, COREPROC_STATE_EXITED, 0, &info, &err));
    FAILS(COREPROC_TIMED_OUT, coreproc_process_wait(process, COREPROC_STATE_CLOSED, 1, NULL, &err));
    CHECK_INT(info.exit_code, 77);
    CHECK_INT(coreproc_process_wait(process, COREPROC_STATE_EXITED, 0, NULL, NULL), COREPROC_TIMED_OUT);
    OK(coreproc_process_close_stdin(process, &err));
    info = wait_until(process, COREPROC_STATE_EXITED);
    CHECK(info.state == COREPROC_STATE_EXITED || info.state == COREPROC_STATE_CLOSED);
    CHECK_INT(info.exit_code, 1);
    OK(coreproc_process_wait(process, COREPROC_STATE_CLOSED, -1, NULL, &err));
    OK(coreproc_process_wait(process, COREPROC_STATE_CLOSED, 0, &info, &err));
    OK(coreproc_process_wait(process, COREPROC_STATE_EXITED, 0, &info, &err));
    CHECK_INT(info.state, COREPROC_STATE_CLOSED);
    coreproc_process_free(process);
    end_service(service);
}

static void service_process_finds_until_closed(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped_sh(service, "read line; exit 5"), *found = NULL;
    uint64_t id = coreproc_process_id(process);
    int32_t pid = coreproc_process_pid(process);
    OK(coreproc_service_process(service, id, &found, &err));
    CHECK_INT(coreproc_process_id(found), id);
    CHECK_INT(coreproc_process_pid(found), pid);
    coreproc_process_free(process);
    OK(coreproc_process_close_stdin(found, &err));
    CHECK_INT(finish(found).exit_code, 5);
    OK(coreproc_service_wait_idle(service, CHECK_DEADLINE_MS, &err));
    found = NULL;
    FAILS(COREPROC_NOT_FOUND, coreproc_service_process(service, id, &found, &err));
    FAILS(COREPROC_NOT_FOUND, coreproc_service_process(service, 4711, &found, &err));
    FAILS(COREPROC_NOT_FOUND, coreproc_service_process(service, 0, &found, &err));
    CHECK(found == NULL);
    end_service(service);
}

static void handles_outlive_each_other(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped_sh(service, "read line; echo $line; exit 9");
    coreproc_process *second = coreproc_process_ref(process);
    coreproc_service *other = coreproc_service_ref(service);
    MUST(second != NULL && other != NULL);
    coreproc_process_free(process);
    coreproc_service_free(service);
    coreproc_service_free(other);
    CHECK_INT(info_of(second).state, COREPROC_STATE_RUNNING);
    write_all(second, TEXT("late\n"));
    CHECK_INT(wait_closed(second).exit_code, 9);
    CHECK_OUTPUT(second, "late\n");
    coreproc_process_free(second);
}

static void freeing_the_last_handle_kills_nobody(void)
{
    char path[] = "/tmp/coreproc-c-XXXXXX", script[128], text[16] = "";
    int file = mkstemp(path);
    MUST(file >= 0);
    int gate[2];
    MUST(pipe2(gate, O_CLOEXEC) == 0);
    coreproc_service *service = new_service();
    snprintf(script, sizeof script, "read line; echo $line >>%s", path);
    coreproc_command *command = new_sh(script);
    OK(coreproc_command_stdio_fd(command, COREPROC_STREAM_STDIN, gate[0], &err));
    coreproc_process_free(spawn(service, command));
    coreproc_service_free(service);
    close(gate[0]);
    MUST(write(gate[1], "alive\n", 6) == 6);
    close(gate[1]);
    CHECK_EVENTUALLY(pread(file, text, sizeof text, 0) == 6);
    CHECK_TEXT(text, "alive\n");
    close(file);
    unlink(path);
}

static void the_end_is_told_in_full(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn(service, new_sh("echo last words; exit 3"));
    coreproc_process_info info = wait_closed(process);
    CHECK_INT(info.rusage == COREPROC_RUSAGE_EXACT || info.rusage == COREPROC_RUSAGE_RSS_AT_MOST, 1);
    CHECK(info.max_rss_bytes > 0 && info.minor_faults > 0 && info.user_time_ns + info.system_time_ns < 60000000000u);
    /* A caller of the first release has room for less. */
    struct {
        coreproc_process_info info;
    } old;
    memset(&old, 0x55, sizeof old);
    old.info.struct_size = 104;
    OK(coreproc_process_info_get(process, &old.info, &err));
    CHECK_INT(old.info.exit_code, 3);
    CHECK_INT(old.info.rusage, 0x55555555);

    coreproc_bytes *bytes = NULL;
    OK(coreproc_process_post_mortem(process, &bytes, &err));
    const char *text = (const char *)coreproc_bytes_data(bytes);
    CHECK(strstr(text, "process 1, PID ") == text && strstr(text, ": /bin/sh -c echo last words; exit 3\n"));
    CHECK(strstr(text, "\nexited with code 3 after ") && strstr(text, "\nlast lines of its output:\n  last words\n"));
    coreproc_bytes_free(bytes);
    OK(coreproc_process_info_json(process, &bytes, &err));
    text = (const char *)coreproc_bytes_data(bytes);
    CHECK(strstr(text, "\"state\":\"closed\",\"exit_code\":3,") && strstr(text, "\"last_lines\":[\"last words\"]"));
    coreproc_bytes_free(bytes);
    coreproc_process_free(process);

    process = spawn(service, new_command("sleep", "1000", NULL));
    info = (coreproc_process_info){.struct_size = sizeof info};
    OK(coreproc_process_info_get(process, &info, &err));
    CHECK_INT(info.rusage, COREPROC_RUSAGE_UNKNOWN);
    CHECK_INT(info.max_rss_bytes, 0);
    OK(coreproc_process_kill(process, COREPROC_SCOPE_DEFAULT, &err));
    finish(process);
    end_service(service);
}

static void a_command_can_be_spawned_again_and_changed_between(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_command("echo", "a", NULL);
    coreproc_process *first = NULL, *second = NULL;
    OK(coreproc_command_spawn(command, service, &first, &err));
    OK(coreproc_command_arg(command, TEXT("b"), &err));
    OK(coreproc_command_spawn(command, service, &second, &err));
    coreproc_command_free(command);
    wait_closed(first);
    wait_closed(second);
    CHECK_OUTPUT(first, "a\n");
    CHECK_OUTPUT(second, "a b\n");
    coreproc_process_free(first);
    coreproc_process_free(second);
    end_service(service);
}

static void what_is_passed_in_is_copied(void)
{
    coreproc_service *service = new_service();
    char program[] = "echo", argument[] = "kept";
    coreproc_command *command = NULL;
    OK(coreproc_command_new(program, 4, &command, &err));
    OK(coreproc_command_arg(command, argument, 2, &err));
    OK(coreproc_command_arg(command, argument, 4, &err));
    memset(program, 'x', sizeof program);
    memset(argument, 'x', sizeof argument);
    coreproc_process *process = spawn(service, command);
    wait_closed(process);
    CHECK_OUTPUT(process, "ke kept\n");
    coreproc_process_free(process);
    end_service(service);
}

static void environment_is_inherited_added_cleared_or_whole(void)
{
    coreproc_service *service = new_service();
    MUST(setenv("COREPROC_HOST", "from the host", 1) == 0);

    coreproc_command *added = new_sh("echo $COREPROC_HOST, $ADDED");
    OK(coreproc_command_env(added, TEXT("ADDED=first"), &err));
    OK(coreproc_command_env(added, TEXT("ADDED=a=b"), &err));
    coreproc_process *process = spawn(service, added);
    wait_closed(process);
    CHECK_OUTPUT(process, "from the host, a=b\n");
    coreproc_process_free(process);

    coreproc_command *overridden = new_sh("echo \"$COREPROC_HOST\"");
    OK(coreproc_command_env(overridden, TEXT("COREPROC_HOST=from the command"), &err));
    process = spawn(service, overridden);
    wait_closed(process);
    CHECK_OUTPUT(process, "from the command\n");
    coreproc_process_free(process);

    coreproc_command *cleared = new_command("/usr/bin/env", NULL);
    OK(coreproc_command_env(cleared, TEXT("GONE=1"), &err));
    OK(coreproc_command_env_clear(cleared, &err));
    OK(coreproc_command_env(cleared, TEXT("EMPTY="), &err));
    process = spawn(service, cleared);
    wait_closed(process);
    CHECK_OUTPUT(process, "EMPTY=\n");
    coreproc_process_free(process);

    coreproc_command *whole = new_command("/usr/bin/env", NULL);
    OK(coreproc_command_env(whole, TEXT("GONE=1"), &err));
    OK(coreproc_command_env_whole(whole, "B=2\0A=1 and more\0", 17, &err));
    process = spawn(service, whole);
    wait_closed(process);
    CHECK_OUTPUT(process, "B=2\nA=1 and more\n");
    coreproc_process_free(process);

    coreproc_command *empty = new_command("/usr/bin/env", NULL);
    OK(coreproc_command_env_whole(empty, NULL, 0, &err));
    process = spawn(service, empty);
    wait_closed(process);
    CHECK_OUTPUT(process, "");
    coreproc_process_free(process);
    end_service(service);
}

static void programs_are_searched_in_the_path_of_the_child(void)
{
    char dir[] = "/tmp/coreproc-c-XXXXXX", program[64], entry[64];
    MUST(mkdtemp(dir) != NULL);
    snprintf(program, sizeof program, "%s/only-here", dir);
    snprintf(entry, sizeof entry, "PATH=%s", dir);
    FILE *file = fopen(program, "we");
    MUST(file != NULL && fputs("#!/bin/sh\necho found\n", file) >= 0 && fclose(file) == 0);
    MUST(chmod(program, 0755) == 0);
    coreproc_service *service = new_service();

    coreproc_command *by_child = new_command("only-here", NULL);
    OK(coreproc_command_env(by_child, TEXT(entry), &err));
    coreproc_process *process = spawn(service, by_child);
    wait_closed(process);
    CHECK_OUTPUT(process, "found\n");
    coreproc_process_free(process);

    coreproc_command *by_option = new_command("only-here", NULL);
    OK(coreproc_command_search_path(by_option, TEXT(dir), &err));
    process = spawn(service, by_option);
    wait_closed(process);
    CHECK_OUTPUT(process, "found\n");
    coreproc_process_free(process);

    coreproc_command *relative = new_command("./only-here", NULL);
    OK(coreproc_command_cwd(relative, TEXT(dir), &err));
    process = spawn(service, relative);
    wait_closed(process);
    CHECK_OUTPUT(process, "found\n");
    coreproc_process_free(process);

    end_service(service);
    unlink(program);
    rmdir(dir);
}

static void arg0_and_cwd_are_the_childs(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_sh("echo $0; pwd");
    OK(coreproc_command_cwd(command, TEXT("/proc/self/.."), &err));
    coreproc_process *process = spawn(service, command);
    wait_closed(process);
    CHECK_OUTPUT(process, "/bin/sh\n/proc\n");
    coreproc_process_free(process);

    command = new_command("/bin/sh", NULL);
    OK(coreproc_command_arg0(command, TEXT("renamed"), &err));
    OK(coreproc_command_arg(command, TEXT("-c"), &err));
    OK(coreproc_command_arg(command, TEXT("echo $0"), &err));
    process = spawn(service, command);
    wait_closed(process);
    CHECK_OUTPUT(process, "renamed\n");
    coreproc_process_free(process);
    end_service(service);
}

static void a_process_leads_its_own_group_unless_told(void)
{
    coreproc_service *service = new_service();
    coreproc_process *own = spawn_piped_sh(service, "read line");
    CHECK_INT(getpgid(coreproc_process_pid(own)), coreproc_process_pid(own));
    coreproc_command *command = new_piped_sh("read line");
    OK(coreproc_command_group(command, COREPROC_GROUP_INHERIT, &err));
    coreproc_process *inherited = spawn(service, command);
    CHECK_INT(getpgid(coreproc_process_pid(inherited)), getpgrp());
    OK(coreproc_process_close_stdin(own, &err));
    OK(coreproc_process_close_stdin(inherited, &err));
    finish(own);
    finish(inherited);
    end_service(service);
}

/* Returns the value of a line `name:\tvalue` of /proc/PID/status. */
static uint64_t status_mask(const char *status, const char *name)
{
    const char *line = strstr(status, name);
    MUST(line != NULL);
    return strtoull(line + strlen(name), NULL, 16);
}

static void a_child_starts_with_default_dispositions_and_an_empty_mask(void)
{
    sigset_t set, saved;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    MUST(pthread_sigmask(SIG_BLOCK, &set, &saved) == 0);
    void (*pipe_before)(int) = signal(SIGPIPE, SIG_IGN);
    void (*hup_before)(int) = signal(SIGHUP, SIG_IGN);
    coreproc_service *service = new_service();
    coreproc_process *process = spawn(service, new_command("cat", "/proc/self/status", NULL));
    wait_closed(process);
    char *status = output_text(process);
    CHECK_INT(status_mask(status, "\nSigBlk:"), 0);
    CHECK_INT(status_mask(status, "\nSigIgn:"), 0);
    CHECK_INT(status_mask(status, "\nSigCgt:"), 0);
    free(status);
    coreproc_process_free(process);
    end_service(service);
    signal(SIGPIPE, pipe_before);
    signal(SIGHUP, hup_before);
    MUST(pthread_sigmask(SIG_SETMASK, &saved, NULL) == 0);
}

static void a_child_gets_no_fd_it_was_not_given(void)
{
    int leaky[8];
    for (int i = 0; i < 8; i++)
        leaky[i] = dup(STDOUT_FILENO); /* without close-on-exec, as careless hosts do */
    coreproc_service *service = new_service();
    coreproc_process *waiting = spawn_piped_sh(service, "read line");
    coreproc_process *process = spawn(service, new_command("ls", "/proc/self/fd", NULL));
    wait_closed(process);
    CHECK_OUTPUT(process, "0\n1\n2\n3\n"); /* 3 is the directory that ls reads */
    coreproc_process_free(process);
    OK(coreproc_process_close_stdin(waiting, &err));
    finish(waiting);
    end_service(service);
    for (int i = 0; i < 8; i++)
        close(leaky[i]);
}

static coreproc_activity activity_of(coreproc_process *process)
{
    coreproc_activity activity = {.struct_size = sizeof activity};
    OK(coreproc_process_activity(process, &activity, &err));
    return activity;
}

static void what_it_does_is_told_with_its_tree(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped_sh(service, "cat; read line"), *other = spawn_piped_sh(service, "read line");
    CHECK_EVENTUALLY(activity_of(process).processes == 2 && activity_of(process).awaits == COREPROC_AWAITS_INPUT);
    coreproc_activity activity = activity_of(process);
    CHECK_INT(activity.doing, COREPROC_DOING_SLEEPING);
    CHECK_INT(activity.id, 1);
    CHECK_INT(activity.pid, coreproc_process_pid(process));
    CHECK(activity.awaits_pid > 0 && activity.awaits_pid != activity.pid);
    CHECK_INT(activity.stop_signal, 0);
    CHECK_INT(activity.threads, 1);
    CHECK_INT(activity.tree_threads, 2);
    CHECK(activity.descriptors >= 3 && activity.tree_descriptors >= 6 && activity.tree_descriptors < 100);
    CHECK(activity.rss_bytes > 0 && activity.tree_rss_bytes > activity.rss_bytes);
    CHECK(activity.read_bytes > 0 && activity.tree_read_bytes >= activity.read_bytes && activity.tree_read_bytes != UINT64_MAX);

    CHECK_EVENTUALLY(activity_of(other).awaits_pid == coreproc_process_pid(other));
    OK(coreproc_process_signal(other, SIGSTOP, COREPROC_SCOPE_PROCESS, &err));
    CHECK_EVENTUALLY(activity_of(other).doing == COREPROC_DOING_STOPPED);
    CHECK_INT(activity_of(other).stop_signal, SIGSTOP);
    CHECK_INT(activity_of(other).awaits, COREPROC_AWAITS_NOTHING);
    CHECK_INT(activity_of(other).awaits_pid, -1);

    coreproc_activities *all = NULL;
    OK(coreproc_service_activities(service, &all, &err));
    size_t count = 0, stride = 0;
    const coreproc_activity *first = coreproc_activities_first(all, &count, &stride);
    MUST(count == 2 && stride >= sizeof *first);
    const coreproc_activity *second = (const void *)((const char *)first + stride);
    CHECK_INT(first->struct_size, sizeof *first);
    CHECK_INT(first->id, 1);
    CHECK_INT(second->id, 2);
    CHECK_INT(second->doing, COREPROC_DOING_STOPPED);
    coreproc_activities_free(all);

    OK(coreproc_process_kill(process, COREPROC_SCOPE_GROUP, &err));
    OK(coreproc_process_kill(other, COREPROC_SCOPE_GROUP, &err));
    wait_closed(process);
    FAILS(COREPROC_NOT_RUNNING, coreproc_process_activity(process, &activity, &err));
    coreproc_process_free(process);
    finish(other);
    end_service(service);
}

int main(void)
{
    check_begin();
    RUN(echo_exits_with_zero_and_its_output);
    RUN(a_running_process_has_no_status_yet);
    RUN(all_256_exit_codes_are_exact);
    RUN(every_deadly_signal_is_exact);
    RUN(an_exit_code_above_128_is_no_signal);
    RUN(ids_count_from_one_in_each_service);
    RUN(wait_looks_waits_and_steps_through_both_ends);
    RUN(service_process_finds_until_closed);
    RUN(handles_outlive_each_other);
    RUN(freeing_the_last_handle_kills_nobody);
    RUN(the_end_is_told_in_full);
    RUN(a_command_can_be_spawned_again_and_changed_between);
    RUN(what_is_passed_in_is_copied);
    RUN(environment_is_inherited_added_cleared_or_whole);
    RUN(programs_are_searched_in_the_path_of_the_child);
    RUN(arg0_and_cwd_are_the_childs);
    RUN(a_process_leads_its_own_group_unless_told);
    RUN(a_child_starts_with_default_dispositions_and_an_empty_mask);
    RUN(a_child_gets_no_fd_it_was_not_given);
    RUN(what_it_does_is_told_with_its_tree);
    return check_end();
}
