package capi

/*
#include <coreproc.h>
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// Registry says which daemons run.
type Registry struct {
	handle[*C.coreproc_registry]
}

// Entry is a daemon in a registry.
type Entry struct {
	Code    string
	Daemon  string
	PID     int32
	Health  string
	Project string
	Binary  string
	Started uint64 // nanoseconds of the realtime clock
}

// toC converts the entry. The C strings are the Go strings, and valid until the pinner is unpinned.
func (e Entry) toC(pinner *runtime.Pinner) C.coreproc_daemon_entry {
	code, codeLen := pinned(pinner, e.Code)
	daemon, daemonLen := pinned(pinner, e.Daemon)
	health, healthLen := pinned(pinner, e.Health)
	project, projectLen := pinned(pinner, e.Project)
	binary, binaryLen := pinned(pinner, e.Binary)
	return C.coreproc_daemon_entry{
		struct_size: C.uint32_t(unsafe.Sizeof(C.coreproc_daemon_entry{})),
		pid:         C.int32_t(e.PID),
		started_ns:  C.uint64_t(e.Started),
		code:        code, code_len: codeLen,
		daemon: daemon, daemon_len: daemonLen,
		health: health, health_len: healthLen,
		project: project, project_len: projectLen,
		binary: binary, binary_len: binaryLen,
	}
}

func newEntry(entry *C.coreproc_daemon_entry) Entry {
	return Entry{
		Code:    goText(entry.code, entry.code_len),
		Daemon:  goText(entry.daemon, entry.daemon_len),
		PID:     int32(entry.pid),
		Health:  goText(entry.health, entry.health_len),
		Project: goText(entry.project, entry.project_len),
		Binary:  goText(entry.binary, entry.binary_len),
		Started: uint64(entry.started_ns),
	}
}

// NewRegistry makes the registry in a directory; "" means that of the user. Programs that do not encode the names of files
// find its entries, too.
func NewRegistry(dir string) (*Registry, error) {
	data, size := text(dir)
	if dir == "" {
		data = nil
	}
	var pointer *C.coreproc_registry
	var cerr *C.coreproc_error
	if err := check(C.coreproc_registry_new_plain(data, size, &pointer, &cerr), cerr); err != nil {
		return nil, err
	}
	registry := new(Registry)
	registry.own(pointer, func(p *C.coreproc_registry) { C.coreproc_registry_free(p) })
	return registry, nil
}

// Register writes an entry.
func (r *Registry) Register(entry Entry) error {
	pointer, err := r.acquire()
	if err != nil {
		return err
	}
	defer r.release()
	var pinner runtime.Pinner
	defer pinner.Unpin()
	centry := entry.toC(&pinner)
	var cerr *C.coreproc_error
	return check(C.coreproc_registry_register(pointer, &centry, &cerr), cerr)
}

// Unregister removes an entry. It is fine if there is none.
func (r *Registry) Unregister(code, daemon string) error {
	pointer, err := r.acquire()
	if err != nil {
		return err
	}
	defer r.release()
	codeData, codeSize := text(code)
	daemonData, daemonSize := text(daemon)
	var cerr *C.coreproc_error
	return check(C.coreproc_registry_unregister(pointer, codeData, codeSize, daemonData, daemonSize, &cerr), cerr)
}

// Get returns the entry of a daemon that lives, or [ErrNotFound].
func (r *Registry) Get(code, daemon string) (Entry, error) {
	pointer, err := r.acquire()
	if err != nil {
		return Entry{}, err
	}
	defer r.release()
	codeData, codeSize := text(code)
	daemonData, daemonSize := text(daemon)
	var found *C.coreproc_entries
	var cerr *C.coreproc_error
	err = check(C.coreproc_registry_get(pointer, codeData, codeSize, daemonData, daemonSize, &found, &cerr), cerr)
	if err != nil {
		return Entry{}, err
	}
	entries := newEntries(found)
	if len(entries) == 0 {
		return Entry{}, ErrNotFound
	}
	return entries[0], nil
}

// List returns the entries of the daemons that live.
func (r *Registry) List() ([]Entry, error) {
	pointer, err := r.acquire()
	if err != nil {
		return nil, err
	}
	defer r.release()
	var found *C.coreproc_entries
	var cerr *C.coreproc_error
	if err := check(C.coreproc_registry_list(pointer, &found, &cerr), cerr); err != nil {
		return nil, err
	}
	return newEntries(found), nil
}

// newEntries copies entries, and frees them.
func newEntries(found *C.coreproc_entries) []Entry {
	defer C.coreproc_entries_free(found)
	var count, stride C.size_t
	first := unsafe.Pointer(C.coreproc_entries_first(found, &count, &stride))
	entries := make([]Entry, 0, int(count))
	for i := range int(count) {
		entries = append(entries, newEntry((*C.coreproc_daemon_entry)(unsafe.Add(first, i*int(stride)))))
	}
	return entries
}
