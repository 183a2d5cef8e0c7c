package process

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"dappco.re/go/core/process/internal/capi"
)

// DaemonEntry is a daemon in a registry.
type DaemonEntry struct {
	Code    string    `json:"code"`   // name of the program that it belongs to
	Daemon  string    `json:"daemon"` // name of the daemon in that program
	PID     int       `json:"pid"`
	Health  string    `json:"health,omitempty"`  // address of its health server
	Project string    `json:"project,omitempty"` // directory that it works for
	Binary  string    `json:"binary,omitempty"`
	Started time.Time `json:"started"`
}

// Registry says which daemons of a user run. It is a directory with a file for each daemon, whose name is CODE-DAEMON.json
// with each "/" as "-", unless that is the file of another daemon or is not safe as a name. It may be used by several
// goroutines and programs at once.
type Registry struct {
	handle *capi.Registry
	broken error // why there is no handle, or nil
}

var (
	errRegistryDir = errors.New("registry: the folder is required")
	errNoRegistry  = errors.New("registry: NewRegistry or DefaultRegistry makes one")
)

// NewRegistry makes the registry in a directory. The directory is made when the first daemon is registered. The methods
// report a mistake in its path.
func NewRegistry(dir string) *Registry {
	if dir == "" {
		return &Registry{broken: errRegistryDir}
	}
	handle, err := capi.NewRegistry(dir)
	return &Registry{handle: handle, broken: err}
}

// DefaultRegistry makes the registry of the user, ~/.core/daemons.
func DefaultRegistry() *Registry {
	handle, err := capi.NewRegistry("")
	return &Registry{handle: handle, broken: err}
}

// usable returns why there is no registry, or nil.
func (r *Registry) usable() error {
	if r.handle == nil {
		return cmp.Or(r.broken, errNoRegistry)
	}
	return nil
}

// Register writes an entry, in place of an earlier one with the same Code and Daemon. If Started is zero, the current time
// is written. An entry whose PID does not run is written, too; the next reader finds it dead.
func (r *Registry) Register(entry DaemonEntry) error {
	if err := r.usable(); err != nil {
		return err
	}
	if entry.PID != int(int32(entry.PID)) {
		return fmt.Errorf("register: pid: %d is out of range", entry.PID)
	}
	var started uint64
	if !entry.Started.IsZero() {
		ns := entry.Started.UnixNano()
		if ns <= 0 || entry.Started.Unix() != ns/int64(time.Second) || ns == math.MaxInt64 {
			return fmt.Errorf("register: started: %v is out of range", entry.Started)
		}
		started = uint64(ns)
	}
	return r.handle.Register(capi.Entry{
		Code: entry.Code, Daemon: entry.Daemon, PID: int32(entry.PID), Health: entry.Health,
		Project: entry.Project, Binary: entry.Binary, Started: started,
	})
}

// Unregister removes an entry. It is fine if there is none.
func (r *Registry) Unregister(code, daemon string) error {
	if err := r.usable(); err != nil {
		return err
	}
	return r.handle.Unregister(code, daemon)
}

// Get returns the entry of a daemon that lives, and false if there is none. A daemon in another PID namespace is not known
// to live.
func (r *Registry) Get(code, daemon string) (*DaemonEntry, bool) {
	if r.usable() != nil {
		return nil, false
	}
	found, err := r.handle.Get(code, daemon)
	if err != nil {
		return nil, false
	}
	entry := newDaemonEntry(found)
	return &entry, true
}

// List returns the entries of the daemons that live, sorted by Started, Code and Daemon. It removes entries of dead
// daemons. Two kinds of entries are neither returned nor removed: those of another PID namespace, because their PIDs mean
// nothing here, and those of users other than root and the user of this program, unless they describe processes of those
// users and the directory is one that not every user may write to.
func (r *Registry) List() ([]DaemonEntry, error) {
	if err := r.usable(); err != nil {
		return nil, err
	}
	found, err := r.handle.List()
	if err != nil {
		return nil, err
	}
	entries := make([]DaemonEntry, 0, len(found))
	for _, entry := range found {
		entries = append(entries, newDaemonEntry(entry))
	}
	return entries, nil
}

func newDaemonEntry(entry capi.Entry) DaemonEntry {
	var started time.Time
	if entry.Started != 0 {
		started = time.Unix(0, int64(entry.Started)).UTC()
	}
	return DaemonEntry{
		Code: entry.Code, Daemon: entry.Daemon, PID: int(entry.PID), Health: entry.Health,
		Project: entry.Project, Binary: entry.Binary, Started: started,
	}
}
