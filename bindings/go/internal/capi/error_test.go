package capi

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestResult_has_the_name_of_its_constant(t *testing.T) {
	for result, name := range map[Result]string{
		ErrInvalidArgument: "COREPROC_INVALID_ARGUMENT", ErrNotFound: "COREPROC_NOT_FOUND",
		ErrPermissionDenied: "COREPROC_PERMISSION_DENIED", ErrSystem: "COREPROC_SYSTEM",
		ErrOutOfMemory: "COREPROC_OUT_OF_MEMORY", ErrNotRunning: "COREPROC_NOT_RUNNING",
		ErrStdinClosed: "COREPROC_STDIN_CLOSED", ErrTimedOut: "COREPROC_TIMED_OUT", ErrClosed: "COREPROC_CLOSED",
		ErrDeadlock: "COREPROC_DEADLOCK", ErrForked: "COREPROC_FORKED", ErrPanic: "COREPROC_PANIC",
		ErrUnsupported: "COREPROC_UNSUPPORTED", Result(-1000): "COREPROC_UNKNOWN",
	} {
		assert.Equal(t, name, result.Error())
	}
}

func TestError_carries_what_the_library_said(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	command := NewCommand("/no/such/program")
	defer command.Close()

	_, _, err := command.Spawn(service)

	var failure *Error
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, ErrNotFound, failure.Result)
	assert.Equal(t, syscall.ENOENT, failure.Errno)
	assert.Equal(t, "spawn", failure.Op)
	assert.NotEmpty(t, failure.Stage)
	assert.Contains(t, failure.Message, `spawn "/no/such/program"`)
	assert.Equal(t, failure.Message, err.Error())
	assert.ErrorIs(t, err, ErrNotFound)
	assert.ErrorIs(t, err, syscall.ENOENT)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.NotErrorIs(t, err, ErrTimedOut)
	count, err := service.Count()
	require.NoError(t, err)
	assert.Equal(t, 0, count, "nothing was spawned")
}
