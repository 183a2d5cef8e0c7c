/* Runs four commands at once, prints their lines as they come, and how each of them ended.
 *
 * It shows a service, commands with their options, one subscription for all output, the two steps in which a process
 * ends, and which call frees what. A function that returns int returns 0, or -1 after it has said what went wrong.
 */
#define _POSIX_C_SOURCE 200809L

#include <coreproc.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct job {
  const char *name;
  const char *about;
  const char *script; /* for sh -c */
  uint64_t timeout_ms; /* 0: none */
  const char *expected_status;
  const char *expected_code;
  int colour;
  coreproc_process *process;
};

/* Prints the error, and frees it: it has one owner, the caller it was written to. */
static int fail(coreproc_error *error) {
  fprintf(stderr, "demo: %s\n", coreproc_error_message(error));
  coreproc_error_free(error);
  return -1;
}

/* ---- spawning ---- */

static coreproc_result configure(coreproc_command *command, const struct job *job, const char *root,
                                 coreproc_error **error) {
  coreproc_result result = coreproc_command_arg(command, "-c", 2, error);
  if (result == COREPROC_OK)
    result = coreproc_command_arg(command, job->script, strlen(job->script), error);
  if (result == COREPROC_OK)
    result = coreproc_command_cwd(command, root, strlen(root), error);
  if (result == COREPROC_OK)
    result = coreproc_command_timeout(command, job->timeout_ms, error);
  return result;
}

static int spawn(struct job *job, coreproc_service *service, const char *root) {
  coreproc_command *command = NULL;
  coreproc_error *error = NULL;

  coreproc_result result = coreproc_command_new("sh", 2, &command, &error);
  if (result == COREPROC_OK)
    result = configure(command, job, root, &error);
  if (result == COREPROC_OK)
    result = coreproc_command_spawn(command, service, &job->process, &error);
  /* A process does not need its command. */
  coreproc_command_free(command);
  return result == COREPROC_OK ? 0 : fail(error);
}

/* ---- following ---- */

static const struct job *find(const struct job *jobs, size_t count, uint64_t process_id) {
  for (size_t i = 0; i < count; i++)
    if (coreproc_process_id(jobs[i].process) == process_id)
      return &jobs[i];
  return NULL;
}

static void print_line(const struct job *job, const coreproc_event *event, bool coloured) {
  char mark = event->kind == COREPROC_EVENT_STDERR ? '!' : '|';
  if (coloured)
    printf("\033[%dm%-8s\033[0m %c ", job->colour, job->name, mark);
  else
    printf("%-8s %c ", job->name, mark);
  /* Output is bytes: it may hold a NUL, and has none at its end. */
  fwrite(event->data, 1, event->len, stdout);
  putchar('\n');
}

/* Prints lines until every job is closed, which is when all its output has been read. */
static int follow(const struct job *jobs, size_t job_count, coreproc_subscription *subscription,
                  bool coloured) {
  size_t closed = 0;
  while (closed < job_count) {
    coreproc_batch *batch = NULL;
    coreproc_error *error = NULL;
    if (coreproc_subscription_take(subscription, 0, -1, &batch, &error) != COREPROC_OK)
      return fail(error);

    size_t count = 0;
    size_t stride = 0;
    const unsigned char *at = (const void *)coreproc_batch_events(batch, &count, &stride);
    for (; count > 0; count--, at += stride) {
      const coreproc_event *event = (const void *)at;
      const struct job *job = find(jobs, job_count, event->process_id);
      if (job == NULL)
        continue;
      if (event->kind == COREPROC_EVENT_STDOUT || event->kind == COREPROC_EVENT_STDERR)
        print_line(job, event, coloured);
      else if (event->kind == COREPROC_EVENT_CLOSED)
        closed++;
    }
    /* The batch is freed only now, because the events point into it. */
    coreproc_batch_free(batch);
    fflush(stdout);
  }
  return 0;
}

/* ---- the table ---- */

static const char *status_of(const coreproc_process_info *info) {
  if (info->cause == COREPROC_CAUSE_TIMEOUT)
    return "timed out";
  return info->exit_code == 0 ? "passed" : "failed";
}

/* Writes the exit code or the signal, which are two fields, because 143 and SIGTERM are not the same thing. */
static void code_of(const coreproc_process_info *info, char *text, size_t size) {
  if (info->signal == SIGTERM)
    snprintf(text, size, "SIGTERM");
  else if (info->signal == SIGKILL)
    snprintf(text, size, "SIGKILL");
  else if (info->signal != 0)
    snprintf(text, size, "signal %" PRId32, info->signal);
  else if ((info->flags & COREPROC_FLAG_STATUS_UNKNOWN) != 0)
    snprintf(text, size, "unknown");
  else
    snprintf(text, size, "%" PRId32, info->exit_code);
}

