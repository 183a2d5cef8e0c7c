// coreproc: process management from C. Generated from the Rust sources in src/ffi; do not edit.
//
// Results. A call that can fail returns a coreproc_result: 0, or a negative code. Its last
// argument, `coreproc_error **err`, may be NULL and is written only on failure; outputs are written
// only on success. NULL, a bad length, an unknown value or a call after close is an error, never a
// crash; a dangling or misaligned pointer is undefined, as everywhere in C. `struct_size` is the
// sizeof of the struct as the caller knows it.
//
// Ownership. Memory that the library allocates is freed by the `_free` function of its type: it
// accepts NULL, never blocks, never fails, never kills. Arguments are copied before the call
// returns. A string that is passed in is a pointer and a length (NULL with 0 is empty); text that
// comes out is UTF-8 and ends with a NUL.
//
// Threads. Services, processes and subscriptions are reference-counted and may be used from any
// thread at once. Commands are builders and belong to one thread at a time. In a child of fork()
// every call that can fail returns COREPROC_FORKED, and the others do nothing, until the child
// calls coreproc_after_fork_child to have services of its own. The library installs
// no signal handler, unless coreproc_daemon_stop_on_signals asks for it; its threads are called
// coreproc-*, and block all signals but the two that libc keeps for itself.
//
// What a host may do meanwhile. A call is not a cancellation point: a thread that pthread_cancel(3)
// hits inside a call ends after it, and callbacks on the library's threads cannot be cancelled.
// (POSIX allows no library call in a thread with the asynchronous type; here such a thread ends as
// it comes out of the call.) A call must not be left by longjmp(3), siglongjmp(3), pthread_exit(3)
// or an exception, neither from a callback nor from a signal handler that interrupts it: locks
// would stay taken. A signal handler delays the call that it interrupts, and the work for the
// service that this thread does: a thread that waits does the work of its service. Deadlines
// (timeouts, grace periods) are met nevertheless, and from the first of them on events are handled,
// too; earlier events, of any process, wait until the handler returns.
//
// Descriptors of the library must be left alone by the host. After closefrom(3) each service whose
// descriptors were closed is broken: its waits end, and its calls return COREPROC_SYSTEM with errno
// EBADF; its processes run on, and are not reaped. The library touches no descriptor number that
// may be the host's by then, with these exceptions: calls in the moment before it notices the
// close; while a forked copy of the host lives, which holds the descriptors too, waits that are
// under way do not end, and other calls return the error; health servers, progress views, PID files
// and history files do not notice, so free them before.
//
// Memory. When it runs out, calls return COREPROC_OUT_OF_MEMORY; large buffers and threads are
// refused, and small allocations come from a reserve of 1 MiB, half of which calls may use.
// Without memory, coreproc_health_free and coreproc_daemon_free leave the server running, and its
// memory is lost. The process is aborted when the reserve is used up, and when another thread takes
// the last memory while a thread of the library starts. A library that was built by cargo alone,
// without `make build`, has no reserve: there, a small allocation that fails aborts.
//
// Times are milliseconds (`_ms`; a timeout of -1 waits for ever, 0 only looks) or nanoseconds
// (`_ns`). Link with pkg-config: cc main.c $(pkg-config --cflags --libs coreproc)


#ifndef COREPROC_H
#define COREPROC_H

#include <stddef.h>
#include <stdint.h>

// The version of this header; `coreproc_version` and `coreproc_abi_version` return that of the
// library.
#define COREPROC_VERSION "0.1.0"
#define COREPROC_VERSION_MAJOR 0
#define COREPROC_VERSION_MINOR 1
#define COREPROC_VERSION_PATCH 0
#define COREPROC_ABI_VERSION 1

// Success.
#define COREPROC_OK 0

// NULL, a bad length, an unknown value, or a NUL byte in a string. The message names the argument.
#define COREPROC_INVALID_ARGUMENT -1

// There is no such program, interpreter, file, directory or process.
#define COREPROC_NOT_FOUND -2

// The kernel refused for lack of permission (EACCES, EPERM), or other users could tamper with what
// is there.
#define COREPROC_PERMISSION_DENIED -3

// Another system call failed; see `coreproc_error_errno`.
#define COREPROC_SYSTEM -4

// Memory could not be allocated.
#define COREPROC_OUT_OF_MEMORY -5

// The process has ended.
#define COREPROC_NOT_RUNNING -6

// Standard input is not a pipe, was closed, or has no reader left.
#define COREPROC_STDIN_CLOSED -7

// The time ran out first.
#define COREPROC_TIMED_OUT -8

// The service or the subscription is closed, or the stream of events has ended.
#define COREPROC_CLOSED -9

// A call from inside a callback would have to wait.
#define COREPROC_DEADLOCK -10

// The call was made in a child of fork(), which has none of the library's threads.
#define COREPROC_FORKED -11

// A bug in the library. The message says what panicked.
#define COREPROC_PANIC -12

// The kernel, its filters, or this build of the library lack something that is needed.
#define COREPROC_UNSUPPORTED -13

// In use: a PID file of a daemon that lives, or an address that another server listens at.
#define COREPROC_BUSY -14

// A file, JSON, or an answer that was read is not what it should be. The message says where.
#define COREPROC_MALFORMED -15

// Not in the state that the call is for: started twice, or run before it was started.
#define COREPROC_INVALID_STATE -16

// For sizes and durations: no limit, or never, as the field says. 0 is the default.
#define COREPROC_UNLIMITED 18446744073709551615ull

// For captures, which always have a limit: keeps nothing. To keep everything, ask for INT64_MAX
// bytes; memory is taken as output comes.
#define COREPROC_CAPTURE_NONE 18446744073709551615ull

// For coreproc_service_close: leaves the children alone.
#define COREPROC_CLOSE_LEAVE 1

// For coreproc_service_close: stops each child by its command's stop options.
#define COREPROC_CLOSE_STOP 2

// For coreproc_service_close: sends SIGKILL to each child, and to its group if it leads one.
#define COREPROC_CLOSE_KILL 3

// A process group of its own, which it leads; the default. The kernel stops it when it reads from
// the terminal.
#define COREPROC_GROUP_OWN 1

// The host's process group: it can use the terminal as the host can.
#define COREPROC_GROUP_INHERIT 2

// A session of its own, and in it a group as with OWN: it has no terminal (setsid(2)), and can take
// one. Unlike a detached command it has pipes to the library.
#define COREPROC_GROUP_SESSION 3

// Standard input.
#define COREPROC_STREAM_STDIN 0

// Standard output.
#define COREPROC_STREAM_STDOUT 1

// Standard error.
#define COREPROC_STREAM_STDERR 2

// /dev/null; the default of standard input. (For a command with a pseudo-terminal, that is the
// default of every stream: see coreproc_command_pty.)
#define COREPROC_STDIO_NULL 1

// A pipe of ours; the default of outputs.
#define COREPROC_STDIO_PIPE 2

// The host's own. To read from the host's terminal a child has to be in its group: see
// coreproc_command_group.
#define COREPROC_STDIO_INHERIT 3

// Standard error alone: wherever standard output goes, in the exact order of writing.
#define COREPROC_STDIO_MERGE 4

// Outputs alone: an unlinked file (in TMPDIR, else /tmp) that the child appends to and that we
// follow; the default of outputs of a detached command. A child that opens it again by name, as
// `echo > /dev/stdout` does, empties it and writes from its start: it is followed from there.
// Bytes that were seen to wait unread then are counted in `discarded_bytes`; bytes that were
// written and emptied before the library looked cannot be. A part of more than a mebibyte that was
// never written counts as lost, too.
#define COREPROC_STDIO_SPOOL 5

// Standard input alone: a file to read.
#define COREPROC_FILE_READ 1

// Outputs alone: a file, created with 0666 less the umask, and emptied.
#define COREPROC_FILE_TRUNCATE 2

// Outputs alone: a file, created with 0666 less the umask, and appended to.
#define COREPROC_FILE_APPEND 3

// The tree if the command asks for a containment, else the group if the process leads its own, else
// the process; for coreproc_process_signal the process.
#define COREPROC_SCOPE_DEFAULT 0

// The process alone.
#define COREPROC_SCOPE_PROCESS 1

// The process group that it leads.
#define COREPROC_SCOPE_GROUP 2

// The process and all that it has started: each process in its cgroup if it has one, even after
// the process itself is closed. Otherwise its group, if it leads one, and its descendants as far as
// /proc shows them: a process whose parent has ended is not found unless it is in the group.
#define COREPROC_SCOPE_TREE 3

// Before all others, at a level from 0, the best, to 7. Needs CAP_SYS_ADMIN or CAP_SYS_NICE.
#define COREPROC_IO_REAL_TIME 1

// The usual class, at a level from 0, the best, to 7.
#define COREPROC_IO_BEST_EFFORT 2

// Only when nobody else wants the disk; the level is 0.
#define COREPROC_IO_IDLE 3

// Its group if it leads one, and nothing more. The default.
#define COREPROC_CONTAIN_DEFAULT 0

// The best rung that the system allows.
#define COREPROC_CONTAIN_PREFER 1

// No group and no cgroup, but a mark, by which coreproc_process_tree names what got away.
#define COREPROC_CONTAIN_PROCESS 2

// Its group, and the mark; the spawn fails if it leads none.
#define COREPROC_CONTAIN_GROUP 3

// A cgroup, or the spawn fails.
#define COREPROC_CONTAIN_CGROUP 4

// The version of flat commands: the `uint32_t` that each begins with.
#define COREPROC_FLAT_VERSION 1

// The first option of every flat command, once: the program, as for coreproc_command_new.
#define COREPROC_FLAT_PROGRAM 1

// Bytes, as for coreproc_command_arg; once for each argument.
#define COREPROC_FLAT_ARG 2

// Bytes, as for coreproc_command_arg0.
#define COREPROC_FLAT_ARG0 3

// Bytes, as for coreproc_command_env.
#define COREPROC_FLAT_ENV 4

// Nothing; see coreproc_command_env_clear.
#define COREPROC_FLAT_ENV_CLEAR 5

// Bytes, as for coreproc_command_env_whole.
#define COREPROC_FLAT_ENV_WHOLE 6

// Bytes, as for coreproc_command_cwd.
#define COREPROC_FLAT_CWD 7

// Bytes, as for coreproc_command_search_path.
#define COREPROC_FLAT_SEARCH_PATH 8

// `uint32_t` stream, `uint32_t` mode, as for coreproc_command_stdio.
#define COREPROC_FLAT_STDIO 9

// `uint32_t` stream, `int32_t` descriptor, as for coreproc_command_stdio_fd.
#define COREPROC_FLAT_STDIO_FD 10

// `uint32_t` stream, `uint32_t` mode, and the bytes of the path, as for
// coreproc_command_stdio_file.
#define COREPROC_FLAT_STDIO_FILE 11

// `uint64_t` bytes, as for coreproc_command_capture.
#define COREPROC_FLAT_CAPTURE 12

// `uint32_t` mode, as for coreproc_command_group.
#define COREPROC_FLAT_GROUP 13

// Nothing; see coreproc_command_detach.
#define COREPROC_FLAT_DETACH 14

// `uint64_t` bytes, as for coreproc_command_spool_max.
#define COREPROC_FLAT_SPOOL_MAX 15

// `uint64_t` milliseconds, as for coreproc_command_timeout.
#define COREPROC_FLAT_TIMEOUT 16

// `uint32_t` scope, `int32_t` signal, `uint64_t` grace in milliseconds, as in
// coreproc_stop_options.
#define COREPROC_FLAT_STOP 17

// `uint64_t` silence, `uint64_t` total, in milliseconds, as for coreproc_command_drain.
#define COREPROC_FLAT_DRAIN 18

// Bytes, as for coreproc_command_user.
#define COREPROC_FLAT_USER 20

// Bytes, as for coreproc_command_primary_group.
#define COREPROC_FLAT_PRIMARY_GROUP 21

// Bytes, as for coreproc_command_supplementary_groups.
#define COREPROC_FLAT_SUPPLEMENTARY_GROUPS 22

// `uint32_t` mask, as for coreproc_command_umask.
#define COREPROC_FLAT_UMASK 23

// Nothing; see coreproc_command_no_new_privileges.
#define COREPROC_FLAT_NO_NEW_PRIVILEGES 24

// Bytes, as for coreproc_command_drop_capabilities.
#define COREPROC_FLAT_DROP_CAPABILITIES 25

// `int32_t` signal, as for coreproc_command_keep_ignored.
#define COREPROC_FLAT_KEEP_IGNORED 26

// `int32_t` descriptor, as for coreproc_command_cwd_fd.
#define COREPROC_FLAT_CWD_FD 27

// `uint32_t` resource, `uint64_t` soft, `uint64_t` hard, as for coreproc_command_resource_limit.
#define COREPROC_FLAT_RESOURCE_LIMIT 28

// `int32_t`, as for coreproc_command_nice.
#define COREPROC_FLAT_NICE 29

// `uint32_t` policy, `uint32_t` priority, as for coreproc_command_scheduling.
#define COREPROC_FLAT_SCHEDULING 30

// `uint32_t` class, `uint32_t` level, as for coreproc_command_io_priority.
#define COREPROC_FLAT_IO_PRIORITY 31

// A `uint32_t` for each processor, as for coreproc_command_cpu_affinity.
#define COREPROC_FLAT_CPU_AFFINITY 32

// `int32_t`, as for coreproc_command_oom_score.
#define COREPROC_FLAT_OOM_SCORE 33

// `int32_t` signal, as for coreproc_command_die_with_host.
#define COREPROC_FLAT_DIE_WITH_HOST 34

// Bytes, as for coreproc_command_stdin_data.
#define COREPROC_FLAT_STDIN_DATA 40

// `uint32_t` number, `uint32_t` mode, as for coreproc_command_descriptor.
#define COREPROC_FLAT_DESCRIPTOR 41

// `uint32_t` number, and the bytes, as for coreproc_command_descriptor_data.
#define COREPROC_FLAT_DESCRIPTOR_DATA 42

// `uint32_t` number, `int32_t` descriptor, as for coreproc_command_descriptor_fd.
#define COREPROC_FLAT_DESCRIPTOR_FD 43

// `uint32_t` number, `uint32_t` mode, and the bytes of the path, as for
// coreproc_command_descriptor_file.
#define COREPROC_FLAT_DESCRIPTOR_FILE 44

// `int32_t` descriptor, and the bytes of the name, as for coreproc_command_listen_fd.
#define COREPROC_FLAT_LISTEN_FD 45

// `uint32_t` columns, `uint32_t` rows, `uint32_t` mode, as for coreproc_command_pty.
#define COREPROC_FLAT_PTY 55

// `int32_t` descriptor, as for coreproc_command_foreground.
#define COREPROC_FLAT_FOREGROUND 56

// `uint32_t` containment, as for coreproc_command_contain.
#define COREPROC_FLAT_CONTAIN 65

// `uint64_t` bytes, as for coreproc_command_memory_max.
#define COREPROC_FLAT_MEMORY_MAX 66

// `uint64_t` count, as for coreproc_command_processes_max.
#define COREPROC_FLAT_PROCESSES_MAX 67

// `uint32_t` thousandths, as for coreproc_command_cpu_max.
#define COREPROC_FLAT_CPU_MAX 68

// `uint32_t` scope, and for each step an `int32_t` signal and a `uint64_t` grace in milliseconds, as
// in coreproc_stop_step.
#define COREPROC_FLAT_STOP_STEPS 80

// `uint64_t` milliseconds, as for coreproc_command_start_timeout.
#define COREPROC_FLAT_START_TIMEOUT 81

// `uint64_t` milliseconds, as for coreproc_command_silence_timeout.
#define COREPROC_FLAT_SILENCE_TIMEOUT 82

// `uint64_t` milliseconds, as for coreproc_command_cpu_time_limit.
#define COREPROC_FLAT_CPU_TIME_LIMIT 83

// `uint64_t` bytes, as for coreproc_command_output_limit.
#define COREPROC_FLAT_OUTPUT_LIMIT 84

// `uint64_t` milliseconds, as for coreproc_command_report_stops.
#define COREPROC_FLAT_REPORT_STOPS 85

// `uint64_t` bytes, as for coreproc_command_capture_head.
#define COREPROC_FLAT_CAPTURE_HEAD 95

// `uint64_t` lines, as for coreproc_command_capture_lines.
#define COREPROC_FLAT_CAPTURE_LINES 96

// Nothing; see coreproc_command_capture_apart.
#define COREPROC_FLAT_CAPTURE_APART 97

// A pipe that we read. Its output comes in events of the kind OUTPUT, and is kept in a capture of
// its own for coreproc_process_output_of; it is read to its end before the process counts
// as closed.
#define COREPROC_DESCRIPTOR_OUTPUT 1

// A pipe for coreproc_process_descriptor_write.
#define COREPROC_DESCRIPTOR_INPUT 2

// As a user finds a terminal: what is written is echoed; the program reads whole lines, which
// Backspace edits and of which each has up to 4,095 bytes; Ctrl-C, Ctrl-\ and Ctrl-Z are signals;
// `\n` in its output becomes `\r\n`.
#define COREPROC_PTY_COOKED 1

// The same without echo.
#define COREPROC_PTY_NO_ECHO 2

// As cfmakeraw(3) has it: every byte passes as it is, in both directions, and nothing is echoed.
#define COREPROC_PTY_RAW 3

// Both standard outputs together, for coreproc_process_output_of.
#define COREPROC_OUTPUT_TOGETHER 4294967295

// The bytes as the process wrote them. The default.
#define COREPROC_LOG_RAW 1

// A line for each line, in the format of container logs (CRI): the time in RFC 3339 with
// nanoseconds, the stream (stdout, stderr, or fd and a number), F for a whole line or P for a
// piece of one, and the text.
#define COREPROC_LOG_CRI 2

// It runs.
#define COREPROC_STATE_RUNNING 1

// Its leader has ended and was reaped; its output is being read to the end.
#define COREPROC_STATE_EXITED 2

// Nothing follows.
#define COREPROC_STATE_CLOSED 3

// What it used is not known: it runs, the host reaped it, or a filter forbids to ask.
#define COREPROC_RUSAGE_UNKNOWN 0

// What it used is known.
#define COREPROC_RUSAGE_EXACT 1

// What it used is known, but max_rss_bytes is an upper bound: the kernel counts what the host itself
// had resident when it started the process, and the process has not been beyond the host's own peak.
#define COREPROC_RUSAGE_RSS_AT_MOST 2

// None: the process is in the host's group.
#define COREPROC_RUNG_PROCESS 1

