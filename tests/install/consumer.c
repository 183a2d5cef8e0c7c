/* A program that knows the installed package alone: runs a process, prints what it wrote and how it ended. */
#include <coreproc.h>
#include <stdio.h>
#include <string.h>

static int fail(coreproc_error *error) {
  fprintf(stderr, "%s\n", coreproc_error_message(error));
  coreproc_error_free(error);
  return 1;
}

int main(int argc, char **argv) {
  coreproc_error *error = NULL;
  coreproc_service *service = NULL;
  coreproc_command *command = NULL;
  coreproc_process *process = NULL;
  coreproc_bytes *output = NULL;
  coreproc_process_info info = {.struct_size = sizeof info};

  if (argc < 2 || strcmp(coreproc_version(), COREPROC_VERSION) != 0 ||
      coreproc_abi_version() != COREPROC_ABI_VERSION) {
    fprintf(stderr, "header %s, library %s\n", COREPROC_VERSION, coreproc_version());
    return 1;
  }
  if (coreproc_service_new(NULL, &service, &error) != COREPROC_OK) return fail(error);
  if (coreproc_command_new(argv[1], strlen(argv[1]), &command, &error) != COREPROC_OK) return fail(error);
  for (int i = 2; i < argc; i++) {
    if (coreproc_command_arg(command, argv[i], strlen(argv[i]), &error) != COREPROC_OK) return fail(error);
  }
  if (coreproc_command_spawn(command, service, &process, &error) != COREPROC_OK) return fail(error);
  if (coreproc_process_wait(process, COREPROC_STATE_CLOSED, -1, &info, &error) != COREPROC_OK) return fail(error);
  if (coreproc_process_output(process, &output, &error) != COREPROC_OK) return fail(error);

  fwrite(coreproc_bytes_data(output), 1, coreproc_bytes_len(output), stdout);
  printf("exit code %d\n", (int)info.exit_code);

  coreproc_bytes_free(output);
  coreproc_process_free(process);
  coreproc_command_free(command);
  coreproc_service_free(service);
  return 0;
}
