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
	Code    string    `json:"code"`   // which program it belongs to
	Daemon  string    `json:"daemon"` // which of its daemons it is
	PID     int       `json:"pid"`
	Health  string    `json:"health,omitempty"`  // where its health server listens
	Project string    `json:"project,omitempty"` // the folder it works for
	Binary  string    `json:"binary,omitempty"`
	Started time.Time `json:"started"`
}

// Registry says which daemons of a user run: a folder with a file for each, called CODE-DAEMON.json with each "/" as
// "-", unless that is the file of another daemon or not safe as a name. It may be used by several goroutines and programs
// at once.
type Registry struct {
	handle *capi.Registry
	broken error // why there is no handle
}

var (
	errRegistryDir = errors.New("registry: the folder is required")
	errNoRegistry  = errors.New("registry: NewRegistry or DefaultRegistry makes one")
)

// NewRegistry is the registry in a folder, which is made when the first daemon is registered. A mistake in it is
// reported by the methods.
func NewRegistry(dir string) *Registry {
	if dir == "" {
		return &Registry{broken: errRegistryDir}
	}
	handle, err := capi.NewRegistry(dir)
	return &Registry{handle: handle, broken: err}
}

// DefaultRegistry is the user's, ~/.core/daemons.
func DefaultRegistry() *Registry {
	handle, err := capi.NewRegistry("")
	return &Registry{handle: handle, broken: err}
}

// usable says why there is no registry.
func (r *Registry) usable() error {
	if r.handle == nil {
		return cmp.Or(r.broken, errNoRegistry)
	}
	return nil
}

// Register writes an entry, in the place of an earlier one of the same code and name. Started is now if it is zero. A
// PID that does not run is written too, and found dead by the next reader.
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

// Unregister removes an entry. A missing one is fine.
func (r *Registry) Unregister(code, daemon string) error {
	if err := r.usable(); err != nil {
		return err
	}
	return r.handle.Unregister(code, daemon)
}

// Get is the entry of a daemon that lives; false where there is none. A daemon of another PID namespace is not known to live.
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

// List is every daemon that lives, by Started, Code and Daemon. Entries of dead ones are removed. Those of another PID
// namespace, in which alone their PIDs mean something, are left out, and left alone; so are those of users other than
// root and this program's, unless they are about processes of those users, in a folder that not everybody may write.
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
