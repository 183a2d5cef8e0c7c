/* The bare kernel work of a spawn: three pipes, clone with a pidfd, shared memory and vfork semantics (what clone3 does
   too), dup2, execve. No signal is blocked and nothing is reset: less than a library may do. */
#ifndef BENCH_LIMIT_CHILD_H
#define BENCH_LIMIT_CHILD_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../shared/host.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

struct child {
  int pidfd, in, out, err;
};

struct child_plan {
  char **argv;
  int in, out, err;
};

static int child_main(void *argument) {
  struct child_plan *plan = argument;
  if (dup2(plan->in, 0) < 0 || dup2(plan->out, 1) < 0 || dup2(plan->err, 2) < 0)
    _exit(126);
  execve(plan->argv[0], plan->argv, environ);
  _exit(127);
}

static inline struct child child_spawn(char **argv) {
  static __thread char stack[32768] __attribute__((aligned(64)));
  int in[2], out[2], err[2], pidfd;
  CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0, "pipe2");
  struct child_plan plan = {argv, in[0], out[1], err[1]};
  int pid = clone(child_main, stack + sizeof stack, CLONE_PIDFD | CLONE_VM | CLONE_VFORK | SIGCHLD, &plan, &pidfd);
  CHECK(pid > 0, "clone");
  close(in[0]);
  close(out[1]);
  close(err[1]);
  return (struct child){pidfd, in[1], out[0], err[0]};
}

static inline siginfo_t child_wait(const struct child *child) {
  siginfo_t info;
  int result;
  do
    result = waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED);
  while (result < 0 && errno == EINTR);
  CHECK(result == 0, "waitid");
  return info;
}

static inline void child_close(const struct child *child) {
  close(child->pidfd);
  close(child->in);
  close(child->out);
  close(child->err);
}

static inline siginfo_t child_reap(const struct child *child) {
  siginfo_t info = child_wait(child);
  child_close(child);
  return info;
}
#endif
