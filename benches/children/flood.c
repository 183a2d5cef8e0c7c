/* flood LINES: that many lines of 80 bytes to stdout, in the largest writes the pattern allows. */
#include "../shared/pattern.h"
#include <stdlib.h>
#include <unistd.h>

static char pattern[PATTERN_BYTES] __attribute__((aligned(4096)));

int main(int argc, char **argv) {
  size_t left = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) * LINE_BYTES : 0;
  fill_pattern(pattern);
  while (left > 0) {
    size_t piece = left < sizeof pattern ? left : sizeof pattern;
    for (size_t done = 0; done < piece;) {
      ssize_t n = write(1, pattern + done, piece - done);
      if (n <= 0)
        _exit(100);
      done += (size_t)n;
    }
    left -= piece;
  }
  _exit(0);
}
