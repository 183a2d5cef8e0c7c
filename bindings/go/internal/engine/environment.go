package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// The lookup and the environment are those that os/exec would use. Go is asked for both, because the library sees neither
// what os.Setenv did nor the errors of exec.LookPath.

// lookUp returns the path of a program. A name without a slash is looked up in PATH as exec.LookPath does; anything else
// is taken as it is, relative to the directory of the child.
func lookUp(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	return exec.LookPath(name)
}

// environment returns the environment of this program, PWD if there is a dir, and the added entries; the last entry of
// a name wins. Empty entries, as strings.Split leaves them, are dropped, as os/exec does.
func environment(dir string, added []string) ([]string, error) {
	// Entries without "=" have no meaning and cannot be passed on. A key may be empty: the launchers of other systems
	// leave such entries.
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool { return !strings.Contains(entry, "=") })
	if dir == "" && len(added) == 0 {
		return env, nil
	}
	if dir != "" {
		pwd, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		env = append(env, "PWD="+pwd)
	}
	return lastOfEachName(append(env, added...)), nil
}

// lastOfEachName drops the entries that a later one overrides, and keeps the order of the rest.
func lastOfEachName(env []string) []string {
	seen := make(map[string]bool, len(env))
	kept := make([]string, 0, len(env))
	for _, entry := range slices.Backward(env) {
		name, found := nameOf(entry)
		if entry == "" || found && seen[name] {
			continue
		}
		seen[name] = found
		kept = append(kept, entry)
	}
	slices.Reverse(kept)
	return kept
}

// nameOf returns what os/exec takes for the name in an entry: in "=C:=C:\\dir" it is "=C:".
func nameOf(entry string) (string, bool) {
	end := strings.Index(entry, "=")
	if end == 0 {
		end = strings.Index(entry[1:], "=") + 1
	}
	return entry[:max(end, 0)], end >= 0
}
