package process

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"dappco.re/go/core"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// killers are the calls that say that they have killed before they return.
func killers(c *core.Core) map[string]func(*Service, *Process) error {
	return map[string]func(*Service, *Process) error{
		"Service.Kill": func(s *Service, p *Process) error { return s.Kill(p.ID) },
		"KillPID":      func(s *Service, p *Process) error { return s.KillPID(p.Info().PID) },
		"Process.Kill": func(_ *Service, p *Process) error { return p.Kill() },
		"task by id": func(s *Service, p *Process) error {
			_ = s.OnStartup(context.Background())
			err, _ := request(c, TaskProcessKill{ID: p.ID}).Value.(error)
			return err
		},
		"task by pid": func(s *Service, p *Process) error {
			_ = s.OnStartup(context.Background())
			err, _ := request(c, TaskProcessKill{PID: p.Info().PID}).Value.(error)
			return err
		},
		"Shutdown without grace": func(_ *Service, p *Process) error { return p.Shutdown() },
	}
}

// killsOf counts the messages that say that a process was killed.
func killsOf(messages []any) int {
	kills := 0
	for _, message := range messages {
		if _, ok := message.(ActionProcessKilled); ok {
			kills++
		}
	}
	return kills
}

func TestKill_has_told_so_when_it_returns_on_its_goroutine(t *testing.T) {
	for name := range killers(nil) {
		t.Run(name, func(t *testing.T) {
			c := core.New()
			recorder := newRecorder()
			var told []string // no lock: it is this goroutine's
			c.RegisterAction(func(_ *core.Core, message core.Message) core.Result {
				if killed, ok := message.(ActionProcessKilled); ok {
					told = append(told, killed.Signal)
					assert.Contains(t, stack(), "tRunner", "this test has called it")
				}
				if _, isTask := message.(TaskProcessKill); !isTask {
					recorder.record(message)
				}
				return core.Result{OK: true}
			})
			service := newService(t, Options{}, c)
			process, err := service.Start(t.Context(), "sleep", "1000")
			require.NoError(t, err)

			require.NoError(t, killers(c)[name](service, process))

			assert.Equal(t, []string{"SIGKILL"}, told)
			await(t, process.Done(), "the end")
			messages := recorder.untilExited(t, process.ID)
			assert.Equal(t, []any{
				ActionProcessStarted{ID: process.ID, Command: "sleep", Args: []string{"1000"}, PID: process.Info().PID},
				ActionProcessKilled{ID: process.ID, Signal: "SIGKILL"},
				ActionProcessExited{ID: process.ID, ExitCode: -1, Duration: process.Duration, Error: process.Wait()},
			}, messages)
			require.NoError(t, process.Kill(), "killing what has ended is fine")
			assert.Len(t, told, 1)
		})
	}
}

func stack() string {
	text := make([]byte, 1<<16)
	return string(text[:runtime.Stack(text, false)])
}

func TestKill_may_be_called_by_handlers_of_the_process_itself(t *testing.T) {
	for name, when := range map[string]func(any) bool{
		"Started": func(message any) bool { _, ok := message.(ActionProcessStarted); return ok },
		"Output":  func(message any) bool { _, ok := message.(ActionProcessOutput); return ok },
		"Killed":  func(message any) bool { _, ok := message.(ActionProcessKilled); return ok },
		"Exited":  func(message any) bool { _, ok := message.(ActionProcessExited); return ok },
	} {
		t.Run(name, func(t *testing.T) {
			recorder := newRecorder()
			var service *Service
			service = newListenedService(t, func(message any) {
				recorder.record(message)
				if when(message) {
					assert.NoError(t, service.Kill(idOf(message)))
					if name != "Exited" {
						assert.Equal(t, 1, killsOf(recorder.until(t, idOf(message), func(any) bool { return true })))
					}
				}
			})
			process, err := service.Start(t.Context(), "sh", "-c", "echo hello; exec sleep 1000")
			require.NoError(t, err)
			if name == "Killed" || name == "Exited" {
				require.NoError(t, process.Kill())
			}
			messages := recorder.untilExited(t, process.ID)
			assert.Equal(t, 1, killsOf(messages))
			assert.IsType(t, ActionProcessExited{}, messages[len(messages)-1])
		})
	}
}

