package process

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"dappco.re/go/core/process/internal/capi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ask gets a page of a health server.
func ask(t *testing.T, address, path string) (int, string) {
	t.Helper()
	client := &http.Client{Timeout: hang, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + address + path)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(body)
}

func newDaemonOf(t *testing.T, options DaemonOptions) *Daemon {
	t.Helper()
	daemon := NewDaemon(options)
	t.Cleanup(func() { assert.NoError(t, daemon.Stop()) })
	return daemon
}

func TestDaemon_lives_with_PID_file_health_server_and_registry(t *testing.T) {
	folder := t.TempDir()
	registry := NewRegistry(filepath.Join(folder, "daemons"))
	path := filepath.Join(folder, "run", "it.pid")
	daemon := newDaemonOf(t, DaemonOptions{
		PIDFile: path, HealthAddr: "127.0.0.1:0", Registry: registry,
		RegistryEntry: DaemonEntry{Code: "core", Daemon: "it"},
	})
	assert.False(t, daemon.Ready())
	assert.Equal(t, "127.0.0.1:0", daemon.HealthAddr())
	before := time.Now()
	require.NoError(t, daemon.Start())
	assert.Error(t, daemon.Start(), "twice is an error")

	pid, alive := ReadPID(path)
	assert.Equal(t, []any{os.Getpid(), true}, []any{pid, alive})
	assert.True(t, daemon.Ready())
	address := daemon.HealthAddr()
	assert.NotEqual(t, "127.0.0.1:0", address)
	status, body := ask(t, address, "/health")
	assert.Equal(t, []any{200, "ok\n"}, []any{status, body})

	entry, found := registry.Get("core", "it")
	require.True(t, found)
	cwd, err := os.Getwd()
	require.NoError(t, err)
	binary, err := os.Executable()
	require.NoError(t, err)
	assert.WithinRange(t, entry.Started, before.Add(-time.Second), time.Now().Add(time.Second))
	assert.Equal(t, DaemonEntry{
		Code: "core", Daemon: "it", PID: os.Getpid(), Health: address, Project: cwd, Binary: binary, Started: entry.Started,
	}, *entry)

	daemon.SetReady(false)
	assert.False(t, daemon.Ready())
	status, body = ask(t, address, "/ready")
	assert.Equal(t, []any{503, "not ready\n"}, []any{status, body})
	daemon.SetReady(true)
	status, body = ask(t, address, "/ready")
	assert.Equal(t, []any{200, "ready\n"}, []any{status, body})

	require.NoError(t, daemon.Stop())
	require.NoError(t, daemon.Stop(), "stopping what is stopped is nil")
	assert.False(t, daemon.Ready())
	assert.NoFileExists(t, path)
	_, found = registry.Get("core", "it")
	assert.False(t, found)
	ok, _ := ProbeHealth(address, 1000)
	assert.False(t, ok)

	require.NoError(t, daemon.Start(), "it can be started again")
	assert.FileExists(t, path)
}

func TestDaemon_runs_until_its_context_is_done_or_somebody_stops_it(t *testing.T) {
	path := filepath.Join(t.TempDir(), "it.pid")
	daemon := newDaemonOf(t, DaemonOptions{PIDFile: path})
	//lint:ignore SA1012 the mistake is what is tested
	assert.ErrorIs(t, daemon.Run(nil), ErrDaemonContextRequired)
	assert.ErrorContains(t, daemon.Run(t.Context()), "not started")

	for name, end := range map[string]func(context.CancelFunc) error{
		"context": func(cancel context.CancelFunc) error { cancel(); return nil },
		"stop":    func(context.CancelFunc) error { return daemon.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, daemon.Start())
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 2)
			for range 2 {
				go func() { ended <- daemon.Run(ctx) }()
			}
			require.NoError(t, end(cancel))
			for range 2 {
				err := await(t, ended, "the end of Run")
				if err != nil {
					// It came after the stop.
					assert.ErrorIs(t, err, errDaemonNotStarted)
				}
			}
			assert.NoFileExists(t, path)
			assert.ErrorIs(t, daemon.Run(t.Context()), errDaemonNotStarted)
		})
	}
}

