package process

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dappco.re/go/core"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// killers are the calls that broadcast the kill before they return.
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

// killsOf counts the messages that tell of a kill.
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
			var told []string // no lock: this goroutine alone uses it
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
				assert.Equal(t, 1, killsOf(messages), "it came before Done was closed")
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
	assert.Equal(t, syscall.SIGKILL, exitOf(t, process).Signal)
	assert.Equal(t, 1, killsOf(recorder.untilExited(t, process.ID)))
}

// killedElsewhere kills a process on a goroutine of its own, and says when Kill has returned.
func killedElsewhere(t *testing.T, process *Process) <-chan struct{} {
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		assert.NoError(t, process.Kill())
	}()
	return returned
}

// awaitDeath waits until the kernel has ended a process, whatever was broadcast.
func awaitDeath(t *testing.T, process *Process) {
	t.Helper()
	dead := make(chan struct{})
	go func() {
		defer close(dead)
		for process.lives() {
			runtime.Gosched()
		}
	}()
	await(t, dead, "the death")
}

func TestKill_by_another_goroutine_is_told_when_the_last_handler_of_Started_has_returned(t *testing.T) {
	c := core.New()
	var service *Service
	var killed <-chan struct{}
	recorder := newRecorder()
	c.RegisterAction(func(_ *core.Core, message core.Message) core.Result {
		if started, ok := message.(ActionProcessStarted); ok {
			process, err := service.Get(started.ID)
			require.NoError(t, err)
			killed = killedElsewhere(t, process)
			awaitDeath(t, process)
			// This is longer than a kill waits for the death itself.
			time.Sleep(longestTurn / 4)
		}
		return core.Result{OK: true}
	})
	c.RegisterAction(recorder.handle)
	service = newService(t, Options{}, c)
	process, err := service.Start(t.Context(), "sleep", "1000")
	require.NoError(t, err)
	await(t, killed, "the return of Kill")
	messages := recorder.untilExited(t, process.ID)
	require.Len(t, messages, 3)
	assert.IsType(t, ActionProcessStarted{}, messages[0])
	assert.IsType(t, ActionProcessKilled{}, messages[1])
	assert.IsType(t, ActionProcessExited{}, messages[2])
}

func TestKill_of_what_another_kills_returns_when_that_is_told(t *testing.T) {
	telling, told := make(chan struct{}), false
	service := newListenedService(t, func(message any) {
		if _, ok := message.(ActionProcessKilled); ok {
			close(telling)
			// This is long enough for the second kill to come.
			time.Sleep(longestTurn / 4)
			told = true
		}
	})
	process, err := service.Start(t.Context(), "sleep", "1000")
	require.NoError(t, err)
	first := killedElsewhere(t, process)
	await(t, telling, "Killed")
	require.NoError(t, process.Kill())
	if process.turn.owes() {
		t.Log("the machine is so slow that the second Kill did not wait to the end")
		await(t, process.Done(), "the end")
	}
	assert.True(t, told)
	await(t, first, "the return of the first")
}

func TestKill_is_told_between_lines_and_never_beside_one(t *testing.T) {
	for range count(t, 20) {
		many := make(chan struct{})
		var seen []string // no lock: a process's handlers come one after another
		service := newListenedService(t, func(message any) {
			switch message.(type) {
			case ActionProcessOutput:
				if seen = append(seen, "output"); len(seen) == 100 {
					close(many)
				}
			case ActionProcessKilled:
				seen = append(seen, "killed")
			}
		})
		process, err := service.Start(t.Context(), "yes")
		require.NoError(t, err)
		await(t, many, "lines")
		require.NoError(t, process.Kill())
		await(t, process.Done(), "the end")
		assert.Contains(t, seen, "killed")
	}
}

func TestKill_in_a_handler_waits_for_nobody(t *testing.T) {
	for name, isIt := range map[string]func(any) bool{
		"Started": func(message any) bool { _, ok := message.(ActionProcessStarted); return ok },
		"Output":  func(message any) bool { _, ok := message.(ActionProcessOutput); return ok },
		"Killed":  func(message any) bool { _, ok := message.(ActionProcessKilled); return ok },
	} {
		t.Run(name, func(t *testing.T) {
			recorder := newRecorder()
			var service *Service
			service = newListenedService(t, func(message any) {
				recorder.record(message)
				if isIt(message) {
					process, err := service.Get(idOf(message))
					require.NoError(t, err)
					require.NoError(t, process.Kill())
					assert.False(t, process.turn.owes(), "it has not waited until its time was up")
					assert.Equal(t, 1, killsOf(recorder.until(t, process.ID, func(any) bool { return true })))
				}
			})
			process, err := service.Start(t.Context(), "sh", "-c", "echo hello; exec sleep 1000")
			require.NoError(t, err)
			if name == "Killed" {
				require.NoError(t, process.Kill())
			}
			assert.Equal(t, 1, killsOf(recorder.untilExited(t, process.ID)))
		})
	}
}

func TestKill_by_a_goroutine_that_the_handler_waits_for_returns_and_is_told_before_Done(t *testing.T) {
	var service *Service
	var once sync.Once
	recorder := newRecorder()
	service = newListenedService(t, func(message any) {
		recorder.record(message)
		if _, ok := message.(ActionProcessOutput); ok {
			once.Do(func() {
				process, err := service.Get(idOf(message))
				require.NoError(t, err)
				await(t, killedElsewhere(t, process), "the return of Kill")
			})
		}
	})
	process, err := service.Start(t.Context(), "sh", "-c", "echo hello; exec sleep 1000")
	require.NoError(t, err)
	await(t, process.Done(), "the end")
	assert.Equal(t, 1, killsOf(recorder.until(t, process.ID, func(any) bool { return true })), "it came before Done was closed")
	assert.Equal(t, 1, killsOf(recorder.untilExited(t, process.ID)))
}

func TestKill_by_a_crowd_does_not_keep_the_end_from_coming(t *testing.T) {
	service, recorder := newRecordedService(t)
	process, err := service.Start(t.Context(), "sh", "-c", "echo hello; exit 7")
	require.NoError(t, err)
	var crowd sync.WaitGroup
	for range 8 {
		crowd.Go(func() {
			for process.IsRunning() {
				assert.NoError(t, process.Kill())
			}
		})
	}
	await(t, process.Done(), "the end")
	crowd.Wait()
	recorder.untilExited(t, process.ID)
}
