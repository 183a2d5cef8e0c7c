package process

import (
	"errors"
	"fmt"
	"time"

	"dappco.re/go/core/process/internal/capi"
)

// SendInput writes to the process's stdin, and waits while the process does not read. Inputs that are sent at the same
// time do not mix. If the process has ended, it returns ErrProcessNotRunning, even if its stdin was closed before.
// While the process runs, it returns ErrStdinNotAvailable after CloseStdin, without a stdin, or if the stdin is no
// longer read; the error says how much was written before.
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

// Writing to a full pipe waits in the library, on a thread. Only a few writers may do so at a time, and not for long:
// the writers of a process that does not read try now and then, and hold no thread.
const (
	longestWrite = 20 * time.Millisecond
	longestPause = 50 * time.Millisecond
)

// writers has a place for each writer that waits on a thread.
var writers = make(chan struct{}, 4)

// write writes at least a byte of the input, or returns ErrTimedOut.
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

// CloseStdin closes the process's stdin, which is the end of its input. It may be called again, even after the process
// has ended.
func (p *ManagedProcess) CloseStdin() error {
	if p.handle == nil {
		return nil
	}
	return p.handle.CloseStdin()
}
