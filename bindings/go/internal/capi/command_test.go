package capi

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCommand_refuses_mistakes_by_name(t *testing.T) {
	command, err := NewCommand("true")
	require.NoError(t, err)
	defer command.Close()
	_, empty := NewCommand("")
	for name, err := range map[string]error{
		"empty program":        empty,
		"NUL in an argument":   command.Args("fine", "a\x00b"),
		"NUL in an entry":      command.Env([]string{"A=1", "B=\x00C=1"}),
		"entry without =":      command.Env([]string{"A"}),
		"NUL in the directory": command.Dir("/\x00"),
		"unknown stream":       command.Stdio(Stream(99), StdioNull),
		"unknown mode":         command.Stdio(Stdout, StdioMode(99)),
		"stdin cannot merge":   command.Stdio(Stdin, StdioMerge),
		"unknown scope":        command.StopBy(StopOptions{Scope: Scope(99)}),
		"unknown signal":       command.StopBy(StopOptions{Signal: 1000}),
	} {
		assert.ErrorIs(t, err, ErrInvalidArgument, name)
		assert.NotEmpty(t, err.Error(), name)
	}
}

func TestCommand_can_be_spawned_again(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{})
	command, err := NewCommand("sh")
	require.NoError(t, err)
	defer command.Close()
	require.NoError(t, command.Args("-c", `echo "$FROM" "$PWD"; echo merged >&2`))
	require.NoError(t, command.Env([]string{"FROM=Go", "PWD=/"}))
	require.NoError(t, command.SearchPath(os.Getenv("PATH")))
	require.NoError(t, command.Dir("/"))
	require.NoError(t, command.Stdio(Stderr, StdioMerge))
	for range 3 {
		process, err := command.Spawn(service)
		require.NoError(t, err)
		eventsOf(t, subscription, process)
		output, err := process.Output()
		require.NoError(t, err)
		assert.Equal(t, "Go /\nmerged\n", string(output))
	}
}
