/* A flood that coreproc reads. MODE b: captured, without a listener. c: captured, and each chunk compared by a listener.
   l: captured, and each line delivered to a listener. */
#ifndef BENCH_C_READER_H
#define BENCH_C_READER_H
#include "ours.h"
#include <semaphore.h>

struct listener {
  char mode;
  uint64_t bytes, lines, checksum, begin, ns;
  sem_t closed;
};

static inline void receive(const coreproc_event *events, size_t count, size_t stride, void *user_data) {
  struct listener *listener = user_data;
  for (size_t i = 0; i < count; i++) {
    const coreproc_event *event = (const coreproc_event *)((const char *)events + i * stride);
    if (event->kind == COREPROC_EVENT_STDOUT) {
      if (listener->mode == 'l') {
        CHECK(event->len == LINE_BYTES - 1, "length of a line");
        listener->lines++;
        listener->bytes += event->len + 1;
        listener->checksum = add_line(listener->checksum, event->data);
      } else {
        check_piece(listener->bytes, event->data, event->len);
        listener->bytes += event->len;
      }
    } else if (event->kind == COREPROC_EVENT_CLOSED) {
      listener->ns = now_ns() - listener->begin;
      sem_post(&listener->closed);
    }
  }
}

struct reader {
  struct listener listener;
  coreproc_subscription *subscription;
  coreproc_process *process;
};

/* The reader stays where it is until reader_end. */
static inline void reader_start(struct reader *reader, coreproc_service *service, char *program, char *lines,
                                char mode) {
  *reader = (struct reader){.listener.mode = mode};
  sem_init(&reader->listener.closed, 0, 0);
  coreproc_command *command = command_new((char *[]){program, lines, NULL});
  if (mode != 'b') {
    coreproc_subscription_options options = {.struct_size = sizeof options, .scope = COREPROC_SUBSCRIBE_NAMED};
    options.delivery = mode == 'l' ? COREPROC_DELIVERY_LINES : COREPROC_DELIVERY_CHUNKS;
    MUST(coreproc_subscription_listen(service, &options, receive, &reader->listener, NULL, &reader->subscription, err));
    MUST(coreproc_command_subscribe(command, reader->subscription, err));
  }
  reader->listener.begin = now_ns();
  reader->process = command_start(command, service);
}

static inline struct flow reader_wait(struct reader *reader) {
  struct listener *listener = &reader->listener;
  if (reader->subscription)
    sem_wait(&listener->closed);
  coreproc_process_info info = wait_until(reader->process, COREPROC_STATE_CLOSED);
  uint64_t ns = reader->subscription ? listener->ns : now_ns() - listener->begin;
  CHECK(info.exit_code == 0 && info.signal == 0, "exit code");
  CHECK(info.stderr_bytes == 0, "stderr is not empty");
  CHECK(!reader->subscription || listener->bytes == info.stdout_bytes, "bytes delivered");
  return (struct flow){info.stdout_bytes, listener->lines, listener->checksum, ns};
}

/* Checks what is captured of so many bytes. */
static inline void reader_end(struct reader *reader, uint64_t bytes) {
  coreproc_bytes *tail;
  MUST(coreproc_process_output(reader->process, &tail, err));
  size_t len = coreproc_bytes_len(tail);
  CHECK(len == (bytes < 1 << 20 ? bytes : 1 << 20), "length of the capture");
  check_piece(bytes - len, coreproc_bytes_data(tail), len);
  coreproc_bytes_free(tail);
  coreproc_process_free(reader->process);
  coreproc_subscription_free(reader->subscription);
}
#endif
