package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"unsafe"

	process "dappco.re/go/core/process"
)

// printLegend says what the demo will print.
func printLegend(out io.Writer) {
	fmt.Fprintf(out, "coreproc %s from Go\n\n", process.Version())
	fmt.Fprintln(out, `Four commands at once. "|" marks a line of standard output, "!" one of standard error:`)
	for _, job := range jobs {
		fmt.Fprintf(out, "  %-8s %s\n", job.name, job.about)
	}
	fmt.Fprintln(out)
}

// printer prints the lines of all jobs, each whole and with the name of its job in front.
type printer struct {
	mu       sync.Mutex
	out      io.Writer
	coloured bool
	jobs     map[string]job // by the id of their process
}

func newPrinter(file *os.File) *printer {
	// NO_COLOR, if it is set and not empty, means no colour: https://no-color.org
	coloured := isTerminal(file) && os.Getenv("NO_COLOR") == ""
	return &printer{out: file, coloured: coloured, jobs: make(map[string]job)}
}

// start starts the process of a job. No line is printed meanwhile, because until then the printer does not know the job
// of a line.
func (p *printer) start(job job, start func() (*process.Process, error)) (*process.Process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	running, err := start()
	if err != nil {
		return nil, err
	}
	p.jobs[running.ID] = job
	return running, nil
}

// handle handles a message about a process.
func (p *printer) handle(message any) {
	output, ok := message.(process.ActionProcessOutput)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	job := p.jobs[output.ID]
	name := fmt.Sprintf("%-8s", job.name)
	if p.coloured {
		name = fmt.Sprintf("\x1b[%dm%s\x1b[0m", job.colour, name)
	}
	mark := "|"
	if output.Stream == process.StreamStderr {
		mark = "!"
	}
	fmt.Fprintf(p.out, "%s %s %s\n", name, mark, output.Line)
}

func isTerminal(file *os.File) bool {
	var settings syscall.Termios
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), syscall.TCGETS, uintptr(unsafe.Pointer(&settings)))
	return errno == 0
}
