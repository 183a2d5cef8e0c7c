// Package exec runs a command to its end, in one chain of calls:
//
//	output, err := exec.Command(ctx, "git", "status", "--short").WithDir(repository).Output()
//
// It is os/exec with the work done by coreproc: no goroutine and no thread waits for a command, and a
// background process that a command leaves behind, holding its output, delays the end by a bound and not for
// ever. The error of a command that ran and failed holds a *process.ExitError, for errors.As.
package exec
