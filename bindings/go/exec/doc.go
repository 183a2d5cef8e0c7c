// Package exec runs a command to its end, in one chain of calls:
//
//	output, err := exec.Command(ctx, "git", "status", "--short").WithDir(repository).Output()
//
// [Command] makes a [Cmd], the With methods say more about it, and one method runs it: [Cmd.Run], [Cmd.Output],
// [Cmd.CombinedOutput], or [Cmd.Start] and [Cmd.Wait]. [RunQuiet] does it in one call. A [Logger] hears of all commands.
//
// It is like os/exec, with the work done by coreproc: no goroutine and no thread waits for a command, and a background
// process that a command leaves behind, holding its output, delays the end only for a limited time. The error of a
// command that ran and failed holds a *process.ExitError, for errors.As.
package exec