// A process group, which each process can leave (setsid(2), setpgid(2)).
#define COREPROC_RUNG_GROUP 2

// A cgroup of its own in the v2 hierarchy, which no process leaves without the right to write to
// another cgroup.
#define COREPROC_RUNG_CGROUP 3

// A figure that is not known.
#define COREPROC_UNKNOWN 18446744073709551615ull

// It has not ended.
#define COREPROC_CAUSE_NONE 0

// It ended by itself, or by a signal that was sent as such.
#define COREPROC_CAUSE_NATURAL 1

// It was stopped.
#define COREPROC_CAUSE_STOPPED 2

// It was killed.
#define COREPROC_CAUSE_KILLED 3

// Its timeout stopped it.
#define COREPROC_CAUSE_TIMEOUT 4

// It was stopped because the run that it is part of was cancelled.
#define COREPROC_CAUSE_CANCELLED 5

// It was stopped because it wrote nothing in the time for its first output.
#define COREPROC_CAUSE_START_TIMEOUT 6

// It was stopped because it wrote nothing for too long.
#define COREPROC_CAUSE_SILENCE 7

// It was stopped because it used more CPU time than it may.
#define COREPROC_CAUSE_CPU_TIME 8

// It was stopped because it wrote more than it may.
#define COREPROC_CAUSE_OUTPUT_LIMIT 9

// The host reaped the child and the kernel could not tell how it ended: exit_code is -1, signal is
// 0.
#define COREPROC_FLAG_STATUS_UNKNOWN 1

// The signal that ended it left a core dump.
#define COREPROC_FLAG_CORE_DUMPED 2

// A piece of a line that is longer than the maximum: the next event of this stream continues it.
#define COREPROC_FLAG_PARTIAL 4

// The last line, which had no "\n".
#define COREPROC_FLAG_NO_NEWLINE 8

// It was closed at the drain bound: another process still holds its output pipes.
#define COREPROC_FLAG_DRAIN_BOUND 16

// Output before this event was lost, because there was no memory for it.
#define COREPROC_FLAG_LOST 32

// In an info: the kernel refuses the signal of a stop, a timeout or a close, usually because the
// process has become another user's. The signal is tried again until it is taken or the process
// ends.
#define COREPROC_FLAG_STOP_REFUSED 64

// Bytes of this output that are no UTF-8 were replaced by U+FFFD (COREPROC_ENCODING_UTF8).
#define COREPROC_FLAG_REPLACED 128

// One of its threads runs, or could.
#define COREPROC_DOING_RUNNING 1

// It waits for something: input, a child, a time.
#define COREPROC_DOING_SLEEPING 2

// It waits in the kernel and cannot be interrupted, usually for a disk.
#define COREPROC_DOING_UNINTERRUPTIBLE 3

// It is stopped.
#define COREPROC_DOING_STOPPED 4

// A debugger has stopped it.
#define COREPROC_DOING_TRACED 5

// It has ended, and is about to be reaped.
#define COREPROC_DOING_ZOMBIE 6

// No process of the tree waits for input.
#define COREPROC_AWAITS_NOTHING 1

// A process of the tree waits for input: it is blocked until the standard input of the root, or a
// terminal, can be read, in read(2), or in poll(2), select(2) or epoll_wait(2) beside other files.
#define COREPROC_AWAITS_INPUT 2

// It cannot be told of a process of the tree: it may not be traced, or is a 32-bit program, or
// waits in io_uring.
#define COREPROC_AWAITS_UNKNOWN 3

// Output as it was read.
#define COREPROC_DELIVERY_CHUNKS 1

// One event a line, without its "\n"; a "\r" before it is kept. The default.
#define COREPROC_DELIVERY_LINES 2

// No output: lifecycle events alone.
#define COREPROC_DELIVERY_NONE 3

// One or more whole lines of a stream in one event, each with its "\n", for callers that split
// them faster than they could read an event for each. A piece of an overlong line (PARTIAL), and a
// last line without "\n" (NO_NEWLINE), come alone, as with LINES.
#define COREPROC_DELIVERY_WHOLE_LINES 4

// Every lifecycle event. The default.
#define COREPROC_LIFECYCLE_ALL 1

// The last event of each process (CLOSED) and of each run (RUN_ENDED) alone, for subscribers that
// need only ends; also the first event (STARTED) of each process of a run, because no other event
// names it.
#define COREPROC_LIFECYCLE_ENDS 2

// The child's pipes are not read while the queue is full, so the kernel slows it. The default.
#define COREPROC_OVERFLOW_BLOCK 1

// The oldest output that waits is dropped until half of the queue is free; at least the newest
// event is kept. An event of the kind OVERFLOW stands in its place.
#define COREPROC_OVERFLOW_DROP_OLDEST 2

// What comes is dropped until something is taken. The next event is of the kind OVERFLOW.
#define COREPROC_OVERFLOW_DROP_NEWEST 3

// Output as any bytes. The default.
#define COREPROC_ENCODING_BYTES 1

// Output as UTF-8: no event ends within a character. Bytes that are no UTF-8 are replaced by
// U+FFFD, and the event has the flag REPLACED.
#define COREPROC_ENCODING_UTF8 2

// Every process of the service that is spawned, and every run that is started, after the
// subscription opened. The default.
#define COREPROC_SUBSCRIBE_ALL 1

// Processes whose command named it (coreproc_command_subscribe), and runs whose options did, with
// their processes.
#define COREPROC_SUBSCRIBE_NAMED 2

// The process runs; the first event of each process.
#define COREPROC_EVENT_STARTED 1

// It wrote to standard output.
#define COREPROC_EVENT_STDOUT 2

// It wrote to standard error.
#define COREPROC_EVENT_STDERR 3

// Its leader has ended and was reaped; output may follow.
#define COREPROC_EVENT_EXITED 4

// Nothing follows. With the flag DRAIN_BOUND, the data name the processes that still hold its
// pipes, "PID COMMAND\n" each.
#define COREPROC_EVENT_CLOSED 5

// A run began; the first event of each run.
#define COREPROC_EVENT_RUN_STARTED 6

// An attempt of a spec of a run was started; the data are the spec's name. Its process, if it
// could be started, has its STARTED from just before; a batch holds the events of a run or of one
// process, so either may be taken first.
#define COREPROC_EVENT_SPEC_STARTED 7

// An attempt of a spec failed, the data say why, and another one follows.
#define COREPROC_EVENT_SPEC_RETRYING 8

// A spec ended: what comes after it may start. Output of it may follow. The data say why it did
// not pass; they are empty if it did.
#define COREPROC_EVENT_SPEC_ENDED 9

// A run ended, and its processes are closed; its last event. exit_code is 0 for a success, else 1.
#define COREPROC_EVENT_RUN_ENDED 10

// It wrote to an output pipe above standard error, whose descriptor in the process is the event's
// `descriptor`.
#define COREPROC_EVENT_OUTPUT 11

// Output was dropped here, because the subscription's queue was full (COREPROC_OVERFLOW). The data
// are two decimal numbers with a space between them: the bytes, and the events that they would
// have been.
#define COREPROC_EVENT_OVERFLOW 12

// A signal has stopped it, which is the event's `signal`: SIGTTIN or SIGTTOU if it waits for a terminal
// whose foreground it does not have. 0 if someone else has waited for the stop, which makes the
// kernel forget the signal. Only if its command asked for it (coreproc_command_report_stops).
#define COREPROC_EVENT_STOPPED 13

// It was stopped, and runs on. An end while it is stopped comes without.
#define COREPROC_EVENT_CONTINUED 14

// The spec of an event that is about none.
#define COREPROC_NO_SPEC 4294967295

// Its daemon lives.
#define COREPROC_PID_ALIVE 1

// Its daemon has ended and left its file.
#define COREPROC_PID_DEAD 2

// There is something else in its place: not a PID, not a plain file, or a file that any user could
// have put there.
#define COREPROC_PID_INVALID 3

// There is no such file.
#define COREPROC_PID_MISSING 4

// `/health`: whether its checks pass.
#define COREPROC_ENDPOINT_HEALTH 1

// `/ready`: whether it takes work.
#define COREPROC_ENDPOINT_READY 2

// Each spec starts the moment its last dependency has ended, several at a time; the spec at the
// beginning of the longest path comes first. The default.
#define COREPROC_RUN_ALL 1

// One at a time, in the order of the pipeline, but none before its dependencies; stops at the
// first failure.
#define COREPROC_RUN_SEQUENTIAL 2

// Several at a time; dependencies are ignored.
#define COREPROC_RUN_PARALLEL 3

// A failure skips what comes after it, and nothing else. The default, unless the pipeline says
// otherwise.
#define COREPROC_KEEP_GOING 1

// A failure that is not allowed cancels the run.
#define COREPROC_FAIL_FAST 2

// Exit code 0.
#define COREPROC_SPEC_PASSED 1

// Another exit code, a signal, or a start that failed.
#define COREPROC_SPEC_FAILED 2

// Not started, because of what it comes after or because the run ended first; the error says
// which.
#define COREPROC_SPEC_SKIPPED 3

// Stopped because the run was cancelled.
#define COREPROC_SPEC_CANCELLED 4

// Stopped by its own timeout.
#define COREPROC_SPEC_TIMED_OUT 5

// JSON, `"version": 1`.
#define COREPROC_REPORT_JSON 1

// JUnit XML, as CI systems read it: the pipeline is a suite, its specs are test cases; a failure
// that is allowed is a skipped test.
#define COREPROC_REPORT_JUNIT 2

// A Chrome trace, for Perfetto or about:tracing.
#define COREPROC_REPORT_CHROME_TRACE 3

// A Gantt chart with the critical path marked, as one self-contained SVG.
#define COREPROC_REPORT_SVG 4

// TERMINAL if the descriptor is a terminal, NO_COLOR is not set and TERM is not "dumb"; else
// PLAIN. Reads the environment once, which races with a setenv of the host. The default.
#define COREPROC_PROGRESS_STYLE_AUTO 1

// Lines that stay, and below them what runs, how much is done, and how long it will take.
#define COREPROC_PROGRESS_STYLE_TERMINAL 2

// Lines that stay, alone, without control sequences.
#define COREPROC_PROGRESS_STYLE_PLAIN 3

// Output line by line, as it comes: `name | line`. The default.
#define COREPROC_PROGRESS_OUTPUT_PREFIXED 1

// The output of each attempt together, once it has ended; the last mebibyte of it. Output that
// comes more than ten seconds after the end, because a process holds it open, is shown below a
// line of its own.
#define COREPROC_PROGRESS_OUTPUT_GROUPED 2

// No output.
#define COREPROC_PROGRESS_OUTPUT_NONE 3

// The activities of the processes of a service. Immutable; owned by the caller that got them; any
// thread may read them.
typedef struct coreproc_activities coreproc_activities;

// Consecutive events of one process. Until it is freed, no other taker gets events of that
// process. Owned by the caller that took it; one thread at a time.
typedef struct coreproc_batch coreproc_batch;

// Bytes that the library made. Immutable; owned by the caller that got them; any thread may read
// them. A NUL follows the last one and is not counted: text without a NUL of its own can be used
// as a C string.
typedef struct coreproc_bytes coreproc_bytes;

// Ends waits from another thread. Shared: reference-counted, thread-safe.
typedef struct coreproc_cancel coreproc_cancel;

// The answer of a check that is running: valid during the callback, on its thread.
typedef struct coreproc_check_answer coreproc_check_answer;

// A command to spawn, once or often. A builder: one thread at a time. Everything passed in is
// copied. A setter that fails changes nothing.
typedef struct coreproc_command coreproc_command;

// The life of this program as a daemon: PID file, health server and registry entry, each if the
// options ask for it. Shared: reference-counted, thread-safe. Freeing the last reference while it
// runs gives everything back, without waiting for requests.
//
// It starts in this order: PID file, health server, registry; and stops in this: not ready, health
// server down, PID file released, unregistered.
typedef struct coreproc_daemon coreproc_daemon;

// Entries that were read, and the problems of files that could not be. Immutable; owned by the
// caller that got them; any thread may read them.
typedef struct coreproc_entries coreproc_entries;

// Why a call failed. Immutable; owned by the caller that got it; any thread may read it.
//
// Functions take `coreproc_error **err` last: it may be NULL, and is written only on failure.
// There is no last-error state.
typedef struct coreproc_error coreproc_error;

// A process that was found by its identity: any, not only a child. It names this process for good,
// whatever becomes of its number, and never reaps it. Shared: reference-counted, thread-safe.
// Freeing it does nothing to the process.
typedef struct coreproc_handle coreproc_handle;

// An HTTP server that says whether its program is well. Shared: reference-counted, thread-safe.
// Freeing the last reference stops it at once, without waiting.
//
// GET and HEAD of /health, also with a "/" at the end, run the checks side by side and answer
// "ok\n" (200) or "unhealthy: WHY\n" (503); those of /ready answer "ready\n" (200) or "not
// ready\n" (503). With "Accept: application/json" the answer is an object with a status and each
// check's name, state ("passed", "failed", "panicked", "timed out", "still running", "not run"),
// duration_ms and error. The server runs on one thread, coreproc-http, and checks run on threads
// of their own, coreproc-check.
typedef struct coreproc_health coreproc_health;

// How long the specs of a pipeline took in earlier runs, kept in a file that may serve several
// pipelines. As `history` of coreproc_run_options it lets the longest path start first, and tells
// how much time is left. One thread at a time.
typedef struct coreproc_history coreproc_history;

// A file that output is written to without a reader of the host, and the files that it was renamed
// to. All logs of a service are written by one thread, `coreproc-dsp`. What a process writes
// faster waits, up to 1 MiB for each process, and is dropped then, and counted; so is what the
// file does not take. No process is slowed. Shared: reference-counted, thread-safe. The file is
// closed with the last reference, once the processes that write to it are closed.
typedef struct coreproc_log coreproc_log;

// A reader of a log. Owned by its caller; thread-safe.
typedef struct coreproc_log_follower coreproc_log_follower;

// A PID file: for each path, one daemon at a time. It holds the daemon's PID in decimal, and a
// lock (fcntl(2), F_OFD_SETLK) that is the proof of life. Shared: reference-counted, thread-safe.
// Freeing the last reference to one that is held releases it.
//
// The lock is inherited through fork(). A child changes nothing for its parent; but if the parent
// ends without a release, the file counts as held for as long as the child lives. The lock does
// not pass an exec.
typedef struct coreproc_pid_file coreproc_pid_file;

// A graph of specs, each a command and the specs that it comes after; to be run once or often. A
// builder: one thread at a time. Everything passed in is copied. A setter that fails changes
// nothing; coreproc_pipeline_check, and coreproc_run_start, tell whether the specs fit together.
typedef struct coreproc_pipeline coreproc_pipeline;

// A process that a service started. Shared: reference-counted, thread-safe. Freeing it does
// nothing to the process; while a reference is held, an ended process keeps its status and its
// captured output.
typedef struct coreproc_process coreproc_process;

// Shows one run to people: at a terminal, or in a log. Open it, name it in the run's options, then
// watch. Thread-safe.
//
// Names are shown with control characters escaped. Lines of output lose their control sequences,
// but for colours on a terminal; reports have what was written.
//
// A terminal that was stopped (Ctrl-S), or a pipe that is not read, keeps no call beyond its
// timeout. Meanwhile children are slowed once their queues are full, and everything is shown when
// it goes on. After a cancel of any kind, a watch does not slow children, so that the run can end:
// a mebibyte of lines is kept, and the number of further lines is shown.
//
// While no thread watches, the run waits for the view once a child's output fills the view's
// queue, as for every subscription, even if the run is cancelled. It goes on when a thread watches
// or the view is freed.
typedef struct coreproc_progress coreproc_progress;

// A registry: which daemons of a user run. It is a directory with one JSON file for each daemon.
// Shared: reference-counted, thread-safe; any number of processes may use one directory.
typedef struct coreproc_registry coreproc_registry;

// A ring buffer: keeps the last bytes that were written to it. Shared: reference-counted,
// thread-safe; each call is one step for all others.
typedef struct coreproc_ring coreproc_ring;

// A pipeline under way, or its result. Shared: reference-counted, thread-safe. Freeing it does not
// cancel the run, which goes on to its end, and keeps its service open until then.
typedef struct coreproc_run coreproc_run;

// Spawns processes and supervises them on one thread, `coreproc-sup`. Shared: reference-counted,
// thread-safe. Freeing the last reference kills no process: the thread goes on until the last
// process is closed.
typedef struct coreproc_service coreproc_service;

// A stream of the events of processes. Shared: reference-counted, thread-safe. Freeing the last
// reference closes it, without waiting.
typedef struct coreproc_subscription coreproc_subscription;

// What a call that can fail returns: 0, or a negative code. `coreproc_result_name` names it.
typedef int32_t coreproc_result;

// The options of a service. Zero is the default everywhere.
typedef struct coreproc_service_options {
  // sizeof(coreproc_service_options).
  uint32_t struct_size;
  // Must be 0.
  uint32_t reserved;
  // How many bytes of output are kept of processes whose command does not set it (0: 1 MiB;
  // COREPROC_CAPTURE_NONE: nothing; INT64_MAX: everything).
  uint64_t capture_bytes;
  // The longest silence after the exit while another process holds the output pipes (0: 500;
  // UNLIMITED: any).
  uint64_t drain_silence_ms;
  // The longest time after the exit in all (0: 5000; UNLIMITED: any).
  uint64_t drain_total_ms;
} coreproc_service_options;

// One step of a stop: a signal, and the time until the next step. Plain data, whose layout never
// changes.
typedef struct coreproc_stop_step {
  // The signal, 1 to 64. Only the last step may have SIGKILL.
  int32_t signal;
  // Must be 0.
  uint32_t reserved;
  // Milliseconds until the next step (0: 5000; UNLIMITED: only a further stop leads to it). The
  // last step's has no meaning.
  uint64_t grace_ms;
} coreproc_stop_step;

// How to stop a process: a signal, a grace period, SIGKILL; or any number of steps. Zero is the
// default everywhere. SIGCONT follows each signal that a stopped process would not act on.
typedef struct coreproc_stop_options {
  // sizeof(coreproc_stop_options).
  uint32_t struct_size;
  // A COREPROC_SCOPE value.
  uint32_t scope;
  // The first signal (0: SIGTERM).
  int32_t signal;
  // Must be 0.
  uint32_t reserved;
  // Milliseconds until SIGKILL (0: 5000; UNLIMITED: only a further stop sends it).
  uint64_t grace_ms;
  // Steps in place of `signal` and `grace_ms`, which must be 0 then; NULL: none. Copied.
  const struct coreproc_stop_step *steps;
  // The number of steps.
  size_t steps_len;
} coreproc_stop_options;

