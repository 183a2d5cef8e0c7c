package process

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"dappco.re/go/core/process/internal/capi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPIDFile_is_held_by_one(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dir", "it.pid")
	pid, alive := ReadPID(path)
	assert.Equal(t, []any{0, false}, []any{pid, alive}, "there is none")

	first, second := NewPIDFile(path), NewPIDFile(path)
	assert.Equal(t, path, first.Path())
	require.NoError(t, second.Release(), "releasing what is not held is fine")
	require.NoError(t, first.Acquire())
	err := second.Acquire()
	assert.ErrorIs(t, err, capi.ErrBusy)
	assert.ErrorContains(t, err, strconv.Itoa(os.Getpid()))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, strconv.Itoa(os.Getpid()), strings.TrimSpace(string(text)))
	pid, alive = ReadPID(path)
	assert.Equal(t, []any{os.Getpid(), true}, []any{pid, alive})

	require.NoError(t, first.Release())
	require.NoError(t, first.Release())
	assert.NoFileExists(t, path)
	require.NoError(t, second.Acquire())
	require.NoError(t, second.Release())
}

func TestPIDFile_takes_over_a_stale_one_and_refuses_others(t *testing.T) {
	path := filepath.Join(t.TempDir(), "it.pid")
	const unused = 1<<22 + 1
	require.NoError(t, os.WriteFile(path, []byte(strconv.Itoa(unused)), 0o644))
	pid, alive := ReadPID(path)
	assert.Equal(t, []any{unused, false}, []any{pid, alive})
	file := NewPIDFile(path)
	require.NoError(t, file.Acquire())
	require.NoError(t, file.Release())

	require.NoError(t, os.WriteFile(path, []byte("no number"), 0o644))
	_, alive = ReadPID(path)
	assert.False(t, alive)
	assert.ErrorIs(t, file.Acquire(), capi.ErrMalformed)
	for _, bad := range []string{"", "a\x00b"} {
		assert.Error(t, NewPIDFile(bad).Acquire())
		assert.NoError(t, NewPIDFile(bad).Release())
	}
}
