package process

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"dappco.re/go/core"
	"dappco.re/go/core/process/internal/engine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newTaskService makes a service that answers tasks.
func newTaskService(t *testing.T) (*Service, *core.Core) {
	t.Helper()
	service, c := newTestService(t)
	require.NoError(t, service.OnStartup(t.Context()))
	return service, c
}

// hasTasks reports whether a Core has tasks, as those up to v0.7 do. For the others tasks are messages.
func hasTasks(c *core.Core) bool {
	_, ok := any(c).(performer)
	return ok
}

// request hands a task to a Core, as a task or as a message. A message has no value.
func request(c *core.Core, task any) core.Result {
	old, ok := any(c).(interface{ PERFORM(core.Task) core.Result })
	if !ok {
		return c.ACTION(task)
	}
	own, _ := task.(core.Task)
	return old.PERFORM(own)
}

// perform performs a task, which must succeed, and returns its value: from the Core, or from the service if the Core
// returns none.
func perform[T any](t *testing.T, service *Service, c *core.Core, task any) T {
	t.Helper()
	var result core.Result
	if hasTasks(c) {
		result = request(c, task)
	} else {
		result = service.perform(c, task)
	}
	require.True(t, result.OK, "%#v: %v", task, result.Value)
	value, ok := result.Value.(T)
	require.True(t, ok, "%#v: value %#v", task, result.Value)
	return value
}

// performNothing has the Core do a task that has no value.
func performNothing(t *testing.T, c *core.Core, task any) {
	t.Helper()
	assert.Equal(t, core.Result{OK: true}, request(c, task), "%#v", task)
}

// unanswered is the Result of a Core for a task that no handler answers.
func unanswered(c *core.Core) core.Result { return core.Result{OK: !hasTasks(c)} }

func TestTasks_are_answered_once_OnStartup_ran(t *testing.T) {
	service, c := newTestService(t)
	assert.Equal(t, unanswered(c), request(c, TaskProcessRun{Command: "true"}))
	assert.Empty(t, service.List())
	require.NoError(t, service.OnStartup(t.Context()))
	require.NoError(t, service.OnStartup(t.Context()), "again")
	require.True(t, request(c, TaskProcessRun{Command: "true"}).OK)
	assert.Len(t, service.List(), 1, "one handler answered")
	require.False(t, request(c, TaskProcessRun{Command: "false"}).OK)
	assert.Len(t, service.List(), 2, "there is no second one")
	assert.Equal(t, "hello\n", perform[string](t, service, c, TaskProcessRun{Command: "echo", Args: []string{"hello"}}))
	assert.Equal(t, unanswered(c), request(c, "somebody else's task"))
	assert.Equal(t, unanswered(c), request(c, nil))
}

func TestTasks_through_the_life_of_a_process(t *testing.T) {
	service, c := newTaskService(t)
	info := perform[Info](t, service, c, TaskProcessStart{Command: "cat", Args: []string{"-"}, Dir: "/", Env: []string{"A=1"}})
	process, err := service.Get(info.ID)
	require.NoError(t, err)
	assert.Equal(t, []any{"cat", []string{"-"}, "/", true, StatusRunning}, []any{info.Command, info.Args, info.Dir, info.Running, info.Status})
	assert.Equal(t, info.PID, perform[Info](t, service, c, TaskProcessGet{ID: info.ID}).PID)
	assert.Len(t, perform[[]Info](t, service, c, TaskProcessList{RunningOnly: true}), 1)
	performNothing(t, c, TaskProcessSignal{ID: info.ID, Signal: syscall.Signal(0)})
	performNothing(t, c, TaskProcessSignal{PID: info.PID, Signal: syscall.Signal(0)})
	performNothing(t, c, TaskProcessInput{ID: info.ID, Input: "hello"})
	assert.False(t, request(c, TaskProcessRemove{ID: info.ID}).OK, "it runs")
	performNothing(t, c, TaskProcessCloseStdin{ID: info.ID})
	assert.Equal(t, StatusExited, perform[Info](t, service, c, TaskProcessWait{ID: info.ID}).Status)
	assert.Equal(t, process.Info(), perform[Info](t, service, c, TaskProcessGet{ID: info.ID}))
	assert.Equal(t, "hello", perform[string](t, service, c, TaskProcessOutput{ID: info.ID}))
	assert.Equal(t, []Info{}, perform[[]Info](t, service, c, TaskProcessList{RunningOnly: true}))
	assert.Equal(t, []Info{process.Info()}, perform[[]Info](t, service, c, TaskProcessList{}))
	performNothing(t, c, TaskProcessRemove{ID: info.ID})
	perform[string](t, service, c, TaskProcessRun{Command: "true"})
	performNothing(t, c, TaskProcessClear{})
	assert.Equal(t, []Info{}, perform[[]Info](t, service, c, TaskProcessList{}))
}

func TestTaskProcessKill_and_Signal_by_id_or_pid(t *testing.T) {
	service, c := newTaskService(t)
	for name, end := range map[string]func(Info) any{
		"kill id":    func(info Info) any { return TaskProcessKill{ID: info.ID} },
		"kill pid":   func(info Info) any { return TaskProcessKill{PID: info.PID} },
		"signal id":  func(info Info) any { return TaskProcessSignal{ID: info.ID, Signal: syscall.SIGKILL} },
		"signal pid": func(info Info) any { return TaskProcessSignal{PID: info.PID, Signal: syscall.SIGKILL} },
	} {
		t.Run(name, func(t *testing.T) {
			info := perform[Info](t, service, c, TaskProcessStart{Command: "sleep", Args: []string{"1000"}})
			performNothing(t, c, end(info))
			failure := perform[*TaskProcessWaitError](t, service, c, TaskProcessWait{ID: info.ID})
			assert.Equal(t, []any{StatusKilled, -1}, []any{failure.Info.Status, failure.Info.ExitCode})
			var exit *ExitError
			require.ErrorAs(t, failure, &exit)
			assert.Equal(t, syscall.SIGKILL, exit.Signal())
			assert.EqualError(t, failure.Err, "process was killed")
			assert.EqualError(t, failure, "process was killed")
		})
	}
}

