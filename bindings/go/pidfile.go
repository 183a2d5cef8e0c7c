package process

import (
	"cmp"
	"errors"
	"fmt"

	"dappco.re/go/core/process/internal/capi"
)

// PIDFile lets one daemon run at a time. The proof that it lives is a lock on the file, not the number in it. It may
// be used by several goroutines at once.
type PIDFile struct {
	handle *capi.PIDFile
	broken error // why there is no handle
	path   string
}

// NewPIDFile is the PID file at a path, not held yet. A mistake in the path is reported by Acquire.
func NewPIDFile(path string) *PIDFile {
	handle, err := capi.NewPIDFile(path)
	return &PIDFile{handle: handle, broken: err, path: path}
}

var errNoPIDFile = errors.New("PID file: NewPIDFile makes one")

// Acquire takes the file for this program, until Release or its end: makes it, with the folders above it, or takes over one whose daemon is
// dead. While a daemon that lives has it, that is an error; so is a file of another user, and one that everybody may write.
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

// named says in the words that callers look for that somebody has a PID file.
func named(err error) error {
	var failure *capi.Error
	if errors.As(err, &failure) && failure.Op == "acquire PID file" &&
		(failure.Result == capi.ErrBusy || failure.Result == capi.ErrInvalidState) {
		return fmt.Errorf("another instance is running: %w", err)
	}
	return err
}

// Release removes the file. Releasing one that is not held is fine.
func (f *PIDFile) Release() error {
	if f.handle == nil {
		return nil
	}
	letGo(f)
	return f.handle.Release()
}

// Path is the path as it was given.
func (f *PIDFile) Path() string { return f.path }

// ReadPID gives the PID in a PID file, and whether its daemon lives; 0 and false if there is no file, or one that anybody
// could have put there. 0 and true is a daemon that lives and whose PID is not known for sure, such as one of another
// PID namespace, or of another user whose processes this program may not look at.
func ReadPID(path string) (pid int, alive bool) {
	pid, alive, err := capi.ReadPIDFile(path)
	if err != nil {
		return 0, false
	}
	return pid, alive
}
