/* Containment: trees that are ended as a whole or whose survivors are named, limits, pause and resume. */
#include "help.h"

#include <sys/mman.h>

/* What the program does as a child of itself: takes memory, starts processes, uses a processor. */

enum { EATEN = 96 << 20 };

static int eat(void)
{
    char *memory = mmap(NULL, EATEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 99;
    for (size_t at = 0; at < EATEN; at += 4096)
        memory[at] = 1;
    return 0;
}

/* Exits with how many of five children it could start. */
static int breed(void)
{
    int started = 0;
    pid_t children[5];
    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        if (child == 0)
            for (;;)
                pause();
        if (child < 0 && errno != EAGAIN)
            return 99;
        if (child > 0)
            children[started++] = child;
    }
    for (int i = 0; i < started; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    return started;
}

/* Uses 50 ms of processor time. */
static int spin(void)
{
    struct timespec used;
    do
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    while (used.tv_sec == 0 && used.tv_nsec < 50 * 1000 * 1000);
    return 0;
}

static coreproc_command *new_self(const char *what)
{
    return new_command("/proc/self/exe", what, NULL);
}

/* Says what could not be tested, and that it must be tested where COREPROC_CGROUPS says so. */
static void not_tested(void)
{
    fprintf(check_out, "# NOT TESTED: %s\n", coreproc_error_message(err));
    coreproc_error_free(err);
    err = NULL;
    CHECK(getenv("COREPROC_CGROUPS") == NULL);
}

/* Spawns a command, which it frees; NULL if the system does not allow the cgroup that it needs. */
static coreproc_process *spawn_if_allowed(coreproc_service *service, coreproc_command *command, const char *needle)
{
    coreproc_process *process = NULL;
    coreproc_result result = coreproc_command_spawn(command, service, &process, &err);
    coreproc_command_free(command);
    if (result == COREPROC_OK)
        return process;
    MUST(result == COREPROC_UNSUPPORTED && strstr(coreproc_error_message(err), "contain: ") != NULL);
    if (strstr(coreproc_error_message(err), "no cgroup") == NULL)
        CHECK(strstr(coreproc_error_message(err), needle) != NULL);
    not_tested();
    return NULL;
}

static char *tree_of(coreproc_process *process)
{
    coreproc_bytes *bytes = NULL;
    OK(coreproc_process_tree(process, &bytes, &err));
    char *text = strdup((const char *)coreproc_bytes_data(bytes));
    MUST(text != NULL);
    coreproc_bytes_free(bytes);
    return text;
}

/* Counts the lines of a tree that begin with `sign`. */
static int count_members(coreproc_process *process, char sign)
{
    char *tree = tree_of(process);
    int count = 0;
    for (const char *line = tree; *line != '\0'; line = strchr(line, '\n') + 1)
        count += *line == sign;
    free(tree);
    return count;
}

/* A leader, a session of its own, and an orphan in another one; all of them ignore SIGTERM. */
static const char *const wild = "trap '' TERM; member='echo $$; while :; do sleep 1000; done'; setsid sh -c \"$member\" &"
                                "(setsid sh -c \"$member\" &); while :; do sleep 1000; done";

/* Waits until both members of `wild` have said their PIDs. */
static void read_pids(coreproc_process *process, int pids[2])
{
    int64_t end = check_now_ms() + CHECK_DEADLINE_MS;
    for (int lines = 0; lines < 2; check_pause()) {
        char *text = output_text(process);
        lines = sscanf(text, "%d\n%d\n", &pids[0], &pids[1]) == 2 && strchr(strchr(text, '\n') + 1, '\n') != NULL ? 2 : 0;
        free(text);
        MUST(lines == 2 || check_now_ms() < end);
    }
}

static void a_cgroup_leaves_nothing(void)
{
    coreproc_service *service = new_service();
    int trees = check_count(20);
    for (int i = 0; i < trees; i++) {
        coreproc_command *command = new_sh(wild);
        coreproc_stop_options stop = {.struct_size = sizeof stop, .grace_ms = 20, .scope = COREPROC_SCOPE_TREE};
        OK(coreproc_command_contain(command, COREPROC_CONTAIN_CGROUP, &err));
        coreproc_process *process = spawn_if_allowed(service, command, "cgroup");
        if (process == NULL)
            break;
        int pids[2];
        read_pids(process, pids);
        CHECK_INT(count_members(process, '-'), 0);
        CHECK(count_members(process, '+') >= 3);
        if (i % 3 == 0)
            OK(coreproc_process_kill(process, COREPROC_SCOPE_DEFAULT, &err));
        else if (i % 3 == 1)
            OK(coreproc_process_kill(process, COREPROC_SCOPE_TREE, &err));
        else
            OK(coreproc_process_stop(process, &stop, &err));
        coreproc_process_info info = wait_closed(process);
        CHECK_INT(info.signal, SIGKILL);
        CHECK_INT(info.rung, COREPROC_RUNG_CGROUP);
        CHECK(info.tree_cpu_ns != COREPROC_UNKNOWN);
        CHECK_EVENTUALLY(is_dead(pids[0]) && is_dead(pids[1]));
        CHECK_EVENTUALLY(coreproc_process_signal(process, 0, COREPROC_SCOPE_TREE, NULL) == COREPROC_NOT_RUNNING);
        char *tree = tree_of(process);
        CHECK_TEXT(tree, "");
        free(tree);
        coreproc_process_free(process);
    }
    end_service(service);
}

static void without_a_cgroup_the_survivor_is_named(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_sh(wild);
    OK(coreproc_command_contain(command, COREPROC_CONTAIN_GROUP, &err));
    coreproc_process *process = spawn(service, command);
    int pids[2];
    read_pids(process, pids);
    OK(coreproc_process_kill(process, COREPROC_SCOPE_DEFAULT, &err));
    coreproc_process_info info = wait_closed(process);
    CHECK_INT(info.rung, COREPROC_RUNG_GROUP);
    CHECK(info.tree_cpu_ns == COREPROC_UNKNOWN && info.tree_memory_peak == COREPROC_UNKNOWN);
    CHECK_EVENTUALLY(is_dead(pids[0]) != is_dead(pids[1]));
    int orphan = is_dead(pids[0]) ? pids[1] : pids[0];
    char name[32];
    snprintf(name, sizeof name, "-%d ", orphan);
    char *tree = tree_of(process);
    CHECK(strstr(tree, name) != NULL);
    /* It can be ended by what the tree names: it and its sleep. */
    for (const char *line = tree; *line != '\0'; line = strchr(line, '\n') + 1)
        kill(atoi(line + 1), SIGKILL);
    free(tree);
    CHECK_EVENTUALLY(is_dead(orphan));
    coreproc_process_free(process);

    command = new_command("true", NULL);
    OK(coreproc_command_contain(command, COREPROC_CONTAIN_PROCESS, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "contain", coreproc_command_spawn(command, service, &process, &err));
    OK(coreproc_command_group(command, COREPROC_GROUP_INHERIT, &err));
    CHECK_INT(finish(spawn(service, command)).rung, COREPROC_RUNG_PROCESS);
    command = new_command("true", NULL);
    OK(coreproc_command_contain(command, COREPROC_CONTAIN_PREFER, &err));
    CHECK(finish(spawn(service, command)).rung >= COREPROC_RUNG_GROUP);
    end_service(service);
}

static void memory_is_limited_and_its_end_is_told(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_self("eat");
    OK(coreproc_command_memory_max(command, 24 << 20, &err));
    coreproc_process *process = spawn_if_allowed(service, command, "the controller \"memory\"");
    if (process != NULL) {
        coreproc_process_info info = finish(process);
        CHECK_INT(info.signal, SIGKILL);
        CHECK_INT(info.cause, COREPROC_CAUSE_NATURAL);
        CHECK_INT(info.tree_oom_kills, 1);
        CHECK(info.tree_memory_peak == COREPROC_UNKNOWN ||
              (info.tree_memory_peak > 8 << 20 && info.tree_memory_peak <= 24 << 20));
    }
    command = new_self("eat");
    OK(coreproc_command_memory_max(command, 1, &err));
    OK(coreproc_command_memory_max(command, COREPROC_UNLIMITED, &err)); /* takes it back */
    CHECK_INT(finish(spawn(service, command)).exit_code, 0);
    end_service(service);
}

static void processes_are_limited(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_self("breed");
    OK(coreproc_command_processes_max(command, 4, &err));
    coreproc_process *process = spawn_if_allowed(service, command, "the controller \"pids\"");
    if (process != NULL) {
        coreproc_process_info info = finish(process);
        CHECK_INT(info.exit_code, 3);
        CHECK(info.tree_processes_peak == COREPROC_UNKNOWN || info.tree_processes_peak == 4);
    }
    command = new_self("breed");
    OK(coreproc_command_processes_max(command, 1, &err));
    OK(coreproc_command_processes_max(command, 0, &err));
    CHECK_INT(finish(spawn(service, command)).exit_code, 5);
    end_service(service);
}

static void processor_time_is_limited(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_self("spin");
    OK(coreproc_command_cpu_max(command, 100, &err));
    coreproc_process *process = spawn_if_allowed(service, command, "the controller \"cpu\"");
    if (process != NULL) {
        coreproc_process_info info = finish(process);
        CHECK_INT(info.exit_code, 0);
        CHECK(info.tree_cpu_ns >= 50 * 1000 * 1000);
        /* A tenth of a processor: five periods of 100 ms, of which the first may end at once. */
        CHECK(info.exited_monotonic_ns - info.started_monotonic_ns > 300 * 1000 * 1000);
    }
    end_service(service);
}

static void a_paused_tree_goes_on_when_it_is_resumed(void)
{
    static const uint32_t kinds[] = {COREPROC_CONTAIN_GROUP, COREPROC_CONTAIN_PREFER};
    coreproc_service *service = new_service();
    for (size_t i = 0; i < 2; i++) {
        coreproc_command *command = new_piped_sh("echo ready; read line; echo $line; setsid sh -c 'echo below'; exit 4");
        OK(coreproc_command_contain(command, kinds[i], &err));
        coreproc_process *process = spawn(service, command);
        wait_output(process, "ready\n");
        OK(coreproc_process_pause(process, COREPROC_SCOPE_TREE, &err));
        write_all(process, TEXT("line\n"));
        FAILS(COREPROC_TIMED_OUT, coreproc_process_wait(process, COREPROC_STATE_EXITED, 50, NULL, &err));
        OK(coreproc_process_resume(process, COREPROC_SCOPE_TREE, &err));
        CHECK_INT(wait_closed(process).exit_code, 4);
        CHECK_OUTPUT(process, "ready\nline\nbelow\n");
        FAILS(COREPROC_NOT_RUNNING, coreproc_process_pause(process, COREPROC_SCOPE_DEFAULT, &err));
        FAILS(COREPROC_NOT_RUNNING, coreproc_process_resume(process, COREPROC_SCOPE_PROCESS, &err));
        coreproc_process_free(process);
    }
    end_service(service);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return strcmp(argv[1], "eat") == 0 ? eat() : strcmp(argv[1], "breed") == 0 ? breed() : spin();
    check_begin();
    RUN(a_cgroup_leaves_nothing);
    RUN(without_a_cgroup_the_survivor_is_named);
    RUN(memory_is_limited_and_its_end_is_told);
    RUN(processes_are_limited);
    RUN(processor_time_is_limited);
    RUN(a_paused_tree_goes_on_when_it_is_resumed);
    return check_end();
}