func TestTasks_that_fail_have_the_error_as_their_value(t *testing.T) {
	service, c := newTaskService(t)
	for name, expected := range map[string]struct {
		task any
		is   error
		says string
	}{
		"start":       {TaskProcessStart{Command: "no-such-program"}, exec.ErrNotFound, ""},
		"run":         {TaskProcessRun{Command: "sh", Args: []string{"-c", "exit 3"}}, nil, "process exited with code 3"},
		"no command":  {TaskProcessRun{}, errCommandRequired, ""},
		"kill":        {TaskProcessKill{ID: "x"}, ErrProcessNotFound, ""},
		"kill pid":    {TaskProcessKill{PID: -1}, nil, "pid"},
		"kill none":   {TaskProcessKill{}, nil, "ID or PID is required"},
		"signal":      {TaskProcessSignal{ID: "x", Signal: syscall.SIGTERM}, ErrProcessNotFound, ""},
		"signal pid":  {TaskProcessSignal{PID: -1, Signal: syscall.SIGTERM}, nil, "pid"},
		"signal none": {TaskProcessSignal{Signal: syscall.SIGTERM}, nil, "ID or PID is required"},
		"get":         {TaskProcessGet{ID: "x"}, ErrProcessNotFound, ""},
		"wait":        {TaskProcessWait{ID: "x"}, ErrProcessNotFound, ""},
		"output":      {TaskProcessOutput{ID: "x"}, ErrProcessNotFound, ""},
		"input":       {TaskProcessInput{ID: "x"}, ErrProcessNotFound, ""},
		"close stdin": {TaskProcessCloseStdin{ID: "x"}, ErrProcessNotFound, ""},
		"remove":      {TaskProcessRemove{ID: "x"}, ErrProcessNotFound, ""},
	} {
		t.Run(name, func(t *testing.T) {
			result := service.perform(c, expected.task)
			assert.False(t, result.OK)
			err, ok := result.Value.(error)
			require.True(t, ok, "%#v", result.Value)
			if expected.is != nil {
				assert.ErrorIs(t, err, expected.is)
			}
			assert.ErrorContains(t, err, expected.says)
			result = request(c, expected.task)
			if hasTasks(c) {
				assert.Equal(t, core.Result{}, result, "PERFORM gives what is OK alone")
				return
			}
			assert.False(t, result.OK)
			assert.ErrorContains(t, result.Value.(error), expected.says, "ACTION gives the first that is not OK")
		})
	}
}

func TestTaskProcessWaitError_says_and_unwraps_its_error(t *testing.T) {
	failure := &TaskProcessWaitError{Err: ErrProcessNotRunning}
	assert.EqualError(t, failure, ErrProcessNotRunning.Error())
	assert.ErrorIs(t, failure, ErrProcessNotRunning)
	assert.NotEmpty(t, new(TaskProcessWaitError).Error(), "also without one")
}

func TestTasks_hand_every_option_on(t *testing.T) {
	service, c := newTaskService(t)
	info := perform[Info](t, service, c, TaskProcessStart{Command: "sh", Args: []string{"-c", "trap '' TERM; echo; sleep 1000 & wait"},
		Detach: true, KillGroup: true, Timeout: 300 * time.Millisecond, GracePeriod: 50 * time.Millisecond, DisableCapture: true})
	failure := perform[*TaskProcessWaitError](t, service, c, TaskProcessWait{ID: info.ID})
	assert.Equal(t, StatusKilled, failure.Info.Status)
	assert.Equal(t, "", perform[string](t, service, c, TaskProcessOutput{ID: info.ID}))
	process, err := service.Get(info.ID)
	require.NoError(t, err)
	assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGKILL, TimedOut: true}, exitOf(t, process))
}

func TestTasks_end_with_the_context_of_the_Core(t *testing.T) {
	c := core.New()
	service := newService(t, Options{}, c)
	require.NoError(t, service.OnStartup(t.Context()))
	info := perform[Info](t, service, c, TaskProcessStart{Command: "sleep", Args: []string{"1000"}})
	c.ServiceShutdown(t.Context())
	_, err := service.Wait(info.ID)
	assert.EqualError(t, err, "process was killed: context canceled")
}

func TestRegister_adds_the_service_to_the_life_of_the_Core(t *testing.T) {
	c := core.New()
	result := Register(c)
	require.True(t, result.OK)
	service := result.Value.(*Service)
	t.Cleanup(func() { end(t, service) })
	assert.Same(t, c, service.Core())
	assert.Equal(t, unanswered(c), request(c, TaskProcessClear{}))

	require.True(t, c.ServiceStartup(t.Context(), nil).OK)
	info := perform[Info](t, service, c, TaskProcessStart{Command: "sleep", Args: []string{"1000"}, Detach: true})
	require.True(t, c.ServiceShutdown(t.Context()).OK)
	_, err := service.Wait(info.ID)
	assert.EqualError(t, err, "process was killed")

	alone := Register(nil)
	require.True(t, alone.OK)
	output, err := alone.Value.(*Service).Run(t.Context(), "echo", "no Core")
	require.NoError(t, err)
	assert.Equal(t, "no Core\n", output)
}
