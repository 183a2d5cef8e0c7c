package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"dappco.re/go/core/process/internal/capi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func tryRun(t *testing.T, json string) (success bool, chart string, err error) {
	t.Helper()
	dir := t.TempDir()
	file, svg := filepath.Join(dir, "pipeline.json"), filepath.Join(dir, "chart.svg")
	require.NoError(t, os.WriteFile(file, []byte(json), 0o600))
	success, err = run(file, svg, filepath.Join(dir, "history.json"))
	written, _ := os.ReadFile(svg)
	return success, string(written), err
}

func TestAPipelineFileIsRunAndCharted(t *testing.T) {
	success, chart, err := tryRun(t, `{"version": 1, "specs": [
		{"name": "a", "command": ["true"]}, {"name": "b", "after": ["a"], "command": ["true"]}]}`)
	require.NoError(t, err)
	assert.True(t, success)
	assert.Contains(t, chart, "</svg>")
}

func TestAFailedSpecFailsTheRun(t *testing.T) {
	success, chart, err := tryRun(t, `{"version": 1, "specs": [{"name": "a", "command": ["false"]}]}`)
	require.NoError(t, err)
	assert.False(t, success)
	assert.Contains(t, chart, "</svg>")
}

func TestTheClosingListNamesTheSpecsThatDidNotSimplyPass(t *testing.T) {
	var out bytes.Buffer
	printEnds(&out, []capi.SpecEnd{
		{Name: "build", Passed: true, Attempts: 1},
		{Name: "fetch", Passed: true, Attempts: 2},
		{Name: "lint", Error: "exit code 1", Allowed: true, Attempts: 1},
		{Name: "sign", Error: "exit code 3", Attempts: 1},
	})
	assert.Equal(t, "fetch: passed at attempt 2\nlint: exit code 1 (allowed)\nsign: exit code 3\n", out.String())
}

func TestAFileThatIsWrongIsAnErrorThatSaysWhere(t *testing.T) {
	_, _, err := tryRun(t, `{"version": 1, "specs": [{"name": "a", "comand": ["true"]}]}`)
	assert.ErrorContains(t, err, "specs[0].comand")
	assert.ErrorContains(t, err, `"command"`)
}
