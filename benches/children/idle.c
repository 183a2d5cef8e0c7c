/* idle PAGE [stubborn]: says on the page that it is ready, then sleeps until stdin ends, so that it never outlives its
   host. "stubborn" ignores SIGTERM. */
#include "../shared/page.h"
#include <signal.h>

int main(int argc, char **argv) {
  struct page *page = argc > 1 ? page_map(argv[1]) : NULL;
  if (!page)
    _exit(100);
  if (argc > 2)
    signal(SIGTERM, SIG_IGN);
  page_ready(page);
  char byte;
  while (read(0, &byte, 1) > 0) {
  }
  _exit(0);
}
