package process

import (
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"dappco.re/go/core/process/internal/engine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun_gives_the_output_exactly(t *testing.T) {
	service := newQuietService(t)
	for _, c := range []struct{ name, script, want string }{
		{"one line", `echo hello`, "hello\n"},
		{"nothing", `:`, ""},
		{"no newline at the end", `printf 'a\nb'`, "a\nb"},
		{"NUL and invalid UTF-8", `printf 'a\000\377\376z'`, "a\x00\xff\xfez"},
		{"stderr too", `echo problem >&2`, "problem\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			output, err := service.Run(t.Context(), "sh", "-c", c.script)
			require.NoError(t, err)
			assert.Equal(t, c.want, output)
		})
	}
}

func TestRun_has_nothing_on_stdin(t *testing.T) {
	output, err := newQuietService(t).Run(t.Context(), "cat")
	require.NoError(t, err)
	assert.Empty(t, output)
}

func TestRun_keeps_the_output_of_a_failure(t *testing.T) {
	output, err := newQuietService(t).Run(t.Context(), "sh", "-c", "echo before; exit 3")
	assert.EqualError(t, err, "process exited with code 3")
	assert.Equal(t, "before\n", output)
}

func TestRun_gives_the_newest_output_when_the_buffer_is_full(t *testing.T) {
	service := newService(t, Options{BufferSize: 16}, nil)
	output, err := service.Run(t.Context(), "printf", "0123456789abcdefghij")
	require.NoError(t, err)
	assert.Equal(t, "456789abcdefghij", output)
}

func TestRun_gives_every_exit_code(t *testing.T) {
	service := newQuietService(t)
	for code := range 256 {
		_, err := service.Run(t.Context(), "sh", "-c", "exit "+strconv.Itoa(code))
		if code == 0 {
			require.NoError(t, err)
			continue
		}
		var exit *ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, engine.End{Code: code}, exit.end())
	}
}

func TestRun_tells_signals_from_exit_codes(t *testing.T) {
	survived := map[syscall.Signal]bool{
		syscall.SIGCHLD: true, syscall.SIGCONT: true, syscall.SIGURG: true, syscall.SIGWINCH: true,
		syscall.SIGSTOP: true, syscall.SIGTSTP: true, syscall.SIGTTIN: true, syscall.SIGTTOU: true,
	}
	service := newQuietService(t)
	for signal := syscall.Signal(1); signal <= 64; signal++ {
		if survived[signal] {
			continue
		}
		process, err := service.Start(t.Context(), "sh", "-c", "ulimit -c 0; kill -"+strconv.Itoa(int(signal))+" $$")
		require.NoError(t, err)
		var exit *ExitError
		require.ErrorAs(t, wait(t, process), &exit)
		require.Equal(t, engine.End{Code: -1, Signal: signal}, exit.end())
		require.Equal(t, StatusKilled, process.Status)
		require.Equal(t, -1, process.ExitCode)
	}
}

func TestRun_passes_the_environment_of_this_moment(t *testing.T) {
	t.Setenv("COREPROC_TEST_INHERITED", "from Go")
	t.Setenv("COREPROC_TEST_CHANGED", "before")
	output, err := newQuietService(t).RunWithOptions(t.Context(), RunOptions{
		Command: "sh",
		Args:    []string{"-c", `printf '%s|%s' "$COREPROC_TEST_INHERITED" "$COREPROC_TEST_CHANGED"`},
		Env:     []string{"COREPROC_TEST_CHANGED=first", "COREPROC_TEST_CHANGED=last"},
	})
	require.NoError(t, err)
	assert.Equal(t, "from Go|last", output)
}

func TestRun_drops_empty_entries_of_the_environment_as_os_exec_does(t *testing.T) {
	output, err := newQuietService(t).RunWithOptions(t.Context(), RunOptions{
		Command: "sh", Args: []string{"-c", "echo $COREPROC_TEST_ADDED"}, Env: []string{"", "COREPROC_TEST_ADDED=x", ""},
	})
	require.NoError(t, err)
	assert.Equal(t, "x\n", output)
}

func TestRun_in_a_directory_sets_PWD(t *testing.T) {
	dir := t.TempDir()
	output, err := newQuietService(t).RunWithOptions(t.Context(), RunOptions{
		Command: "sh", Args: []string{"-c", `pwd -P; printenv PWD`}, Dir: dir,
	})
	require.NoError(t, err)
	assert.Equal(t, dir+"\n"+dir+"\n", output)
}

func TestRun_gives_each_argument_as_it_is(t *testing.T) {
	args := []string{"", " ", "a b", "'\"$x\\", "\xff", "ü", "-n"}
	output, err := newQuietService(t).Run(t.Context(), "sh", append([]string{"-c", `printf '%s\n' "$@"`, "sh"}, args...)...)
	require.NoError(t, err)
	assert.Equal(t, strings.Join(args, "\n")+"\n", output)
}

func TestSendInput_gives_back_what_was_sent(t *testing.T) {
	// Given more input than any pipe or queue holds, so that sending has to wait for the reader.
	random := rand.New(rand.NewPCG(1, 2))
	input := make([]byte, 900*1024)
	for i := range input {
		input[i] = byte(random.Uint32())
	}
	process, err := newQuietService(t).Start(t.Context(), "cat")
	require.NoError(t, err)

	require.NoError(t, process.SendInput(string(input)))
	require.NoError(t, process.SendInput(""))
	require.NoError(t, process.CloseStdin())
	require.NoError(t, process.CloseStdin(), "twice is fine")
	require.NoError(t, wait(t, process))

	assert.True(t, string(input) == process.Output(), "the same bytes")
	stdout, stderr := process.BytesRead()
	assert.Equal(t, []uint64{uint64(len(input)), 0}, []uint64{stdout, stderr})
}

