/* A library built without the feature `health`: its health functions say so, and nothing else is missing. */
#include "help.h"

static atomic_int destroyed;

static int32_t on_check(coreproc_check_answer *answer, void *user_data)
{
    (void)answer, (void)user_data;
    return 0;
}

static void on_destroy(void *user_data)
{
    (void)user_data;
    atomic_fetch_add(&destroyed, 1);
}

static void health_is_unsupported(void)
{
    coreproc_health *health = NULL;
    uint32_t ok = 7;
    OK(coreproc_health_new(TEXT("127.0.0.1:0"), NULL, &health, &err));
    FAILS_NAMING(COREPROC_UNSUPPORTED, "health", coreproc_health_start(health, &err));
    FAILS(COREPROC_UNSUPPORTED, coreproc_health_add_check(health, TEXT("x"), on_check, NULL, on_destroy, &err));
    CHECK_INT(atomic_load(&destroyed), 1);
    FAILS(COREPROC_UNSUPPORTED, coreproc_health_probe(TEXT("127.0.0.1:1"), COREPROC_ENDPOINT_HEALTH, 0, &ok, NULL, &err));
    FAILS(COREPROC_UNSUPPORTED, coreproc_health_wait(TEXT("127.0.0.1:1"), COREPROC_ENDPOINT_READY, -1, &ok, NULL, &err));
    CHECK_INT(ok, 7);
    CHECK_INT(coreproc_health_ready(health), 1);
    OK(coreproc_health_set_ready(health, 0, &err));
    CHECK_INT(coreproc_health_ready(health), 0);
    OK(coreproc_health_stop(health, -1, &err));
    coreproc_health_free(health);
}

static void processes_run(void)
{
    coreproc_service *service = new_service();
    CHECK_INT(finish(spawn_sh(service, "exit 3")).exit_code, 3);
    end_service(service);
}

int main(void)
{
    check_begin();
    RUN(health_is_unsupported);
    RUN(processes_run);
    return check_end();
}
