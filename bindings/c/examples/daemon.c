/* A daemon that holds a PID file, serves its health, is registered, and stops on SIGTERM or SIGINT.
 *
 *   daemon DIRECTORY
 *
 * It keeps its files in DIRECTORY: daemon.pid, and the registry in which daemonctl finds it. It shows the options of a
 * daemon, a check of its own, the order in which its parts start and stop, and which call frees what.
 */
#define _POSIX_C_SOURCE 200809L

#include <coreproc.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "daemon.h"

/* Prints the error, and frees it: it has one owner, the caller it was written to. */
static int fail(coreproc_error *error) {
  fprintf(stderr, "daemon: %s\n", coreproc_error_message(error));
  coreproc_error_free(error);
  return -1;
}

/* ---- the check ---- */

/* Checks whether there is room where the daemon writes. It runs for each question, on a thread of the library, and may
 * block. */
static int32_t has_room(coreproc_check_answer *answer, void *user_data) {
  const char *directory = user_data;
  struct statvfs file_system;
  char reason[256];
  if (statvfs(directory, &file_system) != 0)
    snprintf(reason, sizeof reason, "%s: %s", directory, strerror(errno));
  else if (file_system.f_bavail == 0)
    snprintf(reason, sizeof reason, "%s: no space left", directory);
  else
    return 0;
  coreproc_check_answer_reason(answer, reason, strlen(reason), NULL);
  return 1;
}

/* ---- the daemon ---- */

static coreproc_result new_daemon(const char *directory, const coreproc_registry *registry,
                                  coreproc_daemon **daemon, coreproc_error **error) {
  char pid_file[4096];
  snprintf(pid_file, sizeof pid_file, "%s/daemon.pid", directory);

  /* The start fills in the PID, the time, the directory and the program. */
  coreproc_daemon_entry entry = {
      .struct_size = sizeof entry,
      .code = EXAMPLE_CODE,
      .code_len = strlen(EXAMPLE_CODE),
      .daemon = EXAMPLE_DAEMON,
      .daemon_len = strlen(EXAMPLE_DAEMON),
  };
  coreproc_daemon_options options = {
      .struct_size = sizeof options,
      .shutdown_timeout_ms = 10000,
      .pid_file = pid_file,
      .pid_file_len = strlen(pid_file),
      /* Port 0 stands for any free port. The registry says which it is. */
      .health_address = "127.0.0.1:0",
      .health_address_len = strlen("127.0.0.1:0"),
      .registry = registry,
      .entry = &entry,
  };
  return coreproc_daemon_new(&options, daemon, error);
}

static int print_where(coreproc_daemon *daemon) {
  coreproc_bytes *address = NULL;
  coreproc_error *error = NULL;
  if (coreproc_daemon_health_address(daemon, &address, &error) != COREPROC_OK)
    return fail(error);
  printf("daemon: serves http://%.*s/health\n", (int)coreproc_bytes_len(address),
         (const char *)coreproc_bytes_data(address));
  coreproc_bytes_free(address);
  return fflush(stdout) == 0 ? 0 : -1;
}

static int run(char *directory, coreproc_daemon *daemon) {
  coreproc_error *error = NULL;
  /* main owns the directory's name and outlives the daemon, so there is nothing to destroy. */
  if (coreproc_daemon_add_check(daemon, "room", strlen("room"), has_room, directory, NULL, &error) !=
      COREPROC_OK)
    return fail(error);
  /* This comes before the start, so that no signal is missed. */
  if (coreproc_daemon_stop_on_signals(daemon, &error) != COREPROC_OK)
    return fail(error);
  /* This fails if another daemon holds the PID file, and the error names its PID. */
  if (coreproc_daemon_start(daemon, &error) != COREPROC_OK)
    return fail(error);
  if (print_where(daemon) != 0)
    return -1;
  /* A real daemon would do its work on other threads. */
  if (coreproc_daemon_run(daemon, &error) != COREPROC_OK)
    return fail(error);
  printf("daemon: has stopped\n");
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: daemon DIRECTORY\n");
    return EXIT_FAILURE;
  }
  char registry_directory[4096];
  coreproc_registry *registry = NULL;
  coreproc_daemon *daemon = NULL;
  coreproc_error *error = NULL;

  registry_path(argv[1], registry_directory, sizeof registry_directory);
  coreproc_result result =
      coreproc_registry_new(registry_directory, strlen(registry_directory), &registry, &error);
  if (result == COREPROC_OK)
    result = new_daemon(argv[1], registry, &daemon, &error);
  int outcome = result == COREPROC_OK ? run(argv[1], daemon) : fail(error);

  /* If the daemon still runs, after a failure, the last reference to it gives everything back. */
  coreproc_daemon_free(daemon);
  coreproc_registry_free(registry);
  return outcome == 0 && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
