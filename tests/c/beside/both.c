/* A program of two Rust libraries, which both work. */
#include <stdio.h>
#include <string.h>

#include "coreproc.h"

uint32_t other_sum(uint32_t n);
uint32_t other_panics(void);

int main(void)
{
    coreproc_service *service = NULL;
    coreproc_command *command = NULL;
    coreproc_process *process = NULL;
    coreproc_process_info info = {.struct_size = sizeof info};
    const char *const arguments[] = {"-c", "exit 7"};
    if (coreproc_service_new(NULL, &service, NULL) != COREPROC_OK ||
        coreproc_command_new("/bin/sh", strlen("/bin/sh"), &command, NULL) != COREPROC_OK)
        return 1;
    for (int i = 0; i < 2; i++)
        if (coreproc_command_arg(command, arguments[i], strlen(arguments[i]), NULL) != COREPROC_OK)
            return 1;
    if (coreproc_command_spawn(command, service, &process, NULL) != COREPROC_OK ||
        coreproc_process_wait(process, COREPROC_STATE_CLOSED, -1, &info, NULL) != COREPROC_OK)
        return 1;
    printf("exit code %d, sum %u, panics %u\n", (int)info.exit_code, (unsigned)other_sum(4), (unsigned)other_panics());
    coreproc_process_free(process);
    coreproc_command_free(command);
    coreproc_service_free(service);
    return 0;
}
