package process

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"dappco.re/go/core/process/internal/capi"
	"dappco.re/go/core/process/internal/engine"
)

// This file moves a process from one phase to the next and broadcasts that.

// started makes it a process that runs.
func (p *ManagedProcess) started(handle *capi.Process, pid int) {
	p.handle = handle
	p.pid = int32(pid)
	p.Status = StatusRunning
	p.facts.phase = running
}

// killWhenDone kills the process when the context is done.
func (p *ManagedProcess) killWhenDone(ctx context.Context) {
	if ctx.Done() != nil {
		p.forget = context.AfterFunc(ctx, func() { p.cancel(ctx.Err()) })
	}
}

func (p *ManagedProcess) cancel(cause error) {
	p.mu.Lock()
	if p.facts.phase == running {
		p.err = cause
	}
	p.mu.Unlock()
	_ = p.kill(p.scope)
}

// failed makes it a process that could not be started.
func (p *ManagedProcess) failed(cause error) {
	p.end(func(facts *facts) error {
		facts.phase, facts.exitCode = failed, -1
		return &startError{cause}
	})
}

// lose makes it a process of which no more events will come, and broadcasts its end after the events that are being
// handled.
func (p *ManagedProcess) lose(cause error) {
	p.turn.enter(self())
	defer p.turn.leave()
	p.end(func(facts *facts) error {
		facts.phase, facts.exitCode, facts.duration, facts.gone = failed, -1, time.Since(facts.startedAt), true
		return ServiceError("process was lost", cause)
	})
	p.announceEnd()
}

// closed makes it a process that has ended and whose output was read, and broadcasts that.
func (p *ManagedProcess) closed(event *capi.Event) {
	info, err := p.handle.Info()
	// Deferred, because the handler of Killed may end its goroutine.
	defer p.announceEnd()
	defer p.end(func(facts *facts) error {
		facts.phase, facts.exitCode = exited, int32(event.ExitCode)
		if event.Signal != 0 {
			facts.phase = killed
		}
		facts.duration = time.Since(facts.startedAt)
		if err == nil {
			facts.duration = lifetime(info)
		}
		if event.ExitCode == 0 && event.Signal == 0 {
			return nil
		}
		end := engine.End{Code: event.ExitCode, Signal: event.Signal, TimedOut: event.Cause == capi.CauseTimeout}
		if event.Cause == capi.CauseKilled {
			end.Cause = p.err
		}
		return newExitError(end)
	})
	if p.turn.owes() && event.Signal != 0 {
		// A caller that kills it and then waits for Done must have heard of the kill.
		p.announceKill(event.Signal)
	}
}

// end writes the final state, also to the public fields, and closes Done.
func (p *ManagedProcess) end(write func(*facts) error) {
	p.turn.opened()
	if p.forget != nil {
		p.forget()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = write(&p.facts)
	// Callers may read these fields once Done is closed, and not before.
	p.Status, p.ExitCode, p.Duration = p.facts.phase.status(), int(p.facts.exitCode), p.facts.duration
	if p.done == nil {
		p.done = ended
		return
	}
	close(p.done)
}

// announceFirst takes the turn and says that the process was started.
func (p *ManagedProcess) announceFirst() {
	if p.listeners == nil {
		p.turn.opened()
		return
	}
	p.turn.enter(self())
	defer p.turn.leave()
	p.announceStart()
}

// announceStart says that the process was started. The caller has the turn, if there are handlers.
func (p *ManagedProcess) announceStart() {
	defer p.turn.opened()
	p.broadcast(ActionProcessStarted{
		ID: p.facts.id, Command: p.facts.command, Args: slices.Clone(p.facts.args), Dir: p.facts.dir, PID: int(p.pid),
	})
}

// announceEnd says how the process ended, once it has. The caller has the turn, if the start was broadcast.
func (p *ManagedProcess) announceEnd() {
	if p.listeners == nil {
		return
	}
	err := p.Wait()
	// Deferred, because the handler of Killed may end its goroutine.
	defer p.broadcast(ActionProcessExited{
		ID: p.facts.id, ExitCode: int(p.facts.exitCode), Duration: p.facts.duration, Error: err,
	})
	var exit *ExitError
	if errors.As(err, &exit) && exit.Signal() != 0 {
		p.announceKill(exit.Signal())
	}
}

// announceKill says which signal ended the process, once. The caller has the turn.
func (p *ManagedProcess) announceKill(signal syscall.Signal) {
	if !p.killTold {
		p.killTold = true
		defer p.turn.over()
		p.broadcast(ActionProcessKilled{ID: p.facts.id, Signal: engine.SignalName(signal)})
	}
}
