package process

import (
	"os"
	"syscall"
	"testing"

	"dappco.re/go/core"
	"dappco.re/go/core/process/internal/engine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// withoutDefault takes the default service away while a test runs.
func withoutDefault(t *testing.T) {
	t.Helper()
	before := defaultService.Swap(nil)
	t.Cleanup(func() { defaultService.Store(before) })
}

func TestDefault_that_is_missing_is_an_error(t *testing.T) {
	withoutDefault(t)
	assert.Nil(t, Default())
	assert.Nil(t, List())
	assert.Nil(t, Running())
	Clear()

	_, startErr := Start(t.Context(), "true")
	_, startWithErr := StartWithOptions(t.Context(), RunOptions{Command: "true"})
	_, runErr := Run(t.Context(), "true")
	_, runWithErr := RunWithOptions(t.Context(), RunOptions{Command: "true"})
	_, getErr := Get("proc-1")
	_, waitErr := Wait("proc-1")
	_, outputErr := Output("proc-1")
	for name, err := range map[string]error{
		"Start": startErr, "StartWithOptions": startWithErr, "Run": runErr, "RunWithOptions": runWithErr,
		"Get": getErr, "Wait": waitErr, "Output": outputErr,
		"Kill": Kill("proc-1"), "KillPID": KillPID(os.Getpid()), "KillPID 0": KillPID(0),
		"Signal": Signal("proc-1", syscall.SIGTERM), "SignalPID": SignalPID(os.Getpid(), syscall.SIGTERM),
		"Input": Input("proc-1", ""), "CloseStdin": CloseStdin("proc-1"), "Remove": Remove("proc-1"),
	} {
		assert.ErrorIs(t, err, ErrServiceNotInitialized, name)
	}
}

func TestSetDefault_needs_a_service(t *testing.T) {
	withoutDefault(t)
	assert.ErrorIs(t, SetDefault(nil), ErrSetDefaultNil)
	first, second := newQuietService(t), newQuietService(t)
	require.NoError(t, SetDefault(first))
	assert.Same(t, first, Default())
	require.NoError(t, SetDefault(second))
	assert.Same(t, second, Default())
	assert.ErrorIs(t, SetDefault(nil), ErrSetDefaultNil)
	assert.Same(t, second, Default())
}

func TestInit_makes_a_default_once(t *testing.T) {
	withoutDefault(t)
	c := core.New()
	require.NoError(t, Init(c))
	made := Default()
	assert.Same(t, c, made.Core())
	require.NoError(t, Init(core.New()))
	assert.Same(t, made, Default())
}

func TestDefault_serves_the_functions_of_the_package(t *testing.T) {
	withoutDefault(t)
	service, _ := newTestService(t)
	require.NoError(t, SetDefault(service))

	output, err := Run(t.Context(), "echo", "hello")
	require.NoError(t, err)
	assert.Equal(t, "hello\n", output)
	output, err = RunWithOptions(t.Context(), RunOptions{Command: "pwd", Dir: "/"})
	require.NoError(t, err)
	assert.Equal(t, "/\n", output)

	cat, err := Start(t.Context(), "cat")
	require.NoError(t, err)
	found, err := Get(cat.ID)
	require.NoError(t, err)
	assert.Same(t, cat, found)
	assert.Len(t, List(), 3)
	assert.Equal(t, []*Process{cat}, Running())
	require.NoError(t, Signal(cat.ID, syscall.Signal(0)))
	require.NoError(t, SignalPID(cat.Info().PID, syscall.Signal(0)))
	require.NoError(t, Input(cat.ID, "hello"))
	require.NoError(t, CloseStdin(cat.ID))
	info, err := Wait(cat.ID)
	require.NoError(t, err)
	assert.Equal(t, cat.Info(), info)
	output, err = Output(cat.ID)
	require.NoError(t, err)
	assert.Equal(t, "hello", output)
	require.NoError(t, Remove(cat.ID))
	assert.ErrorIs(t, Remove(cat.ID), ErrProcessNotFound)

	for name, kill := range map[string]func(*Process) error{
		"Kill": func(p *Process) error { return Kill(p.ID) }, "KillPID": func(p *Process) error { return KillPID(p.Info().PID) },
	} {
		sleep, err := StartWithOptions(t.Context(), RunOptions{Command: "sleep", Args: []string{"1000"}})
		require.NoError(t, err)
		require.NoError(t, kill(sleep), name)
		assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGKILL}, exitOf(t, sleep), name)
	}
	Clear()
	assert.Empty(t, List())
}
