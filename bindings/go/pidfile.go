package process

import (
	"cmp"
	"errors"
	"fmt"

	"dappco.re/go/core/process/internal/capi"
)

// PIDFile lets one daemon run at a time. A lock on the file proves that the daemon lives, not the number in it. A PIDFile
// may be used by several goroutines at once.
type PIDFile struct {
	handle *capi.PIDFile
	broken error // why there is no handle, or nil
	path   string
}

// NewPIDFile makes the PID file at a path, which is not held yet. Acquire reports a mistake in the path.
func NewPIDFile(path string) *PIDFile {
	handle, err := capi.NewPIDFile(path)
	return &PIDFile{handle: handle, broken: err, path: path}
}

var errNoPIDFile = errors.New("PID file: NewPIDFile makes one")

// Acquire takes the file for this program, until Release or the end of the program: it makes the file, with the
// directories above it, or takes over a file whose daemon is dead. It returns an error if a daemon that lives holds the
// file, if the file belongs to another user, or if every user may write to it.
func (f *PIDFile) Acquire() error {
	if f.handle == nil {
		return cmp.Or(f.broken, errNoPIDFile)
	}
	if err := f.handle.Acquire(); err != nil {
		return named(err)
	}
	keep(f)
	return nil
}

// named adds the words that callers look for to the error of a PID file that another daemon holds.
func named(err error) error {
	var failure *capi.Error
	if errors.As(err, &failure) && failure.Op == "acquire PID file" &&
		(failure.Result == capi.ErrBusy || failure.Result == capi.ErrInvalidState) {
		return fmt.Errorf("another instance is running: %w", err)
	}
	return err
}

// Release removes the file. Releasing a file that is not held is fine.
func (f *PIDFile) Release() error {
	if f.handle == nil {
		return nil
	}
	letGo(f)
	return f.handle.Release()
}

// Path returns the path that was given to NewPIDFile.
func (f *PIDFile) Path() string { return f.path }

// ReadPID returns the PID in a PID file, and whether its daemon lives. It returns 0 and false if there is no file, or
// if any user could have put it there. It returns 0 and true if the daemon lives and its PID is not certain: it is in
// another PID namespace, for example, or belongs to another user whose processes this program may not look at.
func ReadPID(path string) (pid int, alive bool) {
	pid, alive, err := capi.ReadPIDFile(path)
	if err != nil {
		return 0, false
	}
	return pid, alive
}
