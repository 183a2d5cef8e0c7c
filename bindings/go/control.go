package process

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"dappco.re/go/core/process/internal/capi"
)

// Kill sends SIGKILL, to the group with KillGroup. Killing what has ended is fine. ActionProcessKilled has been broadcast,
// on this goroutine, when it returns: for that it waits until the signal is known to have ended the process, a tenth of a
// second at most, and then until the handler of the process that runs on another goroutine has returned, a second at most.
// If that is not enough, ActionProcessKilled comes before Done is closed. For the end of the output it does not wait.
// A handler of the process may call it, and waits for no other handler then. A handler that waits for a goroutine which
// calls it holds that up for the whole second.
func (p *ManagedProcess) Kill() error {
	return p.killAloud(func() error { return p.kill(p.scope) })
}

// killAloud kills at once, and says so before it returns, when its turn has come.
func (p *ManagedProcess) killAloud(kill func() error) error {
	if p.core == nil || p.handle == nil || !p.IsRunning() {
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

// killer is the signal that has ended a process which was killed; 0 if it had exited by itself. One that the kernel
// holds back, in the middle of a call to a disk or in a frozen group, dies later, of this signal.
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

// poll looks again and again until something has come true, but not for long, and says whether it has.
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

// Shutdown sends SIGTERM, and SIGKILL when the process has not ended within its GracePeriod; without
// one it is Kill, and waits for no more than that. A second Shutdown does not wait for the grace period. With KillGroup
// both signals go to the group.
func (p *ManagedProcess) Shutdown() error {
	if p.handle == nil {
		return nil
	}
	if p.abrupt {
		return p.killAloud(p.handle.Stop)
	}
	return p.handle.Stop()
}

// Signal sends a signal, to the group with KillGroup; 0 only looks whether the process runs. It must be a
// syscall.Signal. ErrProcessNotRunning if the process has ended.
func (p *ManagedProcess) Signal(signal os.Signal) error {
	number, err := signalNumber(signal)
	if err != nil {
		return err
	}
	// A group may outlive its leader; the process is the leader.
	if p.handle == nil || p.scope == capi.ScopeGroup && !p.lives() {
		return ErrProcessNotRunning
	}
	return p.translate(p.handle.Signal(number, p.scope))
}

// SendInput writes to the process's stdin, and waits while the process does not read. Inputs that are sent at the
// same time do not mix. Of a process that has ended it is ErrProcessNotRunning, whatever became of its stdin before. While
// the process runs it is ErrStdinNotAvailable after CloseStdin, without a stdin, or when nobody reads it any more; the
// error says how much was written before.
func (p *ManagedProcess) SendInput(input string) error {
	if p.handle == nil {
		return ErrProcessNotRunning
	}
	p.input.Lock()
	defer p.input.Unlock()
	sent := 0
	for pause := time.Duration(0); ; {
		written, err := p.write(input)
		switch {
		case err == nil:
			pause = 0
			sent += written
			if input = input[written:]; input == "" {
				return nil
			}
		case errors.Is(err, capi.ErrTimedOut):
			pause = min(max(2*pause, time.Millisecond), longestPause)
			time.Sleep(pause)
		case sent > 0:
			return fmt.Errorf("%w (after %d of %d bytes)", p.translate(err), sent, sent+len(input))
		default:
			return p.translate(err)
		}
	}
}

// Writing to a full pipe waits in the library, on a thread. Few may do so at a time, and not for long: a
// process that does not read costs its writers a look now and then, and no thread.
const (
	longestWrite = 20 * time.Millisecond
	longestPause = 50 * time.Millisecond
)

var writers = make(chan struct{}, 4)

// write writes at least a byte of the input, or is ErrTimedOut.
func (p *ManagedProcess) write(input string) (int, error) {
	written, err := p.handle.Write(input, 0)
	if !errors.Is(err, capi.ErrTimedOut) {
		return written, err
	}
	select {
	case writers <- struct{}{}:
		defer func() { <-writers }()
		return p.handle.Write(input, longestWrite)
	default:
		return written, err
	}
}

// CloseStdin closes the process's stdin, which is the end of its input. It may be called again, also when the
// process has ended.
func (p *ManagedProcess) CloseStdin() error {
	if p.handle == nil {
		return nil
	}
	return p.handle.CloseStdin()
}

// lives says whether the process itself has not ended.
func (p *ManagedProcess) lives() bool {
	info, err := p.handle.Info()
	return err == nil && info.State == capi.StateRunning
}

// signalNumber is the signal as a number, which only those of this system have.
func signalNumber(signal os.Signal) (syscall.Signal, error) {
	number, ok := signal.(syscall.Signal)
	// More than 32 bits would be cut on the way, and could become another signal.
	if !ok || int(number) != int(int32(number)) {
		return 0, fmt.Errorf("signal: not a signal of this system: %v", signal)
	}
	return number, nil
}
