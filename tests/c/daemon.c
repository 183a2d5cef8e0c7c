/* PID file, registry and daemon, through the header. */
#include <semaphore.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "help.h"

#define NOBODY 999999999 /* no kernel gives this PID */

/* Every test has a directory of its own, made in the one where the program was started, and removed at its end. */
static char folder[200];

static const char *in_folder(const char *name)
{
    static char paths[4][300];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void make_folder(void)
{
    MUST(getcwd(folder, sizeof folder - 20) != NULL);
    strcat(folder, "/daemon-XXXXXX");
    MUST(mkdtemp(folder) != NULL);
}

static void remove_folder(void)
{
    char command[256];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    MUST(system(command) == 0);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    MUST(file != NULL && fputs(text, file) >= 0);
    fclose(file);
}

static bool exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

/* ---- PID files ---- */

static uint32_t state_of(const char *path, int32_t *pid, char *why, size_t size)
{
    uint32_t state = 99;
    coreproc_bytes *reason = NULL;
    OK(coreproc_pid_file_read(TEXT(path), &state, pid, &reason, &err));
    snprintf(why, size, "%.*s", (int)coreproc_bytes_len(reason), (const char *)coreproc_bytes_data(reason));
    coreproc_bytes_free(reason);
    return state;
}

static void check_pid_file(const char *path, uint32_t state, int32_t pid, const char *needle)
{
    int32_t found = -7;
    char why[256];
    CHECK_INT(state_of(path, &found, why, sizeof why), state);
    CHECK_INT(found, pid);
    if (!CHECK(strstr(why, needle) != NULL))
        fprintf(check_out, "# \"%s\" lacks \"%s\"\n", why, needle);
}

static coreproc_pid_file *new_pid_file(const char *path)
{
    coreproc_pid_file *file = NULL;
    OK(coreproc_pid_file_new(TEXT(path), &file, &err));
    MUST(file != NULL);
    return file;
}

static void a_pid_file_is_held_by_one(void)
{
    char holder[64];
    make_folder();
    const char *path = in_folder("run/it.pid");
    coreproc_pid_file *first = new_pid_file(path), *second = new_pid_file(path);
    CHECK_TEXT(coreproc_pid_file_path(first), path);
    check_pid_file(path, COREPROC_PID_MISSING, 0, "no such file");
    OK(coreproc_pid_file_acquire(first, &err));
    CHECK_INT(coreproc_pid_file_held(first), 1);
    CHECK_INT(coreproc_pid_file_held(second), 0);
    check_pid_file(path, COREPROC_PID_ALIVE, getpid(), "");
    snprintf(holder, sizeof holder, "PID %d", getpid());
    FAILS_NAMING(COREPROC_BUSY, holder, coreproc_pid_file_acquire(second, &err));
    FAILS(COREPROC_INVALID_STATE, coreproc_pid_file_acquire(first, &err));
    OK(coreproc_pid_file_release(second, &err));
    CHECK(exists(path));
    OK(coreproc_pid_file_release(first, &err));
    OK(coreproc_pid_file_release(first, &err));
    CHECK(!exists(path));

    /* A file that is freed while it is held is released with the last reference. */
    OK(coreproc_pid_file_acquire(second, &err));
    coreproc_pid_file *again = coreproc_pid_file_ref(second);
    coreproc_pid_file_free(second);
    CHECK_INT(coreproc_pid_file_held(again), 1);
    CHECK(exists(path));
    coreproc_pid_file_free(again);
    CHECK(!exists(path));
    coreproc_pid_file_free(first);
    remove_folder();
}

static void what_is_no_pid_file_is_refused(void)
{
    make_folder();
    const char *path = in_folder("it.pid");
    coreproc_pid_file *file = new_pid_file(path);
    MUST(symlink("/etc/passwd", path) == 0);
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "symbolic link", coreproc_pid_file_acquire(file, &err));
    check_pid_file(path, COREPROC_PID_INVALID, 0, "symbolic link");
    MUST(unlink(path) == 0 && mkfifo(path, 0600) == 0);
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "FIFO", coreproc_pid_file_acquire(file, &err));
    check_pid_file(path, COREPROC_PID_INVALID, 0, "FIFO");
    MUST(unlink(path) == 0);
    write_file(path, "-1");
    FAILS_NAMING(COREPROC_MALFORMED, "\"-1\"", coreproc_pid_file_acquire(file, &err));
    check_pid_file(path, COREPROC_PID_INVALID, 0, "-1");
    write_file(path, "999999999\n");
    check_pid_file(path, COREPROC_PID_DEAD, NOBODY, "does not run");
    OK(coreproc_pid_file_acquire(file, &err));
    check_pid_file(path, COREPROC_PID_ALIVE, getpid(), "");
    coreproc_pid_file_free(file);
    remove_folder();
}

