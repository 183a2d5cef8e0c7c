/* output CHILD LINES MODE: one flood. */
#include "reader.h"

int main(int argc, char **argv) {
  host_begin(argc, 3);
  fill_pattern(host_pattern);
  coreproc_service *service = service_new();
  struct reader reader;
  reader_start(&reader, service, argv[1], argv[2], argv[3][0]);
  struct flow flow = reader_wait(&reader);
  reader_end(&reader, flow.bytes);
  coreproc_service_free(service);
  print_output(flow.bytes, flow.lines, flow.checksum, flow.ns);
  return 0;
}
