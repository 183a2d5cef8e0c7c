package process

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"dappco.re/go/core/process/internal/capi"
)

// Kill sends SIGKILL, with KillGroup to the group. Killing a process that has ended is fine. When Kill returns,
// ActionProcessKilled has been broadcast on this goroutine: for that it waits until the signal is known to have ended
// the process, a tenth of a second at most, and then until a handler of the process that runs on another goroutine has
// returned, a second at most. If that is not enough, ActionProcessKilled comes before Done is closed. Kill does not
// wait for the end of the output. If a handler of the process calls it, it waits for no other handler. A handler that
// waits for a goroutine which calls Kill holds that goroutine up for the whole second.
func (p *ManagedProcess) Kill() error {
	return p.killAloud(func() error { return p.kill(p.scope) })
}

// killAloud kills at once, waits for the turn, and broadcasts the kill before it returns.
func (p *ManagedProcess) killAloud(kill func() error) error {
	if p.listeners == nil || p.handle == nil || !p.IsRunning() {
		return kill()
	}
	finish := p.turn.begin()
	defer finish()
	if err := kill(); err != nil {
		return err
	}
	if signal := p.killer(); signal != 0 {
		p.turn.tell(func() { p.announceKill(signal) })
	} else {
		p.turn.owe() // it dies later, or has exited by itself
	}
	return nil
}

// killer returns the signal that has ended a killed process; 0 if the process had exited by itself. A process that the
// kernel holds back, in the middle of a call to a disk or in a frozen group, dies later, by SIGKILL.
func (p *ManagedProcess) killer() syscall.Signal {
	signal := syscall.SIGKILL
	poll(func() bool {
		info, err := p.handle.Info()
		if err == nil && info.State != capi.StateRunning {
			signal = info.Signal
			return true
		}
		return err != nil
	})
	return signal
}

// poll checks a condition again and again for a tenth of a second, and reports whether it has come true.
func poll(isTrue func() bool) bool {
	const longest = 100 * time.Millisecond
	deadline := time.Now().Add(longest)
	for pause := 20 * time.Microsecond; !isTrue(); pause = min(2*pause, time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pause)
	}
	return true
}

func (p *ManagedProcess) kill(scope capi.Scope) error {
	if p.handle == nil {
		return nil
	}
	err := p.handle.Kill(scope)
	if errors.Is(err, capi.ErrNotRunning) {
		return nil
	}
	return err
}

// Shutdown sends SIGTERM, and SIGKILL if the process has not ended within its GracePeriod; without a GracePeriod it is
// Kill. A second Shutdown does not wait for the grace period. With KillGroup both signals go to the group.
func (p *ManagedProcess) Shutdown() error {
	if p.handle == nil {
		return nil
	}
	if p.abrupt {
		return p.killAloud(p.handle.Stop)
	}
	return p.handle.Stop()
}

// Signal sends a signal, which must be a syscall.Signal, with KillGroup to the group; 0 only checks whether the process
// runs. It returns ErrProcessNotRunning if the process has ended.
func (p *ManagedProcess) Signal(signal os.Signal) error {
	number, err := signalNumber(signal)
	if err != nil {
		return err
	}
	// The process is the leader of its group, and the group may outlive it.
	if p.handle == nil || p.scope == capi.ScopeGroup && !p.lives() {
		return ErrProcessNotRunning
	}
	return p.translate(p.handle.Signal(number, p.scope))
}

// lives reports whether the process itself still runs.
func (p *ManagedProcess) lives() bool {
	info, err := p.handle.Info()
	return err == nil && info.State == capi.StateRunning
}

// signalNumber returns the number of a signal. Only the signals of this system have one.
func signalNumber(signal os.Signal) (syscall.Signal, error) {
	number, ok := signal.(syscall.Signal)
	// The library takes 32 bits: a longer number would be cut, and could become another signal.
	if !ok || int(number) != int(int32(number)) {
		return 0, fmt.Errorf("signal: not a signal of this system: %v", signal)
	}
	return number, nil
}
