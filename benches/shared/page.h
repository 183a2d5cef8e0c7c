/* A page shared between a host and its children: a count of children that are ready, and a time stamp for each. */
#ifndef BENCH_PAGE_H
#define BENCH_PAGE_H
#include <fcntl.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct page {
  uint32_t ready;
  uint32_t unused[15];
  uint64_t stamps[];
};

static inline struct page *page_map(const char *path) {
  int fd = open(path, O_RDWR | O_CLOEXEC);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) < 0)
    return NULL;
  void *at = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return at == MAP_FAILED ? NULL : at;
}

static inline void page_ready(struct page *page) {
  __atomic_fetch_add(&page->ready, 1, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, &page->ready, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static inline void page_wait(struct page *page, uint32_t count) {
  uint32_t seen;
  while ((seen = __atomic_load_n(&page->ready, __ATOMIC_SEQ_CST)) < count)
    syscall(SYS_futex, &page->ready, FUTEX_WAIT, seen, NULL, NULL, 0);
}
#endif
