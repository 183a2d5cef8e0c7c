package process

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"dappco.re/go/core/process/internal/capi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newDaemonOf(t *testing.T, options DaemonOptions) *Daemon {
	t.Helper()
	daemon := NewDaemon(options)
	t.Cleanup(func() { assert.NoError(t, daemon.Stop()) })
	return daemon
}

func TestDaemon_lives_with_PID_file_health_server_and_registry(t *testing.T) {
	dir := t.TempDir()
	registry := NewRegistry(filepath.Join(dir, "daemons"))
	path := filepath.Join(dir, "run", "it.pid")
	daemon := newDaemonOf(t, DaemonOptions{
		PIDFile: path, HealthAddr: "127.0.0.1:0", Registry: registry,
		RegistryEntry: DaemonEntry{Code: "core", Daemon: "it"},
	})
	assert.False(t, daemon.Ready())
	assert.Equal(t, "127.0.0.1:0", daemon.HealthAddr())
	before := time.Now()
	require.NoError(t, daemon.Start())
	assert.Error(t, daemon.Start(), "twice is an error")

	pid, alive := ReadPID(path)
	assert.Equal(t, []any{os.Getpid(), true}, []any{pid, alive})
	assert.True(t, daemon.Ready())
	address := daemon.HealthAddr()
	assert.NotEqual(t, "127.0.0.1:0", address)
	status, body := ask(t, address, "/health")
	assert.Equal(t, []any{200, "ok\n"}, []any{status, body})

	entry, found := registry.Get("core", "it")
	require.True(t, found)
	cwd, err := os.Getwd()
	require.NoError(t, err)
	binary, err := os.Executable()
	require.NoError(t, err)
	assert.WithinRange(t, entry.Started, before.Add(-time.Second), time.Now().Add(time.Second))
	assert.Equal(t, DaemonEntry{
		Code: "core", Daemon: "it", PID: os.Getpid(), Health: address, Project: cwd, Binary: binary, Started: entry.Started,
	}, *entry)

	daemon.SetReady(false)
	assert.False(t, daemon.Ready())
	status, body = ask(t, address, "/ready")
	assert.Equal(t, []any{503, "not ready\n"}, []any{status, body})
	daemon.SetReady(true)
	status, body = ask(t, address, "/ready")
	assert.Equal(t, []any{200, "ready\n"}, []any{status, body})

	require.NoError(t, daemon.Stop())
	require.NoError(t, daemon.Stop(), "stopping what is stopped is nil")
	assert.False(t, daemon.Ready())
	assert.NoFileExists(t, path)
	_, found = registry.Get("core", "it")
	assert.False(t, found)
	ok, _ := ProbeHealth(address, 1000)
	assert.False(t, ok)

	require.NoError(t, daemon.Start(), "it can be started again")
	assert.FileExists(t, path)
}

func TestDaemon_runs_until_its_context_is_done_or_somebody_stops_it(t *testing.T) {
	path := filepath.Join(t.TempDir(), "it.pid")
	daemon := newDaemonOf(t, DaemonOptions{PIDFile: path})
	//lint:ignore SA1012 the mistake is what is tested
	assert.ErrorIs(t, daemon.Run(nil), ErrDaemonContextRequired)
	assert.ErrorContains(t, daemon.Run(t.Context()), "not started")

	for name, end := range map[string]func(context.CancelFunc) error{
		"context": func(cancel context.CancelFunc) error { cancel(); return nil },
		"stop":    func(context.CancelFunc) error { return daemon.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, daemon.Start())
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 2)
			for range 2 {
				go func() { ended <- daemon.Run(ctx) }()
			}
			require.NoError(t, end(cancel))
			for range 2 {
				err := await(t, ended, "the end of Run")
				if err != nil {
					// The check came after the stop.
					assert.ErrorIs(t, err, errDaemonNotStarted)
				}
			}
			assert.NoFileExists(t, path)
			assert.ErrorIs(t, daemon.Run(t.Context()), errDaemonNotStarted)
		})
	}
}

func TestDaemon_that_cannot_start_undoes_what_it_did(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "it.pid")
	other := newDaemonOf(t, DaemonOptions{HealthAddr: "127.0.0.1:0"})
	require.NoError(t, other.Start())

	daemon := newDaemonOf(t, DaemonOptions{PIDFile: path, HealthAddr: other.HealthAddr()})
	err := daemon.Start()
	assert.ErrorIs(t, err, capi.ErrBusy)
	assert.NoFileExists(t, path)
	assert.ErrorContains(t, daemon.Run(t.Context()), "not started")

	daemon = newDaemonOf(t, DaemonOptions{PIDFile: path, Registry: NewRegistry(dir)})
	assert.ErrorContains(t, daemon.Start(), "code", "an entry needs one")
	assert.NoFileExists(t, path)
}

