package capi

/*
#include <coreproc.h>
*/
import "C"

import (
	"sync/atomic"
	"unsafe"
)

// Ring keeps the last bytes that were written to it. It may be used by several goroutines at once.
type Ring struct {
	handle[*C.coreproc_ring]
	size  uint64
	taken *atomic.Uint64 // memory, up to size
}

// NewRing is an empty ring for size bytes, which takes no memory yet; 0 keeps nothing.
func NewRing(size uint) (*Ring, error) {
	var pointer *C.coreproc_ring
	var cerr *C.coreproc_error
	if err := check(C.coreproc_ring_new(C.size_t(size), &pointer, &cerr), cerr); err != nil {
		return nil, err
	}
	taken := new(atomic.Uint64)
	ring := &Ring{size: uint64(size), taken: taken}
	ring.own(pointer, func(p *C.coreproc_ring) {
		C.coreproc_ring_free(p)
		holding(-int64(taken.Load()))
	})
	return ring, nil
}

// Write keeps the bytes, in place of the oldest where the ring is full.
func (r *Ring) Write(data []byte) error {
	pointer, err := r.acquire()
	if err != nil {
		return err
	}
	// No pointer to an error: cgo would look it over at each call, and a code says enough.
	result := C.coreproc_ring_write(pointer, (*C.uint8_t)(unsafe.SliceData(data)), C.size_t(len(data)), nil)
	if r.taken.Load() < r.size {
		r.grow(uint64(len(data)))
	}
	r.release()
	return check(result, nil)
}

// grow counts the memory that a write has taken.
func (r *Ring) grow(written uint64) {
	for {
		taken := r.taken.Load()
		more := min(written, r.size-taken)
		if r.taken.CompareAndSwap(taken, taken+more) {
			holding(int64(more))
			return
		}
	}
}

// Bytes is a copy of what the ring holds, oldest first; nil when empty.
func (r *Ring) Bytes() ([]byte, error) {
	pointer, err := r.acquire()
	if err != nil {
		return nil, err
	}
	defer r.release()
	size := C.coreproc_ring_len(pointer)
	for size > 0 {
		buffer := make([]byte, size)
		var held C.size_t
		var cerr *C.coreproc_error
		if err := check(C.coreproc_ring_copy(pointer, (*C.uint8_t)(unsafe.SliceData(buffer)), size, &held, &cerr), cerr); err != nil {
			return nil, err
		}
		if held == 0 {
			break // it was reset meanwhile
		}
		if held <= size {
			return buffer[:held:held], nil
		}
		size = held // more was written meanwhile
	}
	return nil, nil
}

// Len is how many bytes the ring holds.
func (r *Ring) Len() int {
	pointer, err := r.acquire()
	if err != nil {
		return 0
	}
	defer r.release()
	return int(C.coreproc_ring_len(pointer))
}

// Cap is how many bytes the ring holds at most.
func (r *Ring) Cap() int {
	pointer, err := r.acquire()
	if err != nil {
		return 0
	}
	defer r.release()
	return int(C.coreproc_ring_cap(pointer))
}

// Reset forgets what the ring holds.
func (r *Ring) Reset() {
	pointer, err := r.acquire()
	if err != nil {
		return
	}
	defer r.release()
	C.coreproc_ring_reset(pointer)
}
