package gitx

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Hooks are what guards a clone: they read objects, not files.
var Hooks = map[string]string{
	"pre-commit": `#!/bin/sh
# leafseal: refuses plain text where .leafseal.yaml wants ciphertext.
command -v leafseal >/dev/null 2>&1 || { echo "leafseal is not installed, and nothing can check what is staged: https://github.com/leafseal/leafseal" >&2; exit 1; }
exec leafseal check --staged
`,
	"pre-push": `#!/bin/sh
# leafseal: refuses plain text where .leafseal.yaml wants ciphertext.
command -v leafseal >/dev/null 2>&1 || { echo "leafseal is not installed, and nothing can check what is pushed: https://github.com/leafseal/leafseal" >&2; exit 1; }
exec leafseal check --pushed
`,
}

// oldHooks are the texts of earlier versions.
var oldHooks = map[string][]string{}

// HooksDir is where git looks for hooks.
func HooksDir(dir string) (string, error) {
	out, err := Git(dir, "rev-parse", "--git-path", "hooks")
	if err != nil {
		return "", err
	}
	path := strings.TrimSuffix(string(out), "\n")
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return path, nil
}

// InstallHooks writes the hooks. Where another program's stand, it leaves them
// alone and returns their names.
func InstallHooks(dir string) (foreign []string, err error) {
	err = eachHook(dir, func(name, path string, have []byte) error {
		if have != nil && !ourHook(name, have) {
			if !bytes.Contains(have, []byte("leafseal check")) { // somebody has put it in
				foreign = append(foreign, path)
			}
			return nil
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(Hooks[name]), 0o755); err != nil {
			return err
		}
		return os.Chmod(path, 0o755)
	})
	return foreign, err
}

// UninstallHooks removes the hooks that are ours.
func UninstallHooks(dir string) error {
	return eachHook(dir, func(name, path string, have []byte) error {
		if have == nil || !ourHook(name, have) {
			return nil
		}
		return os.Remove(path)
	})
}

// HooksInstalled reports whether every hook is there, ours or another that
// calls leafseal.
func HooksInstalled(dir string) (bool, error) {
	all := true
	err := eachHook(dir, func(name, path string, have []byte) error {
		all = all && bytes.Contains(have, []byte("leafseal check"))
		return nil
	})
	return all, err
}

func ourHook(name string, have []byte) bool {
	return slices.Contains(append(oldHooks[name], Hooks[name]), string(have))
}

func eachHook(dir string, do func(name, path string, have []byte) error) error {
	folder, err := HooksDir(dir)
	if err != nil {
		return err
	}
	for _, name := range []string{"pre-commit", "pre-push"} {
		path := filepath.Join(folder, name)
		have, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := do(name, path, have); err != nil {
			return err
		}
	}
	return nil
}
