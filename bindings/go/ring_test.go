package process

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRingBuffer_keeps_the_last_bytes(t *testing.T) {
	ring := NewRingBuffer(5)
	assert.Equal(t, 5, ring.Cap())
	for _, step := range []struct{ write, want string }{
		{"", ""}, {"abc", "abc"}, {"de", "abcde"}, {"f", "bcdef"}, {"0123456789", "56789"}, {"", "56789"},
	} {
		written, err := io.WriteString(ring, step.write)
		require.NoError(t, err)
		assert.Equal(t, len(step.write), written)
		assert.Equal(t, step.want, ring.String())
		assert.Equal(t, step.want, string(ring.Bytes()))
		assert.Equal(t, len(step.want), ring.Len())
	}
}

func TestRingBuffer_is_the_end_of_all_writes_whatever_their_sizes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range count(t, 200) {
		size := random.IntN(70)
		ring, all := NewRingBuffer(size), []byte(nil)
		for range random.IntN(20) {
			data := make([]byte, random.IntN(100))
			for i := range data {
				data[i] = byte(random.Uint32())
			}
			_, err := ring.Write(data)
			require.NoError(t, err)
			all = append(all, data...)
			kept := all[max(0, len(all)-size):]
			require.True(t, bytes.Equal(kept, ring.Bytes()))
			require.Equal(t, string(kept), ring.String())
			require.Equal(t, len(kept), ring.Len())
		}
	}
}

func TestRingBuffer_reset_is_empty_and_usable(t *testing.T) {
	ring := NewRingBuffer(4)
	_, _ = io.WriteString(ring, "before")
	ring.Reset()
	assert.Zero(t, ring.Len())
	assert.Nil(t, ring.Bytes())
	assert.Empty(t, ring.String())
	assert.Equal(t, 4, ring.Cap())
	_, _ = io.WriteString(ring, "then")
	_, _ = io.WriteString(ring, "!")
	assert.Equal(t, "hen!", ring.String())
}

func TestRingBuffer_without_a_size_keeps_nothing(t *testing.T) {
	for _, ring := range []*RingBuffer{NewRingBuffer(0), NewRingBuffer(-1), NewRingBuffer(math.MinInt), {}} {
		written, err := ring.Write([]byte("gone"))
		require.NoError(t, err)
		assert.Equal(t, 4, written)
		assert.Zero(t, ring.Len())
		assert.Zero(t, ring.Cap())
		assert.Nil(t, ring.Bytes())
		assert.Empty(t, ring.String())
		ring.Reset()
	}
}

func TestRingBuffer_bytes_are_a_copy(t *testing.T) {
	ring := NewRingBuffer(4)
	_, _ = io.WriteString(ring, "kept")
	first := ring.Bytes()
	copy(first, "XXXX")
	assert.Equal(t, "kept", ring.String())
	text := ring.String()
	_, _ = io.WriteString(ring, "more")
	assert.Equal(t, "kept", text)
	assert.Equal(t, "XXXX", string(first))
}

func TestRingBuffer_takes_memory_only_for_what_it_holds(t *testing.T) {
	ring := NewRingBuffer(math.MaxInt)
	_, _ = io.WriteString(ring, "little")
	assert.Equal(t, "little", ring.String())
	assert.Equal(t, math.MaxInt, ring.Cap())
}

func TestRingBuffer_may_be_used_by_many_goroutines(t *testing.T) {
	const record = 16
	ring := NewRingBuffer(64 * record)
	writes := count(t, 2000)
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for writer := range 4 {
		writers.Go(func() {
			data := bytes.Repeat([]byte{byte('a' + writer)}, record)
			for range writes {
				written, err := ring.Write(data)
				assert.NoError(t, err)
				assert.Equal(t, record, written)
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				text := ring.String()
				if !assert.Zero(t, len(text)%record) {
					return
				}
				for ; text != ""; text = text[record:] {
					if !assert.Equal(t, strings.Repeat(text[:1], record), text[:record], "a write is one step") {
						return
					}
				}
				if ring.Len() == ring.Cap() {
					ring.Reset()
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}

func TestRingBuffers_that_are_forgotten_are_freed_by_themselves(t *testing.T) {
	data := make([]byte, 1<<20)
	before, rings := residentBytes(t), count(t, 2000)
	for range rings {
		ring := NewRingBuffer(len(data))
		_, _ = ring.Write(data)
		require.Equal(t, len(data), ring.Len())
	}
	assert.Less(t, residentBytes(t), before+1<<30, "%d rings of 1 MiB", rings)
}

func residentBytes(t *testing.T) int {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	require.NoError(t, err)
	return pages * os.Getpagesize()
}
