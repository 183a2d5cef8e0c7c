/* latency CHILD PAGE COUNT HOLD_US: from the child's last stamp to the return of waitid after a bare epoll on its
   pidfd, on the thread that spawned it. */
#include "child.h"
#include <sys/epoll.h>

int main(int argc, char **argv) {
  host_begin(argc, 4);
  struct page *page = page_map(argv[2]);
  CHECK(page, "page");
  uint32_t count = (uint32_t)atoi(argv[3]);
  uint64_t *samples = calloc(count, sizeof *samples);
  int poller = epoll_create1(EPOLL_CLOEXEC);
  for (uint32_t i = 0; i < count; i++) {
    char slot[12];
    snprintf(slot, sizeof slot, "%u", i);
    struct child child = child_spawn((char *[]){argv[1], argv[2], slot, argv[4], NULL});
    struct epoll_event event = {.events = EPOLLIN};
    CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, child.pidfd, &event) == 0, "epoll_ctl");
    CHECK(epoll_wait(poller, &event, 1, -1) == 1, "epoll_wait");
    siginfo_t info = child_wait(&child);
    samples[i] = now_ns() - page->stamps[i];
    CHECK(info.si_status == (int)(i % 64), "exit code");
    epoll_ctl(poller, EPOLL_CTL_DEL, child.pidfd, NULL);
    child_close(&child);
  }
  print_latency(samples, count);
  return 0;
}
