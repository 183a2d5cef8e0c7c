// Package process starts, watches and stops processes. It is the Go face of coreproc: the work is
// done by a library, and this package makes it feel like Go.
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
// # Actions
//
// What happens to a process is broadcast with Core.ACTION, in this order: [ActionProcessStarted], before Start returns;
// [ActionProcessOutput] for each line; then, Done being closed, [ActionProcessKilled] if a signal ended the process, and
// [ActionProcessExited] at last. So these two may come after Wait has returned. Where Kill, KillPID or [TaskProcessKill]
// ended it, ActionProcessKilled comes earlier: before they return, on their goroutine. For that they wait until no other
// handler of the process runs, unless it is this handler that calls them; after a second they wait no longer, and it comes
// before Done is closed.
//
// The messages of one process come one after another, on a goroutine; those of different processes at the
// same time. A handler may block, use the service, kill its process, start another and wait for that: it holds up its own
// process alone, which is not read from once its queue is full. A handler that waits for the process whose
// message it handles waits for ever.
//
// # Tasks
//
// The types whose names begin with Task are answered once [Service.OnStartup] ran, or the Core has started the service. Up
// to v0.7 of Core they are for Core.PERFORM. The Result of one that failed is not OK and its Value is the error; but
// PERFORM goes on to the next handler then, and in the end gives a zero Result. To learn why something failed, do it in
// steps that succeed: [TaskProcessStart], [TaskProcessWait], whose Value is a [*TaskProcessWaitError] for a process that
// failed, [TaskProcessOutput]. Since v0.8 they are for Core.ACTION, as any message: that of one that failed is its Result.
//
// # Costs
//
// A process costs no goroutine and no thread while it runs quietly. Its exit is known for sure: an
// exit code and a signal are different things here, and [ExitError] has both.
package process
