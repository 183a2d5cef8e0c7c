/* Finds the daemon of daemon.c, asks how it is, and stops it: find FOLDER. */
#define _POSIX_C_SOURCE 200809L

#include <coreproc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#define PATIENCE_MS 10000

static int fail(const char *what, coreproc_error *error) {
  fprintf(stderr, "find: %s\n", error == NULL ? what : coreproc_error_message(error));
  coreproc_error_free(error);
  return -1;
}

static void pause_10_ms(void) {
  nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/* The entry of example/clock, once it is registered; it may have been started just now. */
static int find(coreproc_registry *registry, coreproc_entries **entries) {
  for (int waited = 0; waited < PATIENCE_MS; waited += 10) {
    coreproc_error *error = NULL;
    coreproc_result result = coreproc_registry_get(registry, "example", 7, "clock", 5, entries, &error);
    if (result == COREPROC_OK)
      return 0;
    if (result != COREPROC_NOT_FOUND)
      return fail(NULL, error);
    coreproc_error_free(error);
    pause_10_ms();
  }
  return fail("example/clock is not registered", NULL);
}

static int ask(const coreproc_daemon_entry *entry, uint32_t endpoint, const char *name) {
  uint32_t ok = 0;
  coreproc_bytes *reason = NULL;
  coreproc_error *error = NULL;
  if (coreproc_health_wait(entry->health, entry->health_len, endpoint, PATIENCE_MS, &ok, &reason, &error) != COREPROC_OK)
    return fail(NULL, error);
  printf("  %-8s %.*s\n", name, (int)coreproc_bytes_len(reason), (const char *)coreproc_bytes_data(reason));
  coreproc_bytes_free(reason);
  return ok ? 0 : fail("it is not well", NULL);
}

/* Its PID file tells its end: it is there while its health server answers. */
static int stop(const coreproc_daemon_entry *entry, const char *pid_file) {
  if (kill((pid_t)entry->pid, SIGTERM) != 0)
    return fail("it cannot be signalled", NULL);
  for (int waited = 0; waited < PATIENCE_MS; waited += 10) {
    uint32_t state = COREPROC_PID_MISSING;
    coreproc_error *error = NULL;
    if (coreproc_pid_file_read(pid_file, strlen(pid_file), &state, NULL, NULL, &error) != COREPROC_OK)
      return fail(NULL, error);
    if (state == COREPROC_PID_MISSING) {
      printf("  %-8s gone, with its PID file\n", "SIGTERM");
      return 0;
    }
    pause_10_ms();
  }
  return fail("it does not stop", NULL);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: find FOLDER\n");
    return 2;
  }
  char pid_file[4096], daemons[4096];
  snprintf(pid_file, sizeof pid_file, "%s/clock.pid", argv[1]);
  snprintf(daemons, sizeof daemons, "%s/daemons", argv[1]);

  coreproc_registry *registry = NULL;
  coreproc_entries *entries = NULL;
  coreproc_error *error = NULL;
  int result = coreproc_registry_new(daemons, strlen(daemons), &registry, &error) == COREPROC_OK ? 0 : fail(NULL, error);
  if (result == 0)
    result = find(registry, &entries);
  if (result == 0) {
    const coreproc_daemon_entry *entry = coreproc_entries_first(entries, NULL, NULL);
    printf("%s/%s is PID %d, at %s\n", entry->code, entry->daemon, (int)entry->pid, entry->health);
    result = ask(entry, COREPROC_ENDPOINT_READY, "/ready");
    if (result == 0)
      result = ask(entry, COREPROC_ENDPOINT_HEALTH, "/health");
    if (result == 0)
      result = stop(entry, pid_file);
  }
  coreproc_entries_free(entries);
  coreproc_registry_free(registry);
  return result == 0 ? 0 : 1;
}