func TestDaemon_that_cannot_start_undoes_what_it_did(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "it.pid")
	other := newDaemonOf(t, DaemonOptions{HealthAddr: "127.0.0.1:0"})
	require.NoError(t, other.Start())

	daemon := newDaemonOf(t, DaemonOptions{PIDFile: path, HealthAddr: other.HealthAddr()})
	err := daemon.Start()
	assert.ErrorIs(t, err, capi.ErrBusy)
	assert.NoFileExists(t, path)
	assert.ErrorContains(t, daemon.Run(t.Context()), "not started")

	daemon = newDaemonOf(t, DaemonOptions{PIDFile: path, Registry: NewRegistry(folder)})
	assert.ErrorContains(t, daemon.Start(), "code", "an entry needs one")
	assert.NoFileExists(t, path)
}

func TestDaemon_reports_bad_options_at_its_start(t *testing.T) {
	for name, options := range map[string]DaemonOptions{
		"path":     {PIDFile: "a\x00b"},
		"address":  {HealthAddr: "nonsense"},
		"registry": {Registry: NewRegistry("")},
	} {
		daemon := newDaemonOf(t, options)
		assert.Error(t, daemon.Start(), name)
		assert.False(t, daemon.Ready(), name)
		daemon.SetReady(true)
		daemon.HealthAddr()
		assert.NoError(t, daemon.Stop(), name)
	}
}

func TestZero_values_that_no_constructor_made_say_so(t *testing.T) {
	assert.ErrorIs(t, new(Daemon).Start(), errNoDaemon)
	assert.ErrorIs(t, new(Daemon).Run(t.Context()), errDaemonNotStarted)
	assert.NoError(t, new(Daemon).Stop())
	assert.ErrorIs(t, NewDaemon(DaemonOptions{Registry: new(Registry)}).Start(), errNoRegistry)
	assert.ErrorIs(t, new(HealthServer).Start(), errNoHealthServer)
	assert.NoError(t, new(HealthServer).Stop(t.Context()))
	assert.ErrorIs(t, new(PIDFile).Acquire(), errNoPIDFile)
	assert.NoError(t, new(PIDFile).Release())
	registry := new(Registry)
	assert.ErrorIs(t, registry.Register(DaemonEntry{Code: "x", Daemon: "x", PID: 1}), errNoRegistry)
	assert.ErrorIs(t, registry.Unregister("x", "x"), errNoRegistry)
	_, err := registry.List()
	assert.ErrorIs(t, err, errNoRegistry)
	_, found := registry.Get("x", "x")
	assert.False(t, found)
}

func TestDaemon_stops_within_its_shutdown_timeout(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	daemon := NewDaemon(DaemonOptions{
		HealthAddr: "127.0.0.1:0", ShutdownTimeout: 20 * time.Millisecond,
		HealthChecks: []HealthCheck{func() error { close(asked); <-release; return nil }},
	})
	require.NoError(t, daemon.Start())
	answered := make(chan bool)
	go func() {
		ok, _ := ProbeHealth(daemon.HealthAddr(), int(hang/time.Millisecond))
		answered <- ok
	}()
	await(t, asked, "the question")
	assert.ErrorIs(t, daemon.Stop(), capi.ErrTimedOut)
	assert.False(t, await(t, answered, "the answer"))
	close(release)
	assert.NoError(t, daemon.Stop())
}

func TestDaemon_and_what_is_held_live_on_when_they_are_dropped(t *testing.T) {
	folder := t.TempDir()
	pidFile, daemonFile := filepath.Join(folder, "one.pid"), filepath.Join(folder, "two.pid")
	var address string
	var stop []func() error
	func() {
		file := NewPIDFile(pidFile)
		require.NoError(t, file.Acquire())
		daemon := NewDaemon(DaemonOptions{PIDFile: daemonFile})
		require.NoError(t, daemon.Start())
		server := NewHealthServer("127.0.0.1:0")
		require.NoError(t, server.Start())
		address = server.Addr()
	}()
	for range 5 {
		runtime.GC()
	}
	_, alive := ReadPID(pidFile)
	assert.True(t, alive)
	_, alive = ReadPID(daemonFile)
	assert.True(t, alive)
	assert.True(t, WaitForHealth(address, 10_000))
	kept.Range(func(what, _ any) bool {
		switch what := what.(type) {
		case *PIDFile:
			stop = append(stop, what.Release)
		case *Daemon:
			stop = append(stop, what.Stop)
		case *HealthServer:
			stop = append(stop, func() error { return what.Stop(t.Context()) })
		}
		return true
	})
	assert.Len(t, stop, 3)
	for _, stop := range stop {
		assert.NoError(t, stop())
	}
	kept.Range(func(what, _ any) bool { assert.Fail(t, "kept", "%v", what); return true })
}

