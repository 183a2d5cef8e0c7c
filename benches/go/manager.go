package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"dappco.re/go/core"
)

// manager stands in for the pure Go manager that this binding replaces: the obvious design on os/exec, with a goroutine
// for each stream, one that waits, one that watches the context, and a ring behind a mutex.
type manager struct{}

type managed struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	ring   *mutexRing
	grace  time.Duration
	cancel context.CancelFunc
	done   chan struct{}
	end    ended
	err    error
}

func (manager) spawn(grace time.Duration, handle func(string), child string, args ...string) (*managed, error) {
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, child, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	m := &managed{cmd: cmd, ring: newMutexRing(1 << 20), grace: grace, cancel: cancel, done: make(chan struct{})}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if m.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var streams sync.WaitGroup
	for _, stream := range []io.Reader{stdout, stderr} {
		streams.Go(func() {
			lines := bufio.NewScanner(stream)
			lines.Buffer(make([]byte, 64<<10), 1<<20)
			for lines.Scan() {
				line := lines.Text()
				m.ring.write(line + "\n")
				if handle != nil {
					handle(line)
				}
			}
			m.ring.fail(lines.Err())
		})
	}
	go func() {
		streams.Wait()
		m.end, m.err = stateOf(cmd, cmd.Wait())
		m.err = errors.Join(m.err, m.ring.err)
		close(m.done)
		cancel()
	}()
	return m, nil
}

func (m *managed) wait() (ended, error) {
	<-m.done
	return m.end, m.err
}

func (m *managed) stop() {
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	go func() {
		select {
		case <-m.done:
		case <-time.After(m.grace):
			_ = m.cmd.Process.Kill()
		}
	}()
}

func (m *managed) endInput() error { return m.stdin.Close() }

func (by manager) run(child string, args ...string) ([]byte, int, error) {
	m, err := by.spawn(0, nil, child, args...)
	if err != nil {
		return nil, 0, err
	}
	end, err := m.wait()
	return m.ring.bytes(), end.code, err
}

// lineMessage is the message that manager broadcasts for a line.
type lineMessage struct{ id, line, stream string }

// lines broadcasts each line as an action of a Core, which is how its users get them.
func (by manager) lines(handle func(string), child string, args ...string) error {
	c := core.New()
	c.RegisterAction(func(_ *core.Core, message core.Message) core.Result {
		if output, ok := message.(lineMessage); ok {
			handle(output.line)
		}
		return core.Result{OK: true}
	})
	broadcast := func(line string) { c.ACTION(lineMessage{"proc-1", line, "stdout"}) }
	m, err := by.spawn(0, broadcast, child, args...)
	if err != nil {
		return err
	}
	_, err = m.wait()
	return err
}

func (by manager) captured(child string, args ...string) ([]byte, error) {
	m, err := by.spawn(0, nil, child, args...)
	if err != nil {
		return nil, err
	}
	_, err = m.wait()
	return m.ring.bytes(), err
}

func (manager) delivered(io.Writer, string, ...string) error { return errors.ErrUnsupported }

func (by manager) start(grace time.Duration, child string, args ...string) (live, error) {
	return by.spawn(grace, nil, child, args...)
}

func (by manager) all(count int, child string) error { return allOf(count, child, by) }

// mutexRing keeps the last bytes; its memory grows as needed up to its size.
type mutexRing struct {
	mu   sync.Mutex
	data []byte
	size int
	at   int // index of the oldest byte, once it is full
	err  error
}

func newMutexRing(size int) *mutexRing { return &mutexRing{size: size} }

func (r *mutexRing) write(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fits := min(len(text), r.size-len(r.data))
	r.data = append(r.data, text[:fits]...)
	for text = text[fits:]; text != ""; {
		copied := copy(r.data[r.at:], text)
		text = text[copied:]
		r.at = (r.at + copied) % r.size
	}
}

func (r *mutexRing) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = errors.Join(r.err, err)
}

func (r *mutexRing) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(append([]byte(nil), r.data[r.at:]...), r.data[:r.at]...)
}
