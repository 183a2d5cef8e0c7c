/* Runs one command, prints its output, and returns its exit code: run PROGRAM [ARGUMENT]... */
#include <coreproc.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  coreproc_service *service = NULL;
  coreproc_command *command = NULL;
  coreproc_process *process = NULL;
  coreproc_bytes *output = NULL;
  coreproc_error *error = NULL;
  coreproc_process_info info = {.struct_size = sizeof info, .exit_code = -1};
  const char *program = argc > 1 ? argv[1] : "";

  coreproc_result result = coreproc_service_new(NULL, &service, &error);
  if (result == COREPROC_OK)
    result = coreproc_command_new(program, strlen(program), &command, &error);
  for (int i = 2; result == COREPROC_OK && i < argc; i++)
    result = coreproc_command_arg(command, argv[i], strlen(argv[i]), &error);
  if (result == COREPROC_OK)
    result = coreproc_command_spawn(command, service, &process, &error);
  if (result == COREPROC_OK)
    result = coreproc_process_wait(process, COREPROC_STATE_CLOSED, -1, &info, &error);
  if (result == COREPROC_OK)
    result = coreproc_process_output(process, &output, &error);

  if (result == COREPROC_OK)
    fwrite(coreproc_bytes_data(output), 1, coreproc_bytes_len(output), stdout);
  else
    fprintf(stderr, "run: %s\n", coreproc_error_message(error));

  /* Each _free takes NULL, so handles that were never made need no special case. */
  coreproc_error_free(error);
  coreproc_bytes_free(output);
  coreproc_process_free(process);
  coreproc_command_free(command);
  coreproc_service_free(service);
  return info.exit_code >= 0 ? info.exit_code : 1;
}
