/* stop CHILD PAGE COUNT STUBBORN GRACE_MS: SIGTERM to all, one epoll on their pidfds, SIGKILL to the rest at the end of
   the grace period. */
#include "child.h"
#include <sys/epoll.h>

static void signal_child(const struct child *child, int signal) {
  CHECK(syscall(SYS_pidfd_send_signal, child->pidfd, signal, NULL, 0) == 0, "pidfd_send_signal");
}

int main(int argc, char **argv) {
  host_begin(argc, 5);
  struct page *page = page_map(argv[2]);
  CHECK(page, "page");
  uint32_t count = (uint32_t)atoi(argv[3]), stubborn = (uint32_t)atoi(argv[4]), by_kill = 0;
  struct child *children = calloc(count, sizeof *children);
  char *ended = calloc(count, 1);
  int poller = epoll_create1(EPOLL_CLOEXEC);
  for (uint32_t i = 0; i < count; i++) {
    char *mode = i < stubborn ? "stubborn" : NULL;
    children[i] = child_spawn((char *[]){argv[1], argv[2], mode, NULL});
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, children[i].pidfd, &event) == 0, "epoll_ctl");
  }
  page_wait(page, count);
  uint64_t start = now_ns(), deadline = start + (uint64_t)atoi(argv[5]) * 1000000u;
  for (uint32_t i = 0; i < count; i++)
    signal_child(&children[i], SIGTERM);
  int killed = 0;
  for (uint32_t left = count; left > 0;) {
    struct epoll_event events[64];
    uint64_t now = now_ns();
    int wait_ms = killed ? -1 : now < deadline ? (int)((deadline - now + 999999u) / 1000000u) : 0;
    int ready = epoll_wait(poller, events, 64, wait_ms);
    CHECK(ready >= 0, "epoll_wait");
    for (int i = 0; i < ready; i++) {
      uint32_t index = events[i].data.u32;
      epoll_ctl(poller, EPOLL_CTL_DEL, children[index].pidfd, NULL);
      by_kill += child_wait(&children[index]).si_status == SIGKILL;
      ended[index] = 1;
      left--;
    }
    if (ready == 0 && !killed) {
      killed = 1;
      for (uint32_t i = 0; i < count; i++)
        if (!ended[i])
          signal_child(&children[i], SIGKILL);
    }
  }
  print_stop(now_ns() - start, by_kill);
  return 0;
}
