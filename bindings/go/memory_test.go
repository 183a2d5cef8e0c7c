package process_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"dappco.re/go/core"
	"dappco.re/go/core/process"
	"dappco.re/go/core/process/exec"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests read without a lock what callers' handlers and checks wrote, after an event that follows from it. The
// race detector judges: it must learn the order of events that the library, which it does not see, has ordered.

// fetch asks a server as any program does, and returns the status.
func fetch(t *testing.T, address, path string) int {
	t.Helper()
	client := http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + address + path)
	require.NoError(t, err)
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
	return response.StatusCode
}

func TestMemory_of_a_check_is_seen_by_who_asked_for_it(t *testing.T) {
	for name, asked := range map[string]func(address string) bool{
		"net/http":      func(address string) bool { return fetch(t, address, "/health") == http.StatusOK },
		"ProbeHealth":   func(address string) bool { ok, _ := process.ProbeHealth(address, 120_000); return ok },
		"WaitForHealth": func(address string) bool { return process.WaitForHealth(address, 120_000) },
	} {
		t.Run(name, func(t *testing.T) {
			runs := 0
			server := process.NewHealthServer("127.0.0.1:0")
			server.AddCheck(func() error { runs++; return nil })
			require.NoError(t, server.Start())
			for round := range 5 {
				require.True(t, asked(server.Addr()))
				assert.Equal(t, round+1, runs)
			}
			require.NoError(t, server.Stop(t.Context()))
			assert.Equal(t, 5, runs)
		})
	}
}

func TestMemory_of_who_asks_is_seen_by_the_check(t *testing.T) {
	var failure error
	server := process.NewHealthServer("127.0.0.1:0")
	server.AddCheck(func() error { return failure })
	require.NoError(t, server.Start())
	for range 3 {
		failure = nil
		assert.Equal(t, http.StatusOK, fetch(t, server.Addr(), "/health"))
		failure = errors.New("no database")
		assert.Equal(t, http.StatusServiceUnavailable, fetch(t, server.Addr(), "/health"))
		failure = nil
		ok, _ := process.ProbeHealth(server.Addr(), 120_000)
		assert.True(t, ok)
	}
	require.NoError(t, server.Stop(t.Context()))
}

func TestMemory_of_a_check_is_seen_after_the_daemon_has_stopped(t *testing.T) {
	runs := 0
	daemon := process.NewDaemon(process.DaemonOptions{
		HealthAddr: "127.0.0.1:0", HealthChecks: []process.HealthCheck{func() error { runs++; return nil }},
	})
	require.NoError(t, daemon.Start())
	assert.Equal(t, http.StatusOK, fetch(t, daemon.HealthAddr(), "/health"))
	assert.Equal(t, 1, runs)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		_, _ = process.ProbeHealth(daemon.HealthAddr(), 120_000)
	}()
	<-asked
	require.NoError(t, daemon.Stop())
	assert.Equal(t, 2, runs)
}

// linesOfService makes a service whose handler remembers lines and kills, with no lock.
func linesOfService(t *testing.T) (service *process.Service, lines, kills *[]string) {
	t.Helper()
	lines, kills = new([]string), new([]string)
	c := core.New()
	c.RegisterAction(func(_ *core.Core, message core.Message) core.Result {
		switch message := message.(type) {
		case process.ActionProcessOutput:
			*lines = append(*lines, message.Line)
		case process.ActionProcessKilled:
			*kills = append(*kills, message.ID)
		}
		return core.Result{OK: true}
	})
	made, err := process.NewService(process.Options{})(c)
	require.NoError(t, err)
	service = made.(*process.Service)
	t.Cleanup(func() { assert.NoError(t, service.OnShutdown(context.Background())) })
	return service, lines, kills
}

