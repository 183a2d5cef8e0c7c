package exec_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hang is the time after which a test gives up. It is a guard: nothing takes that long.
const hang = 2 * time.Minute

// count returns how often a test does something: usual times COREPROC_SCALE, at least once.
func count(t *testing.T, usual int) int {
	t.Helper()
	scale := 1.0
	if text := os.Getenv("COREPROC_SCALE"); text != "" {
		var err error
		scale, err = strconv.ParseFloat(text, 64)
		require.NoError(t, err, "COREPROC_SCALE")
	}
	scaled := max(1, int(float64(usual)*scale))
	t.Logf("count %d", scaled)
	return scaled
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	t.Cleanup(cancel)
	return ctx
}

func await[T any](t *testing.T, channel <-chan T, what string) T {
	t.Helper()
	select {
	case value := <-channel:
		return value
	case <-time.After(hang):
		require.FailNow(t, "nothing came: "+what)
		panic("unreachable")
	}
}

// eventually waits for a condition that has no event.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(hang); !holds(); time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(end), "still not: "+what)
	}
}

// recorder is a Logger that remembers its messages.
type recorder struct {
	mu    sync.Mutex
	lines []string
	keys  [][]any
}

func (r *recorder) add(level, message string, keyvals []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, level+": "+message)
	r.keys = append(r.keys, keyvals)
}

func (r *recorder) Debug(message string, keyvals ...any) { r.add("debug", message, keyvals) }
func (r *recorder) Error(message string, keyvals ...any) { r.add("error", message, keyvals) }

func (r *recorder) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}

// usage counts the things that a test must not leave behind.
type usage struct{ goroutines, threads, files int }

func measure(t *testing.T) usage {
	t.Helper()
	entries := func(path string) int {
		list, err := os.ReadDir(path)
		require.NoError(t, err)
		return len(list)
	}
	return usage{runtime.NumGoroutine(), entries("/proc/self/task"), entries("/proc/self/fd")}
}

// returnsTo waits until goroutines and files are as few as before. Go keeps its threads.
func returnsTo(t *testing.T, before usage) {
	t.Helper()
	eventually(t, fmt.Sprintf("usage back to %+v", before), func() bool {
		now := measure(t)
		return now.goroutines <= before.goroutines && now.files <= before.files
	})
}
