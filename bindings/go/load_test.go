package process

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dappco.re/go/core"
	"dappco.re/go/core/process/internal/capi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLoad_64_at_a_time_end_as_they_should_and_leave_nothing(t *testing.T) {
	before := warmUp(t)
	rounds := count(t, 8)
	var lines, exits atomic.Int64
	service := dropped(t, func(message any) {
		switch message.(type) {
		case ActionProcessOutput:
			lines.Add(1)
		case ActionProcessExited:
			exits.Add(1)
		}
	})

	var callers sync.WaitGroup
	for caller := range 64 {
		callers.Go(func() {
			for round := range rounds {
				code := (caller*rounds + round) % 256
				want := fmt.Sprintf("%d %d\nproblem\n", caller, round)
				output, err := service.Run(context.Background(), "sh", "-c",
					`exec 2>&1; printf '%s %s\nproblem\n' "$1" "$2"; exit "$3"`, "sh",
					fmt.Sprint(caller), fmt.Sprint(round), fmt.Sprint(code))
				assert.Equal(t, want, output)
				if code == 0 {
					assert.NoError(t, err)
				} else {
					assert.EqualError(t, err, fmt.Sprintf("process exited with code %d", code))
				}
				_, err = service.Run(context.Background(), "/no/such/program")
				assert.Error(t, err)
			}
		})
	}
	callers.Wait()
	for exits.Load() < int64(2*64*rounds) {
		runtime.Gosched() // the last messages are still being broadcast
	}
	service = nil

	assert.Equal(t, int64(2*64*rounds), lines.Load())
	assert.Equal(t, int64(2*64*rounds), exits.Load(), "of those that started and those that failed to")
	noChildren(t)
	returnsTo(t, before)
}

func TestLoad_quiet_processes_cost_no_goroutine_and_no_thread(t *testing.T) {
	service := newListenedService(t, func(any) {})
	first, err := service.Start(context.Background(), "sleep", "1000")
	require.NoError(t, err)
	one := settled(t)
	threads := allThreads(t)

	processes := []*Process{first}
	for range count(t, 200) {
		process, err := service.Start(context.Background(), "sleep", "1000")
		require.NoError(t, err)
		processes = append(processes, process)
	}

	one.fds = measure(t).fds // each process has its own
	returnsTo(t, one)
	// Go may have made threads of its own for the starts; their number depends on that of CPUs, not of processes.
	assert.LessOrEqual(t, allThreads(t), threads+4+4*runtime.NumCPU())
	for _, process := range processes {
		require.NoError(t, process.Kill())
		assert.Error(t, wait(t, process))
	}
}

func TestMeasure_does_not_take_a_thread_of_Go_for_one_of_the_library_by_its_name(t *testing.T) {
	before := warmUp(t)
	server := NewHealthServer("127.0.0.1:0")
	server.AddCheck(func() error { return nil })
	require.NoError(t, server.Start())
	// Each check keeps a thread of Go busy, so that Go needs another one, and makes it on the thread of the check.
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	var readers sync.WaitGroup
	gos := func() bool {
		return slices.ContainsFunc(threadsCalled(t, "coreproc-check"), func(thread thread) bool { return thread.isGos })
	}
	for deadline := time.Now().Add(hang); !gos() && time.Now().Before(deadline); {
		readers.Go(func() { _, _ = syscall.Read(int(reader.Fd()), make([]byte, 1)) })
		healthy, _ := ProbeHealth(server.Addr(), 10_000)
		require.True(t, healthy)
	}
	assert.True(t, gos())
	assert.Greater(t, measure(t).threads, before.threads, "the server's")

	require.NoError(t, writer.Close())
	readers.Wait()
	require.NoError(t, reader.Close())
	require.NoError(t, server.Stop(t.Context()))
	server = nil
	returnsTo(t, before)
	assert.True(t, gos(), "it stays")
}

func allThreads(t *testing.T) int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*")
	require.NoError(t, err)
	return len(tasks)
}

// dropped makes a service that the test keeps no reference to.
func dropped(t *testing.T, listen func(any)) *Service {
	t.Helper()
	c := core.New()
	c.RegisterAction(func(_ *core.Core, message core.Message) core.Result {
		listen(message)
		return core.Result{OK: true}
	})
	made, err := NewService(Options{})(c)
	require.NoError(t, err)
	service := made.(*Service)
	require.NoError(t, service.OnStartup(context.Background()))
	return service
}

