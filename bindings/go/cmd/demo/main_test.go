package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	process "dappco.re/go/core/process"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// runDemo runs the demo with its output in a file, which is no terminal.
func runDemo(t *testing.T, ctx context.Context, args ...string) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stdout")
	stdout, err := os.Create(path)
	require.NoError(t, err)
	defer func() { assert.NoError(t, stdout.Close()) }()
	failure := run(ctx, args, stdout)
	printed, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(printed), failure
}

// linesOf returns the lines that start with prefix, without it.
func linesOf(printed, prefix string) []string {
	var found []string
	for line := range strings.Lines(printed) {
		if rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), prefix); ok {
			found = append(found, rest)
		}
	}
	return found
}

func TestDemo_runs_the_real_commands_and_tells_how_each_ended(t *testing.T) {
	printed, err := runDemo(t, t.Context())
	require.NoError(t, err, printed)

	assert.True(t, strings.HasPrefix(printed, "coreproc "+process.Version()+" from Go\n\n"), printed)
	assert.NotContains(t, printed, "\x1b", "no colours where there is no terminal")
	assert.Equal(t, []string{"compiled demo.c, without a warning"}, linesOf(printed, "compile  | "))
	assert.Empty(t, linesOf(printed, "compile  ! "))
	assert.Equal(t, []string{"no such configuration: site.conf"}, linesOf(printed, "fails    ! "))
	assert.Equal(t, []string{"step 1", "step 2", "step 3"}, linesOf(printed, "streams  | "))
	assert.Equal(t, []string{"note on step 1", "note on step 2", "note on step 3"}, linesOf(printed, "streams  ! "))
	assert.Equal(t, []string{"this would take 30 seconds"}, linesOf(printed, "slow     | "))

	for _, job := range jobs {
		assert.Equal(t, []string{job.about}, linesOf(printed, fmt.Sprintf("  %-8s ", job.name)), "in the legend")
	}
	assert.True(t, strings.HasSuffix(printed, "\nAll ended as they were meant to.\n"), printed)
	for _, row := range []string{
		`COMMAND   STATUS     CODE         DURATION   BYTES`,
		`compile   passed     0          +\d+\.\d{3} s +\d+`,
		`fails     failed     3          +\d+\.\d{3} s      33`,
		`streams   passed     0          +\d+\.\d{3} s      66`,
		`slow      timed out  SIGTERM    +\d+\.\d{3} s      27`,
	} {
		assert.Regexp(t, regexp.MustCompile("(?m)^"+row+"$"), printed)
	}
}

func TestDemo_fails_when_a_command_does_not_end_as_it_should(t *testing.T) {
	printed, err := runDemo(t, t.Context(), t.TempDir())
	assert.ErrorIs(t, err, errUnexpected, "there is no bindings/c to compile in an empty directory")
	assert.Regexp(t, regexp.MustCompile(`(?m)^compile   failed     1 `), printed)
	assert.True(t, strings.HasSuffix(printed, "\nNot all ended as they were meant to.\n"), printed)
}

func TestDemo_cancelled_kills_its_commands(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := runDemo(t, ctx)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestPrinter_colours_the_name_and_marks_stderr(t *testing.T) {
	var out bytes.Buffer
	printer := &printer{out: &out, coloured: true, jobs: map[string]job{"proc-1": {name: "fails", colour: 31}}}
	printer.handle(process.ActionProcessOutput{ID: "proc-1", Line: "one", Stream: process.StreamStdout})
	printer.handle(process.ActionProcessOutput{ID: "proc-1", Line: "two", Stream: process.StreamStderr})
	printer.handle(process.ActionProcessExited{ID: "proc-1"})
	assert.Equal(t, "\x1b[31mfails   \x1b[0m | one\n\x1b[31mfails   \x1b[0m ! two\n", out.String())
}
