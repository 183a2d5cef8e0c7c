// Command host is the Go host of the benches: it runs one workload once and prints its figures, a line
// "NAME VALUE" for each, as the other hosts do.
//
//	host IMPLEMENTATION WORKLOAD ARGUMENTS
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// contender is a way to manage processes in Go, in its natural form.
type contender interface {
	// run runs a child to its end, both outputs captured.
	run(child string, args ...string) (output []byte, code int, err error)
	// lines hands each line of a child's output to a handler.
	lines(handle func(line string), child string, args ...string) error
	// captured runs a child to its end, and returns the last part of its output, which is kept.
	captured(child string, args ...string) ([]byte, error)
	// delivered hands a child's output to a Writer as it comes.
	delivered(to io.Writer, child string, args ...string) error
	// start starts a child with a pipe for its stdin.
	start(grace time.Duration, child string, args ...string) (live, error)
	// all runs the same child count times, in any order, and checks that each exits with 0.
	all(count int, child string) error
}

// live is a child that was started.
type live interface {
	wait() (ended, error)
	// stop begins to stop it: SIGTERM, and SIGKILL after the grace period.
	stop()
	endInput() error
}

// ended says how a child ended: its exit code, or -1 and whether SIGKILL ended it.
type ended struct {
	code   int
	killed bool
}

var contenders = map[string]func(lines bool) (contender, error){
	"ours":    newOurs,
	"os-exec": func(bool) (contender, error) { return osExec{}, nil },
	"manager": func(bool) (contender, error) { return manager{}, nil },
}

var workloads = map[string]func(contender, arguments) (figures, error){
	"spawn":   spawn,
	"output":  output,
	"latency": latency,
	"idle":    idle,
	"stop":    stop,
	"specs":   specs,
}

func main() {
	// A guard against hanging.
	time.AfterFunc(2*time.Minute, func() { fail(fmt.Errorf("the host hangs")) })
	if len(os.Args) < 3 {
		fail(fmt.Errorf("expected IMPLEMENTATION WORKLOAD ARGUMENTS"))
	}
	printed, err := workload(os.Args[1], os.Args[2], arguments(os.Args[3:]))
	if err != nil {
		fail(err)
	}
	printed.print()
}

func workload(implementation, name string, args arguments) (figures, error) {
	if name == "ring" {
		return ring(args)
	}
	work, open := workloads[name], contenders[implementation]
	if work == nil || open == nil {
		return nil, fmt.Errorf("unknown implementation %q or workload %q", implementation, name)
	}
	// The workload that asks for lines has a handler for them; the others have none.
	contender, err := open(name == "output" && args.text(2) == "lines")
	if err != nil {
		return nil, err
	}
	return work(contender, args)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// arguments are the arguments of a workload. A mistake in them is one of the program that runs the benches.
type arguments []string

func (a arguments) text(index int) string {
	if index >= len(a) {
		fail(fmt.Errorf("argument %d is missing", index))
	}
	return a[index]
}

func (a arguments) number(index int) int {
	number, err := strconv.Atoi(a.text(index))
	if err != nil {
		fail(err)
	}
	return number
}

// figures are names and values in turn.
type figures []any

func (f figures) print() {
	for i := 0; i < len(f); i += 2 {
		fmt.Println(f[i], f[i+1])
	}
}
