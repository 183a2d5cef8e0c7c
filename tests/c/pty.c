/* Terminals: a process on a pseudo-terminal, what is typed, the size, the foreground of the host's own, what is refused. */
#include "help.h"

static coreproc_command *on_terminal(const char *script, uint32_t mode)
{
    coreproc_command *command = new_sh(script);
    OK(coreproc_command_pty(command, 100, 0, mode, &err));
    return command;
}

static void type(coreproc_process *process, const char *text)
{
    size_t written = 0;
    OK(coreproc_process_write(process, (const uint8_t *)text, strlen(text), -1, &written, &err));
    CHECK_INT(written, strlen(text));
}

static void what_is_typed_is_echoed_and_read(void)
{
    coreproc_service *service = new_service();
    const char *script = "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && read line && echo \"got $line\" >/dev/tty; exit 3";
    coreproc_process *process = spawn(service, on_terminal(script, COREPROC_PTY_COOKED));
    type(process, "one\n");
    CHECK_INT(wait_closed(process).exit_code, 3);
    CHECK_OUTPUT(process, "one\r\ngot one\r\n");
    FAILS(COREPROC_NOT_RUNNING, coreproc_process_resize(process, 80, 24, &err));
    coreproc_process_free(process);

    process = spawn(service, on_terminal("cat; echo end", COREPROC_PTY_NO_ECHO));
    type(process, "a part");
    OK(coreproc_process_close_stdin(process, &err));
    CHECK_INT(wait_closed(process).exit_code, 0);
    CHECK_OUTPUT(process, "a partend\r\n");
    coreproc_process_free(process);
    end_service(service);
}

static void a_new_size_is_a_signal(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = spawn(service, on_terminal("trap 'exit 7' WINCH; echo up; while :; do :; done", COREPROC_PTY_RAW));
    while (info_of(process).stdout_bytes == 0)
        usleep(1000);
    OK(coreproc_process_resize(process, 100, 24, &err)); /* its size: no signal */
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "rows", coreproc_process_resize(process, 1, 0, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "columns", coreproc_process_resize(process, 65536, 1, &err));
    OK(coreproc_process_resize(process, 101, 24, &err));
    CHECK_INT(wait_closed(process).exit_code, 7);
    CHECK_OUTPUT(process, "up\n");
    coreproc_process_free(process);
    end_service(service);
}

static void what_only_standard_input_shows_is_descriptor_0(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = on_terminal("cat", COREPROC_PTY_COOKED);
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDOUT, COREPROC_STDIO_PIPE, &err));
    OK(coreproc_command_stdio(command, COREPROC_STREAM_STDERR, COREPROC_STDIO_NULL, &err));
    coreproc_process *process = spawn(service, command);
    type(process, "one\n");
    OK(coreproc_process_close_stdin(process, &err));
    CHECK_INT(wait_closed(process).exit_code, 0);
    CHECK_OUTPUT(process, "one\n");
    coreproc_bytes *output = NULL;
    OK(coreproc_process_output_of(process, 0, NULL, NULL, &output, &err));
    CHECK(strcmp((const char *)coreproc_bytes_data(output), "one\r\n") == 0);
    coreproc_bytes_free(output);
    coreproc_process_free(process);
    end_service(service);
}

