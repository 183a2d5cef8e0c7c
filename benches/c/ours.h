/* Code that the C hosts of coreproc share: a checked call, and a command whose three streams are pipes. */
#ifndef BENCH_C_OURS_H
#define BENCH_C_OURS_H
#include "../shared/host.h"
#include <coreproc.h>

static inline void must(coreproc_result result, coreproc_error *error, const char *what) {
  if (result == COREPROC_OK)
    return;
  fprintf(stderr, "%s: %s: %s\n", what, coreproc_result_name(result), error ? coreproc_error_message(error) : "");
  exit(1);
}

#define MUST(call)                                                                                                     \
  do {                                                                                                                 \
    coreproc_error *error = NULL;                                                                                      \
    coreproc_error **err = &error;                                                                                     \
    coreproc_result result = call;                                                                                     \
    must(result, error, #call);                                                                                        \
  } while (0)

static inline coreproc_service *service_new(void) {
  coreproc_service *service;
  MUST(coreproc_service_new(NULL, &service, err));
  return service;
}

/* argv ends with NULL. */
static inline coreproc_command *command_new(char *const *argv) {
  coreproc_command *command;
  MUST(coreproc_command_new(argv[0], strlen(argv[0]), &command, err));
  for (int i = 1; argv[i]; i++)
    MUST(coreproc_command_arg(command, argv[i], strlen(argv[i]), err));
  MUST(coreproc_command_stdio(command, COREPROC_STREAM_STDIN, COREPROC_STDIO_PIPE, err));
  return command;
}

static inline coreproc_process *command_start(coreproc_command *command, coreproc_service *service) {
  coreproc_process *process;
  MUST(coreproc_command_spawn(command, service, &process, err));
  coreproc_command_free(command);
  return process;
}

static inline coreproc_process *start(coreproc_service *service, char *const *argv) {
  return command_start(command_new(argv), service);
}

static inline coreproc_process_info wait_until(coreproc_process *process, uint32_t state) {
  coreproc_process_info info = {.struct_size = sizeof info};
  MUST(coreproc_process_wait(process, state, -1, &info, err));
  return info;
}
#endif
