// Command pipeline runs a pipeline file, shows it live, and writes its Gantt chart: pipeline FILE CHART.svg HISTORY.json
//
// Ctrl-C, or SIGTERM, cancels the run; the command then waits for the processes that are stopped and for the specs that
// always run. It exits with 0 if the run succeeded, 1 if it did not, and 2 if it could not be run.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"dappco.re/go/core/process/internal/capi"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: pipeline FILE CHART.svg HISTORY.json")
		os.Exit(2)
	}
	success, err := run(os.Args[1], os.Args[2], os.Args[3])
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "pipeline:", err)
		os.Exit(2)
	case !success:
		os.Exit(1)
	}
}

// printEnds prints a line for each spec that did not pass at once, such as "sign: exit code 3".
func printEnds(out io.Writer, ends []capi.SpecEnd) {
	for _, end := range ends {
		switch {
		case end.Allowed:
			fmt.Fprintf(out, "%s: %s (allowed)\n", end.Name, end.Error)
		case !end.Passed:
			fmt.Fprintf(out, "%s: %s\n", end.Name, end.Error)
		case end.Attempts > 1:
			fmt.Fprintf(out, "%s: passed at attempt %d\n", end.Name, end.Attempts)
		}
	}
}

// cancelOnInterrupt cancels the run at a Ctrl-C, or SIGTERM: the processes that run are stopped, and the specs that
// always run do so. A second signal ends those, too, and a third one ends this program. It returns a function that ends
// this.
func cancelOnInterrupt(started *capi.Run) func() {
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	over := make(chan struct{})
	go func() {
		defer signal.Stop(interrupts)
		for range 2 {
			select {
			case <-interrupts:
				_ = started.Cancel()
			case <-over:
				return
			}
		}
	}()
	return func() { close(over) }
}

func run(file, chart, history string) (bool, error) {
	json, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	pipeline, err := capi.PipelineFromJSON(json)
	if err != nil {
		return false, fmt.Errorf("%s: %w", file, err)
	}
	service, err := capi.NewService(capi.ServiceOptions{})
	if err != nil {
		return false, err
	}
	remembered, err := capi.OpenHistory(history, "example")
	if err != nil {
		return false, err
	}
	progress, err := capi.OpenProgress(service, os.Stdout.Fd())
	if err != nil {
		return false, err
	}
	started, err := pipeline.StartShown(service, remembered, progress)
	if err != nil {
		return false, err
	}
	defer cancelOnInterrupt(started)()
	if err := progress.Watch(started); err != nil {
		return false, err
	}
	if err := remembered.Record(started); err != nil {
		return false, err
	}
	ends, err := started.Ends()
	if err != nil {
		return false, err
	}
	printEnds(os.Stdout, ends)
	svg, err := started.Chart()
	if err != nil {
		return false, err
	}
	if err := os.WriteFile(chart, svg, 0o644); err != nil {
		return false, err
	}
	_, success, err := started.Outcome()
	return success, err
}
