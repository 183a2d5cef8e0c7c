/* A bare reader of one flood, 64 KiB at a time into a page-aligned buffer, from a pipe grown to 256 KiB. */
#ifndef BENCH_LIMIT_READER_H
#define BENCH_LIMIT_READER_H
#include "child.h"

/* Bytes of an unfinished line are moved in front of the next piece. */
struct splitter {
  uint8_t rest[LINE_BYTES];
  size_t rest_len;
  uint64_t count, bytes, checksum;
};

static inline void line(struct splitter *splitter, const uint8_t *data, size_t len) {
  splitter->count++;
  splitter->bytes += len + 1;
  splitter->checksum = add_line(splitter->checksum, data);
}

static inline void split(struct splitter *splitter, const uint8_t *data, size_t len) {
  const uint8_t *end = data + len, *newline;
  while ((newline = memchr(data, '\n', (size_t)(end - data)))) {
    size_t piece = (size_t)(newline - data);
    if (splitter->rest_len > 0) {
      CHECK(splitter->rest_len + piece < LINE_BYTES, "long line");
      memcpy(splitter->rest + splitter->rest_len, data, piece);
      line(splitter, splitter->rest, splitter->rest_len + piece);
      splitter->rest_len = 0;
    } else {
      line(splitter, data, piece);
    }
    data = newline + 1;
  }
  CHECK(splitter->rest_len + (size_t)(end - data) < LINE_BYTES, "long line");
  memcpy(splitter->rest + splitter->rest_len, data, (size_t)(end - data));
  splitter->rest_len += (size_t)(end - data);
}

/* MODE b: compares nothing but the last piece. c: compares every byte. l: finds each newline. */
static inline struct flow read_flood(char *program, char *lines, char mode) {
  static __thread uint8_t buffer[65536] __attribute__((aligned(4096)));
  struct splitter splitter = {0};
  uint64_t bytes = 0, start = now_ns();
  struct child child = child_spawn((char *[]){program, lines, NULL});
  fcntl(child.out, F_SETPIPE_SZ, 256 * 1024);
  size_t last = 0;
  for (ssize_t n; (n = read(child.out, buffer, sizeof buffer)) > 0;) {
    if (mode == 'c')
      check_piece(bytes, buffer, (size_t)n);
    else if (mode == 'l')
      split(&splitter, buffer, (size_t)n);
    bytes += (uint64_t)n;
    last = (size_t)n;
  }
  uint8_t byte;
  CHECK(read(child.err, &byte, 1) == 0, "stderr is not empty");
  siginfo_t info = child_reap(&child);
  uint64_t ns = now_ns() - start;
  CHECK(info.si_code == CLD_EXITED && info.si_status == 0, "exit code");
  check_piece(bytes - last, buffer, last);
  return (struct flow){mode == 'l' ? splitter.bytes : bytes, splitter.count, splitter.checksum, ns};
}
#endif
