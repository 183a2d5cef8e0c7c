/* flood CHILD LINES MODE COUNT: as many bare readers as children, each on a thread of its own. */
#include "reader.h"
#include <pthread.h>

static char **arguments;

static void *run(void *flow) {
  *(struct flow *)flow = read_flood(arguments[1], arguments[2], arguments[3][0]);
  return NULL;
}

int main(int argc, char **argv) {
  host_begin(argc, 4);
  arguments = argv;
  unsigned count = (unsigned)atoi(argv[4]);
  struct flow *flows = calloc(count, sizeof *flows);
  pthread_t *threads = calloc(count, sizeof *threads);
  fill_pattern(host_pattern);
  uint64_t start = now_ns(), cpu = cpu_with_children_us();
  for (unsigned i = 0; i < count; i++)
    CHECK(pthread_create(&threads[i], NULL, run, &flows[i]) == 0, "pthread_create");
  for (unsigned i = 0; i < count; i++)
    pthread_join(threads[i], NULL);
  print_flood(flows, count, now_ns() - start, cpu_with_children_us() - cpu);
  return 0;
}
