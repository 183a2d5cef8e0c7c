package process

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// programFile is an executable script.
func programFile(t *testing.T, dir, name, script string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	return path
}

func TestProgram_is_found_in_PATH(t *testing.T) {
	bin := t.TempDir()
	path := programFile(t, bin, "coreproc-tool", "echo here")
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	program := &Program{Name: "coreproc-tool"}
	require.NoError(t, program.Find())
	assert.Equal(t, path, program.Path)
	require.NoError(t, program.Find(), "again")
	assert.Equal(t, path, program.Path)
}

func TestProgram_prefers_a_path_that_leads_to_it(t *testing.T) {
	dir := t.TempDir()
	path := programFile(t, dir, "true", "echo mine")
	t.Chdir(dir)
	for _, given := range []string{path, "./true", "true"} {
		program := &Program{Name: "true", Path: given}
		require.NoError(t, program.Find())
		assert.Equal(t, path, program.Path, given)
	}
	alone := &Program{Path: path}
	require.NoError(t, alone.Find())
	assert.Equal(t, path, alone.Path)
}

func TestProgram_is_looked_up_when_its_path_leads_nowhere(t *testing.T) {
	want, err := exec.LookPath("true")
	require.NoError(t, err)
	for _, path := range []string{"/no/such/file", t.TempDir()} {
		program := &Program{Name: "true", Path: path}
		require.NoError(t, program.Find())
		assert.Equal(t, want, program.Path)
	}
}

func TestProgram_that_is_nowhere_is_not_found(t *testing.T) {
	for _, program := range []*Program{
		{Name: "coreproc-no-such-program"}, {Name: "coreproc-no-such-program", Path: "/no/such/file"}, {Path: "/no/such/file"},
	} {
		before := *program
		assert.ErrorIs(t, program.Find(), ErrProgramNotFound)
		assert.Equal(t, before, *program)
	}
	err := (&Program{Name: "coreproc-no-such-program"}).Find()
	assert.ErrorIs(t, err, exec.ErrNotFound)
	assert.ErrorContains(t, err, "coreproc-no-such-program")
	_, err = (&Program{Name: "coreproc-no-such-program"}).Run(t.Context())
	assert.ErrorIs(t, err, ErrProgramNotFound)
	assert.ErrorIs(t, err, exec.ErrNotFound)
}

func TestProgram_needs_a_name_and_a_context(t *testing.T) {
	var none context.Context
	assert.ErrorIs(t, (&Program{}).Find(), ErrProgramNameRequired)
	_, err := (&Program{}).Run(t.Context())
	assert.ErrorIs(t, err, ErrProgramNameRequired)
	_, err = (&Program{Name: "true"}).Run(none)
	assert.ErrorIs(t, err, ErrProgramContextRequired)
	_, err = (&Program{Name: "true"}).RunDir(none, "/")
	assert.ErrorIs(t, err, ErrProgramContextRequired)
}

func TestProgram_gives_its_output_in_order_and_without_white_space_at_the_end(t *testing.T) {
	program := &Program{Name: "sh"}
	output, err := program.Run(t.Context(), "-c", `echo " one"; echo two >&2; echo three; printf ' \t\r\n\n'`)
	require.NoError(t, err)
	assert.Equal(t, " one\ntwo\nthree", output)
}

func TestProgram_that_fails_gives_its_output_too(t *testing.T) {
	output, err := (&Program{Name: "sh"}).Run(t.Context(), "-c", "echo broken >&2; exit 3")
	assert.Equal(t, "broken", output)
	var exit *ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 3, exit.ExitCode())
	assert.EqualError(t, err, `Program.Run: command "sh -c echo broken >&2; exit 3" failed with exit code 3`)
}

func TestProgram_output_is_not_cut(t *testing.T) {
	output, err := (&Program{Name: "seq"}).Run(t.Context(), "500000")
	require.NoError(t, err)
	assert.Greater(t, len(output), 3<<20)
	assert.Equal(t, "1\n2\n3", output[:5])
	assert.Equal(t, "\n500000", output[len(output)-7:])
}

func TestProgram_runs_in_a_directory(t *testing.T) {
	dir := t.TempDir()
	output, err := (&Program{Name: "sh"}).RunDir(t.Context(), dir, "-c", `pwd; echo "$PWD"; cat`)
	require.NoError(t, err)
	assert.Equal(t, dir+"\n"+dir, output)
	_, err = (&Program{Name: "true"}).RunDir(t.Context(), "/no/such/dir")
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.NotErrorIs(t, err, ErrProgramNotFound)
}

func TestProgram_is_killed_when_its_context_is_done(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	go func() {
		// The open returns when the program opens it, too, and so runs.
		file, err := os.OpenFile(fifo, os.O_WRONLY, 0)
		assert.NoError(t, err)
		cancel()
		_ = file.Close()
	}()
	output, err := (&Program{Name: "sh"}).Run(ctx, "-c", "echo started; : <"+fifo+"; exec sleep 1000")
	var exit *ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, syscall.SIGKILL, exit.Signal())
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, "started", output)
}
