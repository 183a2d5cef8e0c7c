package capi

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestABI_of_another_library_is_refused(t *testing.T) {
	assert.NoError(t, checkABI(1, 1))
	err := checkABI(2, 1)
	assert.ErrorContains(t, err, "ABI 2")
	assert.ErrorContains(t, err, "built for ABI 1")
	assert.ErrorContains(t, err, Version())
}

func TestABI_is_checked_before_a_program_starts(t *testing.T) {
	// Given a library that says it speaks another ABI,
	dir := t.TempDir()
	source, library := filepath.Join(dir, "other.c"), filepath.Join(dir, "other.so")
	require.NoError(t, os.WriteFile(source, []byte("unsigned coreproc_abi_version(void) { return 4711; }\n"), 0o644))
	built, err := exec.Command("cc", "-shared", "-fPIC", "-o", library, source).CombinedOutput()
	require.NoError(t, err, string(built))

	// when this program starts with it,
	program, err := os.Executable()
	require.NoError(t, err)
	again := exec.Command(program, "-test.run=^$")
	again.Env = append(os.Environ(), "LD_PRELOAD="+library)
	output, err := again.CombinedOutput()

	// then it refuses to run, and says why.
	assert.Error(t, err)
	assert.Contains(t, string(output), "speaks ABI 4711, but this program was built for ABI 1")
}

func TestVersion_is_that_of_the_header(t *testing.T) {
	header, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "include", "coreproc.h"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("outside of the repository")
	}
	require.NoError(t, err)
	assert.Contains(t, string(header), `COREPROC_VERSION "`+Version()+`"`)
}