// What is known of a process. Plain data.
typedef struct coreproc_process_info {
  // sizeof(coreproc_process_info), set by the caller; as much as both sides know is written.
  uint32_t struct_size;
  // A COREPROC_STATE value.
  uint32_t state;
  // Its number in its service: from 1, never reused.
  uint64_t id;
  // Its PID, which may be another process's once this one has ended.
  int32_t pid;
  // 0 to 255 once it has exited by itself, else -1.
  int32_t exit_code;
  // The signal that ended it, else 0.
  int32_t signal;
  // A COREPROC_CAUSE value.
  uint32_t cause;
  // COREPROC_FLAG values: STATUS_UNKNOWN, CORE_DUMPED, DRAIN_BOUND, STOP_REFUSED.
  uint32_t flags;
  // A COREPROC_RUNG value: by what means it is held together with what it starts.
  uint32_t rung;
  // When it was started, on CLOCK_MONOTONIC.
  uint64_t started_monotonic_ns;
  // When it was started, on CLOCK_REALTIME.
  uint64_t started_realtime_ns;
  // When its end was seen, on CLOCK_MONOTONIC; 0 before.
  uint64_t exited_monotonic_ns;
  // When it was closed, on CLOCK_MONOTONIC; 0 before.
  uint64_t closed_monotonic_ns;
  // Bytes read from its standard output so far.
  uint64_t stdout_bytes;
  // Bytes read from its standard error so far.
  uint64_t stderr_bytes;
  // Bytes that its capture no longer holds, or never held.
  uint64_t dropped_bytes;
  // Bytes that were read and discarded after it was closed, or lost from a spool.
  uint64_t discarded_bytes;
  // Bytes that its command gave as input and its pipe has not taken: while it runs they wait for it
  // to read; once it has ended, or closed its input, they are left over.
  uint64_t unwritten_bytes;
  // A COREPROC_USAGE value, about the fields that follow, which are 0 if it is UNKNOWN. They are what
  // the process used of the machine, together with the children that it waited for; see
  // getrusage(2).
  uint32_t rusage;
  // Always 0.
  uint32_t rusage_reserved;
  // CPU time in user mode.
  uint64_t user_time_ns;
  // CPU time in the kernel.
  uint64_t system_time_ns;
  // The most memory that it, or one of those children, had resident.
  uint64_t max_rss_bytes;
  // Page faults that needed no I/O.
  uint64_t minor_faults;
  // Page faults that needed I/O.
  uint64_t major_faults;
  // Context switches because it waited.
  uint64_t voluntary_switches;
  // Context switches because its time was up.
  uint64_t involuntary_switches;
  // Reads from block devices, in blocks of 512 bytes.
  uint64_t blocks_read;
  // Writes to block devices, in blocks of 512 bytes.
  uint64_t blocks_written;
  // CPU time of all processes in its cgroup, those that have ended included (`cpu.stat`). This and
  // the following are COREPROC_UNKNOWN if it has no cgroup, or the kernel or the controllers of the
  // cgroup do not tell.
  uint64_t tree_cpu_ns;
  // The most memory of its cgroup that was in use at once (`memory.peak`, Linux 5.19).
  uint64_t tree_memory_peak;
  // How many of its processes the kernel has killed because the memory limit was reached.
  uint64_t tree_oom_kills;
  // The most processes and threads in its cgroup at once (`pids.peak`, Linux 6.6).
  uint64_t tree_processes_peak;
  // 1 if a signal has stopped it, as far as the library has seen it; 0 if it runs, has ended, or its
  // command did not ask for it (coreproc_command_report_stops).
  uint32_t stopped;
  // That signal; 0 if it is not stopped, and if someone else has waited for the stop, which makes the
  // kernel forget the signal.
  int32_t stop_signal;
} coreproc_process_info;

// The options of a log.
typedef struct coreproc_log_options {
  // sizeof(coreproc_log_options).
  uint32_t struct_size;
  // A COREPROC_LOG value (0: RAW).
  uint32_t format;
  // Bytes of one file (0: any number). Before it would become larger it is renamed to PATH.1,
  // PATH.1 to PATH.2, and so on. One line may go beyond it.
  uint64_t max_bytes;
  // The age in milliseconds at which a file is renamed before the next line is written (0: any).
  uint64_t max_age_ms;
  // How many files are kept besides the current one; 0 empties it instead.
  uint32_t keep;
  // Other than 0: renamed files are compressed by gzip, to PATH.1.gz, on a thread of its own.
  uint32_t compress;
  // The permissions of a new file, of which the umask takes some (0: 0640).
  uint32_t mode;
  // Must be 0.
  uint32_t reserved;
} coreproc_log_options;

// What is known of a log.
typedef struct coreproc_log_info {
  // sizeof(coreproc_log_info), set by the caller.
  uint32_t struct_size;
  // The errno of the last failure, until a line could be written again; 0: none.
  int32_t error;
  // Bytes that were written to its files.
  uint64_t written;
  // Bytes of output that are in none of them.
  uint64_t lost;
  // How often the file was renamed, or emptied.
  uint64_t rotations;
  // The offset after the last byte.
  uint64_t end;
} coreproc_log_info;

// What is known of a process that was found by its identity. Plain data.
typedef struct coreproc_handle_info {
  // sizeof(coreproc_handle_info), set by the caller; as much as both sides know is written.
  uint32_t struct_size;
  // COREPROC_STATE_RUNNING or _EXITED.
  uint32_t state;
  // Its PID, which may be another process's once this one has ended.
  int32_t pid;
  // 0 to 255 once it has exited by itself, else -1.
  int32_t exit_code;
  // The signal that ended it, else 0.
  int32_t signal;
  // COREPROC_FLAG values: STATUS_UNKNOWN, CORE_DUMPED.
  uint32_t flags;
} coreproc_handle_info;

// What a process does and uses now, with its tree: its descendants, and the members of the group
// or session that it leads. A descendant that has left both, and whose parent has ended, is not
// found. Plain data.
typedef struct coreproc_activity {
  // sizeof(coreproc_activity), set by the caller where it gives the room; as much as both sides
  // know is written.
  uint32_t struct_size;
  // A COREPROC_DOING value: what the process itself does.
  uint32_t doing;
  // The number of the process in its service.
  uint64_t id;
  // Its PID.
  int32_t pid;
  // The signal by which it is stopped; else 0, also if someone has waited for the stop, which
  // makes the kernel forget it.
  int32_t stop_signal;
  // A COREPROC_AWAITS value.
  uint32_t awaits;
  // The PID of the process that waits for input; else -1.
  int32_t awaits_pid;
  // How many processes the tree has, the process itself among them, that have not ended.
  uint64_t processes;
  // CPU time of its threads, in steps of 10 ms.
  uint64_t cpu_ns;
  // Resident memory, with what it shares with others.
  uint64_t rss_bytes;
  // How many threads it has.
  uint64_t threads;
  // How many descriptors it has open; UINT64_MAX if that may not be seen.
  uint64_t descriptors;
  // Bytes that its calls have read, from pipes and terminals too, with those of the children
  // that it has waited for; UINT64_MAX if that may not be seen, as the three below.
  uint64_t read_bytes;
  // Bytes that its calls have written.
  uint64_t written_bytes;
  // Bytes that were fetched from disks for it.
  uint64_t disk_read_bytes;
  // Bytes that were sent to disks for it.
  uint64_t disk_written_bytes;
  // CPU time of the tree, with that of ended processes for which a member of it has waited.
  uint64_t tree_cpu_ns;
  // Resident memory of the tree: what its processes share counts for each of them.
  uint64_t tree_rss_bytes;
  // The threads of the tree.
  uint64_t tree_threads;
  // The open descriptors of the tree; UINT64_MAX if those of one process may not be seen.
  uint64_t tree_descriptors;
  // Bytes that calls of the tree have read; UINT64_MAX if those of one process may not be seen,
  // as the three below.
  uint64_t tree_read_bytes;
  // Bytes that calls of the tree have written.
  uint64_t tree_written_bytes;
  // Bytes that were fetched from disks for the tree.
  uint64_t tree_disk_read_bytes;
  // Bytes that were sent to disks for the tree.
  uint64_t tree_disk_written_bytes;
} coreproc_activity;

// The options of a subscription. Zero is the default everywhere.
typedef struct coreproc_subscription_options {
  // sizeof(coreproc_subscription_options).
  uint32_t struct_size;
  // A COREPROC_SUBSCRIBE value (0: ALL).
  uint32_t scope;
  // A COREPROC_DELIVERY value (0: LINES).
  uint32_t delivery;
  // A COREPROC_LIFECYCLE value (0: ALL).
  uint32_t lifecycle;
  // Bytes that may wait for each process (0: 1 MiB; UNLIMITED: any). When this many wait, that
  // child's pipes are not read, and the kernel slows it; no other child is affected. One read,
  // or one line, may go beyond it. Memory counts as it is held: output of a child that writes
  // much in blocks of 64 KiB.
  uint64_t queue_bytes;
  // Bytes of the longest line, without its "\n" (0: 1 MiB). A longer one arrives in pieces of
  // this size.
  uint64_t max_line_bytes;
  // The kinds of events to deliver: bit N for the COREPROC_EVENT with the number N, but no bit
  // for OVERFLOW, which is always delivered (0: all). Without CLOSED nothing tells that a
  // process is over.
  uint32_t kinds;
  // A COREPROC_OVERFLOW value (0: BLOCK).
  uint32_t overflow;
  // A COREPROC_ENCODING value (0: BYTES).
  uint32_t encoding;
  // The most events of a batch (0: any number).
  uint32_t batch_events;
  // The most bytes of a batch, unless it is a single event (0: any number).
  uint64_t batch_bytes;
} coreproc_subscription_options;

// One event of one process, or of one run. Read events by the stride that came with them: a later
// library may append fields, and kinds, which are to be ignored.
typedef struct coreproc_event {
  // A COREPROC_EVENT value.
  uint32_t kind;
  // COREPROC_FLAG values.
  uint32_t flags;
  // The id of its process or run; both are numbered in one count.
  uint64_t process_id;
  // Counts from 1 for each process, and each run, in each subscription, without gaps.
  uint64_t sequence;
  // When it was seen, on CLOCK_MONOTONIC.
  uint64_t monotonic_ns;
  // When it was seen, on CLOCK_REALTIME.
  uint64_t realtime_ns;
  // The process's PID; 0 for a run.
  int32_t pid;
  // EXITED, CLOSED, SPEC_RETRYING, SPEC_ENDED: 0 to 255 if it exited by itself; else -1.
  // RUN_ENDED: 0 or 1.
  int32_t exit_code;
  // EXITED, CLOSED, SPEC_RETRYING, SPEC_ENDED: the signal that ended it; STOPPED: that stopped it;
  // else 0.
  int32_t signal;
  // EXITED, CLOSED: a COREPROC_CAUSE value; else 0.
  uint32_t cause;
  // The bytes of an output event, or a text; no NUL follows them; never NULL; valid until the
  // batch is freed, or during the callback.
  const uint8_t *data;
  // The length of `data`.
  size_t len;
  // The run that it belongs to; 0: none.
  uint64_t run_id;
  // The spec of that run that it is about, by its index in the pipeline; NO_SPEC: none.
  uint32_t spec;
  // Which attempt of the spec, from 1; 0 if there was none.
  uint32_t attempt;
  // SPEC_ENDED: a COREPROC_SPEC value; else 0.
  uint32_t spec_state;
  // OUTPUT: the descriptor that the process wrote to; else 0.
  uint32_t descriptor;
} coreproc_event;

// A callback for events. It runs on the subscription's thread, `coreproc-dsp`, for some
// consecutive events of one process, never twice at once. `events` is the first of `count`,
// `stride` bytes apart; they are valid during the call. It must not throw or longjmp. Inside it, a
// call that would wait returns DEADLOCK.
typedef void (*coreproc_callback)(const struct coreproc_event *events,
                                  size_t count,
                                  size_t stride,
                                  void *user_data);

// The destructor of user data. It runs exactly once, after the last callback, even if the call
// that it was given to fails.
typedef void (*coreproc_destroy)(void *user_data);

// A daemon in the registry. A text that is passed in is a pointer and a length, UTF-8; one that
// comes out ends with a NUL as well. Read entries by the stride that came with them: a later
// library may append fields.
typedef struct coreproc_daemon_entry {
  // sizeof(coreproc_daemon_entry).
  uint32_t struct_size;
  // The PID of its process. In a daemon's options it must be 0: it is filled in.
  // coreproc_registry_register writes what it is given: 0, or a PID that does not run, makes an
  // entry that is dead at the next reading.
  int32_t pid;
  // When it started, on CLOCK_REALTIME (in: 0 is now).
  uint64_t started_ns;
  // The program that it belongs to. Not empty.
  const char *code;
  // The length of `code`.
  size_t code_len;
  // Which daemon of that program it is. Not empty.
  const char *daemon;
  // The length of `daemon`.
  size_t daemon_len;
  // The address at which its health server listens, or empty.
  const char *health;
  // The length of `health`.
  size_t health_len;
  // The directory that it works for, or empty.
  const char *project;
  // The length of `project`.
  size_t project_len;
  // The path of its executable, or empty.
  const char *binary;
  // The length of `binary`.
  size_t binary_len;
} coreproc_daemon_entry;

// The limits of a health server. Zero is the default everywhere, UNLIMITED no limit.
typedef struct coreproc_health_options {
  // sizeof(coreproc_health_options).
  uint32_t struct_size;
  // Must be 0.
  uint32_t reserved;
  // How long one run of a check may take before the answer goes out without it (0: 5000). The
  // check itself is not stopped; while it runs it is not started again.
  uint64_t check_timeout_ms;
  // Connections at once (0: 4096), and never more than half of RLIMIT_NOFILE. When a further one
  // comes, the one that has waited longest for its client's next request is closed.
  uint64_t max_connections;
  // Bytes of a request's line and headers (0: 16 KiB). A longer one is answered with 431.
  uint64_t max_header_bytes;
  // The time from a connection's beginning, or a further request's first byte, to the end of its
  // headers (0: 10000).
  uint64_t header_timeout_ms;
  // How long a connection may stay without a further request, or without taking its answer (0:
  // 60000).
  uint64_t idle_timeout_ms;
} coreproc_health_options;

// A check: returns 0 if all is well, else any other value, after it has said why with
// coreproc_check_answer_reason. It runs on a thread of the library, coreproc-check, for each
// request that finds it idle, never twice at once; it may block. It must not throw or longjmp.
// Inside it, stopping the server that runs it returns DEADLOCK. Its thread blocks all signals, and
// a program that it starts by fork(2) or posix_spawn(3) inherits that.
typedef int32_t (*coreproc_check)(struct coreproc_check_answer *answer, void *user_data);

// The parts of a daemon, and their options. Zero is the default, or none, everywhere. All of it is
// copied.
typedef struct coreproc_daemon_options {
  // sizeof(coreproc_daemon_options).
  uint32_t struct_size;
  // Must be 0.
  uint32_t reserved;
  // How long a stop may take (0: 30000; UNLIMITED: as long as it takes).
  uint64_t shutdown_timeout_ms;
  // The path of its PID file, or empty.
  const char *pid_file;
  // The length of `pid_file`.
  size_t pid_file_len;
  // The address of its health server, as for coreproc_health_new, or empty if it has none.
  const char *health_address;
  // The length of `health_address`.
  size_t health_address_len;
  // The limits of its health server; may be NULL.
  const struct coreproc_health_options *health;
  // The registry in which it enters itself; NULL: none.
  const struct coreproc_registry *registry;
  // Its entry in the registry; needed, with code and daemon, if there is a registry. The start
  // fills in the PID, the time and, if there is a health server, its address; and the project
  // (the working directory) and the binary if they are empty.
  const struct coreproc_daemon_entry *entry;
} coreproc_daemon_options;

// How to run a pipeline. Zero is the default everywhere.
typedef struct coreproc_run_options {
  // sizeof(coreproc_run_options).
  uint32_t struct_size;
  // A COREPROC_RUN value (0: ALL).
  uint32_t mode;
  // KEEP_GOING or FAIL_FAST (0: what the pipeline says; if it does not, KEEP_GOING).
  uint32_t on_failure;
  // Must be 0.
  uint32_t reserved;
  // How many specs run at a time (0: what the pipeline says; if it does not, as many as there
  // are processors; UNLIMITED: all of them). SEQUENTIAL is one.
  uint64_t limit;
  // The time after which the run is cancelled (0, UNLIMITED: never).
  uint64_t deadline_ms;
  // The subscription that gets the events of the run and of its processes; needed for one with
  // the scope NAMED. NULL: none.
  struct coreproc_subscription *subscription;
  // How long specs took before: the spec at the beginning of the longest path starts first.
  // NULL: nothing is known.
  const struct coreproc_history *history;
  // The view that is going to show the run (coreproc_progress_watch). NULL: none.
  struct coreproc_progress *progress;
} coreproc_run_options;

// The state of a run. Plain data.
typedef struct coreproc_run_info {
  // sizeof(coreproc_run_info), set by the caller; as much as both sides know is written.
  uint32_t struct_size;
  // 1 once every spec has ended and the results are there, else 0.
  uint32_t ended;
  // 1 once it has ended and every spec passed, except for failures that are allowed; else 0. A
  // skipped or cancelled spec is no success.
  uint32_t success;
  // Always 0.
  uint32_t reserved;
  // How many specs there are.
  uint64_t total;
  // Specs that are not yet started.
  uint64_t waiting;
  // Specs that have a process, or are about to get one.
  uint64_t running;
  // Specs that failed, and wait for their next attempt.
  uint64_t retrying;
  // Specs that ended as COREPROC_SPEC_PASSED says.
  uint64_t passed;
  // Specs that ended as COREPROC_SPEC_FAILED says.
  uint64_t failed;
  // Specs that ended as COREPROC_SPEC_SKIPPED says.
  uint64_t skipped;
  // Specs that ended as COREPROC_SPEC_CANCELLED says.
  uint64_t cancelled;
  // Specs that ended as COREPROC_SPEC_TIMED_OUT says.
  uint64_t timed_out;
  // When it was started, on CLOCK_MONOTONIC.
  uint64_t started_monotonic_ns;
  // When it was started, on CLOCK_REALTIME.
  uint64_t started_realtime_ns;
  // The time from its start to the end of the last spec; 0 before it has ended.
  uint64_t duration_ns;
} coreproc_run_info;

