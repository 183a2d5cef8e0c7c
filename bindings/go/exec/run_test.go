package exec_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	process "dappco.re/go/core/process"
	"dappco.re/go/core/process/exec"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun_succeeds_with_exit_code_0_alone(t *testing.T) {
	require.NoError(t, exec.Command(within(t), "true").Run())
	for _, code := range []int{1, 7, 255} {
		err := exec.Command(within(t), "sh", "-c", "exit "+strconv.Itoa(code)).Run()
		var exit *process.ExitError
		require.ErrorAs(t, err, &exit)
		assert.Equal(t, code, exit.ExitCode())
		assert.Zero(t, exit.Signal())
	}
}

func TestErrors_read_well(t *testing.T) {
	ctx := within(t)
	err := exec.Command(ctx, "sh", "-c", "exit 7").Run()
	assert.EqualError(t, err, `Cmd.Run: command "sh -c exit 7" failed with exit code 7`)
	_, err = exec.Command(ctx, "sh", "-c", "exit 8").Output()
	assert.EqualError(t, err, `Cmd.Output: command "sh -c exit 8" failed with exit code 8`)
	_, err = exec.Command(ctx, "sh", "-c", "exit 9").CombinedOutput()
	assert.EqualError(t, err, `Cmd.CombinedOutput: command "sh -c exit 9" failed with exit code 9`)
	err = exec.Command(ctx, "sh", "-c", "kill -TERM $$").Run()
	assert.EqualError(t, err, `Cmd.Run: command "sh -c kill -TERM $$" was killed by SIGTERM`)
	err = exec.RunQuiet(ctx, "sh", "-c", "echo out; echo 'no such luck' >&2; exit 3")
	assert.ErrorContains(t, err, `failed with exit code 3: no such luck`)
	assert.NotContains(t, err.Error(), ": out")
}

func TestExit_by_a_signal_is_told_apart(t *testing.T) {
	err := exec.Command(within(t), "sh", "-c", "kill -KILL $$").Run()
	var exit *process.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, -1, exit.ExitCode())
	assert.Equal(t, syscall.SIGKILL, exit.Signal())
}

func TestOutput_is_byte_exact_and_stdout_alone(t *testing.T) {
	output, err := exec.Command(within(t), "sh", "-c", `printf 'a\000\377\r\nb'; echo noise >&2`).Output()
	require.NoError(t, err)
	assert.Equal(t, "a\x00\xff\r\nb", string(output))
}

func TestOutput_is_not_cut(t *testing.T) {
	want, err := osexec.Command("seq", "1000000").Output()
	require.NoError(t, err)
	require.Greater(t, len(want), 4<<20)
	for name, run := range map[string]func(*exec.Cmd) ([]byte, error){
		"Output": (*exec.Cmd).Output, "CombinedOutput": (*exec.Cmd).CombinedOutput,
		"beside a Writer": func(cmd *exec.Cmd) ([]byte, error) { return cmd.WithStderr(new(bytes.Buffer)).Output() },
	} {
		got, err := run(exec.Command(within(t), "seq", "1000000"))
		require.NoError(t, err, name)
		assert.True(t, bytes.Equal(want, got), "%s: the same bytes", name)
	}
}

func TestOutput_of_a_failure_is_nil_and_CombinedOutput_what_there_was(t *testing.T) {
	output, err := exec.Command(within(t), "sh", "-c", "echo out; exit 1").Output()
	assert.Error(t, err)
	assert.Nil(t, output)
	output, err = exec.Command(within(t), "sh", "-c", "echo out; echo err >&2; exit 1").CombinedOutput()
	assert.Error(t, err)
	assert.Equal(t, "out\nerr\n", string(output))
}

func TestCombinedOutput_keeps_the_order_of_the_streams(t *testing.T) {
	output, err := exec.Command(within(t), "sh", "-c", "for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done").CombinedOutput()
	require.NoError(t, err)
	assert.Equal(t, "o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n", string(output))
}

func TestOutput_has_no_place_beside_a_stdout_that_is_set(t *testing.T) {
	_, err := exec.Command(within(t), "true").WithStdout(io.Discard).Output()
	assert.ErrorContains(t, err, "Cmd.Output: stdout is set already")
	_, err = exec.Command(within(t), "true").WithStdout(io.Discard).CombinedOutput()
	assert.ErrorContains(t, err, "stdout is set already")
	_, err = exec.Command(within(t), "true").WithStderr(io.Discard).CombinedOutput()
	assert.ErrorContains(t, err, "stderr is set already")
}

