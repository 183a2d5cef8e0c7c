package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dappco.re/go/core/process/internal/capi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStart_that_fails_says_stage_and_cause_and_leaves_a_failed_process(t *testing.T) {
	folder := t.TempDir()
	plain := filepath.Join(folder, "plain")
	require.NoError(t, os.WriteFile(plain, []byte("no program"), 0o644))
	garbage := filepath.Join(folder, "garbage")
	require.NoError(t, os.WriteFile(garbage, []byte("no program"), 0o755))
	orphan := filepath.Join(folder, "orphan")
	require.NoError(t, os.WriteFile(orphan, []byte("#!/no/such/interpreter\n"), 0o755))

	for _, c := range []struct {
		name    string
		options RunOptions
		kind    capi.Result
		errno   syscall.Errno
		says    []string
	}{
		{"unknown program", RunOptions{Command: "no-such-program"}, capi.ErrNotFound, 0, []string{`spawn "no-such-program"`, "lookup"}},
		{"missing path", RunOptions{Command: "/no/such/program"}, capi.ErrNotFound, syscall.ENOENT, []string{`"/no/such/program"`}},
		{"not executable", RunOptions{Command: plain}, capi.ErrPermissionDenied, syscall.EACCES, []string{plain}},
		{"not a program", RunOptions{Command: garbage}, capi.ErrSystem, syscall.ENOEXEC, []string{garbage}},
		{"missing interpreter", RunOptions{Command: orphan}, capi.ErrNotFound, syscall.ENOENT, []string{"interpreter"}},
		{"missing folder", RunOptions{Command: "true", Dir: "/no/such/folder"}, capi.ErrNotFound, syscall.ENOENT, []string{"chdir", "/no/such/folder"}},
		{"too many arguments", RunOptions{Command: "true", Args: []string{strings.Repeat("x", 8<<20)}}, capi.ErrSystem, syscall.E2BIG, nil},
		{"NUL in the command", RunOptions{Command: "tr\x00ue"}, capi.ErrInvalidArgument, 0, nil},
		{"NUL in an argument", RunOptions{Command: "true", Args: []string{"a\x00b"}}, capi.ErrInvalidArgument, 0, nil},
		{"NUL in the folder", RunOptions{Command: "true", Dir: "a\x00b"}, capi.ErrInvalidArgument, 0, nil},
		{"NUL in the environment", RunOptions{Command: "true", Env: []string{"A=\x00B=1"}}, capi.ErrInvalidArgument, 0, nil},
		{"no value in the environment", RunOptions{Command: "true", Env: []string{"NAME"}}, capi.ErrInvalidArgument, 0, []string{"NAME"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			recorder := newRecorder()
			service := newTestService(t, recorder.handle)

			process, err := service.StartWithOptions(t.Context(), c.options)

			require.Error(t, err)
			assert.ErrorIs(t, err, c.kind)
			if c.errno != 0 {
				assert.ErrorIs(t, err, c.errno)
			}
			assert.Contains(t, err.Error(), "process failed to start")
			for _, part := range c.says {
				assert.Contains(t, err.Error(), part)
			}
			require.NotNil(t, process)
			assert.Equal(t, err, wait(t, process))
			assert.Equal(t, []any{StatusFailed, -1, false}, []any{process.Status, process.ExitCode, process.IsRunning()})
			assert.Empty(t, process.Output())
			assert.ErrorIs(t, process.Kill(), ErrProcessNotRunning)
			assert.ErrorIs(t, process.Shutdown(), ErrProcessNotRunning)
			assert.ErrorIs(t, process.Signal(syscall.SIGTERM), ErrProcessNotRunning)
			assert.ErrorIs(t, process.SendInput("x"), ErrProcessNotRunning)
			assert.ErrorIs(t, process.CloseStdin(), ErrProcessNotRunning)
			assert.Equal(t, []any{ActionProcessExited{ID: process.ID, ExitCode: -1, Error: err}}, recorder.untilExited(t, process.ID))
			noChildren(t)
		})
	}
}

func TestStart_of_an_unknown_program_is_what_os_exec_calls_it(t *testing.T) {
	_, err := newTestService(t, nil).Start(t.Context(), "no-such-program")
	assert.ErrorIs(t, err, exec.ErrNotFound)
	assert.NotErrorIs(t, err, syscall.EACCES)
}

func TestStart_looks_in_the_PATH_of_this_moment(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "coreproc-test-program"), []byte("#!/bin/sh\necho found\n"), 0o755))
	service := newTestService(t, nil)
	_, err := service.Run(t.Context(), "coreproc-test-program")
	require.ErrorIs(t, err, exec.ErrNotFound)
	t.Setenv("PATH", folder)
	output, err := service.Run(t.Context(), "coreproc-test-program")
	require.NoError(t, err)
	assert.Equal(t, "found\n", output)
}

func TestStart_needs_a_context_and_a_command(t *testing.T) {
	service := newTestService(t, nil)
	//lint:ignore SA1012 the mistake is what is tested
	process, err := service.Start(nil, "true")
	assert.ErrorIs(t, err, ErrContextRequired)
	assert.Nil(t, process)
	process, err = service.Start(t.Context(), "")
	assert.ErrorIs(t, err, errCommandRequired)
	assert.Nil(t, process)
}

func TestRun_that_fails_to_start_has_no_output(t *testing.T) {
	output, err := newTestService(t, nil).Run(t.Context(), "no-such-program")
	assert.ErrorIs(t, err, exec.ErrNotFound)
	assert.Empty(t, output)
}
