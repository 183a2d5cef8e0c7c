// Package process starts, watches and stops processes. It is the Go face of coreproc: the work is
// done by a shared library, and this package makes it feel like Go.
//
// A [Service] supervises any number of processes. [Open] starts one and says who hears what happens
// to them; [Service.Start] and [Service.Run] start processes:
//
//	service, err := process.Open(process.Options{}, func(message any) {
//		if output, ok := message.(process.ActionProcessOutput); ok {
//			fmt.Println(output.ID, output.Line)
//		}
//	})
//	if err != nil {
//		return err
//	}
//	defer service.OnShutdown(context.Background())
//	compiler, err := service.Start(ctx, "cc", "-c", "main.c")
//	if err != nil {
//		return err
//	}
//	return compiler.Wait()
//
// A process costs no goroutine and no thread while it runs quietly. Its exit is known for sure: an
// exit code and a signal are different things here, and [ExitError] has both.
package process