func TestMemory_of_a_handler_is_seen_after_the_process(t *testing.T) {
	want := []string{"a", "b"}
	const script = "echo a; echo b"
	for name, run := range map[string]func(*process.Service) error{
		"Run": func(s *process.Service) error { _, err := s.Run(t.Context(), "sh", "-c", script); return err },
		"Wait": func(s *process.Service) error {
			started, err := s.Start(t.Context(), "sh", "-c", script)
			require.NoError(t, err)
			_, err = s.Wait(started.ID)
			return err
		},
		"Done": func(s *process.Service) error {
			started, err := s.Start(t.Context(), "sh", "-c", script)
			require.NoError(t, err)
			<-started.Done()
			return nil
		},
		"IsRunning": func(s *process.Service) error {
			started, err := s.Start(t.Context(), "sh", "-c", script)
			require.NoError(t, err)
			for started.IsRunning() {
				time.Sleep(time.Millisecond)
			}
			return nil
		},
		"RunAll": func(s *process.Service) error {
			_, err := process.NewRunner(s).RunAll(t.Context(), []process.RunSpec{
				{Name: "both", Command: "sh", Args: []string{"-c", script}},
			})
			return err
		},
		"RunAll of one after the other": func(s *process.Service) error {
			_, err := process.NewRunner(s).RunAll(t.Context(), []process.RunSpec{
				{Name: "b", Command: "echo", Args: []string{"b"}, After: []string{"none"}},
				{Name: "none", Command: "true", Dir: "/no/such/directory", After: []string{"a"}, AllowFailure: true},
				{Name: "a", Command: "echo", Args: []string{"a"}},
			})
			return err
		},
		"RunSequential": func(s *process.Service) error {
			_, err := process.NewRunner(s).RunSequential(t.Context(), []process.RunSpec{
				{Name: "a", Command: "echo", Args: []string{"a"}}, {Name: "b", Command: "echo", Args: []string{"b"}},
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			service, lines, _ := linesOfService(t)
			require.NoError(t, run(service))
			assert.Equal(t, want, *lines)
		})
	}
}

func TestMemory_of_a_handler_is_seen_after_the_kill(t *testing.T) {
	for name, kill := range map[string]func(*process.Service, *process.Process) error{
		"Kill":         func(s *process.Service, p *process.Process) error { return s.Kill(p.ID) },
		"KillPID":      func(s *process.Service, p *process.Process) error { return s.KillPID(p.Info().PID) },
		"Process.Kill": func(_ *process.Service, p *process.Process) error { return p.Kill() },
		"Shutdown":     func(_ *process.Service, p *process.Process) error { return p.Shutdown() },
	} {
		t.Run(name, func(t *testing.T) {
			service, _, kills := linesOfService(t)
			started, err := service.Start(t.Context(), "sh", "-c", "echo hello; exec sleep 1000")
			require.NoError(t, err)
			require.NoError(t, kill(service, started))
			assert.Equal(t, []string{started.ID}, *kills)
			<-started.Done()
			assert.Equal(t, []string{started.ID}, *kills)
		})
	}
}

func TestMemory_of_a_handler_is_seen_by_the_next_one_of_its_process(t *testing.T) {
	service, lines, kills := linesOfService(t)
	for range 20 {
		started, err := service.Start(t.Context(), "sh", "-c", "echo a; echo b; exec sleep 1000")
		require.NoError(t, err)
		for len(started.Output()) < len("a\nb\n") {
			time.Sleep(time.Millisecond)
		}
		require.NoError(t, started.Kill())
		<-started.Done()
	}
	assert.Len(t, *kills, 20)
	assert.Len(t, *lines, 40)
}

func TestMemory_goes_through_pipes_of_a_child(t *testing.T) {
	// What was written before the input is seen by the handler of the answer.
	said := ""
	heard := make(chan string, 1)
	c := core.New()
	c.RegisterAction(func(_ *core.Core, message core.Message) core.Result {
		if _, ok := message.(process.ActionProcessOutput); ok {
			heard <- said
		}
		return core.Result{OK: true}
	})
	made, err := process.NewService(process.Options{})(c)
	require.NoError(t, err)
	cat, err := made.(*process.Service).Start(t.Context(), "cat")
	require.NoError(t, err)
	said = "before"
	require.NoError(t, cat.SendInput("line\n"))
	assert.Equal(t, "before", <-heard)
	require.NoError(t, cat.CloseStdin())
	require.NoError(t, cat.Wait())

	// What was written before its input is seen after a read of the caller's file.
	read, write, err := os.Pipe()
	require.NoError(t, err)
	reader := &countingReader{text: strings.NewReader("hello")}
	command := exec.Command(t.Context(), "cat").WithStdin(reader).WithStdout(write)
	require.NoError(t, command.Start())
	require.NoError(t, write.Close())
	text, err := io.ReadAll(read)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(text))
	assert.Equal(t, 5, reader.count)
	require.NoError(t, command.Wait())
	require.NoError(t, read.Close())

	// What was written before the caller's file is seen by a Writer.
	read, write, err = os.Pipe()
	require.NoError(t, err)
	writer := &showingWriter{shown: new(string), seen: make(chan string, 1)}
	command = exec.Command(t.Context(), "cat").WithStdin(read).WithStdout(writer)
	require.NoError(t, command.Start())
	require.NoError(t, read.Close())
	*writer.shown = "before"
	_, err = write.WriteString("hello")
	require.NoError(t, err)
	assert.Equal(t, "before", <-writer.seen)
	require.NoError(t, write.Close())
	require.NoError(t, command.Wait())
}

// countingReader counts what was read from it.
type countingReader struct {
	text  io.Reader
	count int
}

func (r *countingReader) Read(into []byte) (int, error) {
	read, err := r.text.Read(into)
	if read > 0 {
		r.count += read
	}
	return read, err
}

// showingWriter reports what shown holds when it is written to.
type showingWriter struct {
	shown *string
	seen  chan string
}

func (w *showingWriter) Write(data []byte) (int, error) {
	w.seen <- *w.shown
	return len(data), nil
}

func TestMemory_of_Writers_is_seen_after_the_command(t *testing.T) {
	var stdout, stderr strings.Builder
	require.NoError(t, exec.Command(t.Context(), "sh", "-c", "echo out; echo err >&2").WithStdout(&stdout).WithStderr(&stderr).Run())
	assert.Equal(t, []string{"out\n", "err\n"}, []string{stdout.String(), stderr.String()})
}

func TestMemory_of_a_handler_is_seen_after_the_shutdown_of_the_Core(t *testing.T) {
	var kills []string
	c := core.New()
	c.RegisterAction(func(_ *core.Core, message core.Message) core.Result {
		if output, ok := message.(process.ActionProcessOutput); ok {
			kills = append(kills, output.Line)
		}
		return core.Result{OK: true}
	})
	service := process.Register(c).Value.(*process.Service)
	require.True(t, c.ServiceStartup(t.Context(), nil).OK)
	started, err := service.Start(t.Context(), "sh", "-c", "echo hello; exec sleep 1000")
	require.NoError(t, err)
	for started.Output() == "" {
		time.Sleep(time.Millisecond)
	}
	require.True(t, c.ServiceShutdown(t.Context()).OK)
	assert.Equal(t, []string{"hello"}, kills)
}