func TestHealthServer_answers_for_its_checks(t *testing.T) {
	server := NewHealthServer("127.0.0.1:0")
	var mu sync.Mutex
	var failure error
	server.AddCheck(func() error { mu.Lock(); defer mu.Unlock(); return failure })
	server.AddCheck(nil)
	assert.True(t, server.Ready())
	require.NoError(t, server.Start())
	assert.Error(t, server.Start(), "twice")
	t.Cleanup(func() { assert.NoError(t, server.Stop(context.Background())) })
	address := server.Addr()
	set := func(err error) { mu.Lock(); defer mu.Unlock(); failure = err }

	require.True(t, WaitForHealth(address, 10_000))
	require.True(t, WaitForReady(address, 10_000))
	for _, c := range []struct {
		failure error
		status  int
		body    string
	}{{nil, 200, "ok\n"}, {errors.New("no database"), 503, "unhealthy: no database\n"}, {nil, 200, "ok\n"}} {
		set(c.failure)
		status, body := ask(t, address, "/health")
		assert.Equal(t, []any{c.status, c.body}, []any{status, body})
		ok, reason := ProbeHealth(address, 10_000)
		assert.Equal(t, c.failure == nil, ok)
		assert.Contains(t, reason, strings.TrimSpace(c.body))
	}
	server.SetReady(false)
	assert.False(t, server.Ready())
	status, body := ask(t, address, "/ready")
	assert.Equal(t, []any{503, "not ready\n"}, []any{status, body})
	ok, reason := ProbeReady(address, 10_000)
	assert.False(t, ok)
	assert.Contains(t, reason, "not ready")
	assert.False(t, WaitForReady(address, 10))
	server.SetReady(true)
	ok, _ = ProbeReady(address, 10_000)
	assert.True(t, ok)
}

func TestHealthServer_survives_checks_that_panic_or_end_their_goroutine(t *testing.T) {
	for name, c := range map[string]struct {
		check HealthCheck
		says  string
	}{
		"panic":  {func() error { panic("the check's own") }, "unhealthy: panicked: the check's own\n"},
		"goexit": {func() error { runtime.Goexit(); return nil }, "unhealthy: the check ended its goroutine\n"},
	} {
		t.Run(name, func(t *testing.T) {
			server := NewHealthServer("127.0.0.1:0")
			server.AddCheck(c.check)
			require.NoError(t, server.Start())
			for range 3 {
				status, body := ask(t, server.Addr(), "/health")
				assert.Equal(t, []any{503, c.says}, []any{status, body})
			}
			assert.NoError(t, server.Stop(t.Context()))
		})
	}
}

func TestHealthServer_stops_with_its_context(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	server := NewHealthServer("127.0.0.1:0")
	server.AddCheck(func() error { close(asked); <-release; return nil })
	require.NoError(t, server.Start())
	address := server.Addr()
	answered := make(chan bool)
	go func() {
		ok, _ := ProbeHealth(address, int(hang/time.Millisecond))
		answered <- ok
	}()
	await(t, asked, "the question")

	//lint:ignore SA1012 the mistake is what is tested
	assert.ErrorIs(t, server.Stop(nil), ErrContextRequired)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := server.Stop(ctx)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorIs(t, err, capi.ErrTimedOut)
	assert.False(t, await(t, answered, "the answer"))
	close(release)
	assert.NoError(t, server.Stop(t.Context()), "stopping what does not run is fine")
	require.NoError(t, server.Start(), "it can be started again")
	assert.NoError(t, server.Stop(t.Context()))
}