// The result of a spec. Pointers live as long as the handle of the run that was asked.
typedef struct coreproc_spec_result {
  // sizeof(coreproc_spec_result), set by the caller; as much as both sides know is written.
  uint32_t struct_size;
  // A COREPROC_SPEC value.
  uint32_t state;
  // The exit code of its last attempt: 0 to 255 if it exited by itself; else -1.
  int32_t exit_code;
  // The signal that ended its last attempt; else 0.
  int32_t signal;
  // COREPROC_FLAG values: STATUS_UNKNOWN, CORE_DUMPED.
  uint32_t flags;
  // How often it was started, failed starts included.
  uint32_t attempts;
  // 1 if its failure is allowed, else 0.
  uint32_t allow_failure;
  // Always 0.
  uint32_t reserved;
  // Its name, which ends with a NUL.
  const char *name;
  // The length of `name` without the NUL.
  size_t name_len;
  // Why it did not pass, such as `skipped: "build" failed`, or "" if it did; ends with a NUL.
  const char *error;
  // The length of `error` without the NUL.
  size_t error_len;
  // What the capture of its last attempt holds, both streams in order of arrival; never NULL.
  const uint8_t *output;
  // The length of `output`.
  size_t output_len;
  // Bytes of its output that the capture does not hold.
  uint64_t dropped_bytes;
  // When its first attempt was started, on CLOCK_MONOTONIC; 0 if none was.
  uint64_t started_monotonic_ns;
  // When its first attempt was started, on CLOCK_REALTIME; 0 if none was.
  uint64_t started_realtime_ns;
  // The time from the start of its first attempt to the end of its last.
  uint64_t duration_ns;
} coreproc_spec_result;

// How to show a run. Zero is the default everywhere.
typedef struct coreproc_progress_options {
  // sizeof(coreproc_progress_options).
  uint32_t struct_size;
  // A COREPROC_PROGRESS_STYLE value (0: AUTO).
  uint32_t style;
  // A COREPROC_PROGRESS_OUTPUT value (0: PREFIXED).
  uint32_t output;
  // Must be 0.
  uint32_t reserved;
} coreproc_progress_options;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Returns the name of a result code, such as "COREPROC_TIMED_OUT"; "COREPROC_UNKNOWN" for one that
// this library does not know. Static. Thread-safe.
const char *coreproc_result_name(coreproc_result result);

// Returns the result code that the failed call returned; `COREPROC_OK` for NULL. Thread-safe.
coreproc_result coreproc_error_result(const struct coreproc_error *error);

// Returns the kernel's errno behind the failure; 0 if there is none. Thread-safe.
int32_t coreproc_error_errno(const struct coreproc_error *error);

// Returns the operation that failed, such as "spawn"; "" for NULL. Lives as long as the error.
// Thread-safe.
const char *coreproc_error_operation(const struct coreproc_error *error);

// Returns the step of the operation that failed, such as "lookup", "chdir", "exec", "interpreter",
// "stdin"; "" if there is none, and for NULL. Lives as long as the error. Thread-safe.
const char *coreproc_error_stage(const struct coreproc_error *error);

// Returns the whole message, to be shown as it is, such as `spawn "gti": lookup: no such program
// in PATH`; "" for NULL. Lives as long as the error. Thread-safe.
const char *coreproc_error_message(const struct coreproc_error *error);

// Frees an error. NULL is fine.
void coreproc_error_free(struct coreproc_error *error);

// Returns the ABI counter of the loaded library, as in its SONAME. A binding that loads the
// library at run time compares it with the `COREPROC_ABI_VERSION` that it was written for.
// Thread-safe.
uint32_t coreproc_abi_version(void);

// Returns the version of the loaded library, such as "0.1.0". Static. Thread-safe.
const char *coreproc_version(void);

// Lets the child of a fork(2) of the host use the library anew: from then on it can open services
// of its own, spawn, subscribe, wait, and run pipelines. Call it in the child, on its only thread,
// before any other call of the library, or have pthread_atfork(3) call it; anywhere else it does
// nothing.
//
// What was made before the fork stays the parent's: its calls return FORKED, and to free it does
// nothing. So do daemons and what belongs to them (PID files, registries, health servers), which
// work only in the process that first used the library. The fork must be libc's.
void coreproc_after_fork_child(void);

// Returns the first byte, or the NUL if there is none; NULL for NULL only. Lives as long as the
// bytes. Thread-safe.
const uint8_t *coreproc_bytes_data(const struct coreproc_bytes *bytes);

// Returns how many bytes there are, without the NUL at the end; 0 for NULL. Thread-safe.
size_t coreproc_bytes_len(const struct coreproc_bytes *bytes);

// Frees bytes. NULL is fine.
void coreproc_bytes_free(struct coreproc_bytes *bytes);

// Starts a service. `options` may be NULL. Free `*out` with coreproc_service_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT; SYSTEM (epoll_create1(2), timerfd_create(2), pthread_create(3)).
coreproc_result coreproc_service_new(const struct coreproc_service_options *options,
                                     struct coreproc_service **out,
                                     struct coreproc_error **err);

// Returns another reference to the same service, to be freed on its own; NULL for NULL.
// Thread-safe.
struct coreproc_service *coreproc_service_ref(const struct coreproc_service *service);

// Finds the process with this id, until it is closed. Free `*out` with coreproc_process_free.
// Thread-safe.
//
// Errors: INVALID_ARGUMENT; NOT_FOUND.
coreproc_result coreproc_service_process(const struct coreproc_service *service,
                                         uint64_t id,
                                         struct coreproc_process **out,
                                         struct coreproc_error **err);

// Counts the processes that are not yet closed, including those that are being spawned.
// Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_service_count(const struct coreproc_service *service,
                                       uint64_t *out,
                                       struct coreproc_error **err);

// Refuses spawns from now on, and ends the processes that run as `mode`, a COREPROC_CLOSE value,
// says. Does not wait; may be called again, also with another mode. Subscriptions end once every
// process is closed. Thread-safe.
//
// Errors: INVALID_ARGUMENT; those of coreproc_process_stop and coreproc_process_kill, whose
// message says how many processes could not be signalled: the service is closed in any case, and
// signals that the kernel refused are tried again.
coreproc_result coreproc_service_close(const struct coreproc_service *service,
                                       uint32_t mode,
                                       struct coreproc_error **err);

// Waits until all processes are closed, up to `timeout_ms` (-1: for ever; 0: only looks).
// Thread-safe.
//
// Errors: INVALID_ARGUMENT; TIMED_OUT; DEADLOCK inside a callback; PANIC.
coreproc_result coreproc_service_wait_idle(const struct coreproc_service *service,
                                           int64_t timeout_ms,
                                           struct coreproc_error **err);

// Gives a reference back. NULL is fine. Never blocks, never kills. After the last one no process
// can be spawned, and the supervisor goes on until the last child is closed. Thread-safe.
void coreproc_service_free(struct coreproc_service *service);

// Makes a command that runs `program`: a path if it has a slash (looked up from the child's
// directory), else a name that is looked up in the child's PATH. Free `*out` with
// coreproc_command_free.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_new(const char *program,
                                     size_t program_len,
                                     struct coreproc_command **out,
                                     struct coreproc_error **err);

// Makes a command from JSON, UTF-8: `{"version": 1, "program": "make", "args": ["all"], …}`, as
// docs/pipeline-json.md (installed below share/doc/coreproc) describes it. Free `*out` with
// coreproc_command_free.
//
// Errors: INVALID_ARGUMENT; MALFORMED, whose message says where the mistake is and what was meant:
// `parse command: stdout: unknown value "pip", did you mean "pipe"?`.
coreproc_result coreproc_command_from_json(const char *json,
                                           size_t json_len,
                                           struct coreproc_command **out,
                                           struct coreproc_error **err);

// Adds an argument.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_arg(struct coreproc_command *command,
                                     const char *arg,
                                     size_t arg_len,
                                     struct coreproc_error **err);

// Sets what the program sees as `argv[0]`; the default is its name.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_arg0(struct coreproc_command *command,
                                      const char *arg,
                                      size_t arg_len,
                                      struct coreproc_error **err);

// Adds a variable to the environment, "KEY=VALUE", or replaces it.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_env(struct coreproc_command *command,
                                     const char *entry,
                                     size_t entry_len,
                                     struct coreproc_error **err);

// Starts from an empty environment: inherits nothing, and forgets what was added so far.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_env_clear(struct coreproc_command *command,
                                           struct coreproc_error **err);

// Sets the whole environment: "KEY=VALUE" entries, each ended by a NUL, taken as they are, even
// with an empty key. Nothing is inherited, and what was set before is replaced. Without this call
// the library reads `environ` at each spawn, which races with a setenv of the host.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_env_whole(struct coreproc_command *command,
                                           const char *block,
                                           size_t block_len,
                                           struct coreproc_error **err);

// Sets the child's working directory.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_cwd(struct coreproc_command *command,
                                     const char *path,
                                     size_t path_len,
                                     struct coreproc_error **err);

// Looks the program up in these directories, in the form of PATH, instead of in the child's PATH.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_search_path(struct coreproc_command *command,
                                             const char *path,
                                             size_t path_len,
                                             struct coreproc_error **err);

// Sets how many bytes of its newest output are kept (0: as the service's options say;
// COREPROC_CAPTURE_NONE: nothing; INT64_MAX: everything).
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_capture(struct coreproc_command *command,
                                         uint64_t bytes,
                                         struct coreproc_error **err);

// Sets its process group: a COREPROC_GROUP value.
//
// A child that may ask at the terminal (a password, an editor, stty) needs COREPROC_GROUP_INHERIT.
// In a group of its own the kernel stops it as soon as it reads from the terminal or changes its
// settings (SIGTTIN, SIGTTOU): it then counts as running, no event tells of it, and a wait without
// a timeout does not return.
//
// In the host's group it gets the terminal's Ctrl-C, Ctrl-Z and hang-up together with the host,
// and SIGHUP, SIGINT and SIGQUIT stay ignored in it if the host ignores them, as with nohup and a
// shell's "&". Every other signal, and every signal in a group of its own, starts at its default.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_group(struct coreproc_command *command,
                                       uint32_t mode,
                                       struct coreproc_error **err);

// Lets it outlive the host: a session of its own, and no output pipe of ours, whose end would kill
// or block it. Outputs that are not set otherwise become spools.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_detach(struct coreproc_command *command,
                                        struct coreproc_error **err);

// Sets how many bytes may wait unread in a spool before the oldest are lost, and counted (0: 64
// MiB; UNLIMITED: as many as the file system takes).
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_spool_max(struct coreproc_command *command,
                                           uint64_t bytes,
                                           struct coreproc_error **err);

// Sets the time after which it is stopped by its stop options (0, UNLIMITED: never).
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_timeout(struct coreproc_command *command,
                                         uint64_t timeout_ms,
                                         struct coreproc_error **err);

// Sets how it is stopped: by its timeout and its other deadlines, by a close of its service, and by
// a stop without options of its own. NULL is the default.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_stop_options(struct coreproc_command *command,
                                              const struct coreproc_stop_options *options,
                                              struct coreproc_error **err);

// Sets its drain bound, how long output is awaited after the exit while another process holds the
// pipes: the longest silence (0: 500; UNLIMITED: any) and the longest time in all (0: 5000;
// UNLIMITED: any).
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_drain(struct coreproc_command *command,
                                       uint64_t silence_ms,
                                       uint64_t total_ms,
                                       struct coreproc_error **err);

// Names a subscription that gets its events; needed for subscriptions with the scope NAMED.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_subscribe(struct coreproc_command *command,
                                           const struct coreproc_subscription *subscription,
                                           struct coreproc_error **err);

// Starts a process. Returns once exec has succeeded; the calling thread waits for that. Any number
// of threads may spawn at once, even the same command while no thread changes it (clone3(2) with
// vfork semantics: the cost does not grow with the host's memory). Free `*out` with
// coreproc_process_free. The command can be spawned again.
//
// The call never waits for the other end of a file. For a file system that does not answer (NFS,
// FUSE, autofs) it waits, as every program does; timeouts and deadlines do not run yet.
//
// Errors name the stage, and nothing was started: INVALID_ARGUMENT; NOT_FOUND ("lookup", "exec",
// "interpreter", "chdir"); PERMISSION_DENIED; SYSTEM with errno (ENOEXEC: there is no /bin/sh for
// a script without a "#!" line); UNSUPPORTED; CLOSED; PANIC.
coreproc_result coreproc_command_spawn(const struct coreproc_command *command,
                                       const struct coreproc_service *service,
                                       struct coreproc_process **out,
                                       struct coreproc_error **err);

// Frees a command. NULL is fine. Processes that it started go on.
void coreproc_command_free(struct coreproc_command *command);

// Sets where a standard stream goes: `stream` is a COREPROC_STREAM value, `mode` a COREPROC_STDIO
// value. A child that inherits a terminal and reads from it is stopped by the kernel, unseen,
// unless it is in the host's group: see coreproc_command_group.
//
// Errors: INVALID_ARGUMENT, also for a mode that this stream cannot have.
coreproc_result coreproc_command_stdio(struct coreproc_command *command,
                                       uint32_t stream,
                                       uint32_t mode,
                                       struct coreproc_error **err);

// Gives a standard stream this descriptor, which is duplicated: the caller may close its own at
// once.
//
// Errors: INVALID_ARGUMENT; SYSTEM (fcntl(2): EBADF, EMFILE).
coreproc_result coreproc_command_stdio_fd(struct coreproc_command *command,
                                          uint32_t stream,
                                          int32_t fd,
                                          struct coreproc_error **err);

// Gives standard input these bytes, of any number, and then its end. They are copied now, and shared by all spawns: the
// library writes them into a pipe as the process reads them. A process that ends, or closes its standard input, before
// it has read them all is no error: `unwritten_bytes` of coreproc_process_info counts what its pipe did not take.
// coreproc_process_write is refused for such a process, and coreproc_process_close_stdin ends the input early.
//
// Errors: INVALID_ARGUMENT; OUT_OF_MEMORY.
coreproc_result coreproc_command_stdin_data(struct coreproc_command *command,
                                            const uint8_t *data,
                                            size_t len,
                                            struct coreproc_error **err);

// Gives a standard stream this file, opened at each spawn from the host's directory; `mode` is a
// COREPROC_FILE value. The open does not wait: a FIFO that has no other end (for which a shell
// would wait) fails the spawn with ENXIO, a file whose lease another process keeps for longer than
// a second with EAGAIN. To wait for the other end, open the FIFO and use
// coreproc_command_stdio_fd.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_stdio_file(struct coreproc_command *command,
                                            uint32_t stream,
                                            const char *path,
                                            size_t path_len,
                                            uint32_t mode,
                                            struct coreproc_error **err);

// Runs it as this user, a name or a decimal number, with the user's primary and supplementary
// groups of the database, as initgroups(3) finds them, unless they are set as well. A number that
// the database does not know needs coreproc_command_primary_group, and gets no supplementary
// groups. Names are looked up at each spawn: one that does not exist fails it with NOT_FOUND, stage
// "user".
//
// Real, effective and saved ids are set, the groups first. Before the program runs, the child tries
// to get back the ids and the groups that it gave up; if the kernel grants one, the spawn fails.
// Only root, or a host with CAP_SETUID and CAP_SETGID, may become another user; for others the user
// that they are already is no change. Its directory and its files are opened as the host's user,
// the program is looked up as the new one. Such a process starts with a copy of the host's memory
// map, as by fork(2), which costs more in a big host.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_user(struct coreproc_command *command,
                                      const char *user,
                                      size_t user_len,
                                      struct coreproc_error **err);

// Runs it with this primary group, a name or a decimal number: real, effective and saved group id.
// Without coreproc_command_user the supplementary groups stay those of the host.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_primary_group(struct coreproc_command *command,
                                               const char *group,
                                               size_t group_len,
                                               struct coreproc_error **err);

// Runs it with these supplementary groups and no others: names or decimal numbers with commas
// between them, `"adm,27"`; nothing for none.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_supplementary_groups(struct coreproc_command *command,
                                                      const char *groups,
                                                      size_t groups_len,
                                                      struct coreproc_error **err);

// Sets its file mode creation mask, at most 0777.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_umask(struct coreproc_command *command,
                                       uint32_t mask,
                                       struct coreproc_error **err);

// Lets no exec give it, or what it starts, more than it has (PR_SET_NO_NEW_PRIVS): set-user-ID and
// set-group-ID bits and the capabilities of files are without effect.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_no_new_privileges(struct coreproc_command *command,
                                                   struct coreproc_error **err);

// Takes capabilities from all its sets, the bounding set included: names with commas between them,
// such as `"cap_net_raw,cap_sys_admin"`, or `"all"`. Calls add up. The bounding set needs
// CAP_SETPCAP: a host without it sets coreproc_command_no_new_privileges as well, else the spawn
// fails with EPERM.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_drop_capabilities(struct coreproc_command *command,
                                                   const char *names,
                                                   size_t names_len,
                                                   struct coreproc_error **err);

// Lets it ignore this signal if the host ignores it at the spawn, as a host under `nohup` ignores
// SIGHUP. Otherwise a process in a group of its own starts with every signal at its default. Calls
// add up.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_keep_ignored(struct coreproc_command *command,
                                              int32_t signal,
                                              struct coreproc_error **err);

// Sets its working directory by a descriptor of it, which may be opened with O_PATH; replaces
// coreproc_command_cwd, as that replaces it. `fd` is duplicated.
//
// Errors: INVALID_ARGUMENT; SYSTEM (fcntl(2): EBADF, EMFILE).
coreproc_result coreproc_command_cwd_fd(struct coreproc_command *command,
                                        int32_t fd,
                                        struct coreproc_error **err);

// Has the kernel send it this signal when the host dies, however that happens (PR_SET_PDEATHSIG):
// SIGKILL ends it for sure. The signal reaches the process alone, not what it has started; running a
// set-user-ID program, or one with capabilities of its own, undoes it. Such processes are started
// one after another by a thread of the service, which lives as long as they do; what Linux keeps
// for each thread (namespaces, processors, nice value) they have from that thread, which has it from
// the first one that spawned such a process. Refused together with coreproc_command_detach, by the
// spawn.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_die_with_host(struct coreproc_command *command,
                                               int32_t signal,
                                               struct coreproc_error **err);

// Sets a limit of the kernel's: `resource` is a RLIMIT_ value of <sys/resource.h>, `soft` and `hard`
// are in the units of getrlimit(2), COREPROC_UNLIMITED for none. A later call for the same resource
// replaces an earlier one. It is set before the user. A hard limit above that of the host needs
// CAP_SYS_RESOURCE, and without it the spawn fails with EPERM, stage "limit".
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_resource_limit(struct coreproc_command *command,
                                                uint32_t resource,
                                                uint64_t soft,
                                                uint64_t hard,
                                                struct coreproc_error **err);

