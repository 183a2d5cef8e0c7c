/* Code that every C host needs: clocks, its own figures from /proc, checks of what the children wrote, and loud
 * failures. */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H
#include "page.h"
#include "pattern.h"
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define CHECK(condition, what)                                                                                         \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, what);                                                        \
      exit(1);                                                                                                         \
    }                                                                                                                  \
  } while (0)

/* The guard against hanging is a signal of the kernel's, so that it costs the measurement nothing. */
static inline void host_begin(int argc, int arguments) {
  CHECK(argc == arguments + 1, "wrong number of arguments");
  alarm(120);
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

static inline uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static inline uint64_t usage_us(int whose) {
  struct rusage usage;
  getrusage(whose, &usage);
  return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
         (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static inline uint64_t cpu_us(void) {
  return usage_us(RUSAGE_SELF);
}

/* Counts the children that have been reaped, too. */
static inline uint64_t cpu_with_children_us(void) {
  return usage_us(RUSAGE_SELF) + usage_us(RUSAGE_CHILDREN);
}

/* Returns the sum of the FNV-1a hashes of the lines, because lines of two streams may come in either order. */
static inline uint64_t sum_lines(const uint8_t *data, size_t len) {
  uint64_t sum = 0, hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < len; i++) {
    if (data[i] == '\n') {
      sum += hash;
      hash = 0xcbf29ce484222325u;
    } else {
      hash = (hash ^ data[i]) * 0x100000001b3u;
    }
  }
  return sum;
}

/* Adds a line to the checksum of a stream, in which the order matters. It is cheap enough not to be what is
 * measured. */
static inline uint64_t add_line(uint64_t checksum, const uint8_t *line) {
  uint64_t word;
  memcpy(&word, line, sizeof word);
  return checksum * 0x100000001b3u + word;
}

static char host_pattern[PATTERN_BYTES];

/* Compares a piece of flood's output with what belongs at that offset. */
static inline void check_piece(uint64_t offset, const uint8_t *data, size_t len) {
  while (len > 0) {
    size_t start = (size_t)(offset % PATTERN_BYTES);
    size_t piece = len < PATTERN_BYTES - start ? len : PATTERN_BYTES - start;
    CHECK(memcmp(host_pattern + start, data, piece) == 0, "output differs from what the child wrote");
    offset += piece;
    data += piece;
    len -= piece;
  }
}

static inline uint64_t rss_bytes(void) {
  char line[256];
  uint64_t kib = 0;
  FILE *file = fopen("/proc/self/smaps_rollup", "r"); /* exact, where statm is batched per CPU */
  CHECK(file, "smaps_rollup");
  while (fgets(line, sizeof line, file))
    if (sscanf(line, "Rss: %" SCNu64, &kib) == 1)
      break;
  fclose(file);
  return kib * 1024;
}

/* Counts threads, and the voluntary context switches of all but the main thread. */
static inline unsigned threads(uint64_t *switches) {
  unsigned count = 0;
  *switches = 0;
  DIR *tasks = opendir("/proc/self/task");
  CHECK(tasks, "/proc/self/task");
  for (struct dirent *entry; (entry = readdir(tasks));) {
    if (entry->d_name[0] == '.')
      continue;
    count++;
    if (atoi(entry->d_name) == getpid())
      continue;
    char path[300], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
    FILE *file = fopen(path, "r");
    uint64_t voluntary = 0;
    while (file && fgets(line, sizeof line, file))
      if (sscanf(line, "voluntary_ctxt_switches: %" SCNu64, &voluntary) == 1)
        break;
    if (file)
      fclose(file);
    *switches += voluntary;
  }
  closedir(tasks);
  return count;
}

/* Counts the switches in one second, once earlier work has settled. */
static inline uint64_t idle_switches(void) {
  uint64_t before, after;
  struct timespec pause = {0, 50000000}, second = {1, 0};
  threads(&before);
  for (int tries = 0; tries < 40; tries++) {
    nanosleep(&pause, NULL);
    threads(&after);
    if (after == before)
      break;
    before = after;
  }
  nanosleep(&second, NULL);
  threads(&after);
  return after - before;
}

static int host_by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static inline uint64_t percentile(uint64_t *samples, size_t count, unsigned percent) {
  qsort(samples, count, sizeof *samples, host_by_value);
  size_t at = count * percent / 100;
  return samples[at < count ? at : count - 1];
}

/* Resident memory, in small pages, so that the page tables are as large as this much memory can make them. */
static inline char *ballast_new(size_t size) {
  char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED, "mmap");
  madvise(memory, size, MADV_NOHUGEPAGE);
  for (size_t at = 0; at < size; at += 4096)
    ((volatile char *)memory)[at] = 1;
  return memory;
}

/* The figures of the spawn workload. */
static inline void print_spawn(uint64_t children, uint64_t ns, uint64_t cpu, uint64_t bytes, uint64_t checksum) {
  printf("per_second %.3f\ncpu_us %.3f\nbytes %" PRIu64 "\nchecksum %016" PRIx64 "\n",
         (double)children * 1e9 / (double)ns, (double)cpu / (double)children, bytes, checksum);
}

/* Those of the output workload. */
static inline void print_output(uint64_t bytes, uint64_t lines, uint64_t checksum, uint64_t ns) {
  printf("bytes_per_second %.3f\nlines_per_second %.3f\nbytes %" PRIu64 "\nlines %" PRIu64
         "\nchecksum %016" PRIx64 "\n",
         (double)bytes * 1e9 / (double)ns, (double)lines * 1e9 / (double)ns, bytes, lines, checksum);
}

/* What one reader of the flood workload has read, and after how many nanoseconds it knew the end. */
struct flow {
  uint64_t bytes, lines, checksum, ns;
};

/* Those of the flood workload. */
static inline void print_flood(const struct flow *flows, unsigned count, uint64_t ns, uint64_t cpu) {
  struct flow total = {0};
  double fastest = 0, slowest = 1e300;
  for (unsigned i = 0; i < count; i++) {
    double rate = (double)flows[i].bytes / (double)flows[i].ns;
    fastest = rate > fastest ? rate : fastest;
    slowest = rate < slowest ? rate : slowest;
    total.bytes += flows[i].bytes;
    total.lines += flows[i].lines;
    total.checksum += flows[i].checksum;
  }
  print_output(total.bytes, total.lines, total.checksum, ns);
  printf("spread %.3f\ncores %.3f\n", fastest / slowest, (double)cpu * 1e3 / (double)ns);
}

/* Those of the latency workload. */
static inline void print_latency(uint64_t *samples, size_t count) {
  uint64_t p50 = percentile(samples, count, 50), p99 = percentile(samples, count, 99);
  printf("p50_us %.3f\np99_us %.3f\n", (double)p50 / 1e3, (double)p99 / 1e3);
}

/* Those of the idle workload. */
static inline void print_idle(double rss_per_child, unsigned threads_before, unsigned threads_after,
                              uint64_t switches) {
  printf("rss_per_child %.3f\nthreads_before %u\nthreads_after %u\nswitches %" PRIu64 "\n", rss_per_child,
         threads_before, threads_after, switches);
}

/* The big_host workload: a warm-up, then small, big, small, so that what changes as a host gets older is not taken for an
   effect of its memory. */
static inline void run_big_host(size_t size, uint32_t count, void (*spawn_ns)(uint32_t count, uint64_t *samples)) {
  uint64_t *small = calloc(count, sizeof *small), *big = calloc(count, sizeof *big);
  uint32_t half = count / 2;
  spawn_ns(half, small);
  spawn_ns(half, small);
  char *ballast = ballast_new(size);
  spawn_ns(count, big);
  munmap(ballast, size);
  spawn_ns(half, small + half);
  printf("small_us %.3f\nbig_us %.3f\n", (double)percentile(small, 2 * half, 50) / 1e3,
         (double)percentile(big, count, 50) / 1e3);
}

/* Those of the stop workload. */
static inline void print_stop(uint64_t ns, unsigned by_kill) {
  printf("ms %.3f\nby_kill %u\n", (double)ns / 1e6, by_kill);
}
#endif
