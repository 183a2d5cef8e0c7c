package exec_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	process "dappco.re/go/core/process"
	"dappco.re/go/core/process/exec"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFile_is_the_childs_own_stream(t *testing.T) {
	dir := t.TempDir()
	in, err := os.Create(filepath.Join(dir, "in"))
	require.NoError(t, err)
	defer in.Close()
	_, err = in.WriteString("skipped\nread\n")
	require.NoError(t, err)
	_, err = in.Seek(int64(len("skipped\n")), io.SeekStart)
	require.NoError(t, err)
	out, err := os.Create(filepath.Join(dir, "out"))
	require.NoError(t, err)
	defer out.Close()

	err = exec.Command(within(t), "sh", "-c", "cat; readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 >&2").
		WithStdin(in).WithStdout(out).WithStderr(out).Run()
	require.NoError(t, err)

	got, err := os.ReadFile(out.Name())
	require.NoError(t, err)
	assert.Equal(t, "read\n"+in.Name()+"\n"+out.Name()+"\n"+out.Name()+"\n", string(got))
	_, err = out.WriteString("still open\n")
	assert.NoError(t, err)
}

func TestFile_that_is_a_pipe_blocks_as_a_child_expects(t *testing.T) {
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	output := new(bytes.Buffer)
	cmd := exec.Command(within(t), "cat").WithStdin(read).WithStdout(output)
	require.NoError(t, cmd.Start())
	_, err = write.WriteString("through a pipe")
	require.NoError(t, err)
	require.NoError(t, write.Close())
	require.NoError(t, cmd.Wait())
	assert.Equal(t, "through a pipe", output.String())
}

func TestReader_is_copied_byte_for_byte(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef\x00\xff\r\n"), 300_000)
	output, err := exec.Command(within(t), "cat").WithStdin(bytes.NewReader(data)).Output()
	require.NoError(t, err)
	assert.Equal(t, sha256.Sum256(data), sha256.Sum256(output))
}

func TestReader_need_not_be_read_to_its_end(t *testing.T) {
	reader := strings.NewReader(strings.Repeat("x", 10<<20))
	require.NoError(t, exec.Command(within(t), "head", "-c", "1").WithStdin(reader).Run())
	// The reader belongs to this test again.
	_, err := reader.ReadByte()
	require.NoError(t, err)
}

func TestReaders_error_is_reported(t *testing.T) {
	reader := io.MultiReader(strings.NewReader("some"), readerFunc(func([]byte) (int, error) { return 0, errBroken }))
	var output bytes.Buffer
	err := exec.Command(within(t), "cat").WithStdin(reader).WithStdout(&output).Run()
	assert.ErrorIs(t, err, errBroken)
	assert.EqualError(t, err, `Cmd.Run: command "cat" failed: its input cannot be read: broken`)
	assert.Equal(t, "some", output.String())
}

func TestWriters_error_ends_the_command_by_SIGPIPE(t *testing.T) {
	err := exec.Command(within(t), "yes").
		WithStdout(writerFunc(func([]byte) (int, error) { return 0, errBroken })).Run()
	require.ErrorIs(t, err, errBroken)
	var exit *process.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, syscall.SIGPIPE, exit.Signal())
}

func TestWriters_error_is_reported_also_after_success(t *testing.T) {
	err := exec.Command(within(t), "echo", "once").
		WithStdout(writerFunc(func([]byte) (int, error) { return 0, errBroken })).Run()
	assert.ErrorIs(t, err, errBroken)
	assert.ErrorContains(t, err, "its output cannot be written: broken")
	err = exec.Command(within(t), "echo", "once").
		WithStdout(writerFunc(func(data []byte) (int, error) { return len(data) - 1, nil })).Run()
	assert.ErrorIs(t, err, io.ErrShortWrite)
}

func TestSame_writer_gets_both_streams_as_they_came(t *testing.T) {
	var both bytes.Buffer
	err := exec.Command(within(t), "sh", "-c", "for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done").
		WithStdout(&both).WithStderr(&both).Run()
	require.NoError(t, err)
	assert.Equal(t, "o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n", both.String())
}

func TestWriters_that_cannot_be_compared_are_fine(t *testing.T) {
	writer := uncomparable{io.Discard}
	require.NoError(t, exec.Command(within(t), "echo").WithStdout(writer).WithStderr(writer).Run())
}

type uncomparable []io.Writer

func (u uncomparable) Write(data []byte) (int, error) { return u[0].Write(data) }

func TestWriter_that_blocks_slows_its_command_and_no_other(t *testing.T) {
	// Given a command whose output is not taken,
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var taken int
	slow := exec.Command(within(t), "head", "-c", strconv.Itoa(64<<20), "/dev/zero").
		WithStdout(writerFunc(func(data []byte) (int, error) {
			once.Do(func() { close(entered) })
			<-release
			taken += len(data)
			return len(data), nil
		}))
	require.NoError(t, slow.Start())
	await(t, entered, "the first output")

	// when other commands run meanwhile,
	for range 20 {
		output := new(bytes.Buffer)
		require.NoError(t, exec.Command(within(t), "echo", "quick").WithStdout(output).Run())
		assert.Equal(t, "quick\n", output.String())
	}

	// then they are not held up, and nothing is lost.
	close(release)
	require.NoError(t, slow.Wait())
	assert.Equal(t, 64<<20, taken)
}

func TestWriter_that_blocks_does_not_hold_up_the_other_stream(t *testing.T) {
	blocked, stderr := make(chan struct{}), make(chan string, 1)
	var stdout bytes.Buffer
	cmd := exec.Command(within(t), "sh", "-c", "echo out; echo err >&2; echo more").
		WithStdout(writerFunc(func(data []byte) (int, error) { <-blocked; return stdout.Write(data) })).
		WithStderr(writerFunc(func(data []byte) (int, error) { stderr <- string(data); return len(data), nil }))
	require.NoError(t, cmd.Start())
	assert.Equal(t, "err\n", await(t, stderr, "stderr"))
	close(blocked)
	require.NoError(t, cmd.Wait())
	assert.Equal(t, "out\nmore\n", stdout.String())
}

func TestTwo_writers_get_all_of_it(t *testing.T) {
	var stdout, stderr bytes.Buffer
	err := exec.Command(within(t), "sh", "-c", "seq 300000; seq 300000 >&2").WithStdout(&stdout).WithStderr(&stderr).Run()
	require.NoError(t, err)
	assert.Equal(t, sha256.Sum256(stdout.Bytes()), sha256.Sum256(stderr.Bytes()))
	assert.True(t, strings.HasSuffix(stdout.String(), "\n300000\n"))
}

func TestReader_and_writer_make_a_pipeline(t *testing.T) {
	read, write := io.Pipe()
	producer := exec.Command(within(t), "seq", "100000").WithStdout(write)
	require.NoError(t, producer.Start())
	go func() {
		_ = producer.Wait()
		_ = write.Close()
	}()
	output, err := exec.Command(within(t), "wc", "-l").WithStdin(read).Output()
	require.NoError(t, err)
	assert.Equal(t, "100000", strings.TrimSpace(string(output)))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(data []byte) (int, error) { return f(data) }