// Sets its nice value, from -20, the most favourable, to 19. One below that of the host needs
// CAP_SYS_NICE or RLIMIT_NICE.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_nice(struct coreproc_command *command,
                                      int32_t nice,
                                      struct coreproc_error **err);

// Sets its scheduling policy: SCHED_OTHER, SCHED_BATCH or SCHED_IDLE of <sched.h> with the priority
// 0, SCHED_FIFO or SCHED_RR with one from 1 to 99. The last two need CAP_SYS_NICE or RLIMIT_RTPRIO.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_scheduling(struct coreproc_command *command,
                                            uint32_t policy,
                                            uint32_t priority,
                                            struct coreproc_error **err);

// Sets its priority of reads and writes of disks: a COREPROC_IO value, and a level. Not every
// scheduler of the kernel's respects it (ioprio_set(2)).
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_io_priority(struct coreproc_command *command,
                                             uint32_t io_class,
                                             uint32_t level,
                                             struct coreproc_error **err);

// Sets on which processors it may run, by their numbers, which count from 0.
//
// Errors: INVALID_ARGUMENT. A processor that the machine cannot have fails the spawn, stage "cpu
// affinity".
coreproc_result coreproc_command_cpu_affinity(struct coreproc_command *command,
                                              const uint32_t *cpus,
                                              size_t cpus_len,
                                              struct coreproc_error **err);

// Sets how likely the kernel chooses it when memory runs out: from -1000, never, to 1000, first
// (/proc/PID/oom_score_adj). A value below that of the host needs CAP_SYS_RESOURCE.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_oom_score(struct coreproc_command *command,
                                           int32_t score,
                                           struct coreproc_error **err);

// Sets the time in which it has to write its first byte, from its start, to any output that the
// library reads (0, UNLIMITED: any). If it has not, it is stopped by its stop options, with the
// cause START_TIMEOUT. What it wrote in time counts, even if the library reads it later.
//
// Errors: INVALID_ARGUMENT, from the spawn if the library reads none of its outputs.
coreproc_result coreproc_command_start_timeout(struct coreproc_command *command,
                                               uint64_t timeout_ms,
                                               struct coreproc_error **err);

// Sets how long it may write nothing to any of the outputs that the library reads, from its start
// and after each output (0, UNLIMITED: for ever). Then it is stopped by its stop options, with the
// cause SILENCE. Time in which a full queue keeps the library from reading does not count. If there
// is a start timeout, the time until the first output is bounded by that alone.
//
// Errors: INVALID_ARGUMENT, from the spawn if the library reads none of its outputs.
coreproc_result coreproc_command_silence_timeout(struct coreproc_command *command,
                                                 uint64_t timeout_ms,
                                                 struct coreproc_error **err);

// Sets how much CPU time it may use, in user and kernel mode, together with the children that it
// has waited for (0, UNLIMITED: any). Then it is stopped by its stop options, with the cause
// CPU_TIME. The library looks at /proc/PID/stat when the limit could be reached at the earliest, at
// most 100 times a second, so that the end comes up to 10 ms late for each processor that it uses.
//
// Errors: INVALID_ARGUMENT; from the spawn UNSUPPORTED if /proc does not show this process.
coreproc_result coreproc_command_cpu_time_limit(struct coreproc_command *command,
                                                uint64_t limit_ms,
                                                struct coreproc_error **err);

// Sets how many bytes it may write to the outputs that the library reads, all together (0,
// UNLIMITED: any number). When more have been read, it is stopped by its stop options, with the
// cause OUTPUT_LIMIT. All that is read is still kept and delivered. A process that has ended by
// itself by then keeps its cause; coreproc_process_info tells how much it wrote.
//
// Errors: INVALID_ARGUMENT, from the spawn if the library reads none of its outputs.
coreproc_result coreproc_command_output_limit(struct coreproc_command *command,
                                              uint64_t bytes,
                                              struct coreproc_error **err);

// Has it told when a signal stops the process and when it runs on: by the events STOPPED and
// CONTINUED, and in coreproc_process_info. A process in the background that reads from its terminal
// is stopped by SIGTTIN.
//
// No descriptor tells it and SIGCHLD belongs to the host, so the service looks once in each
// `interval_ms` (0: 100; UNLIMITED: only when coreproc_process_look_for_stops asks), by waitid(2)
// and /proc/PID/stat. A host that waits for such changes itself may miss those that the service has
// seen. Both events alternate, and a stop that is over when the service looks is not told. While
// more waits for a subscriber than its queue is to hold, the service does not look.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_report_stops(struct coreproc_command *command,
                                              uint64_t interval_ms,
                                              struct coreproc_error **err);

// Looks at once whether it is stopped, or runs on, and tells it as coreproc_command_report_stops says:
// for a host that gets SIGCHLD itself. Not for a signal handler. Fine once it has ended. Thread-safe.
//
// Errors: INVALID_ARGUMENT if its command did not ask for reports of stops.
coreproc_result coreproc_process_look_for_stops(const struct coreproc_process *process,
                                                struct coreproc_error **err);

// Sets by what means the process is held together with all that it starts; `containment` is a
// COREPROC_CONTAIN value. A cgroup is made below the host's own cgroup in the v2 hierarchy, and
// removed when the last process in it has ended; the process begins in it, and what its processes
// start is in it, too, whatever sessions and parents they give themselves. Without a cgroup the
// environment gets a mark (COREPROC_TREE). With any containment, COREPROC_SCOPE_DEFAULT of kill and
// stop is COREPROC_SCOPE_TREE, and so is that of timeouts and of a close of the service.
//
// Errors: INVALID_ARGUMENT; from the spawn UNSUPPORTED at the stage `contain` if it requires a
// cgroup and the system allows none: the message says which part is missing.
coreproc_result coreproc_command_contain(struct coreproc_command *command,
                                         uint32_t containment,
                                         struct coreproc_error **err);

// Limits the memory of all its processes together, in bytes (0, UNLIMITED: any), by `memory.max` of
// cgroup v2. If the limit is reached the kernel reclaims, and if that is not enough it kills:
// `oom_kills` of coreproc_process_info. A limit needs a cgroup, whatever containment is asked for.
//
// Errors: INVALID_ARGUMENT; from the spawn UNSUPPORTED at the stage `contain` if no cgroup can be
// made, or its controller, which the message names, cannot be enabled for it: the host's cgroup has
// to be the root of the hierarchy, or the controller must be enabled below it already.
coreproc_result coreproc_command_memory_max(struct coreproc_command *command,
                                            uint64_t bytes,
                                            struct coreproc_error **err);

// Limits how many processes and threads it may have at once, itself included (0, UNLIMITED: any),
// by `pids.max` of cgroup v2: a fork beyond them fails with EAGAIN.
//
// Errors: as for coreproc_command_memory_max.
coreproc_result coreproc_command_processes_max(struct coreproc_command *command,
                                               uint64_t count,
                                               struct coreproc_error **err);

// Limits the processor time of all its processes together, in thousandths of one processor, by
// `cpu.max` of cgroup v2: 500 is half of one, 2000 are two; from 10 to 1000000 (0: any).
//
// Errors: as for coreproc_command_memory_max.
coreproc_result coreproc_command_cpu_max(struct coreproc_command *command,
                                         uint32_t thousandths,
                                         struct coreproc_error **err);

// Names the living processes of its tree, a line each, with its PID and its command line as for
// coreproc_process_holders: `+PID COMMAND\n` if a signal to the tree reaches it, `-PID COMMAND\n` if
// not, because it has left the tree or the kernel refused to signal it. On the rung of a cgroup
// nothing can have left; on the others it is found by the mark of coreproc_command_contain, as far as
// its environment can be read and still has it. So after a stop or a kill it names what that did not
// reach, even once the process is closed; one that was just killed may be seen for a moment. Other
// users' processes may be hidden. Free `*out` with coreproc_bytes_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_process_tree(const struct coreproc_process *process,
                                      struct coreproc_bytes **out,
                                      struct coreproc_error **err);

// Keeps it from running until coreproc_process_resume. `scope` is a COREPROC_SCOPE value, of which
// the default is as for coreproc_process_kill. A tree in a cgroup is frozen (`cgroup.freeze`), which
// no process in it sees or can undo; otherwise each process gets a SIGSTOP, of which its parent is
// told. Signals wait until it is resumed; but SIGKILL ends it, and a stop resumes it. Timeouts run on.
// Thread-safe.
//
// Errors: those of coreproc_process_signal.
coreproc_result coreproc_process_pause(const struct coreproc_process *process,
                                       uint32_t scope,
                                       struct coreproc_error **err);

// Lets it run on after coreproc_process_pause with the same scope: thaws the cgroup, or sends
// SIGCONT. Thread-safe.
//
// Errors: those of coreproc_process_signal.
coreproc_result coreproc_process_resume(const struct coreproc_process *process,
                                        uint32_t scope,
                                        struct coreproc_error **err);

// Makes a command from a flat one, which is:
//
// - a `uint32_t`, COREPROC_FLAT_VERSION;
// - options, each of a `uint32_t`, a COREPROC_FLAT value, a `uint32_t` with the length of what
//   follows, and a value of that length: integers, bytes, or nothing, as the constant says.
//
// Integers are little-endian and nothing is padded or aligned. The first option is
// COREPROC_FLAT_PROGRAM; each of the others does what the setter of that name does, in the order in
// which they come. `echo hi` are the 26 bytes
// `"\1\0\0\0" "\1\0\0\0" "\4\0\0\0" "echo" "\2\0\0\0" "\2\0\0\0" "hi"`, without a NUL at the end.
// Later libraries may know more options. Free `*out` with coreproc_command_free.
//
// Errors: INVALID_ARGUMENT, also for an option that this library does not know, and bytes that are
// missing or too many; the message names the option, and the byte at which it is: `set command:
// flat: byte 16: timeout: needs 4 bytes, and 1 are left`. Texts that a setter would refuse, such as
// arguments with a NUL, are named all at once. SYSTEM as for coreproc_command_stdio_fd.
coreproc_result coreproc_command_from_flat(const uint8_t *flat,
                                           size_t flat_len,
                                           struct coreproc_command **out,
                                           struct coreproc_error **err);

// Starts a process from a flat command: coreproc_command_from_flat, coreproc_command_subscribe if
// `named` is not NULL, coreproc_command_spawn and coreproc_process_info_get in one call. `named`
// and `info` may be NULL; the caller sets `info->struct_size`. Free `*out` with
// coreproc_process_free. Thread-safe.
//
// Errors: those of the four.
coreproc_result coreproc_service_spawn_flat(const struct coreproc_service *service,
                                            const uint8_t *flat,
                                            size_t flat_len,
                                            const struct coreproc_subscription *named,
                                            struct coreproc_process **out,
                                            struct coreproc_process_info *info,
                                            struct coreproc_error **err);

// Returns its number in its service: from 1, never reused; 0 for NULL. Thread-safe.
uint64_t coreproc_process_id(const struct coreproc_process *process);

// Returns its PID, which may be another process's once this one has ended; -1 for NULL.
// Thread-safe.
int32_t coreproc_process_pid(const struct coreproc_process *process);

// Tells what is known of it now. The caller sets `out->struct_size`. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_process_info_get(const struct coreproc_process *process,
                                          struct coreproc_process_info *out,
                                          struct coreproc_error **err);

// Waits until it is exited or closed, as `until`, a COREPROC_STATE value, says; up to `timeout_ms`
// (-1: for ever; 0: only looks). `out` may be NULL; else the caller sets its `struct_size`. Any
// number of threads may wait. Thread-safe.
//
// Errors: INVALID_ARGUMENT; TIMED_OUT; DEADLOCK inside a callback; PANIC.
coreproc_result coreproc_process_wait(const struct coreproc_process *process,
                                      uint32_t until,
                                      int64_t timeout_ms,
                                      struct coreproc_process_info *out,
                                      struct coreproc_error **err);

// Copies what its capture holds: both streams, in order of arrival. Free `*out` with
// coreproc_bytes_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT; OUT_OF_MEMORY.
coreproc_result coreproc_process_output(const struct coreproc_process *process,
                                        struct coreproc_bytes **out,
                                        struct coreproc_error **err);

// Tells people what became of it, in at most ten lines: its command and PID, how it ended, and why if
// the library was the cause; how long it ran, its CPU time and peak memory; how much it wrote; who
// holds its output; and the last lines of that. Control characters of the process are escaped. The
// words may change; programs read coreproc_process_info_json. Free `*out` with coreproc_bytes_free.
// Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_process_post_mortem(const struct coreproc_process *process,
                                             struct coreproc_bytes **out,
                                             struct coreproc_error **err);

// Returns all that is known of it as a JSON object, with what coreproc_process_post_mortem tells;
// docs/reports.md lists the fields. Free `*out` with coreproc_bytes_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_process_info_json(const struct coreproc_process *process,
                                           struct coreproc_bytes **out,
                                           struct coreproc_error **err);

// Names the processes that held its output pipes when it was closed at the drain bound, "PID
// COMMAND\n" each, "?" for a PID that could not be seen; empty otherwise. A process may call
// itself anything: control and invisible characters in COMMAND are escaped, so that no name is a
// line of its own or talks to a terminal. Free `*out` with coreproc_bytes_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_process_holders(const struct coreproc_process *process,
                                         struct coreproc_bytes **out,
                                         struct coreproc_error **err);

// Sends a signal by pidfd_send_signal(2); 0 only probes. `scope` is a COREPROC_SCOPE value. The
// signal reaches this process or its group, never another one. Thread-safe.
//
// Errors: INVALID_ARGUMENT; NOT_RUNNING; PERMISSION_DENIED; UNSUPPORTED for a group before Linux
// 6.9 if the host has reaped the process (it ignores SIGCHLD, or calls waitpid(-1)), because then
// nothing proves which group the number names.
coreproc_result coreproc_process_signal(const struct coreproc_process *process,
                                        int32_t signal,
                                        uint32_t scope,
                                        struct coreproc_error **err);

// Sends SIGKILL, once. A group can be killed after its leader has ended, until the process is
// closed. Thread-safe.
//
// Errors: INVALID_ARGUMENT; NOT_RUNNING if there is no process left to kill; PERMISSION_DENIED;
// UNSUPPORTED as for coreproc_process_signal.
coreproc_result coreproc_process_kill(const struct coreproc_process *process,
                                      uint32_t scope,
                                      struct coreproc_error **err);

// Stops it: a signal, a grace period, SIGKILL, or as many steps as the options have. NULL `options`
// are its command's. Does not wait. SIGCONT follows each signal that a stopped process would not
// act on. A second stop, whatever its options, moves to the next step at once, and at the last step
// sends its signal again, unless that is SIGKILL; stopping a process that has ended is fine. While the
// stop of a group goes on,
// the process is not closed. Thread-safe.
//
// Errors: INVALID_ARGUMENT; PERMISSION_DENIED or SYSTEM if the kernel refuses the signal, usually
// because the process has become another user's: the stop goes on, the signal is tried again until
// it is taken or the process ends, and COREPROC_FLAG_STOP_REFUSED is set meanwhile; UNSUPPORTED as
// for coreproc_process_signal.
coreproc_result coreproc_process_stop(const struct coreproc_process *process,
                                      const struct coreproc_stop_options *options,
                                      struct coreproc_error **err);

// Writes to its standard input: at least one byte, and as many as it takes within `timeout_ms`
// (-1: for ever; 0: what fits now). On success `*written`, which may be NULL, is at most `len`; it
// is less only if the time ran out, or the reader ended. Concurrent writes do not mix. Never
// raises SIGPIPE. Thread-safe.
//
// Errors, if not one byte was written: INVALID_ARGUMENT; NOT_RUNNING if the process has ended,
// whatever became of its standard input before; STDIN_CLOSED while it runs, if its input is not a
// pipe, was closed, or has no reader left (a reader usually ends right after it has closed its
// input, so this is returned only after a wait for the end, up to 0.1 s and within `timeout_ms`);
// TIMED_OUT; DEADLOCK inside a callback; PANIC.
coreproc_result coreproc_process_write(const struct coreproc_process *process,
                                       const uint8_t *data,
                                       size_t len,
                                       int64_t timeout_ms,
                                       size_t *written,
                                       struct coreproc_error **err);

// Closes its standard input: its reader sees the end, even while a child that the host forked
// lives (libc's fork, which runs pthread_atfork(3) handlers: a copy that a bare clone made keeps
// it open). Idempotent; a write that waits fails. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_process_close_stdin(const struct coreproc_process *process,
                                             struct coreproc_error **err);

// Closes our end of an output, COREPROC_STREAM_STDOUT or _STDERR: what is in the pipe is lost, and
// a process that writes to it from now on gets a SIGPIPE, as in a shell pipeline whose reader has
// ended. Idempotent, and without effect on an output that is not a pipe of ours. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_process_close_output(const struct coreproc_process *process,
                                              uint32_t stream,
                                              struct coreproc_error **err);

// Returns another reference to the same process, to be freed on its own; NULL for NULL.
// Thread-safe.
struct coreproc_process *coreproc_process_ref(const struct coreproc_process *process);

// Gives a reference back. NULL is fine. Never blocks, never kills. Thread-safe.
void coreproc_process_free(struct coreproc_process *process);

// Makes one that is not cancelled. Free `*out` with coreproc_cancel_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_cancel_new(struct coreproc_cancel **out, struct coreproc_error **err);

// Returns another reference to the same one, to be freed on its own; NULL for NULL. Thread-safe.
struct coreproc_cancel *coreproc_cancel_ref(const struct coreproc_cancel *cancel);

// Ends the waits that were called with it, and those that will be, with CLOSED, unless what they
// wait for has come. It stays cancelled. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_cancel_waits(const struct coreproc_cancel *cancel,
                                      struct coreproc_error **err);

// Frees it; waits that were called with it go on. NULL is fine.
void coreproc_cancel_free(struct coreproc_cancel *cancel);

// Waits until one of `count` processes, of one service or of several, has come so far as `until`
// says, EXITED or CLOSED; up to `timeout_ms` (-1: for ever; 0: only looks). `*index` becomes its
// place; if several have, that of the first to do so, as far as that is known. `cancel` may be NULL.
// The thread is woken by any of them: no thread is made, and nothing polled. Thread-safe.
//
// Errors: INVALID_ARGUMENT; TIMED_OUT; CLOSED if the wait was cancelled; DEADLOCK inside a callback;
// PANIC.
coreproc_result coreproc_process_wait_any(const struct coreproc_process *const *processes,
                                          size_t count,
                                          uint32_t until,
                                          int64_t timeout_ms,
                                          const struct coreproc_cancel *cancel,
                                          size_t *index,
                                          struct coreproc_error **err);

