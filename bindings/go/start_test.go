package process

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dappco.re/go/core"
	"dappco.re/go/core/process/internal/capi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStart_that_fails_says_stage_and_cause_and_keeps_a_failed_process(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	require.NoError(t, os.WriteFile(plain, []byte("no program"), 0o644))
	garbage := filepath.Join(dir, "garbage")
	require.NoError(t, os.WriteFile(garbage, []byte("no program"), 0o755))
	orphan := filepath.Join(dir, "orphan")
	require.NoError(t, os.WriteFile(orphan, []byte("#!/no/such/interpreter\n"), 0o755))

	for _, c := range []struct {
		name    string
		options RunOptions
		is      []error
		says    []string
	}{
		{"unknown program", RunOptions{Command: "no-such-program"}, []error{exec.ErrNotFound}, []string{`"no-such-program"`}},
		{"missing path", RunOptions{Command: "/no/such/program"}, []error{exec.ErrNotFound, syscall.ENOENT, fs.ErrNotExist}, []string{`"/no/such/program"`}},
		{"not executable", RunOptions{Command: plain}, []error{capi.ErrPermissionDenied, syscall.EACCES, fs.ErrPermission}, []string{plain}},
		{"not a program", RunOptions{Command: garbage}, []error{capi.ErrSystem, syscall.ENOEXEC}, []string{garbage}},
		{"missing interpreter", RunOptions{Command: orphan}, []error{capi.ErrNotFound, syscall.ENOENT}, []string{"interpreter"}},
		{"missing directory", RunOptions{Command: "true", Dir: "/no/such/dir"}, []error{capi.ErrNotFound, syscall.ENOENT}, []string{"chdir", "/no/such/dir"}},
		{"too many arguments", RunOptions{Command: "true", Args: []string{strings.Repeat("x", 8<<20)}}, []error{syscall.E2BIG}, nil},
		{"NUL in the command", RunOptions{Command: "tr\x00ue"}, nil, []string{"NUL"}},
		{"NUL in an argument", RunOptions{Command: "true", Args: []string{"a\x00b"}}, []error{capi.ErrInvalidArgument}, []string{"argument 1"}},
		{"NUL in the directory", RunOptions{Command: "true", Dir: "a\x00b"}, []error{capi.ErrInvalidArgument}, []string{"cwd"}},
		{"NUL in the environment", RunOptions{Command: "true", Env: []string{"A=\x00B=1"}}, []error{capi.ErrInvalidArgument}, nil},
		{"no value in the environment", RunOptions{Command: "true", Env: []string{"NAME"}}, []error{capi.ErrInvalidArgument}, []string{"NAME"}},
		{"several mistakes", RunOptions{Command: "true", Args: []string{"\x00"}, Env: []string{"NAME"}}, []error{capi.ErrInvalidArgument}, []string{"argument 1", "NAME"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			service, recorder := newRecordedService(t)

			process, err := service.StartWithOptions(t.Context(), c.options)

			require.Error(t, err)
			for _, is := range c.is {
				assert.ErrorIs(t, err, is)
			}
			assert.Contains(t, err.Error(), "process failed to start")
			assert.Contains(t, err.Error(), "failed to start process")
			for _, part := range c.says {
				assert.Contains(t, err.Error(), part)
			}
			require.NotNil(t, process)
			assert.Equal(t, err, wait(t, process))
			assert.Equal(t, []any{StatusFailed, -1, false}, []any{process.Status, process.ExitCode, process.IsRunning()})
			assert.Empty(t, process.Output())
			assert.NoError(t, process.Kill(), "killing what does not run is fine")
			assert.NoError(t, process.Shutdown())
			assert.NoError(t, process.CloseStdin())
			assert.ErrorIs(t, process.Signal(syscall.SIGTERM), ErrProcessNotRunning)
			assert.ErrorIs(t, process.SendInput("x"), ErrProcessNotRunning)
			assert.Equal(t, []any{ActionProcessExited{ID: process.ID, ExitCode: -1, Error: err}}, recorder.untilExited(t, process.ID))
			assert.Equal(t, []*Process{process}, service.List())
			assert.Empty(t, service.Running())
			noChildren(t)
		})
	}
}

