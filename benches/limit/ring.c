/* ring COUNT: memcpy of 64 KiB, COUNT times, to one place after another in 1 MiB. */
#include "../shared/host.h"

enum { SIZE = 1 << 20, PIECE = 64 << 10 };

int main(int argc, char **argv) {
  host_begin(argc, 1);
  static char ring[SIZE] __attribute__((aligned(4096))), data[PIECE] __attribute__((aligned(4096)));
  uint64_t count = strtoull(argv[1], NULL, 10);
  for (size_t at = 0; at < PIECE; at++)
    data[at] = (char)(at * 7);
  for (size_t at = 0; at < SIZE; at += PIECE)
    memcpy(ring + at, data, PIECE);
  uint64_t start = now_ns();
  size_t at = 0;
  for (uint64_t i = 0; i < count; i++) {
    memcpy(ring + at, data, PIECE);
    at = (at + PIECE) % SIZE;
    __asm__ volatile("" ::: "memory"); /* each copy happens */
  }
  uint64_t ns = now_ns() - start;
  for (size_t i = 0; i < SIZE; i++)
    CHECK(ring[i] == data[i % PIECE], "the ring is wrong");
  printf("bytes_per_second %.3f\nkept %d\n", (double)count * PIECE * 1e9 / (double)ns, SIZE);
  return 0;
}