static void pid_file_arguments_are_checked(void)
{
    coreproc_pid_file *out = NULL;
    uint32_t state = 99;
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "path", coreproc_pid_file_new(NULL, 3, &out, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "path: is empty", coreproc_pid_file_new(NULL, 0, &out, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "NUL", coreproc_pid_file_new("a\0b", 3, &out, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "path", coreproc_pid_file_new("x", SIZE_MAX, &out, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_pid_file_new("x", 1, NULL, &err));
    CHECK(out == NULL);
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "pid_file", coreproc_pid_file_acquire(NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "pid_file", coreproc_pid_file_release(NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_pid_file_read("x", 1, NULL, NULL, NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "path", coreproc_pid_file_read(NULL, 1, &state, NULL, NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "NUL", coreproc_pid_file_read("a\0b", 3, &state, NULL, NULL, &err));
    CHECK_INT(state, 99);
    OK(coreproc_pid_file_read(TEXT("/no/such/file"), &state, NULL, NULL, &err));
    CHECK_INT(state, COREPROC_PID_MISSING);
    CHECK_INT(coreproc_pid_file_acquire(NULL, NULL), COREPROC_INVALID_ARGUMENT);
    CHECK_TEXT(coreproc_pid_file_path(NULL), "");
    CHECK_INT(coreproc_pid_file_held(NULL), 0);
    CHECK(coreproc_pid_file_ref(NULL) == NULL);
    coreproc_pid_file_free(NULL);
}

/* ---- registry ---- */

static coreproc_registry *new_registry(void)
{
    coreproc_registry *registry = NULL;
    OK(coreproc_registry_new(TEXT(in_folder("daemons")), &registry, &err));
    MUST(registry != NULL);
    return registry;
}

static coreproc_daemon_entry entry_of(const char *code, const char *daemon, int32_t pid)
{
    return (coreproc_daemon_entry){.struct_size = sizeof(coreproc_daemon_entry), .pid = pid, .code = code,
                                   .code_len = strlen(code), .daemon = daemon, .daemon_len = strlen(daemon)};
}

static void register_as(coreproc_registry *registry, const char *code, const char *daemon, int32_t pid, uint64_t started)
{
    coreproc_daemon_entry entry = entry_of(code, daemon, pid);
    entry.started_ns = started;
    OK(coreproc_registry_register(registry, &entry, &err));
}

static const coreproc_daemon_entry *entry_at(const coreproc_entries *entries, size_t index)
{
    size_t count = 0, stride = 0;
    const coreproc_daemon_entry *first = coreproc_entries_first(entries, &count, &stride);
    MUST(index < count && stride >= sizeof(coreproc_daemon_entry));
    return (const coreproc_daemon_entry *)(const void *)((const char *)first + index * stride);
}

static size_t entry_count(const coreproc_entries *entries)
{
    size_t count = 99;
    (void)coreproc_entries_first(entries, &count, NULL);
    return count;
}

static coreproc_entries *list_all(coreproc_registry *registry)
{
    coreproc_entries *entries = NULL;
    OK(coreproc_registry_list(registry, &entries, &err));
    MUST(entries != NULL);
    return entries;
}

static void a_registered_daemon_is_found_with_all_that_was_said_of_it(void)
{
    make_folder();
    coreproc_registry *registry = new_registry();
    CHECK_TEXT(coreproc_registry_dir(registry), in_folder("daemons"));
    coreproc_entries *entries = NULL;
    FAILS_NAMING(COREPROC_NOT_FOUND, "\"core\"/\"agent\"",
                 coreproc_registry_get(registry, TEXT("core"), TEXT("agent"), &entries, &err));
    CHECK(entries == NULL);
    coreproc_daemon_entry entry = entry_of("core", "agent", getpid());
    entry.started_ns = UINT64_C(1772353230123456789);
    entry.health = "127.0.0.1:80 and more";
    entry.health_len = strlen("127.0.0.1:80");
    entry.project = "/srv/gr\xc3\xb6\xc3\x9f" "e";
    entry.project_len = strlen(entry.project);
    OK(coreproc_registry_register(registry, &entry, &err));
    OK(coreproc_registry_get(registry, TEXT("core"), TEXT("agent"), &entries, &err));
    CHECK_INT(entry_count(entries), 1);
    const coreproc_daemon_entry *found = entry_at(entries, 0);
    CHECK_INT(found->struct_size, sizeof *found);
    CHECK_INT(found->pid, getpid());
    CHECK(found->started_ns == UINT64_C(1772353230123456789));
    CHECK_TEXT(found->code, "core");
    CHECK_INT(found->code_len, 4);
    CHECK_TEXT(found->daemon, "agent");
    CHECK_TEXT(found->health, "127.0.0.1:80");
    CHECK_TEXT(found->project, entry.project);
    CHECK_INT(found->project_len, entry.project_len);
    CHECK_TEXT(found->binary, "");
    CHECK_INT(found->binary_len, 0);
    CHECK(coreproc_entries_problem(entries, 0) == NULL);
    coreproc_entries_free(entries);
    OK(coreproc_registry_unregister(registry, TEXT("core"), TEXT("agent"), &err));
    OK(coreproc_registry_unregister(registry, TEXT("core"), TEXT("agent"), &err));
    entries = list_all(registry);
    CHECK_INT(entry_count(entries), 0);
    coreproc_entries_free(entries);
    coreproc_registry *again = coreproc_registry_ref(registry);
    coreproc_registry_free(registry);
    CHECK_TEXT(coreproc_registry_dir(again), in_folder("daemons"));
    coreproc_registry_free(again);
    remove_folder();
}

static void a_list_is_of_the_living_in_order_and_tells_problems(void)
{
    make_folder();
    coreproc_registry *registry = new_registry();
    register_as(registry, "b", "2", getpid(), 2000000000);
    register_as(registry, "b", "1", getpid(), 2000000000);
    register_as(registry, "a-b", "c/d", getpid(), 1000000000);
    register_as(registry, "dead", "d", NOBODY, 1000000000);
    write_file(in_folder("daemons/junk.json"), "{\"code\": ");
    write_file(in_folder("daemons/empty.json"), "");
    coreproc_entries *entries = list_all(registry);
    CHECK_INT(entry_count(entries), 3);
    CHECK_TEXT(entry_at(entries, 0)->daemon, "c/d");
    CHECK_TEXT(entry_at(entries, 1)->daemon, "1");
    CHECK_TEXT(entry_at(entries, 2)->daemon, "2");
    const char *empty = coreproc_entries_problem(entries, 0), *junk = coreproc_entries_problem(entries, 1);
    MUST(empty != NULL && junk != NULL);
    CHECK(strstr(empty, "is empty") != NULL && strstr(empty, "empty.json.bad") != NULL);
    CHECK(strstr(junk, "line 1") != NULL && strstr(junk, "junk.json.bad") != NULL);
    CHECK(coreproc_entries_problem(entries, 2) == NULL);
    CHECK(exists(in_folder("daemons/junk.json.bad")) && !exists(in_folder("daemons/dead-d.json")));
    coreproc_entries_free(entries);
    write_file(in_folder("daemons/x-y.json"), "[]");
    FAILS_NAMING(COREPROC_MALFORMED, "x-y.json", coreproc_registry_get(registry, TEXT("x"), TEXT("y"), &entries, &err));
    coreproc_registry_free(registry);
    remove_folder();
}

static void plain_names_are_found_by_programs_that_do_not_encode_them(void)
{
    make_folder();
    coreproc_registry *encoded = new_registry(), *plain = NULL;
    coreproc_entries *entries = NULL;
    OK(coreproc_registry_new_plain(TEXT(in_folder("daemons")), &plain, &err));
    CHECK(strcmp(coreproc_registry_dir(plain), coreproc_registry_dir(encoded)) == 0);
    coreproc_daemon_entry entry = entry_of("a/b", "c-d", getpid());
    OK(coreproc_registry_register(plain, &entry, &err));
    CHECK(exists(in_folder("daemons/a-b-c-d.json")));
    OK(coreproc_registry_get(encoded, TEXT("a/b"), TEXT("c-d"), &entries, &err));
    coreproc_entries_free(entries);
    OK(coreproc_registry_register(encoded, &entry, &err));
    CHECK(!exists(in_folder("daemons/a-b-c-d.json")) && exists(in_folder("daemons/a%2Fb-c%2Dd.json")));
    OK(coreproc_registry_unregister(plain, TEXT("a/b"), TEXT("c-d"), &err));
    CHECK(!exists(in_folder("daemons/a%2Fb-c%2Dd.json")));
    coreproc_registry *out = NULL;
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "dir", coreproc_registry_new_plain(NULL, 3, &out, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_registry_new_plain("a", 1, NULL, &err));
    coreproc_registry_free(plain);
    coreproc_registry_free(encoded);
    remove_folder();
}

static void registry_arguments_are_checked(void)
{
    make_folder();
    coreproc_registry *registry = new_registry(), *out = NULL;
    coreproc_entries *entries = NULL;
    coreproc_daemon_entry entry = entry_of("a", "b", getpid());
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "dir", coreproc_registry_new(NULL, 3, &out, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "NUL", coreproc_registry_new("a\0b", 3, &out, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_registry_new("a", 1, NULL, &err));
    CHECK(out == NULL);
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "registry", coreproc_registry_register(NULL, &entry, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "entry", coreproc_registry_register(registry, NULL, &err));
    entry.code = NULL;
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "code", coreproc_registry_register(registry, &entry, &err));
    entry.code_len = 0;
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "code: is empty", coreproc_registry_register(registry, &entry, &err));
    entry = entry_of("a", "\xff", getpid());
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "daemon: is not UTF-8", coreproc_registry_register(registry, &entry, &err));
    entry = entry_of("a", "b", getpid());
    entry.binary_len = 1;
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "binary", coreproc_registry_register(registry, &entry, &err));
    entry = entry_of("a", "b", getpid());
    entry.struct_size = 8;
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "struct_size", coreproc_registry_register(registry, &entry, &err));
    struct {
        coreproc_daemon_entry entry;
        uint64_t tail;
    } longer = {entry_of("a", "b", getpid()), 0};
    longer.entry.struct_size = sizeof longer;
    OK(coreproc_registry_register(registry, &longer.entry, &err));
    longer.tail = 1;
    FAILS(COREPROC_INVALID_ARGUMENT, coreproc_registry_register(registry, &longer.entry, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "code", coreproc_registry_unregister(registry, NULL, 0, TEXT("b"), &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "daemon", coreproc_registry_unregister(registry, TEXT("a"), NULL, 1, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "registry", coreproc_registry_unregister(NULL, TEXT("a"), TEXT("b"), &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_registry_get(registry, TEXT("a"), TEXT("b"), NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "code", coreproc_registry_get(registry, "\xff", 1, TEXT("b"), &entries, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_registry_list(registry, NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "registry", coreproc_registry_list(NULL, &entries, &err));
    CHECK(entries == NULL);
    size_t count = 99, stride = 0;
    CHECK(coreproc_entries_first(NULL, &count, &stride) == NULL && count == 0 && stride >= sizeof entry);
    CHECK(coreproc_entries_first(NULL, NULL, NULL) == NULL);
    CHECK(coreproc_entries_problem(NULL, 0) == NULL);
    CHECK_TEXT(coreproc_registry_dir(NULL), "");
    CHECK(coreproc_registry_ref(NULL) == NULL);
    coreproc_entries_free(NULL);
    coreproc_registry_free(NULL);

    /* A directory that cannot be one. */
    write_file(in_folder("file"), "x");
    OK(coreproc_registry_new(TEXT(in_folder("file")), &out, &err));
    entry = entry_of("a", "b", getpid());
    FAILS_NAMING(COREPROC_SYSTEM, "make folder", coreproc_registry_register(out, &entry, &err));
    coreproc_registry_free(out);
    coreproc_registry_free(registry);
    remove_folder();
}

static void the_users_registry_is_below_home(void)
{
    coreproc_registry *registry = NULL;
    char *home = getenv("HOME"), *kept = home == NULL ? NULL : strdup(home);
    MUST(setenv("HOME", "/home/somebody", 1) == 0);
    OK(coreproc_registry_new(NULL, 0, &registry, &err));
    CHECK_TEXT(coreproc_registry_dir(registry), "/home/somebody/.core/daemons");
    coreproc_registry_free(registry);
    MUST(unsetenv("HOME") == 0);
    FAILS_NAMING(COREPROC_NOT_FOUND, "HOME", coreproc_registry_new(NULL, 0, &registry, &err));
    if (kept != NULL)
        setenv("HOME", kept, 1);
    free(kept);
}

/* ---- daemon ---- */

struct options {
    coreproc_daemon_options daemon;
    coreproc_daemon_entry entry;
    coreproc_registry *registry;
    char pid_file[300];
};

/* Makes a daemon with PID file, health server and registry, in the directory. */
static coreproc_daemon *new_daemon(struct options *options)
{
    coreproc_daemon *daemon = NULL;
    options->registry = new_registry();
    options->entry = entry_of("core", "agent", 0);
    snprintf(options->pid_file, sizeof options->pid_file, "%s", in_folder("run/it.pid"));
    options->daemon = (coreproc_daemon_options){
        .struct_size = sizeof options->daemon,
        .pid_file = options->pid_file,
        .pid_file_len = strlen(options->pid_file),
        .health_address = "127.0.0.1:0",
        .health_address_len = strlen("127.0.0.1:0"),
        .registry = options->registry,
        .entry = &options->entry,
    };
    OK(coreproc_daemon_new(&options->daemon, &daemon, &err));
    MUST(daemon != NULL);
    return daemon;
}

static void address_of(coreproc_daemon *daemon, char *text, size_t size)
{
    coreproc_bytes *bytes = NULL;
    OK(coreproc_daemon_health_address(daemon, &bytes, &err));
    snprintf(text, size, "%.*s", (int)coreproc_bytes_len(bytes), (const char *)coreproc_bytes_data(bytes));
    coreproc_bytes_free(bytes);
}

static bool answers(const char *address, uint32_t endpoint, const char *needle)
{
    uint32_t ok = 7;
    coreproc_bytes *reason = NULL;
    OK(coreproc_health_probe(TEXT(address), endpoint, CHECK_DEADLINE_MS, &ok, &reason, &err));
    bool found = memmem(coreproc_bytes_data(reason), coreproc_bytes_len(reason), TEXT(needle)) != NULL;
    if (!found)
        fprintf(check_out, "# \"%.*s\" lacks \"%s\"\n", (int)coreproc_bytes_len(reason),
                (const char *)coreproc_bytes_data(reason), needle);
    coreproc_bytes_free(reason);
    return found && ok == 1;
}

static void check_nothing_is_there(struct options *options)
{
    coreproc_entries *entries = NULL;
    CHECK(!exists(options->pid_file));
    FAILS(COREPROC_NOT_FOUND, coreproc_registry_get(options->registry, TEXT("core"), TEXT("agent"), &entries, &err));
}

static void a_daemon_that_runs_has_everything_and_gives_it_back(void)
{
    char before[128], address[128];
    make_folder();
    struct options options;
    coreproc_daemon *daemon = new_daemon(&options);
    CHECK_INT(coreproc_daemon_ready(daemon), 0);
    address_of(daemon, before, sizeof before);
    CHECK_TEXT(before, "127.0.0.1:0");
    OK(coreproc_daemon_start(daemon, &err));
    FAILS_NAMING(COREPROC_INVALID_STATE, "started already", coreproc_daemon_start(daemon, &err));
    address_of(daemon, address, sizeof address);
    CHECK(strcmp(address, before) != 0);
    CHECK(answers(address, COREPROC_ENDPOINT_HEALTH, "ok"));
    CHECK(answers(address, COREPROC_ENDPOINT_READY, "ready"));
    check_pid_file(options.pid_file, COREPROC_PID_ALIVE, getpid(), "");
    coreproc_entries *entries = NULL;
    OK(coreproc_registry_get(options.registry, TEXT("core"), TEXT("agent"), &entries, &err));
    const coreproc_daemon_entry *entry = entry_at(entries, 0);
    CHECK_INT(entry->pid, getpid());
    CHECK_TEXT(entry->health, address);
    CHECK(entry->project_len > 0 && entry->binary_len > 0 && entry->started_ns > 0);
    coreproc_entries_free(entries);

    OK(coreproc_daemon_set_ready(daemon, 0, &err));
    CHECK_INT(coreproc_daemon_ready(daemon), 0);
    CHECK(!answers(address, COREPROC_ENDPOINT_READY, "not ready"));
    OK(coreproc_daemon_set_ready(daemon, 1, &err));
    CHECK_INT(coreproc_daemon_ready(daemon), 1);

    FAILS(COREPROC_TIMED_OUT, coreproc_daemon_wait_for_stop_request(daemon, 0, &err));
    FAILS(COREPROC_TIMED_OUT, coreproc_daemon_wait_for_stop_request(daemon, 1, &err));
    OK(coreproc_daemon_request_stop(daemon, &err));
    OK(coreproc_daemon_wait_for_stop_request(daemon, -1, &err));
    OK(coreproc_daemon_run(daemon, &err));
    check_nothing_is_there(&options);
    OK(coreproc_daemon_stop(daemon, &err));
    FAILS_NAMING(COREPROC_INVALID_STATE, "not started", coreproc_daemon_run(daemon, &err));
    coreproc_daemon_free(daemon);
    coreproc_registry_free(options.registry);
    remove_folder();
}

static void *runner(void *daemon)
{
    OK(coreproc_daemon_run(daemon, &err));
    return NULL;
}

/* A thread that comes when others have stopped the daemon finds one that is not started. */
static void *maybe_late_runner(void *daemon)
{
    coreproc_result result = coreproc_daemon_run(daemon, NULL);
    CHECK(result == COREPROC_OK || result == COREPROC_INVALID_STATE);
    return NULL;
}

static void a_stop_in_one_thread_ends_the_run_in_others(void)
{
    make_folder();
    struct options options;
    coreproc_daemon *daemon = new_daemon(&options);
    OK(coreproc_daemon_start(daemon, &err));
    pthread_t runners[4];
    for (int i = 0; i < 4; i++)
        runners[i] = start_thread(maybe_late_runner, daemon);
    OK(coreproc_daemon_request_stop(daemon, &err));
    for (int i = 0; i < 4; i++)
        join_thread(runners[i]);
    CHECK_INT(coreproc_daemon_ready(daemon), 0);
    check_nothing_is_there(&options);
    coreproc_daemon_free(daemon);
    coreproc_registry_free(options.registry);
    remove_folder();
}

struct check {
    coreproc_daemon *daemon;
    atomic_int calls, destroyed;
};

static int32_t stop_from_inside(coreproc_check_answer *answer, void *user_data)
{
    struct check *check = user_data;
    OK(coreproc_check_answer_reason(answer, TEXT("stopping"), &err));
    FAILS(COREPROC_DEADLOCK, coreproc_daemon_stop(check->daemon, &err));
    FAILS(COREPROC_DEADLOCK, coreproc_daemon_run(check->daemon, &err));
    FAILS(COREPROC_DEADLOCK, coreproc_daemon_wait_for_stop_request(check->daemon, -1, &err));
    OK(coreproc_daemon_request_stop(check->daemon, &err));
    atomic_fetch_add(&check->calls, 1);
    return 3;
}

static void on_destroy(void *user_data)
{
    atomic_fetch_add(&((struct check *)user_data)->destroyed, 1);
}

static void *prober(void *address)
{
    CHECK(!answers(address, COREPROC_ENDPOINT_HEALTH, "stopping"));
    return NULL;
}

static void a_check_may_request_a_stop(void)
{
    char address[128];
    make_folder();
    struct options options;
    struct check check = {.daemon = new_daemon(&options)};
    OK(coreproc_daemon_add_check(check.daemon, TEXT("stops"), stop_from_inside, &check, on_destroy, &err));
    OK(coreproc_daemon_start(check.daemon, &err));
    address_of(check.daemon, address, sizeof address);
    pthread_t thread = start_thread(prober, address);
    OK(coreproc_daemon_run(check.daemon, &err));
    join_thread(thread);
    CHECK_INT(atomic_load(&check.calls), 1);
    check_nothing_is_there(&options);
    CHECK_INT(atomic_load(&check.destroyed), 0);
    coreproc_daemon *again = coreproc_daemon_ref(check.daemon);
    coreproc_daemon_free(check.daemon);
    CHECK_INT(atomic_load(&check.destroyed), 0);
    coreproc_daemon_free(again);
    CHECK_EVENTUALLY(atomic_load(&check.destroyed) == 1);
    coreproc_registry_free(options.registry);
    remove_folder();
}

static void destroy_runs_once_when_a_check_is_refused(void)
{
    struct check check = {.calls = 0};
    coreproc_daemon *bare = NULL;
    OK(coreproc_daemon_new(NULL, &bare, &err));
#define REFUSED(expected, ...)                                      \
    do {                                                            \
        atomic_store(&check.destroyed, 0);                          \
        FAILS(expected, coreproc_daemon_add_check(__VA_ARGS__));    \
        CHECK_INT(atomic_load(&check.destroyed), 1);                \
    } while (0)
    REFUSED(COREPROC_INVALID_STATE, bare, TEXT("x"), stop_from_inside, &check, on_destroy, &err);
    REFUSED(COREPROC_INVALID_ARGUMENT, NULL, TEXT("x"), stop_from_inside, &check, on_destroy, &err);
    REFUSED(COREPROC_INVALID_ARGUMENT, bare, TEXT("x"), NULL, &check, on_destroy, &err);
    REFUSED(COREPROC_INVALID_ARGUMENT, bare, "\xff", 1, stop_from_inside, &check, on_destroy, &err);
#undef REFUSED
    FAILS(COREPROC_INVALID_ARGUMENT, coreproc_daemon_add_check(bare, NULL, 0, NULL, &check, NULL, &err));
    CHECK_INT(atomic_load(&check.calls), 0);
    coreproc_daemon_free(bare);
}

static void a_start_that_fails_undoes_what_it_did(void)
{
    make_folder();
    struct options options;
    coreproc_daemon *daemon = new_daemon(&options), *other = NULL;
    coreproc_registry *broken = NULL;
    write_file(in_folder("file"), "x");
    OK(coreproc_registry_new(TEXT(in_folder("file")), &broken, &err));
    options.daemon.registry = broken;
    OK(coreproc_daemon_new(&options.daemon, &other, &err));
    coreproc_registry_free(broken);
    FAILS_NAMING(COREPROC_SYSTEM, "register daemon", coreproc_daemon_start(other, &err));
    check_nothing_is_there(&options);
    OK(coreproc_daemon_start(daemon, &err));
    FAILS_NAMING(COREPROC_BUSY, "it.pid", coreproc_daemon_start(other, &err));
    OK(coreproc_daemon_stop(daemon, &err));
    coreproc_daemon_free(other);
    coreproc_daemon_free(daemon);
    coreproc_registry_free(options.registry);
    remove_folder();
}

static void a_daemon_that_is_freed_gives_everything_back(void)
{
    char address[128];
    make_folder();
    struct options options;
    coreproc_daemon *daemon = new_daemon(&options);
    OK(coreproc_daemon_stop_on_signals(daemon, &err));
    OK(coreproc_daemon_start(daemon, &err));
    address_of(daemon, address, sizeof address);
    coreproc_daemon_free(daemon);
    check_nothing_is_there(&options);
    CHECK_EVENTUALLY(check_threads() == 1);
    coreproc_registry_free(options.registry);
    remove_folder();
}

static void daemon_arguments_are_checked(void)
{
    coreproc_daemon *out = NULL;
    coreproc_bytes *bytes = NULL;
    coreproc_daemon_entry entry = entry_of("a", "b", 0);
#define REFUSED(needle, ...)                                                                         \
    do {                                                                                             \
        coreproc_daemon_options options = {__VA_ARGS__};                                             \
        if (options.struct_size == 0)                                                                \
            options.struct_size = sizeof options;                                                    \
        FAILS_NAMING(COREPROC_INVALID_ARGUMENT, needle, coreproc_daemon_new(&options, &out, &err));  \
    } while (0)
    REFUSED("struct_size", .struct_size = 8);
    REFUSED("reserved", .reserved = 1);
    REFUSED("pid_file", .pid_file_len = 1);
    REFUSED("NUL", .pid_file = "a\0b", .pid_file_len = 3);
    REFUSED("health_address", .health_address = "\xff", .health_address_len = 1);
    coreproc_health_options health = {.struct_size = 3};
    REFUSED("struct_size", .health = &health);
    entry.pid = 5;
    REFUSED("pid is 5", .entry = &entry);
    entry = entry_of("a", "\xff", 0);
    REFUSED("daemon", .entry = &entry);
    entry = entry_of("a", "b", 0);
    entry.struct_size = 1;
    REFUSED("struct_size", .entry = &entry);
#undef REFUSED
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_daemon_new(NULL, NULL, &err));
    CHECK(out == NULL);
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "daemon", coreproc_daemon_start(NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "daemon", coreproc_daemon_stop(NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "daemon", coreproc_daemon_run(NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "daemon", coreproc_daemon_request_stop(NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "daemon", coreproc_daemon_set_ready(NULL, 1, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "daemon", coreproc_daemon_stop_on_signals(NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "daemon", coreproc_daemon_restore_signals(NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "daemon", coreproc_daemon_wait_for_stop_request(NULL, 0, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "daemon", coreproc_daemon_health_address(NULL, &bytes, &err));
    OK(coreproc_daemon_new(NULL, &out, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "timeout_ms", coreproc_daemon_wait_for_stop_request(out, -2, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "out", coreproc_daemon_health_address(out, NULL, &err));
    FAILS_NAMING(COREPROC_INVALID_ARGUMENT, "ready", coreproc_daemon_set_ready(out, 2, &err));
    OK(coreproc_daemon_health_address(out, &bytes, &err));
    CHECK_INT(coreproc_bytes_len(bytes), 0);
    coreproc_bytes_free(bytes);
    OK(coreproc_daemon_start(out, &err));
    OK(coreproc_daemon_stop(out, &err));
    coreproc_daemon_free(out);
    CHECK_INT(coreproc_daemon_ready(NULL), 0);
    CHECK(coreproc_daemon_ref(NULL) == NULL);
    coreproc_daemon_free(NULL);
}

/* ---- signals ---- */

static atomic_int caught;

static void on_signal(int signal)
{
    (void)signal;
    atomic_fetch_add(&caught, 1);
}

static void signals_stop_a_daemon_that_asked_and_go_back_to_what_they_were(void)
{
    struct sigaction before = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, now;
    MUST(sigaddset(&before.sa_mask, SIGUSR1) == 0);
    MUST(sigaction(SIGTERM, &before, NULL) == 0);
    /* The program that starts us in the background may have it ignored. */
    MUST(signal(SIGINT, SIG_DFL) != SIG_ERR);
    make_folder();
    struct options options;
    coreproc_daemon *daemon = new_daemon(&options);
    static const int signals[] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        OK(coreproc_daemon_stop_on_signals(daemon, &err));
        OK(coreproc_daemon_start(daemon, &err));
        pthread_t thread = start_thread(runner, daemon);
        MUST(kill(getpid(), signals[i]) == 0);
        join_thread(thread);
        check_nothing_is_there(&options);
        MUST(sigaction(SIGTERM, NULL, &now) == 0);
        CHECK(now.sa_handler == on_signal && sigismember(&now.sa_mask, SIGUSR1) == 1);
        CHECK((now.sa_flags & SA_RESTART) != 0 && (now.sa_flags & SA_ONSTACK) == 0);
        MUST(sigaction(SIGINT, NULL, &now) == 0);
        CHECK(now.sa_handler == SIG_DFL);
    }
    CHECK_INT(atomic_load(&caught), 0);
    OK(coreproc_daemon_stop_on_signals(daemon, &err));
    OK(coreproc_daemon_restore_signals(daemon, &err));
    OK(coreproc_daemon_restore_signals(daemon, &err));
    MUST(raise(SIGTERM) == 0);
    CHECK_INT(atomic_load(&caught), 1);
    coreproc_daemon_free(daemon);
    coreproc_registry_free(options.registry);
    MUST(signal(SIGTERM, SIG_DFL) != SIG_ERR);
    remove_folder();
}

/* ---- fork ---- */

static void in_a_child_of_fork_all_is_refused_and_the_parents_stays(void)
{
    make_folder();
    struct options options;
    coreproc_daemon *daemon = new_daemon(&options);
    OK(coreproc_daemon_start(daemon, &err));
    coreproc_pid_file *file = new_pid_file(in_folder("other.pid"));
    OK(coreproc_pid_file_acquire(file, &err));
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        coreproc_entries *entries = NULL;
        uint32_t state;
        bool refused = coreproc_daemon_start(daemon, NULL) == COREPROC_FORKED &&
                       coreproc_daemon_stop(daemon, NULL) == COREPROC_FORKED &&
                       coreproc_daemon_run(daemon, NULL) == COREPROC_FORKED &&
                       coreproc_daemon_request_stop(daemon, NULL) == COREPROC_FORKED &&
                       coreproc_pid_file_release(file, NULL) == COREPROC_FORKED &&
                       coreproc_pid_file_acquire(file, NULL) == COREPROC_FORKED &&
                       coreproc_pid_file_read(TEXT("x"), &state, NULL, NULL, NULL) == COREPROC_FORKED &&
                       coreproc_registry_list(options.registry, &entries, NULL) == COREPROC_FORKED;
        coreproc_daemon_free(daemon);
        coreproc_pid_file_free(file);
        /* The child execs another program, because valgrind would miss the memory of the parent's threads at an
         * exit. */
        if (refused)
            execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    int status = -1;
    MUST(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    check_pid_file(options.pid_file, COREPROC_PID_ALIVE, getpid(), "");
    check_pid_file(in_folder("other.pid"), COREPROC_PID_ALIVE, getpid(), "");
    OK(coreproc_pid_file_release(file, &err));
    coreproc_pid_file_free(file);
    OK(coreproc_daemon_stop(daemon, &err));
    check_nothing_is_there(&options);
    coreproc_daemon_free(daemon);
    coreproc_registry_free(options.registry);
    remove_folder();
}

/* ---- threads ---- */

static struct options shared_options;
static coreproc_daemon *shared;

static void *come_and_go(void *unused)
{
    (void)unused;
    char daemon_name[32];
    snprintf(daemon_name, sizeof daemon_name, "thread-%lx", (unsigned long)pthread_self());
    coreproc_registry *registry = coreproc_registry_ref(shared_options.registry);
    coreproc_daemon *daemon = coreproc_daemon_ref(shared);
    for (int i = check_count(20); i > 0; i--) {
        coreproc_entries *entries = NULL;
        register_as(registry, "c", daemon_name, getpid(), 0);
        OK(coreproc_registry_get(registry, TEXT("c"), TEXT(daemon_name), &entries, &err));
        coreproc_entries_free(entries);
        coreproc_entries_free(list_all(registry));
        OK(coreproc_registry_unregister(registry, TEXT("c"), TEXT(daemon_name), &err));
        if (coreproc_daemon_start(daemon, NULL) != COREPROC_OK)
            OK(coreproc_daemon_stop(daemon, &err));
        (void)coreproc_daemon_ready(daemon);
    }
    coreproc_daemon_free(daemon);
    coreproc_registry_free(registry);
    return NULL;
}

static void handles_may_be_used_by_all_threads_at_once(void)
{
    make_folder();
    shared = new_daemon(&shared_options);
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        threads[i] = start_thread(come_and_go, NULL);
    for (int i = 0; i < 8; i++)
        join_thread(threads[i]);
    OK(coreproc_daemon_stop(shared, &err));
    check_nothing_is_there(&shared_options);
    coreproc_daemon_free(shared);
    coreproc_registry_free(shared_options.registry);
    remove_folder();
}

/* `cargo test` builds tokio with the features of the benches, and keeps a pair of sockets from its first runtime on.
 * The library as it is shipped, and as the sanitizer has it, keeps nothing. */
static void let_test_builds_keep_theirs(void)
{
    if (check_under("asan"))
        return;
    coreproc_daemon *daemon = NULL;
    const coreproc_daemon_options options = {
        .struct_size = sizeof options, .health_address = "127.0.0.1:0", .health_address_len = strlen("127.0.0.1:0")};
    OK(coreproc_daemon_new(&options, &daemon, &err));
    OK(coreproc_daemon_start(daemon, &err));
    OK(coreproc_daemon_stop(daemon, &err));
    coreproc_daemon_free(daemon);
    CHECK_EVENTUALLY(check_threads() == 1);
    check_fds_at_start = check_fds();
}

int main(void)
{
    check_begin();
    let_test_builds_keep_theirs();
    RUN(a_pid_file_is_held_by_one);
    RUN(what_is_no_pid_file_is_refused);
    RUN(pid_file_arguments_are_checked);
    RUN(a_registered_daemon_is_found_with_all_that_was_said_of_it);
    RUN(a_list_is_of_the_living_in_order_and_tells_problems);
    RUN(plain_names_are_found_by_programs_that_do_not_encode_them);
    RUN(registry_arguments_are_checked);
    RUN(the_users_registry_is_below_home);
    RUN(a_daemon_that_runs_has_everything_and_gives_it_back);
    RUN(a_stop_in_one_thread_ends_the_run_in_others);
    RUN(a_check_may_request_a_stop);
    RUN(destroy_runs_once_when_a_check_is_refused);
    RUN(a_start_that_fails_undoes_what_it_did);
    RUN(a_daemon_that_is_freed_gives_everything_back);
    RUN(daemon_arguments_are_checked);
    RUN(signals_stop_a_daemon_that_asked_and_go_back_to_what_they_were);
    RUN(in_a_child_of_fork_all_is_refused_and_the_parents_stays);
    RUN(handles_may_be_used_by_all_threads_at_once);
    return check_end();
}
