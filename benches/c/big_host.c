/* big_host CHILD COUNT MIB: median time of the spawn call, without and with MIB of resident memory in its host. */
#include "ours.h"

static char *program;
static coreproc_service *service;

static void spawn_ns(uint32_t count, uint64_t *samples) {
  for (uint32_t i = 0; i < count; i++) {
    char number[12];
    snprintf(number, sizeof number, "%u", i);
    coreproc_command *command = command_new((char *[]){program, number, NULL});
    uint64_t begin = now_ns();
    coreproc_process *process;
    MUST(coreproc_command_spawn(command, service, &process, err));
    samples[i] = now_ns() - begin;
    coreproc_command_free(command);
    coreproc_process_info info = wait_until(process, COREPROC_STATE_CLOSED);
    CHECK(info.exit_code == (int)(i % 64), "exit code");
    CHECK(info.stdout_bytes == HELLO_BYTES && info.stderr_bytes == HELLO_BYTES, "output");
    coreproc_process_free(process);
  }
}

int main(int argc, char **argv) {
  host_begin(argc, 3);
  program = argv[1];
  service = service_new();
  run_big_host((size_t)atoi(argv[3]) << 20, (uint32_t)atoi(argv[2]), spawn_ns);
  coreproc_service_free(service);
  return 0;
}
