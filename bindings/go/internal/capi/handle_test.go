package capi

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counted is a handle whose free counts instead of freeing.
func counted() (*handle[*byte], *atomic.Int64) {
	freed := new(atomic.Int64)
	h := new(handle[*byte])
	h.own(new(byte), func(*byte) { freed.Add(1) })
	return h, freed
}

func TestHandle_is_freed_once_however_often_it_is_closed(t *testing.T) {
	h, freed := counted()
	h.Close()
	h.Close()
	assert.Equal(t, int64(1), freed.Load())
	_, err := h.acquire()
	assert.ErrorIs(t, err, ErrClosed)
}

func TestHandle_that_is_closed_during_a_call_is_freed_after_it(t *testing.T) {
	h, freed := counted()
	_, err := h.acquire()
	require.NoError(t, err)
	h.Close()
	assert.Equal(t, int64(0), freed.Load())
	_, err = h.acquire()
	assert.ErrorIs(t, err, ErrClosed)
	h.release()
	assert.Equal(t, int64(1), freed.Load())
}

func TestHandle_that_is_forgotten_is_freed_by_the_garbage_collector(t *testing.T) {
	_, freed := counted()
	deadline := time.Now().Add(time.Minute)
	for freed.Load() == 0 && time.Now().Before(deadline) {
		runtime.GC()
	}
	assert.Equal(t, int64(1), freed.Load())
}

func TestHandle_that_is_closed_is_left_alone_by_the_garbage_collector(t *testing.T) {
	h, freed := counted()
	h.Close()
	h = nil
	// The cleanup of this one, made later, says that the collector has been here.
	_, later := counted()
	for later.Load() == 0 {
		runtime.GC()
	}
	assert.Equal(t, int64(1), freed.Load())
	assert.Nil(t, h)
}

func TestHandle_survives_calls_and_closes_at_once(t *testing.T) {
	for range 1000 {
		h, freed := counted()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 10 {
					if _, err := h.acquire(); err != nil {
						return
					}
					assert.Equal(t, int64(0), freed.Load(), "freed during a call")
					h.release()
				}
			})
			all.Go(h.Close)
		}
		all.Wait()
		assert.Equal(t, int64(1), freed.Load())
	}
}
