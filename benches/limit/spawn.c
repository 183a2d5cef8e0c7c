/* spawn CHILD COUNT THREADS WINDOW: each thread keeps WINDOW children in flight and ends the oldest first. */
#include "child.h"
#include <pthread.h>

static char *program;
static uint32_t total, workers, window;

struct worker {
  pthread_t thread;
  uint32_t first, last;
  uint64_t bytes, checksum;
};

static void end(struct child *child, uint32_t index, struct worker *worker) {
  uint8_t output[4096];
  size_t len = 0;
  int pipes[] = {child->out, child->err};
  for (int i = 0; i < 2; i++)
    for (ssize_t n; (n = read(pipes[i], output + len, sizeof output - len)) > 0;)
      len += (size_t)n;
  siginfo_t info = child_reap(child);
  CHECK(info.si_code == CLD_EXITED && info.si_status == (int)(index % 64), "exit code");
  worker->bytes += len;
  worker->checksum += sum_lines(output, len);
}

static void *run(void *argument) {
  struct worker *worker = argument;
  struct child *flying = calloc(window, sizeof *flying);
  for (uint32_t index = worker->first; index < worker->last + window; index++) {
    uint32_t slot = (index - worker->first) % window;
    if (index >= worker->first + window && index - window < worker->last)
      end(&flying[slot], index - window, worker);
    if (index < worker->last) {
      char number[12];
      snprintf(number, sizeof number, "%u", index);
      flying[slot] = child_spawn((char *[]){program, number, NULL});
    }
  }
  free(flying);
  return NULL;
}

int main(int argc, char **argv) {
  host_begin(argc, 4);
  program = argv[1];
  total = (uint32_t)atoi(argv[2]);
  workers = (uint32_t)atoi(argv[3]);
  window = (uint32_t)atoi(argv[4]);
  struct worker *worker = calloc(workers, sizeof *worker);
  uint64_t bytes = 0, checksum = 0, start = now_ns(), cpu = cpu_us();
  for (uint32_t i = 0; i < workers; i++) {
    worker[i].first = total / workers * i;
    worker[i].last = i + 1 == workers ? total : total / workers * (i + 1);
    pthread_create(&worker[i].thread, NULL, run, &worker[i]);
  }
  for (uint32_t i = 0; i < workers; i++) {
    pthread_join(worker[i].thread, NULL);
    bytes += worker[i].bytes;
    checksum += worker[i].checksum;
  }
  print_spawn(total, now_ns() - start, cpu_us() - cpu, bytes, checksum);
  return 0;
}
