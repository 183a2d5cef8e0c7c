package run

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// pipe is a pipe for a child's stdin. Unlike os.Pipe's, the child's end blocks, as a child expects.
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
	// Non-blocking, so that a child that does not read holds up a goroutine, and no thread.
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
	// That the child reads no more is its own affair.
	if err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, os.ErrClosed) {
		i.failed <- err
	}
	// After the error, so that a child that ends by the end of its input does not end before it is known.
	_ = i.pipe.Close()
}

// longestRead is how long an ended child's Reader may go on with its last Read.
const longestRead = 5 * time.Second

// end stops the copying once the child has ended, and gives the Reader's error. The caller may then use the
// Reader, unless its Read does not return: that is not waited for beyond a bound.
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
