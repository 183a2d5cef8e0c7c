package engine

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain shows its environment when it runs as the child of a test.
func TestMain(m *testing.M) {
	if _, asked := os.LookupEnv("ENGINE_TEST_ADDED"); !asked {
		os.Exit(m.Run())
	}
	env, err := environment("", strings.Fields(os.Getenv("ENGINE_TEST_ADDED")))
	if err != nil {
		panic(err)
	}
	for _, entry := range env {
		os.Stdout.WriteString(entry + "\n")
	}
}

// A host that was started by Wine or MSYS has entries with an empty name. Go's os.Setenv cannot make them.
func TestEntriesWithAnEmptyNameArePassedOnAsOsExecDoes(t *testing.T) {
	host := []string{`=::=::\`, "no equals sign", "A=1", "A=2"}
	added := []string{"B=3", "A=4"}
	path, err := os.Executable()
	require.NoError(t, err)
	read, write, err := os.Pipe()
	require.NoError(t, err)
	child, err := os.StartProcess(path, []string{path}, &os.ProcAttr{
		Env:   append(slices.Clone(host), "ENGINE_TEST_ADDED="+strings.Join(added, " ")),
		Files: []*os.File{nil, write, os.Stderr},
		Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	require.NoError(t, err)
	require.NoError(t, write.Close())
	output := new(strings.Builder)
	_, err = read.WriteTo(output)
	require.NoError(t, err)
	state, err := child.Wait()
	require.NoError(t, err)
	require.True(t, state.Success())

	got := slices.DeleteFunc(strings.Split(strings.TrimSpace(output.String()), "\n"), func(entry string) bool {
		return strings.HasPrefix(entry, "ENGINE_TEST_ADDED=")
	})
	assert.ElementsMatch(t, []string{`=::=::\`, "B=3", "A=4"}, got)

	theirs := exec.Command("/bin/true")
	theirs.Env = append(slices.Clone(host), added...)
	// os/exec keeps some entries that are no KEY=VALUE; this package keeps none.
	want := slices.DeleteFunc(theirs.Environ(), func(entry string) bool { return !strings.Contains(entry, "=") })
	assert.ElementsMatch(t, want, got)
}
