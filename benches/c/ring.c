/* ring COUNT: COUNT writes of 64 KiB into a ring of 1 MiB. */
#include "ours.h"

enum { SIZE = 1 << 20, PIECE = 64 << 10 };

int main(int argc, char **argv) {
  host_begin(argc, 1);
  static uint8_t data[PIECE], kept[SIZE];
  uint64_t count = strtoull(argv[1], NULL, 10);
  coreproc_ring *ring;
  size_t held = 0;
  for (size_t at = 0; at < PIECE; at++)
    data[at] = (uint8_t)(at * 7);
  MUST(coreproc_ring_new(SIZE, &ring, err));
  for (size_t at = 0; at < 2 * SIZE; at += PIECE)
    MUST(coreproc_ring_write(ring, data, PIECE, err));
  uint64_t start = now_ns();
  for (uint64_t i = 0; i < count; i++)
    MUST(coreproc_ring_write(ring, data, PIECE, err));
  uint64_t ns = now_ns() - start;
  MUST(coreproc_ring_copy(ring, kept, SIZE, &held, err));
  for (size_t i = 0; i < held; i++)
    CHECK(kept[i] == data[i % PIECE], "the ring is wrong");
  coreproc_ring_free(ring);
  printf("bytes_per_second %.3f\nkept %zu\n", (double)count * PIECE * 1e9 / (double)ns, held);
  return 0;
}
