/* Mistakes that AddressSanitizer must find, one by name: the proof that it is on, in C and in Rust. */
#include "help.h"

/* Behind the cargo feature `fault-injection`. */
uint8_t coreproc_test_use_after_free(void);

static void *volatile kept;

int main(int argc, char **argv)
{
    const char *mistake = argc == 2 ? argv[1] : "";
    check_begin();
    coreproc_service *service = new_service();
    coreproc_process *process = spawn_piped_sh(service, "read line"); /* threads are alive at exit, as in every host */
    if (strcmp(mistake, "c-use-after-free") == 0) {
        kept = malloc(100);
        free(kept);
        fprintf(check_out, "read %d\n", ((volatile char *)kept)[50]);
    } else if (strcmp(mistake, "rust-use-after-free") == 0) {
        fprintf(check_out, "read %d\n", coreproc_test_use_after_free());
    } else if (strcmp(mistake, "c-leak") == 0) {
        kept = malloc(100);
        kept = NULL;
    } else if (strcmp(mistake, "rust-leak") == 0) {
        for (int i = 0; i < 8; i++) /* the last may still be seen in a register */
            kept = new_command("leaked", NULL);
        kept = NULL;
    } else if (strcmp(mistake, "none") != 0) {
        return 2;
    }
    fprintf(check_out, "survived\n");
    OK(coreproc_process_close_stdin(process, &err));
    coreproc_process_free(process);
    coreproc_service_free(service);
    return 0;
}