func TestStart_tells_an_unknown_program_from_other_things_that_are_missing(t *testing.T) {
	service := newQuietService(t)
	_, err := service.StartWithOptions(t.Context(), RunOptions{Command: "true", Dir: "/no/such/dir"})
	assert.NotErrorIs(t, err, exec.ErrNotFound)
	_, err = service.Run(t.Context(), "no-such-program")
	assert.ErrorIs(t, err, exec.ErrNotFound)
	var lookup *exec.Error
	require.ErrorAs(t, err, &lookup, "as exec.LookPath says it")
	assert.Equal(t, "no-such-program", lookup.Name)
}

func TestStart_looks_in_the_PATH_of_this_moment(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "coreproc-test-program"), []byte("#!/bin/sh\necho $0\n"), 0o755))
	service := newQuietService(t)
	_, err := service.Run(t.Context(), "coreproc-test-program")
	require.ErrorIs(t, err, exec.ErrNotFound)
	t.Setenv("PATH", dir)
	output, err := service.Run(t.Context(), "coreproc-test-program")
	require.NoError(t, err)
	assert.Equal(t, dir+"/coreproc-test-program\n", output)
}

func TestStart_does_not_look_in_the_PATH_of_the_child(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "coreproc-test-program"), []byte("#!/bin/sh\n"), 0o755))
	_, err := newQuietService(t).StartWithOptions(t.Context(), RunOptions{Command: "coreproc-test-program", Env: []string{"PATH=" + dir}})
	assert.ErrorIs(t, err, exec.ErrNotFound)
}

func TestStart_runs_no_program_of_the_current_directory_by_its_bare_name(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "coreproc-test-program"), []byte("#!/bin/sh\n"), 0o755))
	t.Chdir(dir)
	t.Setenv("PATH", ".:"+os.Getenv("PATH"))
	process, err := newQuietService(t).Start(t.Context(), "coreproc-test-program")
	assert.ErrorIs(t, err, exec.ErrDot)
	assert.Equal(t, StatusFailed, process.Status)
}

func TestStart_takes_a_relative_path_from_the_directory_of_the_child(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "program"), []byte("#!/bin/sh\necho found\n"), 0o755))
	output, err := newQuietService(t).RunWithOptions(t.Context(), RunOptions{Command: "./program", Dir: dir})
	require.NoError(t, err)
	assert.Equal(t, "found\n", output)
}

func TestStart_gives_the_program_the_name_it_was_called_by(t *testing.T) {
	output, err := newQuietService(t).Run(t.Context(), "sh", "-c", `tr '\0' '\n' </proc/$$/cmdline | head -n 1`)
	require.NoError(t, err)
	assert.Equal(t, "sh\n", output)
}

func TestStart_refuses_what_it_cannot_mean(t *testing.T) {
	service, recorder := newRecordedService(t)
	for name, start := range map[string]func(context.Context, RunOptions) (*Process, error){
		"service": service.StartWithOptions,
		"short": func(ctx context.Context, o RunOptions) (*Process, error) {
			return service.Start(ctx, o.Command, o.Args...)
		},
		"run": func(ctx context.Context, o RunOptions) (*Process, error) {
			_, err := service.RunWithOptions(ctx, o)
			return nil, err
		},
		"run short": func(ctx context.Context, o RunOptions) (*Process, error) {
			_, err := service.Run(ctx, o.Command, o.Args...)
			return nil, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			process, err := start(nil, RunOptions{Command: "true"})
			assert.ErrorIs(t, err, ErrContextRequired)
			assert.Nil(t, process)
			process, err = start(t.Context(), RunOptions{})
			assert.ErrorIs(t, err, errCommandRequired)
			assert.Nil(t, process)
		})
	}
	process, err := service.StartWithOptions(t.Context(), RunOptions{Command: "true", KillGroup: true})
	assert.ErrorContains(t, err, "KillGroup requires Detach")
	assert.Nil(t, process)

	assert.Empty(t, service.List(), "nothing was meant to start")
	first, err := service.Start(t.Context(), "true")
	require.NoError(t, err)
	assert.Equal(t, "proc-1", first.ID)
	recorder.untilExited(t, first.ID)
}