func TestWith_chains(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("COREPROC_INHERITED", "yes")
	t.Setenv("COREPROC_REPLACED", "old")
	var stdout, stderr bytes.Buffer
	err := exec.Command(within(t), "sh", "-c", `pwd; echo "$COREPROC_INHERITED $COREPROC_REPLACED $ADDED $PWD"; cat; echo err >&2`).
		WithDir(dir).
		WithEnv([]string{"ADDED=first", "COREPROC_REPLACED=new"}).
		WithEnv([]string{"ADDED=last"}).
		WithStdin(strings.NewReader("from stdin\n")).
		WithStdout(&stdout).
		WithStderr(&stderr).
		WithLogger(exec.NopLogger{}).
		WithBackground(false).
		Run()
	require.NoError(t, err)
	assert.Equal(t, dir+"\nyes new last "+dir+"\nfrom stdin\n", stdout.String())
	assert.Equal(t, "err\n", stderr.String())
}

func TestStreams_that_are_not_set_are_null(t *testing.T) {
	output, err := exec.Command(within(t), "sh", "-c", "cat; readlink /proc/self/fd/0 /proc/self/fd/2").Output()
	require.NoError(t, err)
	assert.Equal(t, "/dev/null\n/dev/null\n", string(output))
}

func TestProcess_is_in_this_programs_group(t *testing.T) {
	output, err := exec.Command(within(t), "sh", "-c", "cut -d' ' -f5 /proc/self/stat").Output()
	require.NoError(t, err)
	assert.Equal(t, strconv.Itoa(syscall.Getpgrp())+"\n", string(output))
}

func TestProgram_is_found_as_by_LookPath(t *testing.T) {
	// Given a directory in PATH,
	bin := t.TempDir()
	tool := filepath.Join(bin, "coreproc-tool")
	require.NoError(t, os.WriteFile(tool, []byte("#!/bin/sh\necho found $0\n"), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))

	// then a program in it is found, even if the child has another PATH, and the program sees its name without a path.
	output, err := exec.Command(within(t), "coreproc-tool").WithEnv([]string{"PATH=/nowhere"}).Output()
	require.NoError(t, err)
	assert.Equal(t, "found "+tool+"\n", string(output))

	// A path with a slash is relative to the command's directory.
	output, err = exec.Command(within(t), "./coreproc-tool").WithDir(bin).Output()
	require.NoError(t, err)
	assert.Equal(t, "found ./coreproc-tool\n", string(output))

	// A program that is not found has the error of os/exec.
	for _, name := range []string{"coreproc-no-such-program", "/no/such/program"} {
		err = exec.Command(within(t), name).Run()
		require.ErrorIs(t, err, osexec.ErrNotFound, name)
		assert.ErrorContains(t, err, "Cmd.Run: command \""+name+"\" failed to start: ")
	}
	var failure *osexec.Error
	require.ErrorAs(t, exec.Command(within(t), "coreproc-no-such-program").Run(), &failure)

	// A file that may not be executed is found, but not allowed.
	require.NoError(t, os.Chmod(tool, 0o644))
	err = exec.Command(within(t), tool).Run()
	assert.ErrorIs(t, err, os.ErrPermission)
	assert.NotErrorIs(t, err, osexec.ErrNotFound)
}

func TestProgram_in_the_directory_itself_is_refused_as_by_os_exec(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "coreproc-here"), []byte("#!/bin/sh\n"), 0o755))
	t.Chdir(dir)
	t.Setenv("PATH", ".")
	assert.ErrorIs(t, exec.Command(within(t), "coreproc-here").Run(), osexec.ErrDot)
}

func TestDirectory_that_is_missing_is_not_a_missing_program(t *testing.T) {
	err := exec.Command(within(t), "true").WithDir("/no/such/dir").Run()
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "/no/such/dir")
	assert.NotErrorIs(t, err, osexec.ErrNotFound)
}

func TestBad_input_is_an_error(t *testing.T) {
	var none context.Context
	for name, run := range map[string]func() error{
		"Run":            func() error { return exec.Command(none, "true").Run() },
		"Start":          func() error { return exec.Command(none, "true").Start() },
		"Output":         func() error { _, err := exec.Command(none, "true").Output(); return err },
		"CombinedOutput": func() error { _, err := exec.Command(none, "true").CombinedOutput(); return err },
		"RunQuiet":       func() error { return exec.RunQuiet(none, "true") },
		"background":     func() error { return exec.Command(none, "true").WithBackground(true).Run() },
	} {
		assert.ErrorIs(t, run(), exec.ErrCommandContextRequired, name)
	}
	ctx := within(t)
	assert.ErrorContains(t, exec.Command(ctx, "").Run(), "Cmd.Run: command name is required")
	assert.ErrorContains(t, exec.Command(ctx, "true", "a\x00b").Run(), "NUL")
	assert.ErrorContains(t, exec.Command(ctx, "true").WithEnv([]string{"A=\x00"}).Run(), "NUL")
	assert.ErrorContains(t, exec.Command(ctx, "true").WithEnv([]string{"A"}).Run(), "A")
	assert.ErrorContains(t, exec.Command(ctx, "true").Wait(), "Cmd.Wait: command was not started")
	assert.ErrorIs(t, exec.Command(ctx, "true").WithStdout((*os.File)(nil)).Run(), os.ErrInvalid)
	closed, err := os.Open(os.DevNull)
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	err = exec.Command(ctx, "true").WithStdin(closed).Run()
	assert.ErrorIs(t, err, os.ErrClosed)
	assert.ErrorContains(t, err, `stdin: "/dev/null"`)
}

