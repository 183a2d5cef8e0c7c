package capi

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCommand_refuses_mistakes_by_name(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	pipeline, err := NewPipeline()
	require.NoError(t, err)
	defer pipeline.Close()
	for name, set := range map[string]func(*Command){
		"NUL in an argument":   func(c *Command) { c.Args("fine", "a\x00b") },
		"NUL in an entry":      func(c *Command) { c.Env([]string{"A=1", "B=\x00C=1"}) },
		"entry without =":      func(c *Command) { c.Env([]string{"A"}) },
		"NUL in the directory": func(c *Command) { c.Dir("/\x00") },
		"unknown stream":       func(c *Command) { c.Stdio(Stream(99), StdioNull) },
		"unknown mode":         func(c *Command) { c.Stdio(Stdout, StdioMode(99)) },
		"stdin cannot merge":   func(c *Command) { c.Stdio(Stdin, StdioMerge) },
		"unknown scope":        func(c *Command) { c.StopBy(StopOptions{Scope: Scope(99)}) },
		"unknown signal":       func(c *Command) { c.StopBy(StopOptions{Signal: 1000}) },
	} {
		command := NewCommand("true")
		set(command)
		_, _, spawnErr := command.Spawn(service)
		_, addErr := pipeline.Add(name, command)
		command.Close()
		for _, err := range []error{spawnErr, addErr} {
			assert.ErrorIs(t, err, ErrInvalidArgument, name)
			assert.NotEmpty(t, err.Error(), name)
		}
	}
	empty := NewCommand("")
	defer empty.Close()
	_, _, err = empty.Spawn(service)
	assert.ErrorIs(t, err, ErrInvalidArgument)
}

func TestCommand_names_all_its_mistakes(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	command := NewCommand("true")
	defer command.Close()
	command.Args("\x00")
	command.Dir("")
	command.Env([]string{"A=\x00"})
	_, _, err := command.Spawn(service)
	for _, part := range []string{"argument 1", "cwd", `"A=\x00"`} {
		assert.ErrorContains(t, err, part)
	}
}

func TestCommand_gives_a_descriptor_that_its_owner_has_closed(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{})
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer write.Close()
	command := NewCommand("cat")
	defer command.Close()
	require.NoError(t, command.StdioFd(Stdin, read.Fd()))
	require.NoError(t, read.Close())
	process, _, err := command.Spawn(service)
	require.NoError(t, err)
	command.Close()
	_, err = write.WriteString("read\n")
	require.NoError(t, err)
	require.NoError(t, write.Close())
	eventsOf(t, subscription, process)
	output, err := process.Output()
	require.NoError(t, err)
	assert.Equal(t, "read\n", string(output))
	assert.ErrorIs(t, NewCommand("true").StdioFd(Stdin, ^uintptr(0)), ErrInvalidArgument)
}

func TestCommand_can_be_spawned_again(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{})
	command := NewCommand("sh")
	defer command.Close()
	command.Args("-c", `echo "$FROM" "$PWD"; echo merged >&2`)
	command.Env([]string{"FROM=Go", "PWD=/"})
	command.SearchPath(os.Getenv("PATH"))
	command.Dir("/")
	command.Stdio(Stderr, StdioMerge)
	for range 3 {
		process, _, err := command.Spawn(service)
		require.NoError(t, err)
		eventsOf(t, subscription, process)
		output, err := process.Output()
		require.NoError(t, err)
		assert.Equal(t, "Go /\nmerged\n", string(output))
	}
}
