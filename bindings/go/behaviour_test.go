package process_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"dappco.re/go/core"
	"dappco.re/go/core/process"
	"dappco.re/go/core/process/exec"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests check, from outside the package, the behaviour that callers rely on besides the signatures in
// contract_test.go.

func newService(t *testing.T) *process.Service {
	t.Helper()
	made, err := process.NewService(process.Options{BufferSize: 1024})(core.New())
	require.NoError(t, err)
	service := made.(*process.Service)
	t.Cleanup(func() { assert.NoError(t, service.OnShutdown(context.Background())) })
	return service
}

func TestContract_a_timeout_that_is_obeyed_with_code_0_is_an_exit(t *testing.T) {
	service := newService(t)
	started, err := service.StartWithOptions(t.Context(), process.RunOptions{
		Command: "sh", Args: []string{"-c", "trap 'exit 0' TERM; while :; do sleep 0.01; done"},
		Timeout: 300 * time.Millisecond, GracePeriod: 2 * time.Minute,
	})
	require.NoError(t, err)
	require.NoError(t, started.Wait())
	assert.Equal(t, []any{process.StatusExited, 0}, []any{started.Status, started.ExitCode})
}

func TestContract_texts_that_callers_look_for(t *testing.T) {
	service := newService(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, killGroup := service.StartWithOptions(t.Context(), process.RunOptions{Command: "true", KillGroup: true})
	_, noCommand := service.Start(t.Context(), "")
	failed, failedStart := service.Start(t.Context(), "no-such-program-anywhere")
	_, exitCode := service.Run(t.Context(), "sh", "-c", "exit 7")
	_, late := service.Run(ctx, "true")
	running, cancelRunning := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancelRunning()
	_, cut := service.Run(running, "sleep", "1000")
	killed, err := service.Start(t.Context(), "sleep", "1000")
	require.NoError(t, err)
	require.NoError(t, killed.Kill())
	held := process.NewPIDFile(filepath.Join(t.TempDir(), "it.pid"))
	require.NoError(t, held.Acquire())
	t.Cleanup(func() { assert.NoError(t, held.Release()) })
	daemon := process.NewDaemon(process.DaemonOptions{})
	notStarted := daemon.Run(t.Context())
	require.NoError(t, daemon.Start())
	t.Cleanup(func() { assert.NoError(t, daemon.Stop()) })
	_, program := (&process.Program{Name: "sleep"}).Run(ctx, "1000")

	for _, c := range []struct {
		err  error
		says string
	}{
		{killGroup, "KillGroup requires Detach"}, {noCommand, "command is required"},
		{failedStart, "failed to start process"}, {failed.Wait(), "process failed to start"},
		{exitCode, "process exited with code 7"}, {killed.Wait(), "process was killed"},
		{late, "context canceled"}, {cut, "process was killed"}, {cut, "context deadline exceeded"},
		{held.Acquire(), "another instance is running"},
		{process.NewPIDFile(held.Path()).Acquire(), "another instance is running"},
		{process.NewDaemon(process.DaemonOptions{PIDFile: held.Path()}).Start(), "another instance is running"},
		{notStarted, "not started"}, {daemon.Start(), "already running"},
		{exec.Command(ctx, "sleep", "1000").Run(), "context canceled"}, {program, "context canceled"},
		{exec.Command(t.Context(), "sh", "-c", "exit 7").Run(), `Cmd.Run: command "sh -c exit 7" failed with exit code 7`},
	} {
		assert.ErrorContains(t, c.err, c.says)
	}
}

func TestContract_a_command_that_its_context_ends_says_so(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := exec.Command(ctx, "sleep", "1000").Run()
	assert.EqualError(t, err, `Cmd.Run: command "sleep 1000" was killed by SIGKILL: context deadline exceeded`)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	var exit *process.ExitError
	assert.ErrorAs(t, err, &exit)
	_, err = (&process.Program{Name: "sleep"}).Run(ctx, "1000")
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestContract_a_health_server_that_was_stopped_is_not_ready_and_keeps_its_address(t *testing.T) {
	server := process.NewHealthServer("127.0.0.1:0")
	assert.True(t, server.Ready())
	assert.Equal(t, "127.0.0.1:0", server.Addr())
	require.NoError(t, server.Start())
	bound := server.Addr()
	assert.NotEqual(t, "127.0.0.1:0", bound)
	require.NoError(t, server.Stop(t.Context()))
	assert.False(t, server.Ready())
	assert.Equal(t, bound, server.Addr())
	require.NoError(t, server.Start(), "it can be started again")
	assert.True(t, server.Ready())
	assert.Equal(t, http.StatusOK, fetch(t, server.Addr(), "/ready"))
	require.NoError(t, server.Stop(t.Context()))

	daemon := process.NewDaemon(process.DaemonOptions{HealthAddr: "127.0.0.1:0"})
	require.NoError(t, daemon.Start())
	assert.True(t, daemon.Ready())
	bound = daemon.HealthAddr()
	require.NoError(t, daemon.Stop())
	assert.False(t, daemon.Ready())
	assert.Equal(t, bound, daemon.HealthAddr())
}

func TestContract_a_stop_waits_for_requests_and_the_entry_stays_until_then(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	registry := process.NewRegistry(t.TempDir())
	daemon := process.NewDaemon(process.DaemonOptions{
		HealthAddr: "127.0.0.1:0", Registry: registry, RegistryEntry: process.DaemonEntry{Code: "core", Daemon: "it"},
		HealthChecks: []process.HealthCheck{func() error { close(asked); <-release; return errors.New("late") }},
	})
	require.NoError(t, daemon.Start())
	answered := make(chan int)
	go func() { answered <- fetch(t, daemon.HealthAddr(), "/health") }()
	<-asked
	stopped := make(chan error)
	go func() { stopped <- daemon.Stop() }()
	for daemon.Ready() {
		time.Sleep(time.Millisecond)
	}
	_, found := registry.Get("core", "it")
	assert.True(t, found)
	close(release)
	assert.Equal(t, http.StatusServiceUnavailable, <-answered)
	require.NoError(t, <-stopped)
	_, found = registry.Get("core", "it")
	assert.False(t, found)
}

func TestContract_a_registry_writes_what_it_is_given(t *testing.T) {
	registry := process.NewRegistry(t.TempDir())
	started := time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC)
	for _, entry := range []process.DaemonEntry{
		{Code: "a", Daemon: "nobody", PID: 0, Started: started}, {Code: "a", Daemon: "gone", PID: 1<<22 + 1},
	} {
		require.NoError(t, registry.Register(entry), "it is dead at the next reading")
		_, found := registry.Get(entry.Code, entry.Daemon)
		assert.False(t, found)
	}
	entries, err := registry.List()
	require.NoError(t, err)
	assert.Empty(t, entries)
	given := process.DaemonEntry{Code: "a", Daemon: "b", PID: os.Getpid(), Health: "h", Project: "p", Binary: "b", Started: started}
	require.NoError(t, registry.Register(given))
	found, ok := registry.Get("a", "b")
	require.True(t, ok)
	assert.Equal(t, given, *found)
	text, err := json.Marshal(found)
	require.NoError(t, err)
	var again process.DaemonEntry
	require.NoError(t, json.Unmarshal(text, &again))
	assert.Equal(t, given, again)
}

func TestContract_a_command_in_the_background_has_no_outputs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	command := exec.Command(ctx, "sleep", "1000").WithBackground(true)
	require.NoError(t, command.Run(), "it does not wait")
	cancel()
	assert.ErrorContains(t, command.Wait(), "context canceled")
	_, err := exec.Command(t.Context(), "true").WithBackground(true).Output()
	assert.Error(t, err)
	_, err = exec.Command(t.Context(), "true").WithBackground(true).CombinedOutput()
	assert.Error(t, err)
}

func TestContract_exec_has_its_options(t *testing.T) {
	options := exec.Options{Dir: "/", Env: []string{"A=1"}, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	assert.Equal(t, "/", options.Dir)
}

func TestContract_RunQuiet_says_what_came_to_stderr(t *testing.T) {
	assert.NoError(t, exec.RunQuiet(t.Context(), "sh", "-c", "echo noise >&2"))
	err := exec.RunQuiet(t.Context(), "sh", "-c", "echo 'no disk' >&2; exit 5")
	assert.ErrorContains(t, err, "exit code 5")
	assert.ErrorContains(t, err, "no disk")
}
