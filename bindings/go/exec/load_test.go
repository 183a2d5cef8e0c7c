package exec_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	process "dappco.re/go/core/process"
	"dappco.re/go/core/process/exec"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLoad_many_goroutines_run_commands_and_leave_nothing(t *testing.T) {
	// The first commands of each kind start goroutines and threads that stay.
	require.NoError(t, exec.Command(within(t), "true").WithStdout(new(bytes.Buffer)).Run())
	require.NoError(t, exec.Command(within(t), "true").Run())
	before := measure(t)

	const workers = 16
	var group sync.WaitGroup
	times := count(t, 20)
	for worker := range workers {
		group.Go(func() {
			for i := range times {
				one(t, worker, i)
			}
		})
	}
	group.Wait()
	returnsTo(t, before)
}

// one runs a command of one of the kinds, and checks all of its results.
func one(t *testing.T, worker, i int) {
	code := (worker + i) % 4
	text := fmt.Sprintf("worker %d, command %d", worker, i)
	cmd := exec.Command(within(t), "sh", "-c", `cat; echo err >&2; exit `+fmt.Sprint(code)).WithStdin(strings.NewReader(text))
	var stdout, stderr bytes.Buffer
	var got, want string
	var err error
	switch worker % 4 {
	case 0:
		err = cmd.WithStdout(&stdout).WithStderr(&stderr).Run()
		got, want = stdout.String()+stderr.String(), text+"err\n"
	case 1:
		var output []byte
		output, err = cmd.Output()
		if got = string(output); code == 0 {
			want = text
		}
	case 2:
		var output []byte
		output, err = cmd.CombinedOutput()
		got, want = string(output), text+"err\n"
	case 3:
		err = cmd.Run()
	}
	assert.Equal(t, want, got)
	if code == 0 {
		assert.NoError(t, err)
		return
	}
	var exit *process.ExitError
	if assert.ErrorAs(t, err, &exit) {
		assert.Equal(t, code, exit.ExitCode())
	}
}

func TestLoad_commands_that_run_cost_no_goroutine_and_no_thread(t *testing.T) {
	require.NoError(t, exec.Command(within(t), "true").Run())
	quiet := measure(t)
	running := count(t, 200)
	cmds := make([]*exec.Cmd, running)
	for i := range cmds {
		cmds[i] = exec.Command(t.Context(), "sleep", "1000")
		require.NoError(t, cmds[i].Start())
	}
	now := measure(t)
	assert.LessOrEqual(t, now.goroutines, quiet.goroutines)
	assert.Less(t, now.threads, quiet.threads+20, "%d commands run", running)
}