func TestHealthServer_reports_a_bad_address_at_its_start(t *testing.T) {
	for _, address := range []string{"nonsense", "127.0.0.1:99999", "a\x00b", ""} {
		server := NewHealthServer(address)
		assert.Error(t, server.Start(), address)
		server.AddCheck(func() error { return nil })
		server.SetReady(false)
		assert.NoError(t, server.Stop(t.Context()))
		assert.Equal(t, address, server.Addr())
	}
}

func TestProbes_of_nobody_say_why(t *testing.T) {
	server := NewHealthServer("127.0.0.1:0")
	require.NoError(t, server.Start())
	address := server.Addr()
	require.NoError(t, server.Stop(t.Context()))
	ok, reason := ProbeHealth(address, 10_000)
	assert.False(t, ok)
	assert.Contains(t, reason, "refused")
	assert.False(t, WaitForHealth(address, 20))
	assert.False(t, WaitForHealth(address, 0))
	assert.False(t, WaitForHealth(address, -1), "a negative time is none")
	ok, reason = ProbeReady("nonsense", 100)
	assert.False(t, ok)
	assert.NotEmpty(t, reason)
}

func TestPIDFile_is_held_by_one(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "it.pid")
	pid, alive := ReadPID(path)
	assert.Equal(t, []any{0, false}, []any{pid, alive}, "there is none")

	first, second := NewPIDFile(path), NewPIDFile(path)
	assert.Equal(t, path, first.Path())
	require.NoError(t, second.Release(), "releasing what is not held is fine")
	require.NoError(t, first.Acquire())
	err := second.Acquire()
	assert.ErrorIs(t, err, capi.ErrBusy)
	assert.ErrorContains(t, err, strconv.Itoa(os.Getpid()))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, strconv.Itoa(os.Getpid()), strings.TrimSpace(string(text)))
	pid, alive = ReadPID(path)
	assert.Equal(t, []any{os.Getpid(), true}, []any{pid, alive})

	require.NoError(t, first.Release())
	require.NoError(t, first.Release())
	assert.NoFileExists(t, path)
	require.NoError(t, second.Acquire())
	require.NoError(t, second.Release())
}

func TestPIDFile_takes_over_a_stale_one_and_refuses_others(t *testing.T) {
	path := filepath.Join(t.TempDir(), "it.pid")
	const unused = 1<<22 + 1
	require.NoError(t, os.WriteFile(path, []byte(strconv.Itoa(unused)), 0o644))
	pid, alive := ReadPID(path)
	assert.Equal(t, []any{unused, false}, []any{pid, alive})
	file := NewPIDFile(path)
	require.NoError(t, file.Acquire())
	require.NoError(t, file.Release())

	require.NoError(t, os.WriteFile(path, []byte("no number"), 0o644))
	_, alive = ReadPID(path)
	assert.False(t, alive)
	assert.ErrorIs(t, file.Acquire(), capi.ErrMalformed)
	for _, bad := range []string{"", "a\x00b"} {
		assert.Error(t, NewPIDFile(bad).Acquire())
		assert.NoError(t, NewPIDFile(bad).Release())
	}
}

func TestRegistry_keeps_those_that_live(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "daemons")
	registry := NewRegistry(folder)
	entries, err := registry.List()
	require.NoError(t, err, "a missing folder is empty")
	assert.Empty(t, entries)
	require.NoError(t, registry.Unregister("core", "none"), "a missing one is fine")

	now := time.Now()
	for _, entry := range []DaemonEntry{
		{Code: "b", Daemon: "x", PID: os.Getpid(), Started: now},
		{Code: "a", Daemon: "y", PID: os.Getpid(), Started: now},
		{Code: "a", Daemon: "x", PID: os.Getpid(), Started: now, Health: "127.0.0.1:1", Project: "/p", Binary: "/b"},
		{Code: "c", Daemon: "x", PID: os.Getpid(), Started: now.Add(-time.Second)},
		{Code: "dead", Daemon: "x", PID: 1<<22 + 1},
	} {
		require.NoError(t, registry.Register(entry))
	}
	entries, err = registry.List()
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Code+" "+entry.Daemon)
	}
	assert.Equal(t, []string{"c x", "a x", "a y", "b x"}, names)

	entry, found := registry.Get("a", "x")
	require.True(t, found)
	assert.True(t, now.Equal(entry.Started))
	assert.Equal(t, DaemonEntry{
		Code: "a", Daemon: "x", PID: os.Getpid(), Health: "127.0.0.1:1", Project: "/p", Binary: "/b", Started: entry.Started,
	}, *entry)
	_, found = registry.Get("dead", "x")
	assert.False(t, found)
	require.NoError(t, registry.Unregister("a", "x"))
	_, found = registry.Get("a", "x")
	assert.False(t, found)
}

