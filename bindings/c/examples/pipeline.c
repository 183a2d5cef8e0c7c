/* Runs a pipeline file, shows it live, and writes its Gantt chart: pipeline FILE [CHART.svg [HISTORY.json]]
 *
 * It shows a pipeline from JSON, the view that follows a run, results, reports, and the history that knows how long
 * specs take. Ctrl-C, or SIGTERM, cancels the run: specs that run are stopped, and specs that always run still do; a
 * second one ends those, too. Returns 0 if the run succeeded, 1 if it did not, 2 if it could not be run.
 */
#define _POSIX_C_SOURCE 200809L

#include <coreproc.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCEEDED = 0, FAILED = 1, BROKEN = 2 };

static int complain(const char *what) {
  perror(what);
  return BROKEN;
}

/* Reads a whole file; the caller frees it. NULL on failure, and errno says why. */
static char *read_file(const char *path, size_t *len) {
  FILE *file = fopen(path, "rb");
  if (file == NULL)
    return NULL;
  char *text = NULL;
  size_t size = 0;
  *len = 0;
  bool whole = false;
  do {
    char *larger = realloc(text, size + 16384);
    if (larger == NULL)
      break;
    text = larger;
    size += 16384;
    *len += fread(text + *len, 1, size - *len, file);
    whole = *len < size && ferror(file) == 0;
  } while (*len == size);
  int reason = errno;
  if (!whole) {
    free(text);
    text = NULL;
  }
  fclose(file);
  errno = reason;
  return text;
}

static int write_chart(coreproc_run *run, const char *path, coreproc_error **error) {
  coreproc_bytes *chart = NULL;
  if (coreproc_run_report(run, COREPROC_REPORT_SVG, &chart, error) != COREPROC_OK)
    return BROKEN;
  FILE *file = fopen(path, "wb");
  bool written = false;
  if (file != NULL) {
    size_t len = coreproc_bytes_len(chart);
    written = fwrite(coreproc_bytes_data(chart), 1, len, file) == len;
    written = fclose(file) == 0 && written;
  }
  coreproc_bytes_free(chart);
  return written ? SUCCEEDED : complain(path);
}

/* Prints a line for each spec that did not pass at once, such as "sign: exit code 3". */
static coreproc_result print_results(coreproc_run *run, coreproc_error **error) {
  for (size_t spec = 0; spec < coreproc_run_spec_count(run); spec++) {
    coreproc_spec_result result = {.struct_size = sizeof result};
    coreproc_result code = coreproc_run_spec_get(run, spec, &result, error);
    if (code != COREPROC_OK)
      return code;
    bool failed = result.state == COREPROC_SPEC_FAILED || result.state == COREPROC_SPEC_TIMED_OUT;
    if (result.state != COREPROC_SPEC_PASSED)
      printf("%s: %s%s\n", result.name, result.error, failed && result.allow_failure != 0 ? " (allowed)" : "");
    else if (result.attempts > 1)
      printf("%s: passed at attempt %u\n", result.name, (unsigned)result.attempts);
  }
  return COREPROC_OK;
}

struct handles {
  coreproc_service *service;
  coreproc_pipeline *pipeline;
  coreproc_history *history;
  coreproc_progress *progress;
  coreproc_run *run;
};

/* How often the user has asked for the end. */
static volatile sig_atomic_t interrupts = 0;

/* The third interrupt ends this program, whatever its terminal does. */
static void interrupted(int signal) {
  if (++interrupts < 2)
    return;
  struct sigaction usual = {.sa_handler = SIG_DFL};
  sigemptyset(&usual.sa_mask);
  sigaction(signal, &usual, NULL);
}

/* Children have groups of their own, so that a Ctrl-C reaches this program alone. */
static int catch_interrupts(void) {
  struct sigaction action = {.sa_handler = interrupted, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  return sigaction(SIGINT, &action, NULL) == 0 && sigaction(SIGTERM, &action, NULL) == 0 ? SUCCEEDED : BROKEN;
}

/* Shows the run to its end. A watch returns after a while, whatever the terminal does, to look at signals. */
static coreproc_result watch(const struct handles *made, coreproc_error **error) {
  const int64_t slice_ms = 100;
  int seen = 0;
  for (;;) {
    coreproc_result result = coreproc_progress_watch(made->progress, made->run, slice_ms, error);
    if (result != COREPROC_TIMED_OUT)
      return result;
    coreproc_error_free(*error);
    *error = NULL;
    if (seen < interrupts) {
      seen++;
      if ((result = coreproc_run_cancel(made->run, error)) != COREPROC_OK)
        return result;
    }
  }
}

/* Starts the pipeline, shows it on standard output, and waits for its end. */
static coreproc_result run_pipeline(struct handles *made, const char *json, size_t json_len,
                                    const char *history, coreproc_error **error) {
  coreproc_result result = coreproc_service_new(NULL, &made->service, error);
  if (result == COREPROC_OK)
    result = coreproc_pipeline_from_json(json, json_len, &made->pipeline, error);
  if (result == COREPROC_OK && history != NULL)
    result = coreproc_history_open(history, strlen(history), "example", 7, &made->history, error);
  if (result == COREPROC_OK)
    result = coreproc_progress_open(made->service, fileno(stdout), NULL, &made->progress, error);
  if (result == COREPROC_OK) {
    const coreproc_run_options options = {
        .struct_size = sizeof options, .history = made->history, .progress = made->progress};
    result = coreproc_run_start(made->pipeline, made->service, &options, &made->run, error);
  }
  if (result == COREPROC_OK)
    result = watch(made, error);
  if (result == COREPROC_OK && made->history != NULL)
    result = coreproc_history_record(made->history, made->run, error);
  return result;
}

int main(int argc, char **argv) {
  if (argc < 2 || argc > 4) {
    fprintf(stderr, "usage: pipeline FILE [CHART.svg [HISTORY.json]]\n");
    return BROKEN;
  }
  size_t len = 0;
  char *json = read_file(argv[1], &len);
  if (json == NULL)
    return complain(argv[1]);
  if (catch_interrupts() != SUCCEEDED) {
    free(json);
    return complain("sigaction");
  }

  struct handles made = {NULL, NULL, NULL, NULL, NULL};
  coreproc_error *error = NULL;
  int code = BROKEN;
  coreproc_run_info info = {.struct_size = sizeof info};
  coreproc_result result = run_pipeline(&made, json, len, argc > 3 ? argv[3] : NULL, &error);
  if (result == COREPROC_OK)
    result = print_results(made.run, &error);
  if (result == COREPROC_OK)
    result = coreproc_run_info_get(made.run, &info, &error);
  if (result == COREPROC_OK)
    code = argc > 2 ? write_chart(made.run, argv[2], &error) : SUCCEEDED;
  if (code == SUCCEEDED && info.success == 0)
    code = FAILED;
  if (error != NULL)
    fprintf(stderr, "pipeline: %s\n", coreproc_error_message(error));

  /* Each _free takes NULL, so handles that were never made need no special case. */
  coreproc_error_free(error);
  coreproc_run_free(made.run);
  coreproc_progress_free(made.progress);
  coreproc_history_free(made.history);
  coreproc_pipeline_free(made.pipeline);
  coreproc_service_free(made.service);
  free(json);
  return code;
}
