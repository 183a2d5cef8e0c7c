package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"dappco.re/go/core/process/internal/capi"
)

// Child is a command that was started. Its methods may be called by several goroutines at once.
type Child struct {
	line    string
	ctx     context.Context
	core    *capi.Process
	input   *input
	outputs [2]*output   // those that come through Go
	kept    [2]bool      // those that are kept
	buffer  bytes.Buffer // what is kept and comes through Go
	lost    bool         // output was lost for want of memory
	forget  func() bool  // stops watching the context
	mu      sync.Mutex   // held while a batch is handled, and at the end
	ended   bool
	done    chan struct{}
	err     error
}

// Start starts a command, which is killed when ctx is done.
func Start(ctx context.Context, spec Spec) (*Child, error) {
	child := &Child{line: spec.line(), ctx: ctx, done: make(chan struct{})}
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
	if err := command.Subscribe(feed.events); err != nil {
		return err
	}
	feed.Begin()
	if c.core, err = command.Spawn(service); err != nil {
		feed.End()
		return err
	}
	if c.ctx.Done() != nil {
		c.forget = context.AfterFunc(c.ctx, func() { _ = c.core.Kill(capi.ScopeProcess) })
	}
	if c.input != nil {
		go c.input.copy()
	}
	feed.know(c)
	return nil
}

// loud says whether output comes through Go.
func (c *Child) loud() bool { return c.outputs != [2]*output{} }

// Wait waits until the command has ended, its output was read and its input is not read any more. The error
// is nil if it exited with code 0 and all was copied, an *Error otherwise.
func (c *Child) Wait() error {
	<-c.done
	return c.err
}

// Output is what was kept, byte for byte, once the command has ended; nil if that is nothing. What it gives
// is given once.
func (c *Child) Output() ([]byte, error) {
	if c.loud() {
		output := c.buffer.Bytes()
		if len(output) == 0 {
			return nil, nil
		}
		return output, nil
	}
	defer c.core.Close()
	output, err := c.core.Output()
	if err != nil {
		return nil, &Error{Line: c.line, Cause: err}
	}
	return output, nil
}

// handle handles an event, and says whether it was the last.
func (c *Child) handle(event *capi.Event) bool {
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
		output.write(c.core, data)
	default:
		output.enqueue(c.core, data)
	}
}

// closed is the regular end.
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
	if event.ExitCode != 0 || event.Signal != 0 {
		// How it ended says more than what failed on the way.
		failures = append([]error{ExitError(event.ExitCode, event.Signal)}, failures...)
	}
	if len(failures) == 0 {
		c.end(nil)
		return
	}
	failure := &Error{Line: c.line, Code: event.ExitCode, Signal: event.Signal, Cause: errors.Join(failures...)}
	if event.Cause == capi.CauseKilled && (event.ExitCode != 0 || event.Signal != 0) {
		failure.Done = c.ctx.Err()
	}
	c.end(failure)
}

// dropped says whether something is missing in what the library keeps.
func (c *Child) dropped() bool {
	if c.loud() || c.kept == [2]bool{} {
		return false
	}
	info, err := c.core.Info()
	return err == nil && info.DroppedBytes > 0
}

// abandon is the end of a child of which nothing will be heard any more, once what was heard is written.
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
		c.core.Close()
	}
	close(c.done)
}