func TestRegistry_shares_its_files_with_programs_that_do_not_encode_names(t *testing.T) {
	folder := t.TempDir()
	registry := NewRegistry(folder)
	// Given what such a program has written,
	theirs, err := json.Marshal(DaemonEntry{Code: "my/code", Daemon: "one", PID: os.Getpid(), Started: time.Now()})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "my-code-one.json"), theirs, 0o644))

	// it is found,
	found, ok := registry.Get("my/code", "one")
	require.True(t, ok)
	assert.Equal(t, "my/code", found.Code)

	// and so is ours by the same rule, unless the file is another's.
	for name, entry := range map[string]DaemonEntry{
		"core-go-agent.json":      {Code: "core-go", Daemon: "agent"},
		"github.com-x-y-w-1.json": {Code: "github.com/x/y", Daemon: "w/1"},
		"my-code%2Done.json":      {Code: "my", Daemon: "code-one"},
		"%2Ehidden-x.json":        {Code: ".hidden", Daemon: "x"},
	} {
		entry.PID = os.Getpid()
		require.NoError(t, registry.Register(entry))
		text, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		var written DaemonEntry
		require.NoError(t, json.Unmarshal(text, &written))
		assert.Equal(t, []any{entry.Code, entry.Daemon, entry.PID}, []any{written.Code, written.Daemon, written.PID})
		_, ok := registry.Get(entry.Code, entry.Daemon)
		assert.True(t, ok, name)
	}
	entries, err := registry.List()
	require.NoError(t, err)
	assert.Len(t, entries, 5)
	require.NoError(t, registry.Unregister("my/code", "one"))
	require.NoError(t, registry.Register(DaemonEntry{Code: "my", Daemon: "code-one", PID: os.Getpid()}))
	assert.FileExists(t, filepath.Join(folder, "my-code-one.json"), "free again, it is the next one's")
	assert.NoFileExists(t, filepath.Join(folder, "my-code%2Done.json"))
}

func TestDaemon_registers_by_a_name_that_others_find(t *testing.T) {
	folder := t.TempDir()
	daemon := newDaemonOf(t, DaemonOptions{Registry: NewRegistry(folder), RegistryEntry: DaemonEntry{Code: "a/b", Daemon: "c-d"}})
	require.NoError(t, daemon.Start())
	assert.FileExists(t, filepath.Join(folder, "a-b-c-d.json"))
	require.NoError(t, daemon.Stop())
	assert.NoFileExists(t, filepath.Join(folder, "a-b-c-d.json"))
}

