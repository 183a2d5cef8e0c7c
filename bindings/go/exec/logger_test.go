package exec_test

import (
	"sync"
	"testing"

	"dappco.re/go/core/process/exec"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLogger_hears_of_each_command_once(t *testing.T) {
	logger := new(recorder)
	require.NoError(t, exec.Command(within(t), "echo", "a", "b").WithLogger(logger).Run())
	assert.Equal(t, []string{"debug: executing command"}, logger.seen())
	assert.Equal(t, []any{"cmd", "echo", "args", []string{"a", "b"}}, logger.keys[0])
}

func TestLogger_hears_of_each_failure_once(t *testing.T) {
	for name, run := range map[string]func(*exec.Cmd) error{
		"Run":            (*exec.Cmd).Run,
		"Output":         func(c *exec.Cmd) error { _, err := c.Output(); return err },
		"CombinedOutput": func(c *exec.Cmd) error { _, err := c.CombinedOutput(); return err },
		"Start and Wait": func(c *exec.Cmd) error {
			if err := c.Start(); err != nil {
				return err
			}
			_ = c.Wait()
			return c.Wait()
		},
	} {
		logger := new(recorder)
		err := run(exec.Command(within(t), "false").WithLogger(logger))
		require.Error(t, err, name)
		assert.Equal(t, []string{"debug: executing command", "error: command failed"}, logger.seen(), name)
		keys := logger.keys[1]
		require.Len(t, keys, 6)
		assert.Equal(t, []any{"cmd", "false", "args", []string(nil), "err"}, keys[:5])
		assert.Error(t, keys[5].(error))
	}
	logger := new(recorder)
	require.Error(t, exec.Command(within(t), "coreproc-no-such-program").WithLogger(logger).Run())
	assert.Equal(t, []string{"debug: executing command", "error: command failed"}, logger.seen())
}

func TestLogger_default_is_silent_and_can_be_set(t *testing.T) {
	defer exec.SetDefaultLogger(nil)
	assert.Equal(t, exec.NopLogger{}, exec.DefaultLogger())
	logger := new(recorder)
	exec.SetDefaultLogger(logger)
	assert.Same(t, logger, exec.DefaultLogger())
	require.Error(t, exec.RunQuiet(within(t), "false"))
	assert.Equal(t, []string{"debug: executing command", "error: command failed"}, logger.seen())
	own := new(recorder)
	require.NoError(t, exec.Command(within(t), "true").WithLogger(own).Run())
	assert.Len(t, logger.seen(), 2)
	assert.Len(t, own.seen(), 1)
	exec.SetDefaultLogger(nil)
	assert.Equal(t, exec.NopLogger{}, exec.DefaultLogger())
}

func TestLogger_default_may_be_set_while_commands_run(t *testing.T) {
	defer exec.SetDefaultLogger(nil)
	logger := new(recorder)
	var group sync.WaitGroup
	times := count(t, 20)
	for range 4 {
		group.Go(func() {
			for range times {
				exec.SetDefaultLogger(logger)
				assert.NoError(t, exec.Command(within(t), "true").Run())
				_ = exec.DefaultLogger()
				exec.SetDefaultLogger(nil)
			}
		})
	}
	group.Wait()
}
