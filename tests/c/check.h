/* TAP for one theme: `ok - name` for each test, the sums last. Checks may be made on any thread. */
#ifndef CHECK_H
#define CHECK_H

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "coreproc.h"

/* A guard against hanging, never a measure. */
#define CHECK_DEADLINE_MS 120000

static FILE *check_out; /* a high copy of stdout: some tests close fds 0-2 */
static const char *check_name;
static atomic_int check_faults;
static int check_passed, check_failed, check_fds_at_start;

static inline bool check_that(bool holds, const char *what, const char *file, int line)
{
    if (!holds) {
        atomic_fetch_add(&check_faults, 1);
        fprintf(check_out, "# %s:%d: %s\n", file, line, what);
    }
    return holds;
}

static inline bool check_int(long long actual, long long expected, const char *what, const char *file, int line)
{
    if (actual == expected)
        return true;
    fprintf(check_out, "# is %lld, should be %lld\n", actual, expected);
    return check_that(false, what, file, line);
}

static inline bool check_text(const char *actual, const char *expected, const char *what, const char *file, int line)
{
    if (actual != NULL && strcmp(actual, expected) == 0)
        return true;
    fprintf(check_out, "# is \"%s\", should be \"%s\"\n", actual == NULL ? "(null)" : actual, expected);
    return check_that(false, what, file, line);
}

static inline void check_sum(void)
{
    fprintf(check_out, "%d passed, %d failed\n", check_passed, check_failed);
    fflush(check_out);
}

/* Reports and leaves when going on would make no sense, without running exit handlers beside live threads. */
static inline void check_give_up(void)
{
    check_failed++;
    fprintf(check_out, "not ok - %s\n", check_name);
    check_sum();
    _exit(1);
}

#define CHECK(condition) check_that((condition), #condition, __FILE__, __LINE__)
#define CHECK_INT(actual, expected) check_int((long long)(actual), (long long)(expected), #actual, __FILE__, __LINE__)
#define CHECK_TEXT(actual, expected) check_text((actual), (expected), #actual, __FILE__, __LINE__)
#define MUST(condition) ((void)(CHECK(condition) || (check_give_up(), false)))

static inline void check_run(const char *name, void (*test)(void))
{
    check_name = name;
    atomic_store(&check_faults, 0);
    test();
    if (atomic_load(&check_faults) == 0) {
        check_passed++;
        fprintf(check_out, "ok - %s\n", name);
    } else {
        check_failed++;
        fprintf(check_out, "not ok - %s\n", name);
    }
    fflush(check_out);
}

#define RUN(test) check_run(#test, test)

static inline bool check_under(const char *tool)
{
    const char *under = getenv("COREPROC_UNDER");
    return under != NULL && strcmp(under, tool) == 0;
}

/* Returns `usual` times COREPROC_SCALE, at least one. */
static inline int check_count(int usual)
{
    const char *scale = getenv("COREPROC_SCALE");
    double count = usual * (scale == NULL || *scale == '\0' ? 1.0 : strtod(scale, NULL));
    MUST(count >= 0 && count < 1e9);
    int whole = count < 1 ? 1 : (int)count;
    fprintf(check_out, "# %s: count %d\n", check_name, whole);
    return whole;
}

/* Counts the entries of a directory of /proc. */
static inline int check_entries(const char *path)
{
    DIR *dir = opendir(path);
    MUST(dir != NULL);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static inline int check_fds(void)
{
    return check_entries("/proc/self/fd") - 1; /* without the one that reads the directory */
}

static inline int check_threads(void)
{
    return check_entries("/proc/self/task");
}

/* Returns whether there are children that are not yet reaped, zombies included, without reaping them. */
static inline bool check_has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static inline int64_t check_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void check_pause(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Waits for a condition that has no event (a thread's end, a foreign process's death). */
#define CHECK_EVENTUALLY(condition)                                         \
    do {                                                                    \
        int64_t check_end_ms = check_now_ms() + CHECK_DEADLINE_MS;          \
        while (!(condition) && check_now_ms() < check_end_ms)               \
            check_pause();                                                  \
        CHECK(condition);                                                   \
    } while (0)

static inline void nothing_is_left_behind(void)
{
    CHECK_EVENTUALLY(check_threads() == 1);
    CHECK_INT(check_fds(), check_fds_at_start);
    CHECK(!check_has_children());
}

static inline void check_begin(void)
{
    alarm(900); /* SIGALRM's default action ends a program that hangs */
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 100);
    check_out = fd < 0 ? NULL : fdopen(fd, "w");
    if (check_out == NULL)
        abort();
    setvbuf(check_out, NULL, _IOLBF, 4096);
    check_name = "begin";
#ifdef CHECK_STATIC
    fprintf(check_out, "# library: linked statically\n");
#else
    Dl_info library;
    MUST(dlsym(RTLD_DEFAULT, "coreproc_version") != NULL);
    MUST(dladdr(dlsym(RTLD_DEFAULT, "coreproc_version"), &library) != 0);
    fprintf(check_out, "# library: %s\n", library.dli_fname);
#endif
    check_fds_at_start = check_fds();
}

/* Every handle has been freed by now, so nothing of the library may remain. */
static inline int check_end(void)
{
    RUN(nothing_is_left_behind);
    check_sum();
    return check_failed == 0 ? 0 : 1;
}

#endif
