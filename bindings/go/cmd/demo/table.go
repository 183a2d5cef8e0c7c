package main

import (
	"errors"
	"fmt"
	"strconv"
	"syscall"

	process "dappco.re/go/core/process"
)

// printTable prints a row for each job, and reports whether all of them ended as they should.
func printTable(out *printer, ended []*process.Process) bool {
	fmt.Fprintf(out.out, "\n%-8s  %-9s  %-9s  %10s  %6s\n", "COMMAND", "STATUS", "CODE", "DURATION", "BYTES")
	asExpected := true
	for _, process := range ended {
		job := out.jobs[process.ID]
		status, code := outcome(process.Wait())
		stdout, stderr := process.BytesRead()
		fmt.Fprintf(out.out, "%-8s  %-9s  %-9s  %8.3f s  %6d\n",
			job.name, status, code, process.Duration.Seconds(), stdout+stderr)
		asExpected = asExpected && status == job.status && code == job.code
	}
	if asExpected {
		fmt.Fprintln(out.out, "All ended as they were meant to.")
	} else {
		fmt.Fprintln(out.out, "Not all ended as they were meant to.")
	}
	return asExpected
}

// outcome returns how a process ended, and its exit code or signal: 143 and SIGTERM are not the same thing.
func outcome(err error) (status, code string) {
	if err == nil {
		return "passed", "0"
	}
	var exit *process.ExitError
	if !errors.As(err, &exit) {
		return "failed", "none"
	}
	status = "failed"
	if exit.TimedOut() {
		status = "timed out"
	}
	switch {
	case exit.Signal() == syscall.SIGTERM:
		code = "SIGTERM"
	case exit.Signal() == syscall.SIGKILL:
		code = "SIGKILL"
	case exit.Signal() != 0:
		code = fmt.Sprintf("signal %d", int(exit.Signal()))
	case exit.ExitCode() < 0:
		code = "unknown"
	default:
		code = strconv.Itoa(exit.ExitCode())
	}
	return status, code
}
