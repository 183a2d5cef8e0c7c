/* spawn CHILD COUNT THREADS WINDOW: each thread keeps WINDOW children in flight and waits for the oldest first. */
#include "ours.h"
#include <pthread.h>

static char *program;
static uint32_t total, workers, window;
static coreproc_service *service;

struct worker {
  pthread_t thread;
  uint32_t first, last;
  uint64_t bytes, checksum;
};

static void end(coreproc_process *process, uint32_t index, struct worker *worker) {
  coreproc_process_info info = wait_until(process, COREPROC_STATE_CLOSED);
  CHECK(info.exit_code == (int)(index % 64) && info.signal == 0, "exit code");
  coreproc_bytes *output;
  MUST(coreproc_process_output(process, &output, err));
  worker->bytes += coreproc_bytes_len(output);
  worker->checksum += sum_lines(coreproc_bytes_data(output), coreproc_bytes_len(output));
  coreproc_bytes_free(output);
  coreproc_process_free(process);
}

static void *run(void *argument) {
  struct worker *worker = argument;
  coreproc_process **flying = calloc(window, sizeof *flying);
  for (uint32_t index = worker->first; index < worker->last + window; index++) {
    uint32_t slot = (index - worker->first) % window;
    if (index >= worker->first + window && index - window < worker->last)
      end(flying[slot], index - window, worker);
    if (index < worker->last) {
      char number[12];
      snprintf(number, sizeof number, "%u", index);
      flying[slot] = start(service, (char *[]){program, number, NULL});
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
  service = service_new();
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
  coreproc_service_free(service);
  return 0;
}