// Waits until all of `count` processes have come so far, as coreproc_process_wait_any for one; at
// once if there is none. Thread-safe.
//
// Errors: those of coreproc_process_wait_any.
coreproc_result coreproc_process_wait_all(const struct coreproc_process *const *processes,
                                          size_t count,
                                          uint32_t until,
                                          int64_t timeout_ms,
                                          const struct coreproc_cancel *cancel,
                                          struct coreproc_error **err);

// Opens a descriptor that becomes readable when the process has come so far as `until` says, EXITED
// or CLOSED: the read end of a pipe of its own, without blocking and close-on-exec, which the caller
// closes. Its bytes mean nothing, and it stays readable. A broken service makes it readable, too. The
// thread of the service sees the end; only if the host drives the service itself, its takes have to
// bring the end about. Thread-safe.
//
// Errors: INVALID_ARGUMENT; SYSTEM (pipe2(2)); PANIC.
coreproc_result coreproc_process_wait_fd(const struct coreproc_process *process,
                                         uint32_t until,
                                         int32_t *out,
                                         struct coreproc_error **err);

// Gives the process a pipe of ours at this descriptor, from 3 to 1023; `mode` is a
// COREPROC_DESCRIPTOR value. The process finds the descriptor open from the start, and besides
// what it is given no other one than its standard streams. A number can be given once. At most 64
// inputs and as many outputs can be pipes of ours. A number that the process may not have
// (RLIMIT_NOFILE) fails the spawn with EBADF, stage "descriptor".
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_descriptor(struct coreproc_command *command,
                                            uint32_t number,
                                            uint32_t mode,
                                            struct coreproc_error **err);

// Gives the process a pipe with these bytes, and then the end, at this descriptor: as
// coreproc_command_stdin_data for standard input.
//
// Errors: INVALID_ARGUMENT; OUT_OF_MEMORY.
coreproc_result coreproc_command_descriptor_data(struct coreproc_command *command,
                                                 uint32_t number,
                                                 const uint8_t *data,
                                                 size_t len,
                                                 struct coreproc_error **err);

// Gives the process `fd` of the host at this descriptor, which may be the same number. It is
// duplicated: the caller may close its own at once.
//
// Errors: INVALID_ARGUMENT; SYSTEM (fcntl(2): EBADF, EMFILE).
coreproc_result coreproc_command_descriptor_fd(struct coreproc_command *command,
                                               uint32_t number,
                                               int32_t fd,
                                               struct coreproc_error **err);

// Gives the process this file at this descriptor, opened at each spawn; `mode` is a COREPROC_FILE
// value. As for coreproc_command_stdio_file, the open does not wait.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_descriptor_file(struct coreproc_command *command,
                                                 uint32_t number,
                                                 const char *path,
                                                 size_t path_len,
                                                 uint32_t mode,
                                                 struct coreproc_error **err);

// Passes a socket in the way of systemd's socket activation: sockets come at 3 and the following
// numbers in the order of these calls, and the environment gets LISTEN_FDS, LISTEN_FDNAMES, and
// LISTEN_PID with the process's own PID, so that sd_listen_fds(3) finds them; variables of these
// names that were set otherwise are replaced. `name` is 1 to 255 printable ASCII characters other
// than ":". `fd` is duplicated.
//
// Errors: INVALID_ARGUMENT; SYSTEM (fcntl(2): EBADF, EMFILE).
coreproc_result coreproc_command_listen_fd(struct coreproc_command *command,
                                           int32_t fd,
                                           const char *name,
                                           size_t name_len,
                                           struct coreproc_error **err);

// Writes to an input pipe at a descriptor above 2, as coreproc_process_write does to standard
// input; or to a pseudo-terminal at 1 or 2 if standard input is set otherwise. Thread-safe.
//
// Errors: those of coreproc_process_write; STDIN_CLOSED also for a number that is no input pipe.
coreproc_result coreproc_process_descriptor_write(const struct coreproc_process *process,
                                                  uint32_t number,
                                                  const uint8_t *data,
                                                  size_t len,
                                                  int64_t timeout_ms,
                                                  size_t *written,
                                                  struct coreproc_error **err);

// Closes our end of the pipe at a descriptor above 2: of an input as coreproc_process_close_stdin,
// of an output as coreproc_process_close_output. Idempotent, and without effect if there is no
// such pipe. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_process_descriptor_close(const struct coreproc_process *process,
                                                  uint32_t number,
                                                  struct coreproc_error **err);

// Gives the process a pseudo-terminal of this size (columns 0: 80, rows 0: 24), as its controlling
// terminal, in a session of its own; `mode` is a COREPROC_PTY value, which the program may change.
// Each of its standard streams that is not set otherwise is on it.
//
// What the process writes to the terminal arrives as its standard output: standard error is on the
// same terminal, and cannot be told apart. If standard output is set otherwise, it arrives as
// standard error, and if that is, too, in events of the kind OUTPUT with the descriptor 0, and in
// coreproc_process_output_of 0. It includes what is written to /dev/tty, and the echo.
// The terminal ends when the process has ended and no descendant has it open.
//
// coreproc_process_write types at the terminal (coreproc_process_descriptor_write with 1 or 2 if
// standard input is set otherwise): Ctrl-C is the byte 3. coreproc_process_close_stdin types the
// terminal's character for the end of input, Ctrl-D, unless the mode is RAW, in which there is
// none. The environment is not changed: programs look up the kind of terminal in TERM.
//
// When the process ends, the kernel sends SIGHUP to the terminal's foreground group; when the host
// ends, or coreproc_process_close_output closes the terminal, to the process.
//
// Errors: INVALID_ARGUMENT. From the spawn: INVALID_ARGUMENT if it contradicts another option
// (detach, COREPROC_GROUP_INHERIT, COREPROC_STDIO_MERGE if standard output is on the terminal);
// stage "pty": UNSUPPORTED if the system has no /dev/ptmx, SYSTEM with ENOSPC if all terminals that
// it allows (kernel.pty.max) are in use.
coreproc_result coreproc_command_pty(struct coreproc_command *command,
                                     uint32_t columns,
                                     uint32_t rows,
                                     uint32_t mode,
                                     struct coreproc_error **err);

// Changes the size of its pseudo-terminal. The kernel sends SIGWINCH to the terminal's foreground
// group if the size differs. Thread-safe.
//
// Errors: INVALID_ARGUMENT if it has no pseudo-terminal, or for a size of 0. NOT_RUNNING if it has
// ended, unless a descendant still has the terminal open.
coreproc_result coreproc_process_resize(const struct coreproc_process *process,
                                        uint32_t columns,
                                        uint32_t rows,
                                        struct coreproc_error **err);

// Gives the process's group the foreground of the host's own terminal while it runs, as a shell does
// it with a job: it can read there, and has its Ctrl-C and Ctrl-Z to itself. `fd`, which is
// duplicated, is the controlling terminal of the host, in whose foreground the host has to be,
// usually /dev/tty; the streams are to be set to it as well (COREPROC_STDIO_INHERIT).
//
// The process takes it before its program runs. The host has it back, with the settings that the
// terminal had, before the end of the process is told, and when the process is stopped (Ctrl-Z); then
// coreproc_process_foreground lets it go on. For this a thread waits for each such process. No signal
// handler is installed, and SIGTTOU is blocked around the calls (tcsetpgrp(3)).
//
// Errors: INVALID_ARGUMENT; SYSTEM (fcntl(2): EBADF, EMFILE). From the spawn: INVALID_ARGUMENT if it
// contradicts another option (detach, pty, a group other than COREPROC_GROUP_OWN); stage
// "foreground": INVALID_STATE if the host is in the background, or another of its processes has the
// foreground; SYSTEM with ENOTTY if it is not the host's controlling terminal.
coreproc_result coreproc_command_foreground(struct coreproc_command *command,
                                            int32_t fd,
                                            struct coreproc_error **err);

// Gives a process that was stopped the foreground of the host's terminal again, with the settings that
// it had made, and continues its group (SIGCONT). Does no more than continue it if it has the
// foreground. Thread-safe.
//
// Errors: INVALID_ARGUMENT if its command did not ask for the foreground. INVALID_STATE if the host
// does not have the foreground to give. NOT_RUNNING if it has ended. SYSTEM.
coreproc_result coreproc_process_foreground(const struct coreproc_process *process,
                                            struct coreproc_error **err);

// Sets how many of the first bytes of its output are kept besides the last ones
// (coreproc_command_capture), for coreproc_process_output_of (default 0). One thread at a time.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_capture_head(struct coreproc_command *command,
                                              uint64_t bytes,
                                              struct coreproc_error **err);

// Sets how many of the last lines of its output are kept, as far as their bytes are (default 0:
// any number). The first of them may have lost its start. One thread at a time.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_capture_lines(struct coreproc_command *command,
                                               uint64_t lines,
                                               struct coreproc_error **err);

// Keeps standard output and standard error apart, each in a capture of the size, the head and the
// lines that the command sets, instead of both in order of arrival. coreproc_process_output then
// has standard output first. One thread at a time.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_capture_apart(struct coreproc_command *command,
                                               struct coreproc_error **err);

// Copies what a capture holds: its first and its last bytes. `number` is
// COREPROC_OUTPUT_TOGETHER, 1 for standard output and 2 for standard error if they are captured
// apart (coreproc_command_capture_apart), else the number of an output pipe
// (COREPROC_DESCRIPTOR_OUTPUT). `*head_len` becomes how many of the bytes are the first ones, and
// `*gap` how many bytes between the first and the last are not held; both may be NULL. Free `*out`
// with coreproc_bytes_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT, also if there is no such capture; OUT_OF_MEMORY.
coreproc_result coreproc_process_output_of(const struct coreproc_process *process,
                                           uint32_t number,
                                           size_t *head_len,
                                           uint64_t *gap,
                                           struct coreproc_bytes **out,
                                           struct coreproc_error **err);

// Opens a log. The file is made if it is missing, and continued if it exists; a link is not
// followed. `options` may be NULL. The thread that writes waits as a listener's does, so
// coreproc_subscription_drive is BUSY beside it. Free `*out` with coreproc_log_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT; SYSTEM, NOT_FOUND or PERMISSION_DENIED if the file cannot be opened;
// CLOSED.
coreproc_result coreproc_log_open(const struct coreproc_service *service,
                                  const char *path,
                                  size_t path_len,
                                  const struct coreproc_log_options *options,
                                  struct coreproc_log **out,
                                  struct coreproc_error **err);

// Writes the output of its process to a log of its service. `streams` has bit N for the
// COREPROC_EVENT with the number N: STDOUT, STDERR, OUTPUT (0: all of them). The output is
// captured, and delivered to subscriptions, all the same. May be called for several logs. One
// thread at a time.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_command_log(struct coreproc_command *command,
                                     const struct coreproc_log *log,
                                     uint32_t streams,
                                     struct coreproc_error **err);

// Fills `*out`, whose struct_size the caller sets. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_log_info_get(const struct coreproc_log *log,
                                      struct coreproc_log_info *out,
                                      struct coreproc_error **err);

// Renames the file now, as if it were full. Thread-safe.
//
// Errors: INVALID_ARGUMENT; SYSTEM, PERMISSION_DENIED: the log goes on in the old file.
coreproc_result coreproc_log_rotate(const struct coreproc_log *log, struct coreproc_error **err);

// Opens the file of the log's name again, for a program that renames it from outside
// (logrotate(8)). Thread-safe.
//
// Errors: INVALID_ARGUMENT; SYSTEM, NOT_FOUND, PERMISSION_DENIED: the log goes on in the old file.
coreproc_result coreproc_log_reopen(const struct coreproc_log *log, struct coreproc_error **err);

// Waits up to `timeout_ms` (-1: for ever; 0: only looks) until all that the processes have written
// is in the file, and those processes are closed. Thread-safe.
//
// Errors: INVALID_ARGUMENT; TIMED_OUT; DEADLOCK inside a callback; CLOSED if the thread that
// writes has ended before.
coreproc_result coreproc_log_wait_idle(const struct coreproc_log *log,
                                       int64_t timeout_ms,
                                       struct coreproc_error **err);

// Makes a reader of the log, through all its files, from an offset on. Offset 0 is the first byte
// that the file had when the log was opened. Free `*out` with coreproc_log_follower_free.
// Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_log_follow(const struct coreproc_log *log,
                                    uint64_t offset,
                                    struct coreproc_log_follower **out,
                                    struct coreproc_error **err);

// Reads the next bytes, at least one and up to `most`; waits for them up to `timeout_ms` (-1: for
// ever; 0: only looks). `*offset` becomes that of the byte after them, and `*skipped` how many
// bytes the follower could not read so far, because their files were gone; both may be NULL. Free
// `*out` with coreproc_bytes_free. Thread-safe: calls wait for each other.
//
// Errors: INVALID_ARGUMENT; TIMED_OUT; CLOSED at the end of the log; DEADLOCK inside a callback;
// SYSTEM; OUT_OF_MEMORY.
coreproc_result coreproc_log_follower_read(const struct coreproc_log_follower *follower,
                                           size_t most,
                                           int64_t timeout_ms,
                                           uint64_t *offset,
                                           uint64_t *skipped,
                                           struct coreproc_bytes **out,
                                           struct coreproc_error **err);

// Frees a follower. NULL is fine.
void coreproc_log_follower_free(struct coreproc_log_follower *follower);

// Returns another reference to the same log, to be freed on its own; NULL for NULL. Thread-safe.
struct coreproc_log *coreproc_log_ref(const struct coreproc_log *log);

// Gives a reference back. NULL is fine. Never blocks. Thread-safe.
void coreproc_log_free(struct coreproc_log *log);

// Returns what names a process for good, to be written down: one line of text, by which this and
// any other program finds it again (coreproc_handle_open), and never another process:
// "coreproc:1:PID:START:BOOT:NAMESPACE:PIDFS". It has the start in clock ticks since the boot, the
// boot id, and the inodes of the PID namespace and of the process in pidfs (Linux 6.9); START or
// PIDFS is "-" if it is not known. Free `*out` with coreproc_bytes_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT; NOT_RUNNING once it has ended; UNSUPPORTED without /proc.
coreproc_result coreproc_process_identity(const struct coreproc_process *process,
                                          struct coreproc_bytes **out,
                                          struct coreproc_error **err);

// Returns what names the process that has this PID now, child or not, as coreproc_process_identity
// does. Free `*out` with coreproc_bytes_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT; NOT_FOUND if no process has this number; UNSUPPORTED without
// pidfd_open(2) (Linux 5.3) or /proc.
coreproc_result coreproc_identity_of_pid(int32_t pid,
                                         struct coreproc_bytes **out,
                                         struct coreproc_error **err);

// Finds the process that an identity names. What is found is never another process that has got
// the number since. No privilege is needed. Free `*out` with coreproc_handle_free. Thread-safe.
//
// Errors: MALFORMED, naming the field, if the text is no identity; NOT_FOUND if the process has
// ended and was reaped; INVALID_ARGUMENT, also if it is of another boot or another PID namespace;
// UNSUPPORTED without pidfd_open(2) (Linux 5.3) or /proc.
coreproc_result coreproc_handle_open(const char *identity,
                                     size_t len,
                                     struct coreproc_handle **out,
                                     struct coreproc_error **err);

// Returns its PID, which may be another process's once this one has ended; -1 for NULL.
// Thread-safe.
int32_t coreproc_handle_pid(const struct coreproc_handle *handle);

// Returns its pidfd, for event loops: it is readable once the process has ended. It is the
// handle's own, so a loop that closes what it wraps needs a duplicate; -1 for NULL. Thread-safe.
int32_t coreproc_handle_fd(const struct coreproc_handle *handle);

// Tells what is known of it now. The caller sets `out->struct_size`. Thread-safe.
//
// The status of a child of this program is told until the program reaps it (waitid(2) with
// WNOWAIT). That of any other process is told once its parent has reaped it, if the kernel keeps
// it (Linux 6.15); until then, and on older kernels, COREPROC_FLAG_STATUS_UNKNOWN is set.
//
// Errors: INVALID_ARGUMENT; SYSTEM if the host has closed the descriptor.
coreproc_result coreproc_handle_info_get(const struct coreproc_handle *handle,
                                         struct coreproc_handle_info *out,
                                         struct coreproc_error **err);

// Waits until it has ended, up to `timeout_ms` (-1: for ever; 0: only looks). If its parent has
// still to reap it before the kernel tells the status, that is waited for as well, up to 0.1 s and
// within `timeout_ms`. `out` may be NULL; else the caller sets its `struct_size`. Any number of
// threads may wait. Thread-safe.
//
// Errors: INVALID_ARGUMENT; TIMED_OUT; DEADLOCK inside a callback; SYSTEM if the host has closed
// the descriptor.
coreproc_result coreproc_handle_wait(const struct coreproc_handle *handle,
                                     int64_t timeout_ms,
                                     struct coreproc_handle_info *out,
                                     struct coreproc_error **err);

// Sends a signal by pidfd_send_signal(2); 0 only probes. `scope` is a COREPROC_SCOPE value, of
// which DEFAULT is the process; GROUP is the process group that it leads, also after it has ended
// itself. The signal reaches no other process or group. Thread-safe.
//
// Errors: INVALID_ARGUMENT; NOT_RUNNING once it has ended, or if it leads no group with a process
// in it; PERMISSION_DENIED; UNSUPPORTED for a group before Linux 6.9; SYSTEM if the host has closed
// the descriptor.
coreproc_result coreproc_handle_signal(const struct coreproc_handle *handle,
                                       int32_t signal,
                                       uint32_t scope,
                                       struct coreproc_error **err);

// Returns another reference to the same process, to be freed on its own; NULL for NULL.
// Thread-safe.
struct coreproc_handle *coreproc_handle_ref(const struct coreproc_handle *handle);

// Gives a reference back. NULL is fine. Never blocks, never kills. Thread-safe.
void coreproc_handle_free(struct coreproc_handle *handle);

// Tells what a process does, and what it and its tree use, by one pass over /proc. Nothing is told
// of a stranger, even if processes end meanwhile and their numbers are used again. The caller sets
// `out->struct_size`. For many processes, coreproc_service_activities is cheaper. Thread-safe.
//
// Errors: INVALID_ARGUMENT; NOT_RUNNING once it has ended; UNSUPPORTED if /proc does not show it.
coreproc_result coreproc_process_activity(const struct coreproc_process *process,
                                          struct coreproc_activity *out,
                                          struct coreproc_error **err);

