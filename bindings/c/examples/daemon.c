/* A daemon: daemon FOLDER. find.c is the program that finds and stops it.
 *
 * It holds FOLDER/clock.pid, says at an address of the kernel's choice whether it is well, is entered in
 * FOLDER/daemons as example/clock, and ends with SIGTERM or SIGINT. A real one would leave `registry` to
 * coreproc_registry_new(NULL, 0, …): the user's own.
 */
#include <coreproc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Called for each GET /health, on a thread of the library. */
static int32_t folder_is_writable(coreproc_check_answer *answer, void *folder) {
  if (access(folder, W_OK) == 0)
    return 0;
  const char *reason = "the folder cannot be written";
  coreproc_check_answer_reason(answer, reason, strlen(reason), NULL);
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: daemon FOLDER\n");
    return 2;
  }
  char pid_file[4096], daemons[4096];
  snprintf(pid_file, sizeof pid_file, "%s/clock.pid", argv[1]);
  snprintf(daemons, sizeof daemons, "%s/daemons", argv[1]);

  coreproc_registry *registry = NULL;
  coreproc_daemon *daemon = NULL;
  coreproc_error *error = NULL;
  const coreproc_daemon_entry entry = {
      .struct_size = sizeof entry, .code = "example", .code_len = 7, .daemon = "clock", .daemon_len = 5};
  const char *address = "127.0.0.1:0";

  coreproc_result result = coreproc_registry_new(daemons, strlen(daemons), &registry, &error);
  const coreproc_daemon_options options = {.struct_size = sizeof options,
                                           .shutdown_timeout_ms = 5000,
                                           .pid_file = pid_file,
                                           .pid_file_len = strlen(pid_file),
                                           .health_address = address,
                                           .health_address_len = strlen(address),
                                           .registry = registry,
                                           .entry = &entry};
  if (result == COREPROC_OK)
    result = coreproc_daemon_new(&options, &daemon, &error);
  if (result == COREPROC_OK)
    result = coreproc_daemon_add_check(daemon, "folder", 6, folder_is_writable, argv[1], NULL, &error);
  /* Before the start, so that no signal is missed. */
  if (result == COREPROC_OK)
    result = coreproc_daemon_stop_on_signals(daemon, &error);
  if (result == COREPROC_OK)
    result = coreproc_daemon_start(daemon, &error);
  /* Here a real one would do its work, on other threads or in between looks at
   * coreproc_daemon_wait_for_stop_request. */
  if (result == COREPROC_OK)
    result = coreproc_daemon_run(daemon, &error);

  if (result != COREPROC_OK)
    fprintf(stderr, "daemon: %s\n", coreproc_error_message(error));
  coreproc_error_free(error);
  coreproc_daemon_free(daemon);
  coreproc_registry_free(registry);
  return result == COREPROC_OK ? 0 : 1;
}
