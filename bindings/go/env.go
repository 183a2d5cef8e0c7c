package process

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// environment is this program's environment, PWD if there is a dir, and what was added. It is read
// here, in Go: the library's view of environ does not see os.Setenv.
func environment(dir string, added []string) ([]string, error) {
	env := os.Environ()
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
		name, _, found := strings.Cut(entry, "=")
		if found && seen[name] {
			continue
		}
		seen[name] = found
		kept = append(kept, entry)
	}
	slices.Reverse(kept)
	return kept
}
