package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hang is when a test gives up: only a guard, nothing takes that long.
const hang = 2 * time.Minute

// count is how many of something a test does: usual times COREPROC_SCALE, at least one.
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

// newTestService gives a service that is shut down when the test ends, and must leave nothing.
func newTestService(t *testing.T, handler func(any)) *Service {
	t.Helper()
	service, err := Open(Options{}, handler)
	require.NoError(t, err)
	t.Cleanup(func() { shutDown(t, service) })
	return service
}

func shutDown(t *testing.T, service *Service) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	assert.NoError(t, service.OnShutdown(ctx))
}

func wait(t *testing.T, process *Process) error {
	t.Helper()
	await(t, process.Done(), process.Info().Command)
	return process.Wait()
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

// recorder is a handler that remembers the messages of each process.
type recorder struct {
	mu       sync.Mutex
	messages map[string][]any
	changed  chan struct{}
}

func newRecorder() *recorder {
	return &recorder{messages: make(map[string][]any), changed: make(chan struct{})}
}

func (r *recorder) handle(message any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := idOf(message)
	r.messages[id] = append(r.messages[id], message)
	close(r.changed)
	r.changed = make(chan struct{})
}

// until waits for a message of the process that is wanted, and returns all up to now.
func (r *recorder) until(t *testing.T, id string, wanted func(any) bool) []any {
	t.Helper()
	for {
		r.mu.Lock()
		messages, changed := append([]any(nil), r.messages[id]...), r.changed
		r.mu.Unlock()
		for _, message := range messages {
			if wanted(message) {
				return messages
			}
		}
		await(t, changed, "another message of "+id)
	}
}

// untilExited waits for the last message of a process, and returns all.
func (r *recorder) untilExited(t *testing.T, id string) []any {
	t.Helper()
	return r.until(t, id, func(message any) bool { _, ok := message.(ActionProcessExited); return ok })
}

// untilLine waits for a line of output.
func (r *recorder) untilLine(t *testing.T, id, line string) {
	t.Helper()
	r.until(t, id, func(message any) bool {
		output, ok := message.(ActionProcessOutput)
		return ok && output.Line == line
	})
}

func idOf(message any) string {
	switch message := message.(type) {
	case ActionProcessStarted:
		return message.ID
	case ActionProcessOutput:
		return message.ID
	case ActionProcessKilled:
		return message.ID
	case ActionProcessExited:
		return message.ID
	default:
		panic(fmt.Sprintf("unknown message %T", message))
	}
}

func linesOf(messages []any, stream Stream) []string {
	var lines []string
	for _, message := range messages {
		if output, ok := message.(ActionProcessOutput); ok && output.Stream == stream {
			lines = append(lines, output.Line)
		}
	}
	return lines
}

// usage is what this program holds of things that can leak.
type usage struct {
	goroutines, libraryThreads, fds int
}

func (u usage) String() string {
	return fmt.Sprintf("%d goroutines, %d threads of the library, %d fds", u.goroutines, u.libraryThreads, u.fds)
}

func measure(t *testing.T) usage {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	names, err := filepath.Glob("/proc/self/task/*/comm")
	require.NoError(t, err)
	threads := 0
	for _, name := range names {
		// A thread may end between the listing and the reading.
		comm, err := os.ReadFile(name)
		if err == nil && strings.HasPrefix(string(comm), "coreproc-") {
			threads++
		}
	}
	return usage{goroutines: runtime.NumGoroutine(), libraryThreads: threads, fds: len(fds)}
}

// returnsTo waits until this program holds no more than before: goroutines and threads end a moment after
// what they did.
func returnsTo(t *testing.T, before usage) {
	t.Helper()
	var now usage
	met := func() bool {
		now = measure(t)
		return now.goroutines <= before.goroutines && now.libraryThreads <= before.libraryThreads && now.fds <= before.fds
	}
	deadline := time.Now().Add(hang)
	for !met() {
		if time.Now().After(deadline) {
			require.FailNow(t, fmt.Sprintf("before: %v; now: %v", before, now))
		}
		runtime.GC() // what is dropped and not closed is freed by it
		time.Sleep(time.Millisecond)
	}
}

// noChildren says that this program has no child, not even a zombie.
func noChildren(t *testing.T) {
	t.Helper()
	const all = 0x40000000 // __WALL
	pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG|all, nil)
	assert.ErrorIs(t, err, syscall.ECHILD, "child %d", pid)
}

// gone waits until no process has the pid, or what is left of it is a zombie of somebody else.
func gone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(hang)
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			return
		}
		require.NoError(t, err)
		if _, state, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(state, "Z") {
			return
		}
		require.True(t, time.Now().Before(deadline), "process %d still runs", pid)
		time.Sleep(time.Millisecond)
	}
}