/* Prints a row for each job; *as_expected says whether all of them ended as they should. */
static int print_table(const struct job *jobs, size_t count, bool *as_expected) {
  printf("\n%-8s  %-9s  %-9s  %10s  %6s\n", "COMMAND", "STATUS", "CODE", "DURATION", "BYTES");
  *as_expected = true;
  for (size_t i = 0; i < count; i++) {
    coreproc_process_info info = {.struct_size = sizeof info};
    coreproc_error *error = NULL;
    if (coreproc_process_info_get(jobs[i].process, &info, &error) != COREPROC_OK)
      return fail(error);

    char code[24];
    code_of(&info, code, sizeof code);
    double seconds = (double)(info.exited_monotonic_ns - info.started_monotonic_ns) / 1e9;
    printf("%-8s  %-9s  %-9s  %8.3f s  %6" PRIu64 "\n", jobs[i].name, status_of(&info), code,
           seconds, info.stdout_bytes + info.stderr_bytes);
    if (strcmp(status_of(&info), jobs[i].expected_status) != 0 ||
        strcmp(code, jobs[i].expected_code) != 0)
      *as_expected = false;
  }
  printf("%s\n", *as_expected ? "All ended as they were meant to." : "Not all ended as they were meant to.");
  return 0;
}

/* ---- the whole ---- */

static void print_legend(const struct job *jobs, size_t count) {
  printf("coreproc %s from C\n\n", coreproc_version());
  printf("Four commands at once. \"|\" marks a line of standard output, \"!\" one of standard error:\n");
  for (size_t i = 0; i < count; i++)
    printf("  %-8s %s\n", jobs[i].name, jobs[i].about);
  putchar('\n');
}

/* NO_COLOR, if it is set and not empty, means no colour: https://no-color.org */
static bool colour_wanted(void) {
  const char *no_color = getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) == 1 && (no_color == NULL || no_color[0] == '\0');
}

static int run(struct job *jobs, size_t count, const char *root, coreproc_service *service,
               bool *as_expected) {
  coreproc_subscription *subscription = NULL;
  coreproc_error *error = NULL;
  /* This comes before the first spawn: a subscription gets the events of processes that are spawned after it opened. */
  if (coreproc_subscription_open(service, NULL, &subscription, &error) != COREPROC_OK)
    return fail(error);

  int outcome = 0;
  for (size_t i = 0; outcome == 0 && i < count; i++)
    outcome = spawn(&jobs[i], service, root);
  if (outcome == 0)
    outcome = follow(jobs, count, subscription, colour_wanted());
  if (outcome == 0)
    outcome = print_table(jobs, count, as_expected);

  /* This is the last reference: freeing it closes the subscription. */
  coreproc_subscription_free(subscription);
  return outcome;
}

/* Freeing a service leaves its processes alone, so this stops those that still run after a failure. */
static int shut_down(coreproc_service *service) {
  coreproc_error *error = NULL;
  coreproc_result result = coreproc_service_close(service, COREPROC_CLOSE_STOP, &error);
  if (result == COREPROC_OK)
    result = coreproc_service_wait_idle(service, -1, &error);
  coreproc_service_free(service);
  return result == COREPROC_OK ? 0 : fail(error);
}

int main(int argc, char **argv) {
  const char *root = argc > 1 ? argv[1] : ".";
  struct job jobs[] = {
      {.name = "compile",
       .about = "compiles the C version of this demo",
       .script = "cc -Wall -Wextra -Werror -I include -c -o /dev/null bindings/c/examples/demo.c &&\n"
                 "echo 'compiled demo.c, without a warning'",
       .expected_status = "passed",
       .expected_code = "0",
       .colour = 36},
      {.name = "fails",
       .about = "complains, and exits with 3",
       .script = "echo 'no such configuration: site.conf' >&2; exit 3",
       .expected_status = "failed",
       .expected_code = "3",
       .colour = 31},
      {.name = "streams",
       .about = "writes to both: each stream keeps its order; the order across needs a merge",
       .script = "for step in 1 2 3; do echo \"step $step\"; echo \"note on step $step\" >&2; done",
       .expected_status = "passed",
       .expected_code = "0",
       .colour = 32},
      {.name = "slow",
       .about = "would sleep for 30 seconds, and is stopped after one",
       .script = "echo 'this would take 30 seconds'; exec sleep 30",
       .timeout_ms = 1000,
       .expected_status = "timed out",
       .expected_code = "SIGTERM",
       .colour = 33},
  };
  size_t count = sizeof jobs / sizeof jobs[0];

  print_legend(jobs, count);
  coreproc_service *service = NULL;
  coreproc_error *error = NULL;
  if (coreproc_service_new(NULL, &service, &error) != COREPROC_OK) {
    fail(error);
    return EXIT_FAILURE;
  }

  bool as_expected = false;
  int outcome = run(jobs, count, root, service, &as_expected);
  if (shut_down(service) != 0)
    outcome = -1;
  for (size_t i = 0; i < count; i++)
    coreproc_process_free(jobs[i].process);

  if (fflush(stdout) != 0 || ferror(stdout)) {
    perror("demo: stdout");
    outcome = -1;
  }
  return outcome == 0 && as_expected ? EXIT_SUCCESS : EXIT_FAILURE;
}
