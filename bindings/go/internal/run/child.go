package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"dappco.re/go/core/process/internal/capi"
	"dappco.re/go/core/process/internal/engine"
)

// Child is a command that was started. Its methods may be called by several goroutines at once.
type Child struct {
	line      string
	ctx       context.Context
	exitError func(*engine.Exit) error
	handle    *capi.Process
	input     *input
	outputs   [2]*output   // outputs that come through Go
	buffer    bytes.Buffer // what is kept and comes through Go
	forget    func() bool  // stops watching the context
	mu        sync.Mutex   // held while a batch is handled, and at the end
	kept      [2]bool      // outputs that are kept
	lost      bool         // output was lost for want of memory
	ended     bool
	done      chan struct{}
	err       error
}

// Start starts a command, which is killed when ctx is done.
func Start(ctx context.Context, spec Spec) (*Child, error) {
	child := &Child{line: spec.line(), ctx: ctx, exitError: spec.ExitError, done: make(chan struct{})}
	if err := child.start(&spec); err != nil {
		if child.input != nil {
			_ = child.input.pipe.Close()
		}
		return nil, &StartError{Line: child.line, Cause: err}
	}
	return child, nil
}

func (c *Child) start(spec *Spec) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	command, err := spec.command()
	if err != nil {
		return err
	}
	defer command.Close()
	if err := spec.streams(command, c); err != nil {
		return err
	}
	service, feed, err := shared.get(c.loud())
	if err != nil {
		return err
	}
	feed.Name(command)
	feed.Begin()
	if c.handle, _, err = command.Spawn(service); err != nil {
		feed.End()
		return err
	}
	if c.ctx.Done() != nil {
		c.forget = context.AfterFunc(c.ctx, func() { _ = c.handle.Kill(capi.ScopeProcess) })
	}
	if c.input != nil {
		go c.input.copy()
	}
	feed.Know(c.handle.ID(), c)
	return nil
}

// loud reports whether output comes through Go.
func (c *Child) loud() bool { return c.outputs != [2]*output{} }

// Wait waits until the command has ended, its output was read and its input is no longer read. The error is nil if it
// exited with code 0 and all was copied, an *Error otherwise.
func (c *Child) Wait() error {
	<-c.done
	return c.err
}

// Output returns what was kept, byte for byte, once the command has ended; nil if nothing was. It returns the output
// once.
func (c *Child) Output() ([]byte, error) {
	if c.loud() {
		output := c.buffer.Bytes()
		if len(output) == 0 {
			return nil, nil
		}
		return output, nil
	}
	defer c.handle.Close()
	output, err := c.handle.Output()
	if err != nil {
		return nil, &Error{Line: c.line, Cause: err}
	}
	return output, nil
}

// receive has a batch handled, on another goroutine if a Reader or Writer of the caller may block.
func (c *Child) receive(feed *feed, batch *capi.Batch) {
	if c.loud() || c.input != nil {
		go c.handleBatch(feed, batch)
	} else {
		c.handleBatch(feed, batch)
	}
}

func (c *Child) handleBatch(feed *feed, batch *capi.Batch) {
	defer batch.Close()
	// The library gives out the batches of a child one after another, which the race detector does not see.
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return // abandoned
	}
	for event := batch.Next(); event != nil; event = batch.Next() {
		if c.isLast(event) && feed.Remove(event.ProcessID) {
			c.closed(event)
		}
	}
}

// isLast handles an event, and reports whether it was the last one of its process.
func (c *Child) isLast(event *capi.Event) bool {
	c.lost = c.lost || event.Flags&capi.FlagLost != 0
	switch event.Kind {
	case capi.EventStdout:
		c.write(0, event.Data)
	case capi.EventStderr:
		c.write(1, event.Data)
	case capi.EventClosed:
		return true
	}
	return false
}

func (c *Child) write(index int, data string) {
	switch output := c.outputs[index]; {
	case output == nil:
	case c.outputs[1-index] == nil:
		output.write(c.handle, data)
	default:
		output.enqueue(c.handle, data)
	}
}

// closed handles the regular end.
func (c *Child) closed(event *capi.Event) {
	var failures []error
	for _, output := range c.outputs {
		if output != nil {
			output.flush()
			if output.failed != nil {
				failures = append(failures, fmt.Errorf("its output cannot be written: %w", output.failed))
			}
		}
	}
	if c.input != nil {
		if err := c.input.end(); err != nil {
			failures = append(failures, fmt.Errorf("its input cannot be read: %w", err))
		}
	}
	if c.lost || c.dropped() {
		failures = append(failures, fmt.Errorf("output was lost: %w", capi.ErrOutOfMemory))
	}
	unsuccessful := event.ExitCode != 0 || event.Signal != 0
	if unsuccessful {
		// The end of the process says more than what failed on the way.
		exit := c.exitError(engine.NewExit(engine.End{Code: event.ExitCode, Signal: event.Signal}))
		failures = append([]error{exit}, failures...)
	}
	if len(failures) == 0 {
		c.end(nil)
		return
	}
	failure := &Error{Line: c.line, Code: event.ExitCode, Signal: event.Signal, Cause: errors.Join(failures...)}
	if unsuccessful && event.Cause == capi.CauseKilled {
		failure.Done = c.ctx.Err()
	}
	c.end(failure)
}

// dropped reports whether the output that the library keeps is incomplete.
func (c *Child) dropped() bool {
	if c.loud() || c.kept == [2]bool{} {
		return false
	}
	info, err := c.handle.Info()
	return err == nil && info.DroppedBytes > 0
}

// abandon ends a child of which no more events will come, once the output that has come is written.
func (c *Child) abandon(cause error) {
	if c.input != nil {
		_ = c.input.pipe.Close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, output := range c.outputs {
		if output != nil {
			output.flush()
		}
	}
	c.end(&Error{Line: c.line, Cause: fmt.Errorf("it was lost: %w", cause)})
}

func (c *Child) end(err error) {
	if c.forget != nil {
		c.forget()
	}
	c.err, c.ended = err, true
	if c.loud() || c.kept == [2]bool{} {
		c.handle.Close()
	}
	close(c.done)
}
