/* output CHILD LINES MODE: one bare reader. */
#include "reader.h"

int main(int argc, char **argv) {
  host_begin(argc, 3);
  fill_pattern(host_pattern);
  struct flow flow = read_flood(argv[1], argv[2], argv[3][0]);
  print_output(flow.bytes, flow.lines, flow.checksum, flow.ns);
  return 0;
}