func TestKill_of_many_at_once_is_told_once(t *testing.T) {
	for range count(t, 100) {
		service, recorder := newRecordedService(t)
		process, err := service.Start(t.Context(), "sh", "-c", "yes | head -1000; exec sleep 1000")
		require.NoError(t, err)
		var killers sync.WaitGroup
		for range 8 {
			killers.Go(func() {
				assert.NoError(t, process.Kill())
				await(t, process.Done(), "the end")
				messages := recorder.until(t, process.ID, func(any) bool { return true })
				assert.Equal(t, 1, killsOf(messages), "whoever waits for Done has had it")
			})
		}
		killers.Wait()
		messages := recorder.untilExited(t, process.ID)
		assert.Equal(t, 1, killsOf(messages))
		assert.IsType(t, ActionProcessExited{}, messages[len(messages)-1])
	}
}

func TestKill_of_a_process_that_exits_by_itself_tells_what_came_true(t *testing.T) {
	killed := 0
	for range count(t, 300) {
		service, recorder := newRecordedService(t)
		process, err := service.Start(t.Context(), "sh", "-c", "read line; exit 7")
		require.NoError(t, err)
		closing := make(chan struct{})
		go func() {
			defer close(closing)
			assert.NoError(t, process.CloseStdin())
		}()
		for process.IsRunning() {
			require.NoError(t, process.Kill())
		}
		<-closing
		messages := recorder.untilExited(t, process.ID)
		if process.Status == StatusKilled {
			killed++
			assert.Equal(t, 1, killsOf(messages))
		} else {
			assert.Equal(t, []any{StatusExited, 7, 0}, []any{process.Status, process.ExitCode, killsOf(messages)})
		}
	}
	t.Logf("killed %d", killed)
}

func TestKill_of_one_that_a_signal_has_ended_tells_that_signal(t *testing.T) {
	service, recorder := newRecordedService(t)
	process, err := service.Start(t.Context(), "sh", "-c", "setsid sleep 1000 & echo $!; kill -TERM $$")
	require.NoError(t, err)
	number, err := strconv.Atoi(recorder.firstLine(t, process.ID))
	require.NoError(t, err)
	defer func() { assert.NoError(t, service.KillPID(number)) }()
	for process.lives() {
		runtime.Gosched()
	}
	require.True(t, process.IsRunning(), "its output is still read")
	require.NoError(t, process.Kill())
	messages := recorder.until(t, process.ID, func(any) bool { return true })
	assert.Equal(t, ActionProcessKilled{ID: process.ID, Signal: "SIGTERM"}, messages[len(messages)-1])
}

func TestKill_does_not_overtake_the_start(t *testing.T) {
	for range count(t, 100) {
		recorder := newRecorder()
		service := newListenedService(t, recorder.record)
		var over atomic.Bool
		hunting := make(chan struct{})
		go func() {
			defer close(hunting)
			for !over.Load() {
				for _, process := range service.List() {
					assert.NoError(t, process.Kill())
				}
			}
		}()
		process, err := service.Start(t.Context(), "sleep", "1000")
		require.NoError(t, err)
		messages := recorder.untilExited(t, process.ID)
		over.Store(true)
		<-hunting
		assert.IsType(t, ActionProcessStarted{}, messages[0])
		assert.Equal(t, 1, killsOf(messages))
	}
}

func TestKill_of_what_runs_in_a_pipeline_does_not_overtake_its_start(t *testing.T) {
	recorder := newRecorder()
	service := newListenedService(t, recorder.record)
	var over atomic.Bool
	hunting := make(chan struct{})
	go func() {
		defer close(hunting)
		for !over.Load() {
			for _, process := range service.Running() {
				assert.NoError(t, process.Kill())
			}
		}
	}()
	for range count(t, 50) {
		_, err := NewRunner(service).RunParallel(t.Context(), []RunSpec{sh("a", "exec sleep 1000"), sh("b", "exec sleep 1000")})
		require.NoError(t, err)
	}
	over.Store(true)
	<-hunting
	for _, process := range service.List() {
		messages := recorder.untilExited(t, process.ID)
		assert.IsType(t, ActionProcessStarted{}, messages[0])
		assert.Equal(t, 1, killsOf(messages))
	}
}

func TestKill_whose_handler_ends_its_goroutine_leaves_the_process_to_end(t *testing.T) {
	recorder := newRecorder()
	service := newListenedService(t, func(message any) {
		recorder.record(message)
		if _, ok := message.(ActionProcessKilled); ok {
			runtime.Goexit()
		}
	})
	process, err := service.Start(t.Context(), "sleep", "1000")
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = process.Kill()
	}()
	await(t, ended, "the end of the goroutine")
	assert.Equal(t, syscall.SIGKILL, exitOf(t, process).signal)
	assert.Equal(t, 1, killsOf(recorder.untilExited(t, process.ID)))
}