func TestSendInput_of_many_at_once_does_not_mix(t *testing.T) {
	process, err := newQuietService(t).Start(t.Context(), "sh", "-c", "sleep 0.2; exec cat")
	require.NoError(t, err)
	const size = 100_000 // more than the pipe holds
	var senders sync.WaitGroup
	for _, letter := range "abcdefgh" {
		senders.Go(func() { assert.NoError(t, process.SendInput(strings.Repeat(string(letter), size))) })
	}
	senders.Wait()
	require.NoError(t, process.CloseStdin())
	require.NoError(t, wait(t, process))
	output := process.Output()
	require.Len(t, output, 8*size)
	for i := range 8 {
		part := output[i*size : (i+1)*size]
		assert.Equal(t, size, strings.Count(part, part[:1]), "part %d is of one sender", i)
	}
}

// unread returns how many bytes wait in the pipe that is the stdin of a process.
func unread(t *testing.T, pid int) int {
	t.Helper()
	pipe, err := os.Open("/proc/" + strconv.Itoa(pid) + "/fd/0")
	require.NoError(t, err)
	defer pipe.Close()
	var count int32
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, pipe.Fd(), syscall.TIOCINQ, uintptr(unsafe.Pointer(&count)))
	require.Zero(t, errno)
	return int(count)
}

func TestSendInput_that_waits_ends_with_the_input_or_the_process(t *testing.T) {
	for name, c := range map[string]struct {
		end func(*Process) error
		is  error
	}{
		"CloseStdin": {(*Process).CloseStdin, ErrStdinNotAvailable},
		"Kill":       {(*Process).Kill, ErrProcessNotRunning},
	} {
		t.Run(name, func(t *testing.T) {
			process, err := newQuietService(t).Start(t.Context(), "sleep", "1000")
			require.NoError(t, err)
			sent := make(chan error, 1)
			go func() { sent <- process.SendInput(strings.Repeat("x", 1<<20)) }()
			for unread(t, process.Info().PID) == 0 {
				time.Sleep(time.Millisecond)
			}
			require.NoError(t, c.end(process))
			err = await(t, sent, "the return of SendInput")
			assert.ErrorIs(t, err, c.is)
			assert.Regexp(t, `after \d+ of 1048576 bytes`, err.Error())
		})
	}
}

func TestSendInput_to_a_process_that_exits_says_the_same_every_time(t *testing.T) {
	service := newQuietService(t)
	for i := range count(t, 200) {
		script := "exit 0"
		if i%2 == 1 {
			script = "exec 0<&-; exit 0"
		}
		process, err := service.Start(t.Context(), "sh", "-c", script)
		require.NoError(t, err)
		for err == nil {
			err = process.SendInput("x")
		}
		// A process that closes its input first may be held up before it ends.
		if i%2 == 0 || !errors.Is(err, ErrStdinNotAvailable) {
			assert.ErrorIs(t, err, ErrProcessNotRunning)
			assert.NotErrorIs(t, err, ErrStdinNotAvailable)
		}
		require.NoError(t, wait(t, process))
		assert.ErrorIs(t, process.SendInput("x"), ErrProcessNotRunning)
	}
}

func TestSendInput_to_many_that_do_not_read_holds_few_threads(t *testing.T) {
	service := newQuietService(t)
	threads := allThreads(t)
	for range count(t, 100) {
		process, err := service.Start(t.Context(), "sleep", "1000")
		require.NoError(t, err)
		go func() { _ = process.SendInput(strings.Repeat("x", 1<<20)) }()
	}
	time.Sleep(100 * time.Millisecond) // most writers wait by then; the test is the number of threads
	assert.LessOrEqual(t, allThreads(t), threads+8+4*runtime.NumCPU())
}

func TestSendInput_after_the_end_of_input_or_of_the_process(t *testing.T) {
	service, recorder := newRecordedService(t)
	process, err := service.Start(t.Context(), "sh", "-c", "cat; echo read; trap '' TERM; kill -STOP $$")
	require.NoError(t, err)
	require.NoError(t, process.CloseStdin())
	recorder.untilLine(t, process.ID, "read")
	assert.ErrorIs(t, process.SendInput("late"), ErrStdinNotAvailable)
	require.NoError(t, process.Kill())
	assert.Error(t, wait(t, process))
	assert.ErrorIs(t, process.SendInput("later"), ErrProcessNotRunning)
}

func TestInfo_follows_the_life_of_a_process(t *testing.T) {
	process, err := newQuietService(t).StartWithOptions(t.Context(), RunOptions{Command: "cat", Args: []string{"-"}, Dir: "/"})
	require.NoError(t, err)

	info := process.Info()
	assert.True(t, process.IsRunning())
	assert.Greater(t, info.PID, 0)
	assert.WithinDuration(t, time.Now(), info.StartedAt, hang)
	assert.Equal(t, Info{ID: "proc-1", Command: "cat", Args: []string{"-"}, Dir: "/", StartedAt: info.StartedAt, Running: true,
		Status: StatusRunning, Duration: info.Duration, PID: info.PID}, info)
	info.Args[0] = "changed"
	assert.Equal(t, []string{"-"}, process.Info().Args, "Args is a copy")

	require.NoError(t, process.CloseStdin())
	require.NoError(t, wait(t, process))
	ended := process.Info()
	assert.False(t, process.IsRunning())
	assert.Equal(t, StatusExited, ended.Status)
	assert.Greater(t, ended.Duration, time.Duration(0))
	assert.Equal(t, ended, process.Info(), "nothing changes any more")
	assert.Equal(t, []any{ended.Status, ended.ExitCode, ended.Duration}, []any{process.Status, process.ExitCode, process.Duration})
}
