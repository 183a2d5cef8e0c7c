// Package launch says what os/exec would start: which program, and with which environment. Both are asked of
// Go, because the library sees neither what os.Setenv did nor exec.LookPath's errors.
package launch

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Program is the path of a program: a name without a slash is looked up in PATH as exec.LookPath does, anything
// else is taken as it is, and is relative to the child's folder.
func Program(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	return exec.LookPath(name)
}

// Environment is this program's environment, PWD if there is a dir, and what was added, of which the last of a
// name wins. Empty entries, as strings.Split leaves them, are dropped, which os/exec does, too.
func Environment(dir string, added []string) ([]string, error) {
	// Entries that are not KEY=VALUE cannot be passed on, nor meant. A key may be empty: other systems' launchers leave
	// such entries.
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

// nameOf is what os/exec takes for the name in an entry: in "=C:=C:\\dir" it is "=C:".
func nameOf(entry string) (string, bool) {
	end := strings.Index(entry, "=")
	if end == 0 {
		end = strings.Index(entry[1:], "=") + 1
	}
	return entry[:max(end, 0)], end >= 0
}

// Nowhere is a program that cannot be started.
const Nowhere = "/dev/null/nowhere"
