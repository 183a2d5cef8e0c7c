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
// A process costs no goroutine and no thread while it runs quietly. Its exit is known for sure: an
// exit code and a signal are different things here, and [ExitError] has both.
package process
