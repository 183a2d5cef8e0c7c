/* latency CHILD PAGE COUNT HOLD_US: from the child's last stamp to the return of a wait for its exit. */
#include "ours.h"

int main(int argc, char **argv) {
  host_begin(argc, 4);
  struct page *page = page_map(argv[2]);
  CHECK(page, "page");
  uint32_t count = (uint32_t)atoi(argv[3]);
  uint64_t *samples = calloc(count, sizeof *samples);
  coreproc_service *service = service_new();
  for (uint32_t i = 0; i < count; i++) {
    char slot[12];
    snprintf(slot, sizeof slot, "%u", i);
    coreproc_process *process = start(service, (char *[]){argv[1], argv[2], slot, argv[4], NULL});
    coreproc_process_info info = wait_until(process, COREPROC_STATE_EXITED);
    samples[i] = now_ns() - page->stamps[i];
    CHECK(info.exit_code == (int)(i % 64) && info.signal == 0, "exit code");
    wait_until(process, COREPROC_STATE_CLOSED);
    coreproc_process_free(process);
  }
  coreproc_service_free(service);
  print_latency(samples, count);
  return 0;
}
