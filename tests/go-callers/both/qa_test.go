package callers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	osexec "os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"dappco.re/go/core"
	process "dappco.re/go/core/process"
	"dappco.re/go/core/process/exec"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newTestService(t *testing.T) (*process.Service, *core.Core) {
	t.Helper()
	c := core.New()
	raw, err := process.NewService(process.Options{BufferSize: 1024})(c)
	require.NoError(t, err)
	service := raw.(*process.Service)
	require.NoError(t, service.OnStartup(context.Background()))
	t.Cleanup(func() { _ = service.OnShutdown(context.Background()) })
	return service, c
}

func TestChecks_Good(t *testing.T) {
	service, _ := newTestService(t)
	lines, err := RunChecks(context.Background(), service, "fmt", "vet", "test")
	require.NoError(t, err)
	assert.Equal(t, []string{"fmt: ok", "vet: ok", "test: ok"}, lines)
}

func TestChecks_Ugly_OneThatOthersNameIsLeftOut(t *testing.T) {
	service, _ := newTestService(t)
	lines, err := RunChecks(context.Background(), service, "fmt", "test", "audit", "report")
	assert.EqualError(t, err, "2 of 4 checks failed, 1 skipped")
	assert.Equal(t, []string{
		"fmt: ok", `test: failed (1): unknown spec "vet"`, "audit: exit code 1", `report: skipped (0): skipped: "test" cannot run`,
	}, lines)
}

