/* Finds a daemon through the registry, waits until it is well, says so, and stops it.
 *
 *   daemonctl DIRECTORY
 *
 * It shows how to read the registry, how to wait for health, and how to signal a process that is no child of the
 * program without ever hitting another process that got its PID.
 */
#define _GNU_SOURCE

#include <coreproc.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "daemon.h"

/* How long the daemon may take to appear, to be well, and to stop. */
#define PATIENCE_MS 10000

static int fail(coreproc_error *error) {
  fprintf(stderr, "daemonctl: %s\n", coreproc_error_message(error));
  coreproc_error_free(error);
  return -1;
}

static int fail_errno(const char *what) {
  fprintf(stderr, "daemonctl: %s: %s\n", what, strerror(errno));
  return -1;
}

/* ---- finding ---- */

static coreproc_result look(coreproc_registry *registry, coreproc_entries **entries,
                            coreproc_error **error) {
  return coreproc_registry_get(registry, EXAMPLE_CODE, strlen(EXAMPLE_CODE), EXAMPLE_DAEMON,
                               strlen(EXAMPLE_DAEMON), entries, error);
}

/* Finds the entry, once there is one: the daemon may still be starting. */
static int find(coreproc_registry *registry, coreproc_entries **entries) {
  for (int waited = 0;; waited += 10) {
    coreproc_error *error = NULL;
    coreproc_result result = look(registry, entries, &error);
    if (result == COREPROC_OK)
      return 0;
    if (result != COREPROC_NOT_FOUND || waited >= PATIENCE_MS)
      return fail(error);
    coreproc_error_free(error);
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
  }
}

/* ---- asking ---- */

static int wait_until_well(const coreproc_daemon_entry *entry) {
  uint32_t well = 0;
  coreproc_bytes *reason = NULL;
  coreproc_error *error = NULL;
  if (coreproc_health_wait(entry->health, entry->health_len, COREPROC_ENDPOINT_HEALTH, PATIENCE_MS,
                           &well, &reason, &error) != COREPROC_OK)
    return fail(error);
  printf("daemonctl: %s/%s, PID %" PRId32 ", at %s: %.*s\n", entry->code, entry->daemon, entry->pid,
         entry->health, (int)coreproc_bytes_len(reason), (const char *)coreproc_bytes_data(reason));
  coreproc_bytes_free(reason);
  /* The flush comes before the daemon says that it stops, because both may write to one file. */
  return well == 1 && fflush(stdout) == 0 ? 0 : -1;
}

/* ---- stopping ---- */

/* Opens a descriptor of the daemon's process, and of no other: first the PID is opened, then the registry is asked
 * again. The registry knows when the process started; so if the entry still lives, with the same PID, the process that
 * was opened is the daemon. A descriptor stays with its process, whichever process gets the PID later. */
static int open_daemon(coreproc_registry *registry, const coreproc_daemon_entry *entry) {
  int fd = (int)syscall(SYS_pidfd_open, entry->pid, 0);
  if (fd < 0)
    return fail_errno("pidfd_open");
  coreproc_entries *again = NULL;
  coreproc_error *error = NULL;
  if (look(registry, &again, &error) != COREPROC_OK) {
    close(fd);
    return fail(error);
  }
  const coreproc_daemon_entry *now = coreproc_entries_first(again, NULL, NULL);
  if (now->pid != entry->pid || now->started_ns != entry->started_ns) {
    fprintf(stderr, "daemonctl: another one has taken its place\n");
    close(fd);
    fd = -1;
  }
  coreproc_entries_free(again);
  return fd;
}

static int stop(coreproc_registry *registry, const coreproc_daemon_entry *entry) {
  int fd = open_daemon(registry, entry);
  if (fd < 0)
    return -1;
  int outcome = 0;
  if (syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) != 0)
    outcome = fail_errno("pidfd_send_signal");
  if (outcome == 0) {
    /* The descriptor is readable once the process has ended. */
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    int ready;
    do
      ready = poll(&ended, 1, PATIENCE_MS);
    while (ready < 0 && errno == EINTR);
    if (ready != 1) {
      fprintf(stderr, "daemonctl: it does not stop\n");
      outcome = -1;
    }
  }
  close(fd);
  return outcome;
}

/* Checks that the entry has gone with the daemon. */
static int check_gone(coreproc_registry *registry) {
  coreproc_entries *entries = NULL;
  coreproc_error *error = NULL;
  coreproc_result result = look(registry, &entries, &error);
  coreproc_entries_free(entries);
  coreproc_error_free(error);
  if (result != COREPROC_NOT_FOUND) {
    fprintf(stderr, "daemonctl: it is still registered\n");
    return -1;
  }
  printf("daemonctl: it has stopped, and is registered no more\n");
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: daemonctl DIRECTORY\n");
    return EXIT_FAILURE;
  }
  char registry_directory[4096];
  coreproc_registry *registry = NULL;
  coreproc_entries *entries = NULL;
  coreproc_error *error = NULL;

  registry_path(argv[1], registry_directory, sizeof registry_directory);
  if (coreproc_registry_new(registry_directory, strlen(registry_directory), &registry, &error) !=
      COREPROC_OK) {
    fail(error);
    return EXIT_FAILURE;
  }
  int outcome = find(registry, &entries);
  if (outcome == 0) {
    const coreproc_daemon_entry *entry = coreproc_entries_first(entries, NULL, NULL);
    outcome = wait_until_well(entry);
    if (outcome == 0)
      outcome = stop(registry, entry);
  }
  if (outcome == 0)
    outcome = check_gone(registry);
  coreproc_entries_free(entries);
  coreproc_registry_free(registry);
  return outcome == 0 && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