// Tells what the processes of a service do that run, and what they and their trees use, by one pass
// over /proc for all of them, in the order of their ids. A process that ends meanwhile, or that
// /proc hides, is left out. Free `*out` with coreproc_activities_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT; UNSUPPORTED without a /proc that shows the processes of this PID
// namespace.
coreproc_result coreproc_service_activities(const struct coreproc_service *service,
                                            struct coreproc_activities **out,
                                            struct coreproc_error **err);

// Returns the first activity. `*count` becomes their number, `*stride` the bytes from one to the
// next; both may be NULL. Valid until the activities are freed. NULL, with 0, for NULL.
// Thread-safe.
const struct coreproc_activity *coreproc_activities_first(const struct coreproc_activities *activities,
                                                          size_t *count,
                                                          size_t *stride);

// Frees activities. NULL is fine.
void coreproc_activities_free(struct coreproc_activities *activities);

// Opens a stream of events to take from. `options` may be NULL. Free `*out` with
// coreproc_subscription_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT; CLOSED.
coreproc_result coreproc_subscription_open(const struct coreproc_service *service,
                                           const struct coreproc_subscription_options *options,
                                           struct coreproc_subscription **out,
                                           struct coreproc_error **err);

// Opens a stream of events for which `callback` is run. `options` and `destroy` may be NULL. The
// library uses `user_data`, on any thread, until `destroy` has run, which happens exactly once,
// even if this call fails. Free `*out` with coreproc_subscription_free, which, for the last
// reference, closes it without waiting. Thread-safe.
//
// Errors: INVALID_ARGUMENT; CLOSED; SYSTEM (pthread_create(3)).
coreproc_result coreproc_subscription_listen(const struct coreproc_service *service,
                                             const struct coreproc_subscription_options *options,
                                             coreproc_callback callback,
                                             void *user_data,
                                             coreproc_destroy destroy,
                                             struct coreproc_subscription **out,
                                             struct coreproc_error **err);

// Gets a descriptor that is readable while events may be waiting or the stream has ended: the end
// of a pipe, non-blocking, owned by the subscription. A loop that closes what it wraps needs a
// duplicate. Its bytes mean nothing, and may be read. A take that found nothing arms it again:
// take until TIMED_OUT. Thread-safe.
//
// Errors: INVALID_ARGUMENT, also for a listener; SYSTEM (pipe2(2)).
coreproc_result coreproc_subscription_fd(const struct coreproc_subscription *subscription,
                                         int32_t *out,
                                         struct coreproc_error **err);

// Has the caller's own event loop do the service's work, in coreproc_subscription_take, without a
// hand-off between threads. `*out` is an epoll(7) descriptor owned by the subscription, readable
// while there is work and when the stream has ended, for loops that accept an epoll, level- or
// edge-triggered. A loop that closes what it wraps needs a duplicate; never read or change it.
//
// Until the subscription is closed or freed, or a take returns CLOSED, nothing happens to the
// processes of the service but in takes: no output is read, no exit is seen. (Deadlines are met.)
// So whenever the descriptor is readable, take until TIMED_OUT or CLOSED, and soon. Those takes
// only look: a timeout other than 0 is INVALID_ARGUMENT. Other waits of the service end when a
// take has brought what they wait for. Thread-safe.
//
// Errors: INVALID_ARGUMENT, also for a listener, and after coreproc_subscription_fd; BUSY while
// another subscription drives or a thread waits for something of the service (the thread of an
// earlier listener does, for as long as it lives): then use coreproc_subscription_fd; CLOSED;
// SYSTEM (epoll_create1(2)).
coreproc_result coreproc_subscription_drive(const struct coreproc_subscription *subscription,
                                            int32_t *out,
                                            struct coreproc_error **err);

// Takes up to `max_events` (0: 1024) consecutive events of one process, waiting up to `timeout_ms`
// (-1: for ever; 0: only looks). Free `*out` with coreproc_batch_free; until then no other taker
// gets events of that process. Several threads may take side by side, and each process's events
// stay in order. Thread-safe.
//
// Errors: INVALID_ARGUMENT; TIMED_OUT; CLOSED at the end of the stream; DEADLOCK inside a
// callback; PANIC.
coreproc_result coreproc_subscription_take(const struct coreproc_subscription *subscription,
                                           size_t max_events,
                                           int64_t timeout_ms,
                                           struct coreproc_batch **out,
                                           struct coreproc_error **err);

// Ends the subscription: discards what waits, lifts its backpressure, and wakes every taker.
// Idempotent. With a callback, waits until a running call and `destroy` have returned, except from
// inside the callback. Thread-safe.
//
// Errors: INVALID_ARGUMENT; PANIC.
coreproc_result coreproc_subscription_close(const struct coreproc_subscription *subscription,
                                            struct coreproc_error **err);

// Returns another reference to the same subscription, to be freed on its own; NULL for NULL.
// Thread-safe.
struct coreproc_subscription *coreproc_subscription_ref(const struct coreproc_subscription *subscription);

// Gives a reference back. NULL is fine. Never blocks. The last one closes the subscription,
// without waiting for a callback that runs. Thread-safe.
void coreproc_subscription_free(struct coreproc_subscription *subscription);

// Returns the first event of a batch. `*count` becomes their number, `*stride` the bytes from one
// to the next; both may be NULL. The events are valid until the batch is freed. NULL, with 0, for
// NULL.
const struct coreproc_event *coreproc_batch_events(const struct coreproc_batch *batch,
                                                   size_t *count,
                                                   size_t *stride);

// Gets the process whose events these are, even if it has ended and is closed. So a taker gets a
// handle to processes that it did not start, such as those of a run. Free `*out` with
// coreproc_process_free.
//
// Errors: INVALID_ARGUMENT; NOT_FOUND for a run's own events, and once the subscription is closed.
coreproc_result coreproc_batch_process(const struct coreproc_batch *batch,
                                       struct coreproc_process **out,
                                       struct coreproc_error **err);

// Frees a batch: gives its process's turn and credit back, and wakes a taker if that process has
// more events. NULL is fine. May be called after the subscription was freed. Thread-safe.
void coreproc_batch_free(struct coreproc_batch *batch);

// Makes an empty ring for `size` bytes; 0 keeps nothing. Memory is taken as it is needed; if there
// is none, the ring stays as large as it is. Free `*out` with coreproc_ring_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_ring_new(size_t size,
                                  struct coreproc_ring **out,
                                  struct coreproc_error **err);

// Returns another reference to the same ring, to be freed on its own; NULL for NULL. Thread-safe.
struct coreproc_ring *coreproc_ring_ref(const struct coreproc_ring *ring);

// Keeps `len` bytes, in place of the oldest if the ring is full. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_ring_write(const struct coreproc_ring *ring,
                                    const uint8_t *data,
                                    size_t len,
                                    struct coreproc_error **err);

// Copies what the ring holds, oldest first, to `buffer`, if it fits into `size` bytes. `*out` is
// how many bytes the ring holds: if that is more than `size`, nothing was copied, and the next try
// needs a buffer of that size. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_ring_copy(const struct coreproc_ring *ring,
                                   uint8_t *buffer,
                                   size_t size,
                                   size_t *out,
                                   struct coreproc_error **err);

// Returns how many bytes the ring holds; 0 for NULL, and in a child of fork. Thread-safe.
size_t coreproc_ring_len(const struct coreproc_ring *ring);

// Returns how many bytes the ring can hold; 0 for NULL, and in a child of fork. Thread-safe.
size_t coreproc_ring_cap(const struct coreproc_ring *ring);

// Forgets what the ring holds. NULL is fine. Its memory is kept for what comes. Thread-safe.
void coreproc_ring_reset(const struct coreproc_ring *ring);

// Gives a reference back. NULL is fine. Thread-safe.
void coreproc_ring_free(struct coreproc_ring *ring);

// Makes a PID file of this path, not held yet; nothing is opened. Free `*out` with
// coreproc_pid_file_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_pid_file_new(const char *path,
                                      size_t path_len,
                                      struct coreproc_pid_file **out,
                                      struct coreproc_error **err);

// Takes the file for this process: makes it, with the directories above, or takes over a stale
// one, and writes the PID. Of many processes that start at once exactly one gets it. A read lock,
// which every process that may read the file can take, is not in the way: the file is then
// replaced by a new one. Thread-safe.
//
// Errors: BUSY while a daemon that lives has it, with the PID if it is known for sure;
// INVALID_STATE while this handle has it; INVALID_ARGUMENT for a symbolic link, a directory, or
// anything else that is not a plain file; PERMISSION_DENIED also for another user's file, for one
// that every user may write, and for a directory on the way to it that every user may write and
// that is not sticky; MALFORMED for a file that holds something else than a PID, which is left as
// it is; NOT_FOUND; SYSTEM (open(2), fcntl(2), write(2)).
coreproc_result coreproc_pid_file_acquire(const struct coreproc_pid_file *pid_file,
                                          struct coreproc_error **err);

// Removes the file, if the path still names it, and gives the lock back. If it is not held, does
// nothing. Thread-safe.
//
// Errors: INVALID_ARGUMENT; PERMISSION_DENIED or SYSTEM (unlink(2)); the lock is given back in any
// case.
coreproc_result coreproc_pid_file_release(const struct coreproc_pid_file *pid_file,
                                          struct coreproc_error **err);

// Returns the path, as it was given; "" for NULL. Lives as long as the handle. Thread-safe.
const char *coreproc_pid_file_path(const struct coreproc_pid_file *pid_file);

// Returns 1 if this handle holds it, else 0; 0 for NULL. Thread-safe.
uint32_t coreproc_pid_file_held(const struct coreproc_pid_file *pid_file);

// Returns another reference to the same PID file, to be freed on its own; NULL for NULL.
// Thread-safe.
struct coreproc_pid_file *coreproc_pid_file_ref(const struct coreproc_pid_file *pid_file);

// Gives a reference back. NULL is fine. The last one to a PID file that is held releases it.
// Thread-safe.
void coreproc_pid_file_free(struct coreproc_pid_file *pid_file);

// Reads a PID file, of this library or one without a lock, and tells in `*state`, a COREPROC_PID
// value, whether its daemon lives: it does while the file is locked, and, without a lock, if its
// PID names a process that started before the file was written, at a time that is not ahead of the
// clock.
//
// `*pid` becomes the PID of the daemon, or of the one that has ended; 0 if none is certain. The
// number in a locked file may be one of another PID namespace, so it counts only if
// /proc/PID/fdinfo shows that the process has the lock.
//
// A file that any user could have put there is INVALID as well: one that every user may write,
// that has several names, or that is in a directory which coreproc_pid_file_acquire refuses; and
// one in a sticky directory that every user may write, if its owner is neither root nor this
// process's user. In other directories, a file of such an owner counts for that user's processes
// alone.
//
// `*reason` becomes the reason for the state, to be shown as it is; it is empty if the daemon
// lives and its PID is known. Free it with coreproc_bytes_free. `pid` and `reason` may be NULL.
// Thread-safe.
//
// Errors: INVALID_ARGUMENT; PERMISSION_DENIED; SYSTEM (open(2), read(2)).
coreproc_result coreproc_pid_file_read(const char *path,
                                       size_t path_len,
                                       uint32_t *state,
                                       int32_t *pid,
                                       struct coreproc_bytes **reason,
                                       struct coreproc_error **err);

// Makes the registry in this directory, which is created when the first daemon is registered; NULL
// with 0 is the user's directory, "$HOME/.core/daemons". Free `*out` with coreproc_registry_free.
// Thread-safe.
//
// Errors: INVALID_ARGUMENT; NOT_FOUND if HOME is needed and not set.
coreproc_result coreproc_registry_new(const char *dir,
                                      size_t dir_len,
                                      struct coreproc_registry **out,
                                      struct coreproc_error **err);

// Like coreproc_registry_new, but its daemons are also found by programs that look for
// "CODE-DAEMON.json" with each "/" as "-": an entry is in the file of that name, unless the name
// is not safe or another daemon, which registered first, has that file. Both kinds of registries
// read files with any name.
//
// Errors: INVALID_ARGUMENT; NOT_FOUND if HOME is needed and not set.
coreproc_result coreproc_registry_new_plain(const char *dir,
                                            size_t dir_len,
                                            struct coreproc_registry **out,
                                            struct coreproc_error **err);

// Returns its directory, from the root; "" for NULL. Lives as long as the handle. Thread-safe.
const char *coreproc_registry_dir(const struct coreproc_registry *registry);

// Writes the entry of a daemon in place of an earlier one of the same code and name: to a
// temporary file, fsync(2), rename(2), fsync(2) of the directory, so that a crash leaves the old
// entry or the new one. A PID that does not run is written too; the next reader finds it dead.
// Thread-safe.
//
// Errors: INVALID_ARGUMENT names the field; BUSY if another daemon's file, or the lock of the
// directory, is in the way; PERMISSION_DENIED, also for a directory that every user may write and
// that is not sticky; SYSTEM. The earlier entry is then as it was, unless only the last step
// failed, the fsync(2) of the directory.
coreproc_result coreproc_registry_register(const struct coreproc_registry *registry,
                                           const struct coreproc_daemon_entry *entry,
                                           struct coreproc_error **err);

// Removes the entry of a daemon. A missing one is fine. Thread-safe.
//
// Errors: INVALID_ARGUMENT names the field; BUSY if the lock of the directory is in the way;
// PERMISSION_DENIED; SYSTEM (unlink(2), fsync(2)).
coreproc_result coreproc_registry_unregister(const struct coreproc_registry *registry,
                                             const char *code,
                                             size_t code_len,
                                             const char *daemon,
                                             size_t daemon_len,
                                             struct coreproc_error **err);

// Gets the entry of a daemon that lives. Free `*out`, with this one entry, with
// coreproc_entries_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT names the field; NOT_FOUND if there is none, if it is dead, or if it is
// of another PID namespace, whose processes cannot be looked for here; MALFORMED if its file is
// not an entry; PERMISSION_DENIED, also for an entry that is not believed (see
// coreproc_registry_list); SYSTEM.
coreproc_result coreproc_registry_get(const struct coreproc_registry *registry,
                                      const char *code,
                                      size_t code_len,
                                      const char *daemon,
                                      size_t daemon_len,
                                      struct coreproc_entries **out,
                                      struct coreproc_error **err);

// Lists all daemons that live, by start, code and daemon. Entries of dead ones are removed; files
// that are not entries are set aside, under the same name with ".bad", and are among the problems.
// Free `*out` with coreproc_entries_free. A missing directory is empty. Thread-safe.
//
// Reported and left alone are entries of another PID namespace, whose PIDs mean nothing here;
// entries that every user may write; and entries of a user other than root and this process's,
// unless they name a process of that user and not every user may write the directory. In another
// user's directory, no file of other users is changed.
//
// Errors: INVALID_ARGUMENT; PERMISSION_DENIED or SYSTEM if the directory cannot be read.
coreproc_result coreproc_registry_list(const struct coreproc_registry *registry,
                                       struct coreproc_entries **out,
                                       struct coreproc_error **err);

// Returns another reference to the same registry, to be freed on its own; NULL for NULL.
// Thread-safe.
struct coreproc_registry *coreproc_registry_ref(const struct coreproc_registry *registry);

// Gives a reference back. NULL is fine. Thread-safe.
void coreproc_registry_free(struct coreproc_registry *registry);

// Returns the first entry. `*count` becomes their number, `*stride` the bytes from one to the
// next; both may be NULL. Valid until the entries are freed. NULL, with 0, for NULL. Thread-safe.
const struct coreproc_daemon_entry *coreproc_entries_first(const struct coreproc_entries *entries,
                                                           size_t *count,
                                                           size_t *stride);

// Returns the problem at `index`, from 0, to be shown as it is: which file it is about, what is
// wrong or could not be checked, and where the file was set aside to. NULL beyond the last, and
// for NULL. Valid until the entries are freed. Thread-safe.
const char *coreproc_entries_problem(const struct coreproc_entries *entries, size_t index);

// Frees entries. NULL is fine.
void coreproc_entries_free(struct coreproc_entries *entries);

// Makes a server that will listen at `address`: `127.0.0.1:0`, `[::1]:0`, `localhost:0` (its first
// address that is free), `:8080` (every interface of the machine: every client that can reach it
// can ask), `unix:/run/it.sock` (a socket file, for its owner and, as the umask allows, its
// group), `unix:@it` (a name that is not a file: unix(7), "abstract"; for every user in the
// network namespace). Port 0 lets the kernel choose. Nothing is opened, and the address is not
// looked at, before coreproc_health_start. `options` may be NULL. Free `*out` with
// coreproc_health_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_health_new(const char *address,
                                    size_t address_len,
                                    const struct coreproc_health_options *options,
                                    struct coreproc_health **out,
                                    struct coreproc_error **err);

// Adds a check, even while the server runs. If `name` is empty, the answer shows the reason alone.
// `destroy` may be NULL. The library uses `user_data`, on any thread, until `destroy` has run,
// which happens exactly once: after the last run, once the server is freed; or before this call
// returns, if it fails. Thread-safe.
//
// Errors: INVALID_ARGUMENT, also for a name that is taken, is longer than 100 bytes, or has
// control characters; UNSUPPORTED.
coreproc_result coreproc_health_add_check(const struct coreproc_health *health,
                                          const char *name,
                                          size_t name_len,
                                          coreproc_check check,
                                          void *user_data,
                                          coreproc_destroy destroy,
                                          struct coreproc_error **err);

// Sets what /ready answers from now on: 1 (ready, as at first) or 0. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_health_set_ready(const struct coreproc_health *health,
                                          uint32_t ready,
                                          struct coreproc_error **err);

// Returns 1 if /ready answers 200, else 0; 0 for NULL. Thread-safe.
uint32_t coreproc_health_ready(const struct coreproc_health *health);

// Binds, listens and serves; once this has returned, connections are accepted. A socket file that
// a server left behind is replaced, under the lock of a file PATH.lock that exists for this
// moment. Its mode is 0660, less the umask; a program that wants others to connect changes it
// afterwards. A name is looked up by getaddrinfo(3), on this thread. After a stop the server can
// be started again. Thread-safe.
//
// Errors: INVALID_ARGUMENT for an address that cannot be read; BUSY if another server listens
// there; INVALID_STATE while it runs; NOT_FOUND for a name without addresses; PERMISSION_DENIED;
// SYSTEM; UNSUPPORTED.
coreproc_result coreproc_health_start(const struct coreproc_health *health,
                                      struct coreproc_error **err);

