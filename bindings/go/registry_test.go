package process

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRegistry_keeps_those_that_live(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "daemons")
	registry := NewRegistry(dir)
	entries, err := registry.List()
	require.NoError(t, err, "a missing directory is empty")
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
	dir := t.TempDir()
	registry := NewRegistry(dir)
	// Given a file that such a program has written,
	theirs, err := json.Marshal(DaemonEntry{Code: "my/code", Daemon: "one", PID: os.Getpid(), Started: time.Now()})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "my-code-one.json"), theirs, 0o644))

	// it is found,
	found, ok := registry.Get("my/code", "one")
	require.True(t, ok)
	assert.Equal(t, "my/code", found.Code)

	// and our file has the name by the same rule, unless the file of that name belongs to another daemon.
	for name, entry := range map[string]DaemonEntry{
		"core-go-agent.json":      {Code: "core-go", Daemon: "agent"},
		"github.com-x-y-w-1.json": {Code: "github.com/x/y", Daemon: "w/1"},
		"my-code%2Done.json":      {Code: "my", Daemon: "code-one"},
		"%2Ehidden-x.json":        {Code: ".hidden", Daemon: "x"},
	} {
		entry.PID = os.Getpid()
		require.NoError(t, registry.Register(entry))
		text, err := os.ReadFile(filepath.Join(dir, name))
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
	assert.FileExists(t, filepath.Join(dir, "my-code-one.json"), "free again, it is the next one's")
	assert.NoFileExists(t, filepath.Join(dir, "my-code%2Done.json"))
}

func TestDaemon_registers_by_a_name_that_others_find(t *testing.T) {
	dir := t.TempDir()
	daemon := newDaemonOf(t, DaemonOptions{Registry: NewRegistry(dir), RegistryEntry: DaemonEntry{Code: "a/b", Daemon: "c-d"}})
	require.NoError(t, daemon.Start())
	assert.FileExists(t, filepath.Join(dir, "a-b-c-d.json"))
	require.NoError(t, daemon.Stop())
	assert.NoFileExists(t, filepath.Join(dir, "a-b-c-d.json"))
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

func TestRegistry_gives_a_start_that_a_file_does_not_know_as_zero(t *testing.T) {
	for name, started := range map[string]string{"zero": `,"started":"0001-01-01T00:00:00Z"`, "missing": ""} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			text := `{"code":"z","daemon":"q","pid":` + strconv.Itoa(os.Getpid()) + started + `}`
			require.NoError(t, os.WriteFile(filepath.Join(dir, "z-q.json"), []byte(text), 0o600))
			registry := NewRegistry(dir)
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