static void contradictions_are_refused(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = NULL;
    coreproc_command *command = on_terminal("exit 0", COREPROC_PTY_COOKED);
    OK(coreproc_command_group(command, COREPROC_GROUP_INHERIT, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "group", coreproc_command_spawn(command, service, &process, &err));
    OK(coreproc_command_group(command, COREPROC_GROUP_SESSION, &err));
    OK(coreproc_command_detach(command, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "pty", coreproc_command_spawn(command, service, &process, &err));
    coreproc_command_free(command);
    end_service(service);
}

static void a_session_needs_no_terminal(void)
{
    coreproc_service *service = new_service();
    coreproc_command *command = new_sh("echo in a pipe; (: </dev/tty) 2>/dev/null || exit 5");
    OK(coreproc_command_group(command, COREPROC_GROUP_SESSION, &err));
    coreproc_process *process = spawn(service, command);
    CHECK_INT(wait_closed(process).exit_code, 5);
    CHECK_OUTPUT(process, "in a pipe\n");
    coreproc_process_free(process);
    end_service(service);
}

/* The host of the next test, on a terminal whose foreground it lends. */
static void a_host_lends_its_foreground(void)
{
    coreproc_service *service = new_service();
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
    MUST(terminal >= 0);
    coreproc_command *command = new_sh("echo ready; read line; echo child read $line; exit 3");
    for (uint32_t stream = COREPROC_STREAM_STDIN; stream <= COREPROC_STREAM_STDERR; stream++)
        OK(coreproc_command_stdio(command, stream, COREPROC_STDIO_INHERIT, &err));
    OK(coreproc_command_foreground(command, terminal, &err));
    coreproc_process *process = spawn(service, command);
    /* The other side types Ctrl-Z when it sees "ready". */
    while (tcgetpgrp(terminal) != getpgrp())
        usleep(1000);
    fprintf(check_out, "it is stopped\n");
    OK(coreproc_process_foreground(process, &err));
    CHECK_INT(wait_closed(process).exit_code, 3);
    CHECK_INT(tcgetpgrp(terminal), getpgrp());
    FAILS(COREPROC_NOT_RUNNING, coreproc_process_foreground(process, &err));
    coreproc_process_free(process);

    process = spawn_piped_sh(service, "read line");
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "foreground", coreproc_process_foreground(process, &err));
    OK(coreproc_process_close_stdin(process, &err));
    wait_closed(process);
    coreproc_process_free(process);
    close(terminal);
    end_service(service);
}

static void the_foreground_is_lent_until_a_stop_and_until_the_end(void)
{
    char self[4096] = "";
    MUST(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    coreproc_service *service = new_service();
    coreproc_command *command = new_command(self, NULL);
    OK(coreproc_command_env(command, TEXT("COREPROC_LENDS=1"), &err));
    OK(coreproc_command_pty(command, 0, 0, COREPROC_PTY_COOKED, &err));
    coreproc_process *process = spawn(service, command);
    wait_output(process, "ready\r\n");
    type(process, "\x1a");
    wait_output(process, "it is stopped\r\n");
    type(process, "one\n");
    CHECK_INT(wait_closed(process).exit_code, 0);
    char *text = output_text(process);
    if (!CHECK(strstr(text, "child read one\r\n") != NULL && strstr(text, "ok - a_host_lends") != NULL))
        fprintf(check_out, "# %s\n", text);
    free(text);
    coreproc_process_free(process);
    end_service(service);
}

static void what_is_not_its_terminal_is_not_lent(void)
{
    coreproc_service *service = new_service();
    coreproc_process *process = NULL;
    uint8_t flat[] = "\1\0\0\0" "\1\0\0\0" "\4\0\0\0" "true" "\x38\0\0\0" "\4\0\0\0" "\0\0\0\0";
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    MUST(null >= 0 && null < 256);
    flat[24] = (uint8_t)null;
    coreproc_command *command = NULL;
    OK(coreproc_command_from_flat(flat, sizeof flat - 1, &command, &err));
    close(null);
    FAILS_NAMING(COREPROC_SYSTEM, "foreground", coreproc_command_spawn(command, service, &process, &err));
    OK(coreproc_command_pty(command, 0, 0, COREPROC_PTY_COOKED, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "foreground", coreproc_command_spawn(command, service, &process, &err));
    coreproc_command_free(command);
    end_service(service);
}

int main(void)
{
    check_begin();
    if (getenv("COREPROC_LENDS") != NULL) {
        RUN(a_host_lends_its_foreground);
        return check_end();
    }
    RUN(what_is_typed_is_echoed_and_read);
    RUN(a_new_size_is_a_signal);
    RUN(what_only_standard_input_shows_is_descriptor_0);
    RUN(contradictions_are_refused);
    RUN(a_session_needs_no_terminal);
    RUN(the_foreground_is_lent_until_a_stop_and_until_the_end);
    RUN(what_is_not_its_terminal_is_not_lent);
    return check_end();
}
