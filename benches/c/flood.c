/* flood CHILD LINES MODE COUNT: that many floods at once, one service, a listener for each. */
#include "reader.h"

int main(int argc, char **argv) {
  host_begin(argc, 4);
  fill_pattern(host_pattern);
  unsigned count = (unsigned)atoi(argv[4]);
  struct reader *readers = calloc(count, sizeof *readers);
  struct flow *flows = calloc(count, sizeof *flows);
  coreproc_service *service = service_new();
  uint64_t start = now_ns(), cpu = cpu_with_children_us();
  for (unsigned i = 0; i < count; i++)
    reader_start(&readers[i], service, argv[1], argv[2], argv[3][0]);
  for (unsigned i = 0; i < count; i++)
    flows[i] = reader_wait(&readers[i]);
  uint64_t ns = now_ns() - start;
  cpu = cpu_with_children_us() - cpu;
  for (unsigned i = 0; i < count; i++)
    reader_end(&readers[i], flows[i].bytes);
  print_flood(flows, count, ns, cpu);
  coreproc_service_free(service);
  return 0;
}