func TestStart_counts_ids_for_each_service(t *testing.T) {
	for range 2 {
		service := newQuietService(t)
		for _, want := range []string{"proc-1", "proc-2", "proc-3"} {
			command := "true"
			if want == "proc-2" {
				command = "no-such-program"
			}
			process, _ := service.Start(t.Context(), command)
			assert.Equal(t, want, process.ID)
			assert.Equal(t, want, process.Info().ID)
		}
	}
}

func TestStart_with_a_context_that_is_over_starts_nothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	service := newQuietService(t)
	process, err := service.Start(ctx, "sleep", "1000")
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, StatusFailed, process.Status)
	noChildren(t)
	process, err = service.StartWithOptions(ctx, RunOptions{Command: "true", Detach: true})
	require.NoError(t, err, "detached processes ignore the context")
	assert.NoError(t, wait(t, process))
}

func TestStart_whose_handler_panics_panics_and_loses_nothing(t *testing.T) {
	recorder := newRecorder()
	service := newListenedService(t, func(message any) {
		if _, ok := message.(ActionProcessStarted); ok {
			panic("the handler's own")
		}
		recorder.record(message)
	})
	assert.PanicsWithValue(t, "the handler's own", func() { _, _ = service.Start(t.Context(), "echo", "hello") })
	process, err := service.Get("proc-1")
	require.NoError(t, err)
	require.NoError(t, wait(t, process))
	assert.Equal(t, []string{"hello"}, linesOf(recorder.untilExited(t, process.ID), StreamStdout))
}

func TestRun_that_fails_to_start_has_no_output(t *testing.T) {
	output, err := newQuietService(t).Run(t.Context(), "no-such-program")
	assert.ErrorIs(t, err, exec.ErrNotFound)
	assert.Empty(t, output)
}

func TestNewService_refuses_a_negative_size(t *testing.T) {
	for _, c := range []*core.Core{nil, core.New()} {
		made, err := NewService(Options{BufferSize: -1})(c)
		assert.ErrorContains(t, err, "BufferSize")
		assert.Nil(t, made)
	}
	lazy := Service{ServiceRuntime: core.NewServiceRuntime(core.New(), Options{BufferSize: -1})}
	_, err := lazy.Start(t.Context(), "true")
	assert.ErrorContains(t, err, "BufferSize")
}

func TestNewService_keeps_options_and_Core(t *testing.T) {
	service, c := newTestService(t)
	assert.Same(t, c, service.Core())
	assert.Equal(t, Options{BufferSize: 1024}, service.Options())
}

func TestService_works_without_a_Core_and_without_a_constructor(t *testing.T) {
	for name, service := range map[string]*Service{"zero": new(Service), "no Core": newQuietService(t)} {
		t.Run(name, func(t *testing.T) {
			assert.Empty(t, service.List())
			require.NoError(t, service.OnStartup(t.Context()))
			output, err := service.Run(t.Context(), "echo", "hello")
			require.NoError(t, err)
			assert.Equal(t, "hello\n", output)
			process, err := service.Start(t.Context(), "cat")
			require.NoError(t, err)
			require.NoError(t, service.OnShutdown(t.Context()))
			assert.ErrorContains(t, wait(t, process), "process was killed")
			_, err = service.Start(t.Context(), "no-such-program")
			assert.ErrorIs(t, err, exec.ErrNotFound)
			service.Clear()
			assert.Empty(t, service.List())
		})
	}
}

func TestService_that_is_nil_says_so(t *testing.T) {
	var service *Service
	_, err := service.Start(t.Context(), "true")
	assert.ErrorIs(t, err, ErrServiceNotInitialized)
	assert.ErrorIs(t, service.OnStartup(t.Context()), ErrServiceNotInitialized)
	assert.ErrorIs(t, service.OnShutdown(t.Context()), ErrServiceNotInitialized)
	assert.ErrorIs(t, service.KillPID(1), ErrServiceNotInitialized)
	assert.Nil(t, service.List())
}

func TestServiceError_says_both_and_unwraps(t *testing.T) {
	cause := errors.New("cause")
	err := ServiceError("message", cause)
	assert.EqualError(t, err, "message: cause")
	assert.ErrorIs(t, err, cause)
	assert.EqualError(t, ServiceError("message", nil), "message")
}
