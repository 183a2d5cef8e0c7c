/* Logs: what processes write is in a file without a reader. */
#include <sys/stat.h>

#include "help.h"

/* Compares a file with a text. */
static void check_file(const char *path, const char *expected)
{
    static char text[1 << 16];
    FILE *file = fopen(path, "r");
    MUST(file != NULL);
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = 0;
    CHECK(strcmp(text, expected) == 0);
}

static const char *log_path(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/coreproc-log-%d", getpid());
    return path;
}

static coreproc_log_info log_info(coreproc_log *log)
{
    coreproc_log_info info = {.struct_size = sizeof info};
    OK(coreproc_log_info_get(log, &info, &err));
    return info;
}

static void output_is_written_rotated_and_followed(void)
{
    coreproc_service *service = new_service();
    coreproc_log *log = NULL;
    const coreproc_log_options options = {.struct_size = sizeof options, .max_bytes = 8, .keep = 1};
    OK(coreproc_log_open(service, TEXT(log_path()), &options, &log, &err));
    static const char *const words[] = {"one", "two", "three"};
    for (size_t i = 0; i < 3; i++) {
        coreproc_command *command = new_command("echo", words[i], NULL);
        OK(coreproc_command_log(command, log, 0, &err));
        finish(spawn(service, command));
        OK(coreproc_log_wait_idle(log, CHECK_DEADLINE_MS, &err));
    }
    char rotated[80];
    snprintf(rotated, sizeof rotated, "%s.1", log_path());
    check_file(log_path(), "three\n");
    check_file(rotated, "one\ntwo\n");
    coreproc_log_info info = log_info(log);
    CHECK_INT(info.written, 14);
    CHECK_INT(info.lost, 0);
    CHECK_INT(info.rotations, 1);
    CHECK_INT(info.end, 14);
    CHECK_INT(info.error, 0);

    coreproc_log_follower *follower = NULL;
    OK(coreproc_log_follow(log, 4, &follower, &err));
    uint64_t offset = 0, skipped = 1;
    coreproc_bytes *bytes = NULL;
    OK(coreproc_log_follower_read(follower, 100, 0, &offset, &skipped, &bytes, &err));
    CHECK(strcmp((const char *)coreproc_bytes_data(bytes), "two\n") == 0);
    CHECK_INT(offset, 8);
    CHECK_INT(skipped, 0);
    coreproc_bytes_free(bytes);
    OK(coreproc_log_follower_read(follower, 100, 0, NULL, NULL, &bytes, &err));
    CHECK(strcmp((const char *)coreproc_bytes_data(bytes), "three\n") == 0);
    coreproc_bytes_free(bytes);
    FAILS(COREPROC_TIMED_OUT, coreproc_log_follower_read(follower, 100, 0, NULL, NULL, &bytes, &err));
    FAILS(COREPROC_INVALID_ARGUMENT, coreproc_log_follower_read(follower, 0, 0, NULL, NULL, &bytes, &err));

    OK(coreproc_log_rotate(log, &err));
    check_file(rotated, "three\n");
    MUST(remove(log_path()) == 0);
    OK(coreproc_log_reopen(log, &err));
    check_file(log_path(), "");
    coreproc_log *second = coreproc_log_ref(log);
    coreproc_log_free(log);
    CHECK_INT(log_info(second).rotations, 2);
    coreproc_log_free(second);
    OK(coreproc_service_close(service, COREPROC_CLOSE_LEAVE, &err));
    FAILS(COREPROC_CLOSED, coreproc_log_follower_read(follower, 100, CHECK_DEADLINE_MS, NULL, NULL, &bytes, &err));
    coreproc_log_follower_free(follower);
    end_service(service);
    remove(log_path());
    remove(rotated);
}

static void wrong_options_are_refused(void)
{
    coreproc_service *service = new_service();
    coreproc_log *log = NULL;
    const coreproc_log_options format = {.struct_size = sizeof format, .format = 3};
    const coreproc_log_options keep = {.struct_size = sizeof keep, .keep = 1};
    const coreproc_log_options mode = {.struct_size = sizeof mode, .mode = 01000};
    const coreproc_log_options reserved = {.struct_size = sizeof reserved, .reserved = 1};
    const coreproc_log_options *wrong[] = {&format, &keep, &mode, &reserved};
    for (size_t i = 0; i < 4; i++)
        FAILS(COREPROC_INVALID_ARGUMENT, coreproc_log_open(service, TEXT(log_path()), wrong[i], &log, &err));
    FAILS(COREPROC_INVALID_ARGUMENT, coreproc_log_open(service, TEXT("/dev/full"), NULL, &log, &err));
    FAILS(COREPROC_NOT_FOUND, coreproc_log_open(service, TEXT("/no/such/log"), NULL, &log, &err));
    OK(coreproc_log_open(service, TEXT(log_path()), NULL, &log, &err));
    coreproc_command *command = new_command("true", NULL);
    FAILS(COREPROC_INVALID_ARGUMENT, coreproc_command_log(command, log, 1u << COREPROC_EVENT_CLOSED, &err));
    FAILS(COREPROC_INVALID_ARGUMENT, coreproc_command_log(command, log, 1u << 20, &err));
    finish(spawn(service, command));
    coreproc_log_free(log);
    end_service(service);
    remove(log_path());
}

int main(void)
{
    check_begin();
    RUN(output_is_written_rotated_and_followed);
    RUN(wrong_options_are_refused);
    return check_end();
}
