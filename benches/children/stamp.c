/* stamp PAGE SLOT HOLD_US: gives its host time to block, then writes CLOCK_MONOTONIC to its slot as the last thing it
   does before it exits with SLOT % 64. */
#include "../shared/page.h"
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv) {
  struct page *page = argc > 3 ? page_map(argv[1]) : NULL;
  if (!page)
    _exit(100);
  unsigned long slot = strtoul(argv[2], NULL, 10);
  volatile uint64_t *stamp = &page->stamps[slot];
  *stamp = 1; /* the page fault happens now, not between the clock and the exit */
  struct timespec time = {0, (long)strtoul(argv[3], NULL, 10) * 1000};
  nanosleep(&time, NULL);
  clock_gettime(CLOCK_MONOTONIC, &time);
  *stamp = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
  _exit((int)(slot % 64));
}