func TestDaemon_reports_bad_options_at_its_start(t *testing.T) {
	for name, options := range map[string]DaemonOptions{
		"path":     {PIDFile: "a\x00b"},
		"address":  {HealthAddr: "nonsense"},
		"registry": {Registry: NewRegistry("")},
	} {
		daemon := newDaemonOf(t, options)
		assert.Error(t, daemon.Start(), name)
		assert.False(t, daemon.Ready(), name)
		daemon.SetReady(true)
		daemon.HealthAddr()
		assert.NoError(t, daemon.Stop(), name)
	}
}

func TestZero_values_that_no_constructor_made_say_so(t *testing.T) {
	assert.ErrorIs(t, new(Daemon).Start(), errNoDaemon)
	assert.ErrorIs(t, new(Daemon).Run(t.Context()), errDaemonNotStarted)
	assert.NoError(t, new(Daemon).Stop())
	assert.ErrorIs(t, NewDaemon(DaemonOptions{Registry: new(Registry)}).Start(), errNoRegistry)
	assert.ErrorIs(t, new(HealthServer).Start(), errNoHealthServer)
	assert.NoError(t, new(HealthServer).Stop(t.Context()))
	assert.ErrorIs(t, new(PIDFile).Acquire(), errNoPIDFile)
	assert.NoError(t, new(PIDFile).Release())
	registry := new(Registry)
	assert.ErrorIs(t, registry.Register(DaemonEntry{Code: "x", Daemon: "x", PID: 1}), errNoRegistry)
	assert.ErrorIs(t, registry.Unregister("x", "x"), errNoRegistry)
	_, err := registry.List()
	assert.ErrorIs(t, err, errNoRegistry)
	_, found := registry.Get("x", "x")
	assert.False(t, found)
}

func TestDaemon_stops_within_its_shutdown_timeout(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	daemon := NewDaemon(DaemonOptions{
		HealthAddr: "127.0.0.1:0", ShutdownTimeout: 20 * time.Millisecond,
		HealthChecks: []HealthCheck{func() error { close(asked); <-release; return nil }},
	})
	require.NoError(t, daemon.Start())
	answered := make(chan bool)
	go func() {
		ok, _ := ProbeHealth(daemon.HealthAddr(), int(hang/time.Millisecond))
		answered <- ok
	}()
	await(t, asked, "the question")
	assert.ErrorIs(t, daemon.Stop(), capi.ErrTimedOut)
	assert.False(t, await(t, answered, "the answer"))
	close(release)
	assert.NoError(t, daemon.Stop())
}

func TestDaemon_and_what_is_held_live_on_when_they_are_dropped(t *testing.T) {
	dir := t.TempDir()
	pidFile, daemonFile := filepath.Join(dir, "one.pid"), filepath.Join(dir, "two.pid")
	var address string
	var stop []func() error
	func() {
		file := NewPIDFile(pidFile)
		require.NoError(t, file.Acquire())
		daemon := NewDaemon(DaemonOptions{PIDFile: daemonFile})
		require.NoError(t, daemon.Start())
		server := NewHealthServer("127.0.0.1:0")
		require.NoError(t, server.Start())
		address = server.Addr()
	}()
	for range 5 {
		runtime.GC()
	}
	_, alive := ReadPID(pidFile)
	assert.True(t, alive)
	_, alive = ReadPID(daemonFile)
	assert.True(t, alive)
	assert.True(t, WaitForHealth(address, 10_000))
	kept.Range(func(what, _ any) bool {
		switch what := what.(type) {
		case *PIDFile:
			stop = append(stop, what.Release)
		case *Daemon:
			stop = append(stop, what.Stop)
		case *HealthServer:
			stop = append(stop, func() error { return what.Stop(t.Context()) })
		}
		return true
	})
	assert.Len(t, stop, 3)
	for _, stop := range stop {
		assert.NoError(t, stop())
	}
	kept.Range(func(what, _ any) bool { assert.Fail(t, "kept", "%v", what); return true })
}

func TestDaemon_leaves_nothing(t *testing.T) {
	warmUp(t)
	dir := t.TempDir()
	round := func() {
		daemon := NewDaemon(DaemonOptions{
			PIDFile: filepath.Join(dir, "it.pid"), HealthAddr: "127.0.0.1:0", Registry: NewRegistry(dir),
			RegistryEntry: DaemonEntry{Code: "c", Daemon: "d"}, HealthChecks: []HealthCheck{func() error { return nil }},
		})
		require.NoError(t, daemon.Start())
		require.True(t, WaitForHealth(daemon.HealthAddr(), 10_000))
		require.NoError(t, daemon.Stop())
	}
	round()
	before := settled(t)
	for range count(t, 20) {
		round()
	}
	returnsTo(t, before)
}
