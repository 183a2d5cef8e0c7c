package main

import (
	"os"
	"path/filepath"
	"testing"

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

func TestAFileThatIsWrongIsAnErrorThatSaysWhere(t *testing.T) {
	_, _, err := tryRun(t, `{"version": 1, "specs": [{"name": "a", "comand": ["true"]}]}`)
	assert.ErrorContains(t, err, "specs[0].comand")
	assert.ErrorContains(t, err, `"command"`)
}
