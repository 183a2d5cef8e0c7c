/* idle CHILD PAGE COUNT WARM: what COUNT live children cost a host that keeps a handle for each. */
#include "ours.h"

int main(int argc, char **argv) {
  host_begin(argc, 4);
  struct page *page = page_map(argv[2]);
  CHECK(page, "page");
  uint32_t count = (uint32_t)atoi(argv[3]), warm = (uint32_t)atoi(argv[4]);
  coreproc_service *service = service_new();
  coreproc_process **processes = malloc((count + warm) * sizeof(coreproc_process *));
  uint64_t rss = 0, ignored;
  unsigned threads_before = 0;
  for (uint32_t i = 0; i < warm + count; i++) {
    if (i == warm) {
      page_wait(page, warm);
      threads_before = threads(&ignored);
      rss_bytes(); /* what the look itself costs comes before it */
      rss = rss_bytes();
    }
    processes[i] = start(service, (char *[]){argv[1], argv[2], NULL});
  }
  page_wait(page, warm + count);
  double per_child = ((double)rss_bytes() - (double)rss) / count;
  unsigned threads_after = threads(&ignored);
  uint64_t switches = idle_switches();
  for (uint32_t i = 0; i < warm + count; i++)
    MUST(coreproc_process_close_stdin(processes[i], err));
  for (uint32_t i = 0; i < warm + count; i++) {
    CHECK(wait_until(processes[i], COREPROC_STATE_CLOSED).exit_code == 0, "exit code");
    coreproc_process_free(processes[i]);
  }
  coreproc_service_free(service);
  print_idle(per_child, threads_before, threads_after, switches);
  return 0;
}
