/* stop CHILD PAGE COUNT STUBBORN GRACE_MS: a stop of each by policy, then a wait for the exit of each. */
#include "ours.h"
#include <signal.h>

int main(int argc, char **argv) {
  host_begin(argc, 5);
  struct page *page = page_map(argv[2]);
  CHECK(page, "page");
  uint32_t count = (uint32_t)atoi(argv[3]), stubborn = (uint32_t)atoi(argv[4]), by_kill = 0;
  coreproc_stop_options options = {.struct_size = sizeof options};
  options.grace_ms = (uint64_t)atoi(argv[5]);
  coreproc_service *service = service_new();
  coreproc_process **processes = malloc(count * sizeof(coreproc_process *));
  for (uint32_t i = 0; i < count; i++)
    processes[i] = start(service, (char *[]){argv[1], argv[2], i < stubborn ? "stubborn" : NULL, NULL});
  page_wait(page, count);
  uint64_t begin = now_ns();
  for (uint32_t i = 0; i < count; i++)
    MUST(coreproc_process_stop(processes[i], &options, err));
  for (uint32_t i = 0; i < count; i++) {
    coreproc_process_info info = wait_until(processes[i], COREPROC_STATE_EXITED);
    CHECK(info.signal == SIGTERM || info.signal == SIGKILL, "signal");
    by_kill += info.signal == SIGKILL;
  }
  uint64_t ns = now_ns() - begin;
  for (uint32_t i = 0; i < count; i++) {
    wait_until(processes[i], COREPROC_STATE_CLOSED);
    coreproc_process_free(processes[i]);
  }
  coreproc_service_free(service);
  print_stop(ns, by_kill);
  return 0;
}