func TestLoad_services_come_and_go_and_leave_nothing(t *testing.T) {
	before := warmUp(t)
	for range count(t, 50) {
		service := dropped(t, func(any) {})
		_, err := service.Start(context.Background(), "sleep", "1000")
		require.NoError(t, err)
		require.NoError(t, service.OnShutdown(context.Background()))
	}
	returnsTo(t, before)
	noChildren(t)
}

func TestService_that_nobody_reaches_is_freed_when_its_processes_have_ended(t *testing.T) {
	before := warmUp(t)
	exited := make(chan struct{})
	var process *Process
	freed := make(chan struct{})
	func() {
		service := dropped(t, func(message any) {
			if _, ok := message.(ActionProcessExited); ok {
				close(exited)
			}
		})
		runtime.AddCleanup(service, func(freed chan struct{}) { close(freed) }, freed)
		var err error
		process, err = service.Start(context.Background(), "cat")
		require.NoError(t, err)
	}()
	for range 5 {
		runtime.GC()
	}

	// Then its process is not touched, and its events still come.
	require.True(t, process.IsRunning())
	require.NoError(t, process.SendInput("hello\n"))
	require.NoError(t, process.CloseStdin())
	require.NoError(t, wait(t, process))
	assert.Equal(t, "hello\n", process.Output())
	await(t, exited, "the last message")

	process = nil
	returnsTo(t, before)
	await(t, freed, "the end of the service")
}

func TestEvents_of_a_start_that_failed_hold_nothing(t *testing.T) {
	before := warmUp(t)
	func() {
		service := dropped(t, func(any) {})
		_, err := service.Run(t.Context(), "true")
		require.NoError(t, err)
		// Given events of a child that could not be watched: the service does not know it, and its events come all the same,
		backend := service.backend.Load()
		for _, underWay := range []bool{false, true} {
			if underWay {
				backend.feed.Begin()
			}
			command := capi.NewCommand("/bin/echo")
			unknown, _, err := command.Spawn(backend.service)
			require.NoError(t, err)
			// before those of the next process,
			process, err := service.Start(t.Context(), "true")
			require.NoError(t, err)
			require.NoError(t, wait(t, process))
			if underWay {
				backend.feed.End()
			}
			unknown.Close()
			command.Close()
		}
	}()
	returnsTo(t, before)
}

func TestService_that_was_never_used_is_freed(t *testing.T) {
	before := warmUp(t)
	for range count(t, 20) {
		dropped(t, func(any) {})
	}
	returnsTo(t, before)
}

func TestLoad_processes_that_are_dropped_under_garbage_collection_end_as_they_should(t *testing.T) {
	before := warmUp(t)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	recorder := newRecorder()
	service := dropped(t, recorder.record)
	var ids []string
	for i := range count(t, 150) {
		process, err := service.Start(context.Background(), "sh", "-c", `echo "$1"; echo "$1" >&2; exit 7`, "sh", fmt.Sprint(i))
		require.NoError(t, err)
		ids = append(ids, process.ID)
		if i%2 == 0 {
			require.EqualError(t, wait(t, process), "process exited with code 7")
			require.Equal(t, 2*len(fmt.Sprintln(i)), len(process.Output()))
			require.NoError(t, service.Remove(process.ID))
		}
		// From here on the service alone holds the process.
		runtime.GC()
	}
	for i, id := range ids {
		messages := recorder.untilExited(t, id)
		want := []string{fmt.Sprint(i)}
		assert.Equal(t, want, linesOf(messages, StreamStdout))
		assert.Equal(t, want, linesOf(messages, StreamStderr))
		assert.Equal(t, 7, messages[len(messages)-1].(ActionProcessExited).ExitCode)
	}
	close(stop)
	<-stopped
	service = nil
	noChildren(t)
	returnsTo(t, before)
}

func TestLoad_lines_that_are_kept_stay_what_they_were(t *testing.T) {
	service, recorder := newRecordedService(t)
	process, err := service.Start(t.Context(), "seq", "20000")
	require.NoError(t, err)
	messages := recorder.untilExited(t, process.ID)
	process = nil
	for range 5 {
		runtime.GC()
	}
	var want strings.Builder
	for i := 1; i <= 20000; i++ {
		fmt.Fprintln(&want, i)
	}
	got := strings.Join(linesOf(messages, StreamStdout), "\n") + "\n"
	assert.True(t, want.String() == got, "the same lines")
}