func TestCmd_runs_once(t *testing.T) {
	cmd := exec.Command(within(t), "true")
	require.NoError(t, cmd.Run())
	assert.ErrorContains(t, cmd.Run(), "already started")
	assert.ErrorContains(t, cmd.Start(), "already started")
	_, err := cmd.Output()
	assert.ErrorContains(t, err, "already started")
}

func TestStart_does_not_wait_and_Wait_does(t *testing.T) {
	input, release := io.Pipe()
	var output bytes.Buffer
	cmd := exec.Command(within(t), "cat").WithStdin(input).WithStdout(&output)
	require.NoError(t, cmd.Start())
	_, err := io.WriteString(release, "later")
	require.NoError(t, err)
	require.NoError(t, release.Close())
	require.NoError(t, cmd.Wait())
	require.NoError(t, cmd.Wait(), "again")
	assert.Equal(t, "later", output.String())
}

func TestBackground_returns_at_once(t *testing.T) {
	input, release := io.Pipe()
	logger := new(recorder)
	done := make(chan struct{})
	err := exec.Command(within(t), "sh", "-c", "read line; echo $line; exit 5").WithStdin(input).
		WithStdout(writerFunc(func(data []byte) (int, error) { close(done); return len(data), nil })).
		WithLogger(logger).WithBackground(true).Run()
	require.NoError(t, err)
	assert.Equal(t, []string{"debug: executing command"}, logger.seen())
	_, err = io.WriteString(release, "go\n")
	require.NoError(t, err)
	await(t, done, "the output of a command in the background")
	require.NoError(t, release.Close())
	eventually(t, "the failure is logged", func() bool { return len(logger.seen()) == 2 })
	assert.Equal(t, "error: command failed", logger.seen()[1])
}

func TestBackground_has_no_output_to_give(t *testing.T) {
	_, err := exec.Command(within(t), "true").WithBackground(true).Output()
	assert.ErrorContains(t, err, "Cmd.Output: ")
	_, err = exec.Command(within(t), "true").WithBackground(true).CombinedOutput()
	assert.ErrorContains(t, err, "Cmd.CombinedOutput: ")
}

func TestBackground_tells_at_once_what_cannot_start(t *testing.T) {
	err := exec.Command(within(t), "coreproc-no-such-program").WithBackground(true).Run()
	assert.ErrorIs(t, err, osexec.ErrNotFound)
}

func TestContext_kills(t *testing.T) {
	ctx, cancel := context.WithCancel(within(t))
	started := make(chan struct{})
	result := make(chan error)
	go func() {
		result <- exec.Command(ctx, "sh", "-c", "echo started; exec sleep 1000").
			WithStdout(writerFunc(func(data []byte) (int, error) { close(started); return len(data), nil })).Run()
	}()
	await(t, started, "the start")
	cancel()
	err := await(t, result, "the end")
	var exit *process.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, syscall.SIGKILL, exit.Signal())
	assert.ErrorIs(t, err, context.Canceled)
}

func TestContext_that_is_done_starts_nothing(t *testing.T) {
	ctx, cancel := context.WithCancel(within(t))
	cancel()
	err := exec.Command(ctx, "true").Run()
	assert.ErrorIs(t, err, context.Canceled)
}

func TestRunQuiet_is_quiet_about_success(t *testing.T) {
	assert.NoError(t, exec.RunQuiet(within(t), "sh", "-c", "echo noise; echo noise >&2"))
	err := exec.RunQuiet(within(t), "sh", "-c", "exit 4")
	assert.EqualError(t, err, `RunQuiet: command "sh -c exit 4" failed with exit code 4`)
	var exit *process.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 4, exit.ExitCode())
}

func TestGrandchild_that_holds_the_output_delays_the_end_by_a_bound(t *testing.T) {
	// The grandchild lives until this test ends it, so that the order does not depend on time.
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	output, err := exec.Command(within(t), "sh", "-c", "{ read line <"+fifo+"; } & echo done").CombinedOutput()
	require.NoError(t, err)
	assert.Equal(t, "done\n", string(output))
	release, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	require.NoError(t, err, "it lives still")
	require.NoError(t, release.Close())
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(data []byte) (int, error) { return f(data) }

var errBroken = errors.New("broken")
