/* Many threads on the same handles: every call ends, with a result it may give, and each process ends once. */
#include "help.h"

enum { THREADS = 8, PROCESSES = 4 };

struct arena {
    coreproc_service *service;
    coreproc_process *processes[PROCESSES];
    coreproc_subscription *subscription;
    atomic_int exited[PROCESSES + 1], closed[PROCESSES + 1];
    atomic_uint seed;
};

static unsigned next_random(unsigned *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Accepts OK and the results listed up to a 0. */
static void one_of(coreproc_result result, const coreproc_result *allowed, const char *call, int line)
{
    bool known = result == COREPROC_OK;
    for (; *allowed != 0; allowed++)
        known |= result == *allowed;
    if (!known)
        fprintf(check_out, "# %s: %s\n", coreproc_result_name(result), err == NULL ? "" : coreproc_error_message(err));
    check_that(known && (result == COREPROC_OK) == (err == NULL), call, __FILE__, line);
    coreproc_error_free(err);
    err = NULL;
}

#define ONE_OF(call, ...) one_of((call), (const coreproc_result[]){__VA_ARGS__, 0}, #call, __LINE__)

/* One random call on one random process. */
static void act(struct arena *arena, unsigned random)
{
    coreproc_process *process = coreproc_process_ref(arena->processes[random / 64 % PROCESSES]), *found = NULL;
    coreproc_process_info info = {.struct_size = sizeof info};
    coreproc_bytes *bytes = NULL;
    size_t written;
    uint64_t count;
    switch (random % 16) {
    case 0:
        ONE_OF(coreproc_process_info_get(process, &info, &err), 0);
        break;
    case 1:
        ONE_OF(coreproc_process_output(process, &bytes, &err), 0);
        break;
    case 2:
        ONE_OF(coreproc_process_holders(process, &bytes, &err), 0);
        break;
    case 3:
        ONE_OF(coreproc_process_signal(process, 0, COREPROC_SCOPE_DEFAULT, &err), COREPROC_NOT_RUNNING);
        break;
    case 4:
        ONE_OF(coreproc_process_signal(process, SIGCONT, COREPROC_SCOPE_GROUP, &err), COREPROC_NOT_RUNNING);
        break;
    case 5:
    case 6:
    case 7:
        ONE_OF(coreproc_process_write(process, (const uint8_t *)"line\n", 5, 1, &written, &err), COREPROC_TIMED_OUT,
               COREPROC_STDIN_CLOSED, COREPROC_NOT_RUNNING);
        break;
    case 8:
        ONE_OF(coreproc_process_wait(process, COREPROC_STATE_EXITED, 0, &info, &err), COREPROC_TIMED_OUT);
        break;
    case 9:
        ONE_OF(coreproc_process_wait(process, COREPROC_STATE_CLOSED, 1, NULL, &err), COREPROC_TIMED_OUT);
        break;
    case 10:
        ONE_OF(coreproc_service_process(arena->service, random % (PROCESSES + 2), &found, &err), COREPROC_NOT_FOUND);
        break;
    case 11:
        ONE_OF(coreproc_service_count(arena->service, &count, &err), 0);
        break;
    case 12:
        ONE_OF(coreproc_service_wait_idle(arena->service, 0, &err), COREPROC_TIMED_OUT);
        break;
    default:
        if (random % 7 != 0)
            break;
        if (random % 16 == 13)
            ONE_OF(coreproc_process_close_stdin(process, &err), 0);
        else if (random % 16 == 14)
            ONE_OF(coreproc_process_stop(process, NULL, &err), COREPROC_NOT_RUNNING);
        else
            ONE_OF(coreproc_process_kill(process, COREPROC_SCOPE_DEFAULT, &err), COREPROC_NOT_RUNNING);
    }
    coreproc_bytes_free(bytes);
    coreproc_process_free(found);
    coreproc_process_free(process);
}

static void *hammer(void *argument)
{
    struct arena *arena = argument;
    unsigned state = atomic_fetch_add(&arena->seed, 1) * 2654435761u | 1;
    for (int i = 0; i < 200; i++)
        act(arena, next_random(&state));
    return NULL;
}

static void *count_ends(void *argument)
{
    struct arena *arena = argument;
    for (coreproc_batch *batch; (batch = take(arena->subscription, 3)) != NULL; coreproc_batch_free(batch))
        for (size_t i = 0; i < event_count(batch); i++) {
            const coreproc_event *event = event_at(batch, i);
            MUST(event->process_id >= 1 && event->process_id <= PROCESSES);
            atomic_fetch_add(&arena->exited[event->process_id], event->kind == COREPROC_EVENT_EXITED);
            atomic_fetch_add(&arena->closed[event->process_id], event->kind == COREPROC_EVENT_CLOSED);
        }
    return NULL;
}

static void hammering_ends_each_process_once(void)
{
    for (int round = check_count(20); round > 0; round--) {
        struct arena arena;
        memset(&arena, 0, sizeof arena);
        arena.service = new_service();
        arena.subscription = open_subscription(arena.service, NULL);
        atomic_store(&arena.seed, (unsigned)round * THREADS);
        for (int i = 0; i < PROCESSES; i++) {
            coreproc_command *command = new_command("cat", NULL);
            OK(coreproc_command_stdio(command, COREPROC_STREAM_STDIN, COREPROC_STDIO_PIPE, &err));
            arena.processes[i] = spawn(arena.service, command);
        }
        pthread_t hammers[THREADS], takers[2];
        for (int i = 0; i < 2; i++)
            takers[i] = start_thread(count_ends, &arena);
        for (int i = 0; i < THREADS; i++)
            hammers[i] = start_thread(hammer, &arena);
        for (int i = 0; i < THREADS; i++)
            join_thread(hammers[i]);
        OK(coreproc_service_close(arena.service, COREPROC_CLOSE_KILL, &err));
        for (int i = 0; i < 2; i++)
            join_thread(takers[i]);
        for (int i = 0; i < PROCESSES; i++) {
            CHECK_INT(atomic_load(&arena.exited[i + 1]), 1);
            CHECK_INT(atomic_load(&arena.closed[i + 1]), 1);
            finish(arena.processes[i]);
        }
        coreproc_subscription_free(arena.subscription);
        end_service(arena.service);
    }
}

static void *wait_for_nine(void *process)
{
    CHECK_INT(wait_closed(process).exit_code, 9);
    return NULL;
}

static void everyone_who_waits_gets_the_same_end(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped_sh(service, "read line; exit 9");
    pthread_t threads[16];
    for (int i = 0; i < 16; i++)
        threads[i] = start_thread(wait_for_nine, process);
    OK(coreproc_process_close_stdin(process, &err));
    for (int i = 0; i < 16; i++)
        join_thread(threads[i]);
    coreproc_process_free(process);
    end_service(service);
}

struct race {
    coreproc_service *service;
    atomic_int spawned;
    uint64_t ids[THREADS][64];
};

static void *spawn_until_closed(void *argument)
{
    struct race *race = argument;
    coreproc_command *command = new_sh("exit 7");
    for (;;) {
        coreproc_process *process = NULL;
        coreproc_result result = coreproc_command_spawn(command, race->service, &process, &err);
        if (result != COREPROC_OK) {
            FAILS(COREPROC_CLOSED, result);
            break;
        }
        atomic_fetch_add(&race->spawned, 1);
        coreproc_process_info info = finish(process);
        CHECK(info.exit_code == 7 || info.signal == SIGKILL);
    }
    coreproc_command_free(command);
    return NULL;
}

static void spawns_racing_with_close_run_or_are_refused(void)
{
    for (int round = check_count(20); round > 0; round--) {
        struct race race = {.service = new_service()};
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            threads[i] = start_thread(spawn_until_closed, &race);
        CHECK_EVENTUALLY(atomic_load(&race.spawned) >= THREADS);
        OK(coreproc_service_close(race.service, COREPROC_CLOSE_KILL, &err));
        OK(coreproc_service_wait_idle(race.service, CHECK_DEADLINE_MS, &err));
        for (int i = 0; i < THREADS; i++)
            join_thread(threads[i]);
        coreproc_service_free(race.service);
    }
}

static atomic_int next_row;

static void *spawn_sixty_four(void *argument)
{
    struct race *race = argument;
    int row = atomic_fetch_add(&next_row, 1);
    for (int i = 0; i < 64; i++) {
        coreproc_process *process = spawn_sh(race->service, "exit 7");
        race->ids[row][i] = coreproc_process_id(process);
        CHECK_INT(finish(process).exit_code, 7);
    }
    return NULL;
}

static void ids_are_unique_across_threads(void)
{
    static bool seen[THREADS * 64 + 1];
    struct race race = {.service = new_service()};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = start_thread(spawn_sixty_four, &race);
    for (int i = 0; i < THREADS; i++)
        join_thread(threads[i]);
    for (int row = 0; row < THREADS; row++)
        for (int i = 0; i < 64; i++) {
            uint64_t id = race.ids[row][i];
            MUST(id >= 1 && id <= THREADS * 64);
            CHECK(!seen[id]);
            seen[id] = true;
        }
    end_service(race.service);
}

int main(void)
{
    check_begin();
    RUN(hammering_ends_each_process_once);
    RUN(everyone_who_waits_gets_the_same_end);
    RUN(spawns_racing_with_close_run_or_are_refused);
    RUN(ids_are_unique_across_threads);
    return check_end();
}
