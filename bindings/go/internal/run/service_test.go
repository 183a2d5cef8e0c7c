package run

import (
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type blockingWriter struct{ blocking, release chan struct{} }

func (w blockingWriter) Write(data []byte) (int, error) {
	close(w.blocking)
	<-w.release
	return len(data), nil
}

func TestChild_that_is_lost_ends_after_what_is_being_written(t *testing.T) {
	for name, spec := range map[string]Spec{
		"one output":  {},
		"two outputs": {Stderr: Keep},
	} {
		t.Run(name, func(t *testing.T) {
			writer := blockingWriter{make(chan struct{}), make(chan struct{})}
			spec.Name, spec.Args, spec.Stdout = "sh", []string{"-c", "echo text; exec sleep 1000"}, writer
			child, err := Start(t.Context(), spec)
			require.NoError(t, err)
			defer syscall.Kill(child.handle.PID(), syscall.SIGKILL)
			<-writer.blocking

			shared.loud.Close()

			ended := func() bool {
				select {
				case <-child.done:
					return true
				default:
					return false
				}
			}
			for !ended() && !waits("abandon") {
				runtime.Gosched()
			}
			assert.False(t, ended())
			close(writer.release)
			assert.ErrorContains(t, child.Wait(), "it was lost")
		})
	}
}

// waits reports whether a goroutine waits in a function for another goroutine.
func waits(function string) bool {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return slices.ContainsFunc(strings.Split(string(stacks), "\n\n"), func(stack string) bool {
		return strings.Contains(stack, "[sync.") && strings.Contains(stack, ")."+function+"(")
	})
}