func TestChecks_Bad_Cancelled(t *testing.T) {
	service, _ := newTestService(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	lines, err := RunChecks(ctx, service, "fmt")
	assert.Error(t, err)
	require.Len(t, lines, 1)
	assert.Contains(t, lines[0], "context canceled")
}

func TestGit(t *testing.T) {
	said, err := Git(context.Background(), t.TempDir(), "status", "--short")
	require.NoError(t, err)
	assert.Equal(t, "git status --short", said)
	_, err = Git(context.Background(), "/no/such/directory", "status")
	assert.ErrorContains(t, err, "git: status: ")
}

func TestExec(t *testing.T) {
	err := exec.Command(context.Background(), "sh", "-c", "exit 7").Run()
	assert.ErrorContains(t, err, "exit code 7")
	assert.Equal(t, 7, ExitCode(err))
	err = exec.Command(context.Background(), "no-such-program-anywhere").Run()
	assert.ErrorIs(t, err, osexec.ErrNotFound)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err = exec.Command(ctx, "sleep", "10").Run()
	assert.ErrorContains(t, err, "context deadline exceeded")
	ctx, cancel = context.WithCancel(context.Background())
	cancel()
	assert.ErrorContains(t, exec.Command(ctx, "sleep", "10").Run(), "context canceled")
	options := exec.Options{Dir: "/", Env: []string{"A=b"}}
	output, err := exec.Command(context.Background(), "sh", "-c", "pwd; echo $A").WithDir(options.Dir).WithEnv(options.Env).Output()
	require.NoError(t, err)
	assert.Equal(t, "/\nb\n", string(output))
}

func TestConsole_HasHeardOfTheKillOnceDoneIsClosed(t *testing.T) {
	service, c := newTestService(t)
	console := NewConsole(c)
	proc, err := service.Start(context.Background(), "sleep", "60")
	require.NoError(t, err)
	require.NoError(t, service.Kill(proc.ID))
	assert.Equal(t, []string{proc.ID}, console.Killed)
	select {
	case <-proc.Done():
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
	assert.Equal(t, []string{proc.ID}, console.Killed)
	assert.Equal(t, process.StatusKilled, proc.Status)
	assert.Equal(t, -1, proc.ExitCode)
	ended := <-console.Ended
	assert.Equal(t, proc.ID, ended.ID)
	assert.ErrorContains(t, ended.Error, "process was killed")
}

func TestConsole_HasAllLinesOnceRunReturns(t *testing.T) {
	service, c := newTestService(t)
	console := NewConsole(c)
	output, err := service.Run(context.Background(), "sh", "-c", "echo one; echo two >&2; exit 3")
	assert.Equal(t, "one\ntwo\n", output)
	assert.ErrorContains(t, err, "exited with code 3")
	assert.ElementsMatch(t, []string{"one", "two"}, console.Lines)
	ended := <-console.Ended
	assert.ErrorContains(t, ended.Error, "exited with code 3")
}

func TestConsole_HearsOfAFailedStart(t *testing.T) {
	service, c := newTestService(t)
	console := NewConsole(c)
	proc, err := service.Start(context.Background(), "no-such-program-anywhere")
	assert.ErrorContains(t, err, "failed to start process")
	assert.Equal(t, process.StatusFailed, proc.Status)
	ended := <-console.Ended
	assert.ErrorContains(t, ended.Error, "failed to start process")
	assert.ErrorContains(t, proc.Wait(), "process failed to start")
}

func TestService_Ugly(t *testing.T) {
	service, _ := newTestService(t)
	_, err := service.StartWithOptions(context.Background(), process.RunOptions{Command: "sleep", KillGroup: true})
	assert.ErrorContains(t, err, "KillGroup requires Detach")
	_, err = service.Start(context.Background(), "")
	assert.ErrorContains(t, err, "command is required")
	ctx, cancel := context.WithCancel(context.Background())
	proc, err := service.Start(ctx, "sleep", "60")
	require.NoError(t, err)
	cancel()
	err = proc.Wait()
	assert.ErrorContains(t, err, "process was killed")
	assert.ErrorContains(t, err, "context canceled")
	assert.ErrorIs(t, proc.Signal(syscall.SIGTERM), process.ErrProcessNotRunning)
}

func TestHandlerKillsItsOwnProcess(t *testing.T) {
	service, c := newTestService(t)
	killed := 0
	c.RegisterAction(func(_ *core.Core, message core.Message) core.Result {
		switch message := message.(type) {
		case process.ActionProcessOutput:
			if message.Line == "password:" {
				assert.NoError(t, service.Kill(message.ID))
			}
		case process.ActionProcessKilled:
			killed++
		}
		return core.Result{OK: true}
	})
	_, err := service.Run(context.Background(), "sh", "-c", "echo password:; exec sleep 60")
	assert.ErrorContains(t, err, "process was killed")
	assert.Equal(t, 1, killed)
}

func TestRegister_StartsAndStopsWithTheCore(t *testing.T) {
	c := core.New()
	result := process.Register(c)
	require.True(t, result.OK)
	service, ok := result.Value.(*process.Service)
	require.True(t, ok)
	require.True(t, c.ServiceStartup(context.Background(), nil).OK)
	proc, err := service.StartWithOptions(context.Background(), process.RunOptions{Command: "sleep", Args: []string{"60"}, Detach: true})
	require.NoError(t, err)
	require.True(t, c.ServiceShutdown(context.Background()).OK)
	<-proc.Done()
	assert.Equal(t, process.StatusKilled, proc.Status)
}

func TestDaemon(t *testing.T) {
	dir := t.TempDir()
	registry := process.NewRegistry(filepath.Join(dir, "daemons"))
	probes := 0
	var trouble error
	options := process.DaemonOptions{
		PIDFile: filepath.Join(dir, "it.pid"), HealthAddr: "127.0.0.1:0", ShutdownTimeout: 5 * time.Second, Registry: registry,
		RegistryEntry: process.DaemonEntry{Code: "host-uk/core", Daemon: "worker"},
		HealthChecks:  []process.HealthCheck{func() error { probes++; return trouble }},
	}
	daemon := process.NewDaemon(options)
	assert.ErrorContains(t, daemon.Run(context.Background()), "not started")
	require.NoError(t, daemon.Start())
	assert.ErrorContains(t, daemon.Start(), "already running")
	assert.ErrorContains(t, process.NewDaemon(process.DaemonOptions{PIDFile: options.PIDFile}).Start(), "another instance is running")
	assert.FileExists(t, filepath.Join(dir, "daemons", "host-uk-core-worker.json"))
	address := daemon.HealthAddr()

	get := func(path string) (int, string) {
		response, err := http.Get("http://" + address + path)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(body)
	}
	status, body := get("/health")
	assert.Equal(t, []any{200, "ok\n"}, []any{status, body})
	assert.Equal(t, 1, probes)
	trouble = errors.New("queue is full")
	status, body = get("/health")
	assert.Equal(t, []any{503, "unhealthy: queue is full\n"}, []any{status, body})
	assert.Equal(t, 2, probes)
	daemon.SetReady(false)
	status, body = get("/ready")
	assert.Equal(t, []any{503, "not ready\n"}, []any{status, body})
	daemon.SetReady(true)

	entry, found := registry.Get("host-uk/core", "worker")
	require.True(t, found)
	assert.Equal(t, []any{os.Getpid(), address}, []any{entry.PID, entry.Health})

	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error)
	go func() { ran <- daemon.Run(ctx) }()
	cancel()
	require.NoError(t, <-ran)
	assert.False(t, daemon.Ready())
	_, found = registry.Get("host-uk/core", "worker")
	assert.False(t, found)
	assert.NoError(t, daemon.Stop())
	http.DefaultClient.CloseIdleConnections()
}
