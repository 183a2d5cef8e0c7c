package run

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// pipe makes a pipe for a child's stdin. Unlike that of os.Pipe, the child's end blocks, as a child expects.
func pipe() (read int, write *os.File, err error) {
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		return 0, nil, os.NewSyscallError("pipe2", err)
	}
	if err := syscall.SetNonblock(ends[1], true); err != nil {
		_ = syscall.Close(ends[0])
		_ = syscall.Close(ends[1])
		return 0, nil, os.NewSyscallError("fcntl", err)
	}
	// Our end does not block, so that a child that does not read holds up a goroutine and no thread.
	return ends[0], os.NewFile(uintptr(ends[1]), "stdin of a command"), nil
}

// input copies a Reader to a child's stdin.
type input struct {
	reader io.Reader
	pipe   *os.File
	failed chan error // of the Reader; holds one
	done   chan struct{}
}

func newInput(pipe *os.File, reader io.Reader) *input {
	return &input{reader: reader, pipe: pipe, failed: make(chan error, 1), done: make(chan struct{})}
}

func (i *input) copy() {
	defer close(i.done)
	_, err := io.Copy(i.pipe, i.reader)
	// A child may stop reading its input, which is no failure.
	if err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, os.ErrClosed) {
		i.failed <- err
	}
	// The close comes after the error, so that the error is known before a child that waits for the end of its input can
	// end.
	_ = i.pipe.Close()
}

// longestRead is how long the last Read may take once the child has ended.
const longestRead = 5 * time.Second

// end stops the copying once the child has ended, and returns the Reader's error. The caller may then use the Reader,
// unless its Read has not returned within longestRead.
func (i *input) end() error {
	_ = i.pipe.Close()
	select {
	case <-i.done:
	case <-time.After(longestRead):
	}
	select {
	case err := <-i.failed:
		return err
	default:
		return nil
	}
}