// Gets the bound address while it runs, with the port that port 0 became; else the given one. Free
// `*out` with coreproc_bytes_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_health_address(const struct coreproc_health *health,
                                        struct coreproc_bytes **out,
                                        struct coreproc_error **err);

// Stops it: no further connection is accepted, connections without a request under way are closed
// at once, and requests under way are waited for up to `timeout_ms` (-1: for ever); then they are
// cut, and the result is TIMED_OUT. In every case nothing listens and no connection is open
// afterwards. Stopping a server that does not run is fine. A check that runs past its time limit
// is not waited for. If another thread is starting the server, waits for that up to `timeout_ms`,
// too; a start that takes longer goes on, and the result is TIMED_OUT. Thread-safe.
//
// Errors: INVALID_ARGUMENT; TIMED_OUT; DEADLOCK inside one of its checks or any callback; PANIC.
coreproc_result coreproc_health_stop(const struct coreproc_health *health,
                                     int64_t timeout_ms,
                                     struct coreproc_error **err);

// Returns another reference to the same server, to be freed on its own; NULL for NULL.
// Thread-safe.
struct coreproc_health *coreproc_health_ref(const struct coreproc_health *health);

// Gives a reference back. NULL is fine. Never blocks. The last one stops the server at once,
// without waiting for requests or checks. Thread-safe.
void coreproc_health_free(struct coreproc_health *health);

// Says, inside a check, why it fails; a later call replaces an earlier one. It has no effect if
// the check then returns 0. The text is UTF-8 (other bytes are replaced); line breaks become
// spaces, and it is cut after 1000 bytes. To be called on the thread of the check alone.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_check_answer_reason(const struct coreproc_check_answer *answer,
                                             const char *text,
                                             size_t text_len,
                                             struct coreproc_error **err);

// Asks a server at `address` until it answers 200, or `timeout_ms` (-1: never) has passed: at
// once, then after 1 ms, and at growing intervals up to 50 ms. `endpoint` is a COREPROC_ENDPOINT
// value. An address is `127.0.0.1:8080`, `[::1]:8080`, `name:8080`, `:8080` (this machine),
// `unix:/path` or `unix:@name`, also with `http://` before it. `*ok` becomes 1 or 0. `*reason`
// becomes the body of the answer, such as "ok", or the last obstacle, such as "connection refused"
// or "503: unhealthy: no database"; free it with coreproc_bytes_free. `reason` may be NULL. Names
// are looked up on a thread of the library, coreproc-lookup. Thread-safe.
//
// Errors: INVALID_ARGUMENT; DEADLOCK inside an event callback; UNSUPPORTED.
coreproc_result coreproc_health_wait(const char *address,
                                     size_t address_len,
                                     uint32_t endpoint,
                                     int64_t timeout_ms,
                                     uint32_t *ok,
                                     struct coreproc_bytes **reason,
                                     struct coreproc_error **err);

// Like coreproc_health_wait, but asks once. Thread-safe.
//
// Errors: INVALID_ARGUMENT; DEADLOCK inside an event callback; UNSUPPORTED.
coreproc_result coreproc_health_probe(const char *address,
                                      size_t address_len,
                                      uint32_t endpoint,
                                      int64_t timeout_ms,
                                      uint32_t *ok,
                                      struct coreproc_bytes **reason,
                                      struct coreproc_error **err);

// Makes a daemon that has not started: nothing is opened, and nothing is looked at. `options` may
// be NULL. Free `*out` with coreproc_daemon_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT names the field.
coreproc_result coreproc_daemon_new(const struct coreproc_daemon_options *options,
                                    struct coreproc_daemon **out,
                                    struct coreproc_error **err);

// Adds a check to its health server: see coreproc_health_add_check. Inside the check,
// coreproc_daemon_request_stop may be called; coreproc_daemon_stop returns DEADLOCK. Thread-safe.
//
// Errors: INVALID_STATE if it has no health address; those of coreproc_health_add_check.
coreproc_result coreproc_daemon_add_check(const struct coreproc_daemon *daemon,
                                          const char *name,
                                          size_t name_len,
                                          coreproc_check check,
                                          void *user_data,
                                          coreproc_destroy destroy,
                                          struct coreproc_error **err);

// Takes the PID file, starts the health server, and registers. If a step fails, the steps before
// it are undone. A daemon that was stopped can be started again. Thread-safe.
//
// Errors: INVALID_STATE if it is started already; INVALID_ARGUMENT for an entry without code or
// daemon; those of coreproc_pid_file_acquire, coreproc_health_start and
// coreproc_registry_register.
coreproc_result coreproc_daemon_start(const struct coreproc_daemon *daemon,
                                      struct coreproc_error **err);

// Waits until a stop is requested (coreproc_daemon_request_stop, a signal after
// coreproc_daemon_stop_on_signals) and stops it; or until another thread has stopped it, and
// returns the result of that stop. Thread-safe.
//
// Errors: INVALID_STATE if it is not started; those of coreproc_daemon_stop.
coreproc_result coreproc_daemon_run(const struct coreproc_daemon *daemon,
                                    struct coreproc_error **err);

// Waits until a stop is requested, or has begun, up to `timeout_ms` (-1: for ever; 0: only looks),
// and does not stop the daemon: for loops that look at other things in between. Thread-safe.
//
// Errors: INVALID_ARGUMENT; TIMED_OUT; INVALID_STATE if it is not started; DEADLOCK inside one of
// its checks or any callback.
coreproc_result coreproc_daemon_wait_for_stop_request(const struct coreproc_daemon *daemon,
                                                      int64_t timeout_ms,
                                                      struct coreproc_error **err);

// Has coreproc_daemon_run stop it and return. Never waits; may be called from any thread, and
// inside a check or any callback, but not in a signal handler. A request that comes before the
// start is kept for the run that follows. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_daemon_request_stop(const struct coreproc_daemon *daemon,
                                             struct coreproc_error **err);

// Stops it within the shutdown timeout: waits for requests under way, and cuts them when the time
// is over. A step that fails does not keep the steps after it from being taken. If another thread
// stops the daemon already, waits for that and returns the same result; if the daemon does not
// run, does nothing. Afterwards signals do what they did before coreproc_daemon_stop_on_signals.
// Thread-safe.
//
// Errors: those of all steps that failed, in one message, with the result of the first (TIMED_OUT
// if requests were cut); TIMED_OUT also if the daemon is still being started when the time is
// over, and then a stop is requested; DEADLOCK inside one of its checks or any callback.
coreproc_result coreproc_daemon_stop(const struct coreproc_daemon *daemon,
                                     struct coreproc_error **err);

// Sets what /ready answers while it runs: 1 (ready, as at first) or 0. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_daemon_set_ready(const struct coreproc_daemon *daemon,
                                          uint32_t ready,
                                          struct coreproc_error **err);

// Returns 1 if it runs and is ready, else 0; 0 for NULL. Thread-safe.
uint32_t coreproc_daemon_ready(const struct coreproc_daemon *daemon);

// Gets the address of its health server: the bound address while it listens, else the given one;
// empty if it has none. Free `*out` with coreproc_bytes_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_daemon_health_address(const struct coreproc_daemon *daemon,
                                               struct coreproc_bytes **out,
                                               struct coreproc_error **err);

// Makes SIGTERM and SIGINT request a stop of this daemon from now on. Nothing else in this library
// changes the disposition of a signal. It lasts until coreproc_daemon_restore_signals, the end of
// a stop, or the last free. Called before the start, it misses no signal. A second call does
// nothing; several daemons may listen.
//
// Handlers that the program has installed for the two signals do not run meanwhile. The signals
// are taken by any thread that does not block them, else by a thread of this library,
// coreproc-sig; the handler has SA_ONSTACK and SA_RESTART, and no mask is changed. A child of
// fork() has the dispositions that it would have without this call. Thread-safe.
//
// Errors: SYSTEM (sigaction(2), pthread_create(3)).
coreproc_result coreproc_daemon_stop_on_signals(const struct coreproc_daemon *daemon,
                                                struct coreproc_error **err);

// Undoes coreproc_daemon_stop_on_signals: when no other daemon listens, both signals do again what
// they did before, unless the program has installed another handler meanwhile, which stays.
// Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_daemon_restore_signals(const struct coreproc_daemon *daemon,
                                                struct coreproc_error **err);

// Returns another reference to the same daemon, to be freed on its own; NULL for NULL.
// Thread-safe.
struct coreproc_daemon *coreproc_daemon_ref(const struct coreproc_daemon *daemon);

// Gives a reference back. NULL is fine. The last one to a daemon that runs gives everything back,
// without waiting for requests. Thread-safe.
void coreproc_daemon_free(struct coreproc_daemon *daemon);

// Makes an empty pipeline. Free `*out` with coreproc_pipeline_free.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_pipeline_new(struct coreproc_pipeline **out, struct coreproc_error **err);

// Makes a pipeline from JSON, UTF-8, as docs/pipeline-json.md (installed below share/doc/coreproc)
// describes it; its graph is checked as well. Free `*out` with coreproc_pipeline_free.
//
// Errors: INVALID_ARGUMENT; MALFORMED, whose message says where the mistake is and what was meant:
// `parse pipeline: specs[3].after[0]: unknown spec "biuld", did you mean "build"?`.
coreproc_result coreproc_pipeline_from_json(const char *json,
                                            size_t json_len,
                                            struct coreproc_pipeline **out,
                                            struct coreproc_error **err);

// Gives a pipeline a name, UTF-8 without NUL, which reports of its runs carry; an empty one takes
// it away.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_pipeline_name(struct coreproc_pipeline *pipeline,
                                       const char *name,
                                       size_t name_len,
                                       struct coreproc_error **err);

// Adds a spec of this name, UTF-8 without NUL, that runs a copy of `command`, whose timeout is
// that of each attempt. `spec`, which may be NULL, gets its index; indexes count from 0.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_pipeline_add(struct coreproc_pipeline *pipeline,
                                      const char *name,
                                      size_t name_len,
                                      const struct coreproc_command *command,
                                      size_t *spec,
                                      struct coreproc_error **err);

// Has a spec start after the spec of this name, which may be added later, has ended.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_pipeline_after(struct coreproc_pipeline *pipeline,
                                        size_t spec,
                                        const char *name,
                                        size_t name_len,
                                        struct coreproc_error **err);

// Sets whether a spec's failure, which still counts as one, leaves what comes after it to run: 1
// or 0.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_pipeline_allow_failure(struct coreproc_pipeline *pipeline,
                                                size_t spec,
                                                uint32_t allowed,
                                                struct coreproc_error **err);

// Sets whether a spec runs once all that it comes after has ended in any state, also after a
// failure or a cancel (1 or 0): for clean-up.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_pipeline_always_run(struct coreproc_pipeline *pipeline,
                                             size_t spec,
                                             uint32_t always,
                                             struct coreproc_error **err);

// Sets how many attempts follow the first one as long as they fail (0: none), and the waits before
// them: `first_ms` (0: 100), then twice the last one each time, at most `most_ms` (0: 10000;
// UNLIMITED: any).
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_pipeline_retries(struct coreproc_pipeline *pipeline,
                                          size_t spec,
                                          uint32_t retries,
                                          uint64_t first_ms,
                                          uint64_t most_ms,
                                          struct coreproc_error **err);

// Returns how many specs it has; 0 for NULL.
size_t coreproc_pipeline_spec_count(const struct coreproc_pipeline *pipeline);

// Checks whether it can run: names are unique and not empty; dependencies are known, named once,
// and without cycle. The time that this takes is linear in specs and dependencies.
//
// Errors: INVALID_ARGUMENT, whose message says what is wrong first, where, and how much else is:
// `check pipeline: specs[3].after[0]: unknown spec "biuld", did you mean "build"?`.
coreproc_result coreproc_pipeline_check(const struct coreproc_pipeline *pipeline,
                                        struct coreproc_error **err);

// Lists all that is wrong with it, as JSON: an array, empty if it can run, of `{"kind":
// "unknown_dependency", "specs": [3], "place": "specs[3].after[0]", "message": "unknown spec …"}`.
// Kinds: empty_name, duplicate_name, empty_dependency, duplicate_dependency, self_dependency,
// unknown_dependency, cycle, command; a later library may know more. `specs` are the indexes of
// the specs concerned; for a cycle, first those that the message names, in its order, then all
// others that are in a cycle with them. Free `*out` with coreproc_bytes_free.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_pipeline_problems(const struct coreproc_pipeline *pipeline,
                                           struct coreproc_bytes **out,
                                           struct coreproc_error **err);

// Frees a pipeline. NULL is fine. Its runs go on.
void coreproc_pipeline_free(struct coreproc_pipeline *pipeline);

// Checks a pipeline, and starts it on threads of its own, `coreproc-run`, at most two for each
// processor, which end with the run. The pipeline is copied: it can be changed, and run again.
// `options` may be NULL. Free `*out` with coreproc_run_free.
//
// Errors: INVALID_ARGUMENT, also for a pipeline that cannot run, of which nothing was started (see
// coreproc_pipeline_check); CLOSED; SYSTEM (pthread_create(3)); PANIC.
coreproc_result coreproc_run_start(const struct coreproc_pipeline *pipeline,
                                   const struct coreproc_service *service,
                                   const struct coreproc_run_options *options,
                                   struct coreproc_run **out,
                                   struct coreproc_error **err);

// Waits up to `timeout_ms` (-1: for ever; 0: only looks) until every spec has ended and every
// process of the run is closed: then coreproc_run_info_get and coreproc_run_spec_get tell what
// became of it. Thread-safe.
//
// Errors: INVALID_ARGUMENT; TIMED_OUT; DEADLOCK inside a callback; PANIC.
coreproc_result coreproc_run_wait(const struct coreproc_run *run,
                                  int64_t timeout_ms,
                                  struct coreproc_error **err);

// Cancels a run, without waiting: running specs are stopped as their commands say, waiting specs
// are skipped; specs that always run are neither stopped nor skipped. A second call ends those
// too, and kills processes that have not stopped yet. Does nothing once the run has ended.
// Thread-safe.
//
// Errors: INVALID_ARGUMENT.
coreproc_result coreproc_run_cancel(const struct coreproc_run *run, struct coreproc_error **err);

// Returns its id in its service, from the same count as the ids of processes; its events carry it.
// 0 for NULL. Thread-safe.
uint64_t coreproc_run_id(const struct coreproc_run *run);

// Returns how many specs it has; 0 for NULL. Thread-safe.
size_t coreproc_run_spec_count(const struct coreproc_run *run);

// Tells the state of a run now, or its result. The caller sets `out->struct_size`. Thread-safe.
//
// Errors: INVALID_ARGUMENT; PANIC.
coreproc_result coreproc_run_info_get(const struct coreproc_run *run,
                                      struct coreproc_run_info *out,
                                      struct coreproc_error **err);

// Tells the result of a spec, by its index, of a run that has ended. The caller sets
// `out->struct_size`. The memory that it points to lives as long as this handle. Thread-safe.
//
// Errors: INVALID_ARGUMENT; INVALID_STATE while the run has not ended; PANIC.
coreproc_result coreproc_run_spec_get(const struct coreproc_run *run,
                                      size_t spec,
                                      struct coreproc_spec_result *out,
                                      struct coreproc_error **err);

// Returns another reference to the same run, to be freed on its own; NULL for NULL. Thread-safe.
struct coreproc_run *coreproc_run_ref(const struct coreproc_run *run);

// Gives a reference back. NULL is fine. Never blocks, never cancels. The memory that results of
// this reference point to is freed. Thread-safe.
void coreproc_run_free(struct coreproc_run *run);

// Writes the report of a run that has ended as UTF-8 text: `format` is a COREPROC_REPORT value.
// Free `*out` with coreproc_bytes_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT; INVALID_STATE while the run has not ended; PANIC.
coreproc_result coreproc_run_report(const struct coreproc_run *run,
                                    uint32_t format,
                                    struct coreproc_bytes **out,
                                    struct coreproc_error **err);

// Reads what the file at `path` says of the pipeline of this name, UTF-8 and up to 1024 bytes. A
// missing file counts as an empty one; a damaged file is set aside as PATH.bad, see
// coreproc_history_problem. Free `*out` with coreproc_history_free.
//
// Errors: INVALID_ARGUMENT, also if it is not a regular file; PERMISSION_DENIED; SYSTEM (open(2),
// read(2)).
coreproc_result coreproc_history_open(const char *path,
                                      size_t path_len,
                                      const char *pipeline,
                                      size_t pipeline_len,
                                      struct coreproc_history **out,
                                      struct coreproc_error **err);

// Remembers how long the specs of a run that has ended took, and replaces the file as a whole
// (rename(2)).
//
// Errors: INVALID_ARGUMENT; INVALID_STATE while the run has not ended; PERMISSION_DENIED; SYSTEM.
// The file is then as it was.
coreproc_result coreproc_history_record(struct coreproc_history *history,
                                        const struct coreproc_run *run,
                                        struct coreproc_error **err);

// Returns what was wrong with the file, if it was set aside; else "". Lives until the history is
// recorded or freed.
const char *coreproc_history_problem(const struct coreproc_history *history);

// Frees a history. NULL is fine.
void coreproc_history_free(struct coreproc_history *history);

// Opens a view that writes to a duplicate of `fd`. A pipe or a terminal is opened again, by way of
// /proc, so that writing to it never waits. If that cannot be done (no /proc, another user's
// terminal) it is written to in small pieces that it has room for: a write can wait only if
// another process takes that room in the same moment. `options` may be NULL. Free `*out` with
// coreproc_progress_free. Thread-safe.
//
// Errors: INVALID_ARGUMENT; SYSTEM (fcntl(2): EBADF, EMFILE); CLOSED.
coreproc_result coreproc_progress_open(const struct coreproc_service *service,
                                       int32_t fd,
                                       const struct coreproc_progress_options *options,
                                       struct coreproc_progress **out,
                                       struct coreproc_error **err);

// Shows the run, on the calling thread, until it has ended and all of it is shown, or up to
// `timeout_ms` (-1: for ever, even for a terminal that stands still), after which it can be called
// again. The run is one whose options named this view, the same in each call. Calls at the same
// time wait for each other, no longer than their timeouts. Thread-safe.
//
// Errors: INVALID_ARGUMENT; TIMED_OUT; INVALID_STATE for another run; SYSTEM (write(2)) once the
// run has ended; DEADLOCK inside a callback; PANIC.
coreproc_result coreproc_progress_watch(const struct coreproc_progress *progress,
                                        const struct coreproc_run *run,
                                        int64_t timeout_ms,
                                        struct coreproc_error **err);

// Frees a view. NULL is fine. Its run goes on.
void coreproc_progress_free(struct coreproc_progress *progress);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* COREPROC_H */