func TestRegistry_refuses_what_is_no_entry(t *testing.T) {
	registry := NewRegistry(t.TempDir())
	for name, entry := range map[string]DaemonEntry{
		"no code":     {Daemon: "x", PID: 1},
		"no daemon":   {Code: "x", PID: 1},
		"pid":         {Code: "x", Daemon: "x", PID: 1 << 40},
		"before 1970": {Code: "x", Daemon: "x", PID: 1, Started: time.Unix(-1, 0)},
		"far future":  {Code: "x", Daemon: "x", PID: 1, Started: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		assert.Error(t, registry.Register(entry), name)
	}
	broken := NewRegistry("")
	_, err := broken.List()
	assert.ErrorContains(t, err, "folder")
	assert.Error(t, broken.Register(DaemonEntry{Code: "x", Daemon: "x", PID: 1}))
	assert.Error(t, broken.Unregister("x", "x"))
	_, found := broken.Get("x", "x")
	assert.False(t, found)
}

func TestRegistry_of_the_user_is_below_HOME(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	require.NoError(t, DefaultRegistry().Register(DaemonEntry{Code: "core", Daemon: "it", PID: os.Getpid()}))
	assert.FileExists(t, filepath.Join(home, ".core", "daemons", "core-it.json"))
	entry, found := DefaultRegistry().Get("core", "it")
	require.True(t, found)
	assert.WithinDuration(t, time.Now(), entry.Started, time.Minute, "now, when it was not told")
}

func TestDaemonEntry_as_JSON(t *testing.T) {
	text, err := json.Marshal(DaemonEntry{Code: "c", Daemon: "d", PID: 7, Started: time.Unix(0, 0).UTC()})
	require.NoError(t, err)
	assert.JSONEq(t, `{"code":"c","daemon":"d","pid":7,"started":"1970-01-01T00:00:00Z"}`, string(text))
	text, err = json.Marshal(DaemonEntry{Code: "c", Daemon: "d", PID: 7, Health: "h", Project: "p", Binary: "b", Started: time.Unix(0, 0).UTC()})
	require.NoError(t, err)
	assert.JSONEq(t, `{"code":"c","daemon":"d","pid":7,"health":"h","project":"p","binary":"b","started":"1970-01-01T00:00:00Z"}`, string(text))
}

func TestDaemon_leaves_nothing(t *testing.T) {
	warmUp(t)
	folder := t.TempDir()
	round := func() {
		daemon := NewDaemon(DaemonOptions{
			PIDFile: filepath.Join(folder, "it.pid"), HealthAddr: "127.0.0.1:0", Registry: NewRegistry(folder),
			RegistryEntry: DaemonEntry{Code: "c", Daemon: "d"}, HealthChecks: []HealthCheck{func() error { return nil }},
		})
		require.NoError(t, daemon.Start())
		require.True(t, WaitForHealth(daemon.HealthAddr(), 10_000))
		require.NoError(t, daemon.Stop())
	}
	round()
	before := settled(t)
	for range count(t, 20) {
		round()
	}
	returnsTo(t, before)
}

func TestRegistry_gives_a_start_that_a_file_does_not_know_as_zero(t *testing.T) {
	for name, started := range map[string]string{"zero": `,"started":"0001-01-01T00:00:00Z"`, "missing": ""} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			text := `{"code":"z","daemon":"q","pid":` + strconv.Itoa(os.Getpid()) + started + `}`
			require.NoError(t, os.WriteFile(filepath.Join(folder, "z-q.json"), []byte(text), 0o600))
			registry := NewRegistry(folder)
			entry, found := registry.Get("z", "q")
			require.True(t, found)
			assert.True(t, entry.Started.IsZero(), entry.Started)
			entries, err := registry.List()
			require.NoError(t, err)
			assert.Equal(t, []DaemonEntry{*entry}, entries)
			require.NoError(t, registry.Register(*entry), "what Get has given can be registered")
			entry, found = registry.Get("z", "q")
			require.True(t, found)
			assert.False(t, entry.Started.IsZero())
		})
	}
}

func TestRegistry_refuses_texts_with_a_NUL_byte(t *testing.T) {
	registry := NewRegistry(filepath.Join(t.TempDir(), "daemons"))
	for field, entry := range map[string]DaemonEntry{
		"code":    {Code: "a\x00b", Daemon: "d"},
		"daemon":  {Code: "c", Daemon: "a\x00b"},
		"health":  {Code: "c", Daemon: "d", Health: "a\x00b"},
		"project": {Code: "c", Daemon: "d", Project: "a\x00b"},
		"binary":  {Code: "c", Daemon: "d", Binary: "a\x00b"},
	} {
		entry.PID = os.Getpid()
		assert.ErrorContains(t, registry.Register(entry), field+": contains a NUL byte")
	}
	entries, err := registry.List()
	require.NoError(t, err)
	assert.Empty(t, entries)
}
