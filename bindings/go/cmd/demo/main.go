// Command demo runs four commands at once, prints their lines as they come, and in the end prints how each of them
// ended.
//
//	demo [root of the repository]
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"dappco.re/go/core"
	process "dappco.re/go/core/process"
)

// job is a shell script, and how it is expected to end.
type job struct {
	name, about, script string
	timeout             time.Duration
	status, code        string
	colour              int
}

var jobs = []job{
	{
		name:  "compile",
		about: "compiles the C version of this demo",
		script: "cc -Wall -Wextra -Werror -I include -c -o /dev/null bindings/c/examples/demo.c &&\n" +
			"echo 'compiled demo.c, without a warning'",
		status: "passed", code: "0", colour: 36,
	},
	{
		name:   "fails",
		about:  "complains, and exits with 3",
		script: "echo 'no such configuration: site.conf' >&2; exit 3",
		status: "failed", code: "3", colour: 31,
	},
	{
		name:   "streams",
		about:  "writes to both: each stream keeps its order; the order across needs a merge",
		script: `for step in 1 2 3; do echo "step $step"; echo "note on step $step" >&2; done`,
		status: "passed", code: "0", colour: 32,
	},
	{
		name:    "slow",
		about:   "would sleep for 30 seconds, and is stopped after one",
		script:  "echo 'this would take 30 seconds'; exec sleep 30",
		timeout: time.Second,
		status:  "timed out", code: "SIGTERM", colour: 33,
	},
}

var errUnexpected = errors.New("a command did not end as it should")

func main() {
	// Ctrl-C cancels the context, which kills the commands. The table shows that, too.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout *os.File) (err error) {
	root, err := findRoot(args)
	if err != nil {
		return err
	}
	printLegend(stdout)

	out := newPrinter(stdout)
	c := core.New()
	c.RegisterAction(func(_ *core.Core, message core.Message) core.Result {
		out.handle(message)
		return core.Result{OK: true}
	})
	registered := process.Register(c)
	if !registered.OK {
		return registered.Value.(error)
	}
	service := registered.Value.(*process.Service)
	// However this function ends, no process is left behind.
	defer func() { err = errors.Join(err, service.OnShutdown(context.Background())) }()

	var started []*process.Process
	for _, job := range jobs {
		running, err := out.start(job, func() (*process.Process, error) {
			return service.StartWithOptions(ctx, process.RunOptions{
				Command: "sh", Args: []string{"-c", job.script}, Dir: root,
				Timeout: job.timeout, GracePeriod: 5 * time.Second,
			})
		})
		if err != nil {
			return err
		}
		started = append(started, running)
	}
	for _, running := range started {
		<-running.Done()
	}
	if !printTable(out, started) {
		return errUnexpected
	}
	return nil
}

// findRoot returns the first argument, or the directory above this one that has the Cargo.toml.
func findRoot(args []string) (string, error) {
	if len(args) > 0 {
		return filepath.Abs(args[0])
	}
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "Cargo.toml")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no Cargo.toml above %s; give the repository's root", start)
		}
	}
}
