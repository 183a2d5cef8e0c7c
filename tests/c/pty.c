/* Pseudo-terminals: a process on one, what is typed, the size, what is refused. */
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

int main(void)
{
    check_begin();
    RUN(what_is_typed_is_echoed_and_read);
    RUN(a_new_size_is_a_signal);
    RUN(what_only_standard_input_shows_is_descriptor_0);
    RUN(contradictions_are_refused);
    RUN(a_session_needs_no_terminal);
    return check_end();
}
