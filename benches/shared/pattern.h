/* The text the children write, known to every host so that each byte can be checked (Rust: check.rs). */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H
#include <stddef.h>
#include <stdint.h>

#define LINE_BYTES 80
#define PATTERN_LINES 4096 /* 327,680 bytes: whole lines and whole pages at once */
#define PATTERN_BYTES ((size_t)LINE_BYTES * PATTERN_LINES)
#define HELLO_BYTES 64

static inline void put_hex(char *at, uint32_t value) {
  for (int digit = 0; digit < 8; digit++)
    at[digit] = "0123456789abcdef"[(value >> (28 - 4 * digit)) & 15];
}

static inline void fill_pattern(char *at) {
  for (uint32_t line = 0; line < PATTERN_LINES; line++, at += LINE_BYTES) {
    put_hex(at, line * 2654435761u);
    for (uint32_t column = 8; column < LINE_BYTES - 1; column++)
      at[column] = (char)('a' + (line + column) % 26);
    at[LINE_BYTES - 1] = '\n';
  }
}

static inline void fill_hello(char *at, const char *stream, uint32_t index) {
  for (int column = 0; column < 4; column++)
    at[column] = stream[column];
  put_hex(at + 4, index);
  for (uint32_t column = 12; column < HELLO_BYTES - 1; column++)
    at[column] = (char)('a' + (index + column) % 26);
  at[HELLO_BYTES - 1] = '\n';
}
#endif
