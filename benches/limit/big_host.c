/* big_host CHILD COUNT MIB: median time of the spawn call, without and with MIB of resident memory in its host. */
#include "child.h"

static char *program;

static void spawn_ns(uint32_t count, uint64_t *samples) {
  for (uint32_t i = 0; i < count; i++) {
    char number[12];
    uint8_t output[256];
    snprintf(number, sizeof number, "%u", i);
    uint64_t start = now_ns();
    struct child child = child_spawn((char *[]){program, number, NULL});
    samples[i] = now_ns() - start;
    CHECK(read(child.out, output, sizeof output) == HELLO_BYTES, "stdout");
    CHECK(read(child.err, output, sizeof output) == HELLO_BYTES, "stderr");
    CHECK(child_reap(&child).si_status == (int)(i % 64), "exit code");
  }
}

int main(int argc, char **argv) {
  host_begin(argc, 3);
  program = argv[1];
  run_big_host((size_t)atoi(argv[3]) << 20, (uint32_t)atoi(argv[2]), spawn_ns);
  return 0;
}
