/* output CHILD LINES MODE. bytes: captured, without a listener. check: captured, and each chunk compared by a listener.
 * lines: captured, and each line delivered to a listener. */
#include "ours.h"
#include <semaphore.h>

struct listener {
  char mode;
  uint64_t bytes, lines, checksum;
  sem_t closed;
};

static void receive(const coreproc_event *events, size_t count, size_t stride, void *user_data) {
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
      sem_post(&listener->closed);
    }
  }
}

int main(int argc, char **argv) {
  host_begin(argc, 3);
  fill_pattern(host_pattern);
  struct listener listener = {.mode = argv[3][0]};
  sem_init(&listener.closed, 0, 0);
  coreproc_service *service = service_new();
  coreproc_subscription *subscription = NULL;
  if (listener.mode != 'b') {
    coreproc_subscription_options options = {.struct_size = sizeof options};
    options.delivery = listener.mode == 'l' ? COREPROC_DELIVERY_LINES : COREPROC_DELIVERY_CHUNKS;
    MUST(coreproc_subscription_listen(service, &options, receive, &listener, NULL, &subscription, err));
  }
  uint64_t begin = now_ns();
  coreproc_process *process = start(service, (char *[]){argv[1], argv[2], NULL});
  if (subscription)
    sem_wait(&listener.closed);
  coreproc_process_info info = wait_until(process, COREPROC_STATE_CLOSED);
  uint64_t ns = now_ns() - begin;
  CHECK(info.exit_code == 0 && info.signal == 0, "exit code");
  CHECK(info.stderr_bytes == 0, "stderr is not empty");
  coreproc_bytes *tail;
  MUST(coreproc_process_output(process, &tail, err));
  size_t len = coreproc_bytes_len(tail);
  CHECK(len == (info.stdout_bytes < 1 << 20 ? info.stdout_bytes : 1 << 20), "length of the capture");
  check_piece(info.stdout_bytes - len, coreproc_bytes_data(tail), len);
  CHECK(!subscription || listener.bytes == info.stdout_bytes, "bytes delivered");
  coreproc_bytes_free(tail);
  coreproc_process_free(process);
  coreproc_subscription_free(subscription);
  coreproc_service_free(service);
  print_output(info.stdout_bytes, listener.lines, listener.checksum, ns);
  return 0;
}
