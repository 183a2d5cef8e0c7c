package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// osExec is os/exec, which has neither a capture of bounded size nor a list of what runs.
type osExec struct{}

func stateOf(cmd *exec.Cmd, err error) (ended, error) {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return ended{}, err
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ended{cmd.ProcessState.ExitCode(), status.Signaled() && status.Signal() == syscall.SIGKILL}, nil
}

func (osExec) run(child string, args ...string) ([]byte, int, error) {
	cmd := exec.Command(child, args...)
	output, err := cmd.CombinedOutput()
	end, err := stateOf(cmd, err)
	return output, end.code, err
}

func (osExec) lines(handle func(string), child string, args ...string) error {
	cmd := exec.Command(child, args...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(stdout)
	lines.Buffer(make([]byte, 64<<10), 1<<20)
	for lines.Scan() {
		handle(lines.Text())
	}
	return errors.Join(lines.Err(), cmd.Wait())
}

// captured reads straight into a ring of 1 MiB.
func (osExec) captured(child string, args ...string) ([]byte, error) {
	cmd := exec.Command(child, args...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ring, at := make([]byte, 1<<20), 0
	for {
		read, err := stdout.Read(ring[at:])
		at = (at + read) % len(ring)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return append(append([]byte(nil), ring[at:]...), ring[:at]...), cmd.Wait()
}

func (osExec) delivered(to io.Writer, child string, args ...string) error {
	cmd := exec.Command(child, args...)
	cmd.Stdout = to
	return cmd.Run()
}

func (osExec) start(grace time.Duration, child string, args ...string) (live, error) {
	cmd := exec.Command(child, args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if _, err := cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if _, err := cmd.StderrPipe(); err != nil {
		return nil, err
	}
	return &osLive{cmd: cmd, stdin: stdin, grace: grace}, cmd.Start()
}

type osLive struct {
	cmd   *exec.Cmd
	stdin io.Closer
	grace time.Duration
	kill  *time.Timer
}

func (l *osLive) wait() (ended, error) {
	err := l.cmd.Wait()
	if l.kill != nil {
		l.kill.Stop()
	}
	return stateOf(l.cmd, err)
}

func (l *osLive) stop() {
	_ = l.cmd.Process.Signal(syscall.SIGTERM)
	l.kill = time.AfterFunc(l.grace, func() { _ = l.cmd.Process.Kill() })
}

func (l *osLive) endInput() error { return l.stdin.Close() }

func (o osExec) all(count int, child string) error { return allOf(count, child, o) }

// allOf runs count children, each on a goroutine.
func allOf(count int, child string, by contender) error {
	failed := make(chan error, count)
	var running sync.WaitGroup
	for range count {
		running.Go(func() {
			_, code, err := by.run(child)
			if err == nil && code != 0 {
				err = fmt.Errorf("a child ended with %d", code)
			}
			failed <- err
		})
	}
	running.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}
