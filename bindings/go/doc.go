// Package process starts, watches and stops processes. It is the Go API of coreproc: a library does the
// work, and this package gives it Go's types, errors and contexts.
//
// A [Service] supervises any number of processes, and broadcasts what happens to them as actions of its Core:
//
//	c := core.New()
//	c.RegisterAction(func(_ *core.Core, message core.Message) core.Result {
//		if output, ok := message.(process.ActionProcessOutput); ok {
//			fmt.Println(output.ID, output.Line)
//		}
//		return core.Result{OK: true}
//	})
//	if err := process.Init(c); err != nil {
//		return err
//	}
//	compiler, err := process.Start(ctx, "cc", "-c", "main.c")
//	if err != nil {
//		return err
//	}
//	return compiler.Wait()
//
// # Where to find what
//
//   - [Service]: many processes, with their lines and ends as actions. [Start], [Run] and their like are methods of the
//     default service; [Init] makes it.
//   - [ManagedProcess], also called [Process]: one process of a service, to wait for, stop, signal, write to and read.
//   - [RunOptions]: directory, environment, timeout, grace period, process group, detachment.
//   - [Register], [Service.OnStartup] and [Service.HandleIPCEvents]: how a service joins a Core.
//   - [Runner]: pipelines, graphs of processes.
//   - [Program]: one program, run for its output. Package exec runs a command in one chain of calls.
//   - [Daemon]: the life of a daemon, made of a [PIDFile], a [HealthServer] and an entry in a [Registry], which also work
//     by themselves.
//   - [RingBuffer]: the last bytes of anything.
//
// # Actions
//
// What happens to a process is broadcast with Core.ACTION, in this order: [ActionProcessStarted], before Start returns;
// [ActionProcessOutput] for each line; after Done is closed, [ActionProcessKilled] if a signal ended the process; and
// [ActionProcessExited] as the last. So the last two may come after Wait has returned. If Kill, KillPID or
// [TaskProcessKill] ended the process, ActionProcessKilled comes earlier: before they return, on their goroutine. For
// that they wait until no handler of the process runs, other than one that has called them. After a second they wait no
// longer, and ActionProcessKilled comes before Done is closed.
//
// The messages of one process come one after another, on a goroutine; those of different processes come at the same
// time. A handler may block, use the service, kill its process, start another process and wait for that: it holds up
// only its own process, whose output is not read once its queue is full. A handler that waits for the process whose
// message it handles waits for ever.
//
// # Tasks
//
// The types whose names begin with Task are answered after [Service.OnStartup], or after the Core has started the
// service. Up to v0.7 of Core they are for Core.PERFORM. If a task fails, its Result is not OK and the Value is the
// error; but then PERFORM goes on to the next handler, and returns a zero Result in the end. To learn why a command
// failed, use tasks that succeed: [TaskProcessStart], then [TaskProcessWait], whose Value is a [*TaskProcessWaitError]
// for a process that failed, and [TaskProcessOutput]. Since v0.8 tasks are for Core.ACTION, as any message, and ACTION
// returns the Result of a task that failed.
//
// # Costs
//
// A process costs no goroutine and no thread while it is quiet. An exit code and a signal are different things, and
// [ExitError] has both; an exit status that the kernel does not tell is reported as unknown.
package process
