package gitx

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// setting is one entry of git's configuration that is ours.
type setting struct {
	key string
	now string
	old []string // what earlier versions wrote
}

// textconv shows plain text as it is without starting us: git has smudged most
// of what it is given. One awk, which takes the place of the shell, is half the
// cost of grep and cat; it reads all as one record, and so keeps the last line
// as it is.
const textconv = `f() { export LC_ALL=C F="$1"; exec awk 'BEGIN { RS = "\004" } { if (NR > 1) t[NR] = RS; t[NR] = t[NR] $0 } /leafseal:end|"leafseal": *\[/ { c = 1 } END { if (c) exit system("exec leafseal git textconv -- \"$F\""); for (i = 1; i <= NR; i++) printf "%s", t[i] }' <"$1"; }; f`

var settings = []setting{
	{key: "filter.leafseal.process", now: "leafseal git filter-process"},
	{key: "filter.leafseal.clean", now: "leafseal git clean -- %f"}, // for JGit, and git before 2.11
	{key: "filter.leafseal.smudge", now: "leafseal git smudge -- %f"},
	{key: "filter.leafseal.required", now: "true"},
	{key: "diff.leafseal.textconv", now: textconv, old: []string{
		`f() { if LC_ALL=C grep -qe 'leafseal:end' -e '"leafseal": *\[' -- "$1"; then leafseal git textconv -- "$1"; else cat -- "$1"; fi; }; f`,
	}},
	{key: "merge.leafseal.name", now: "leafseal: merge the plain text, keep ciphertext"},
	{key: "merge.leafseal.driver", now: "leafseal git merge-driver -- %O %A %B %L %P"},
}

// ErrForeign says that something stands where ours belongs that we did not
// write.
var ErrForeign = errors.New("this was not written by leafseal")

// configured reads a setting; ok is false if it is not set. scope is
// "--global", "--local" or "" for what is in force.
func configured(dir, scope, key string) (value string, ok bool, err error) {
	args := []string{"config"}
	if scope != "" {
		args = append(args, scope)
	}
	out, err := Git(dir, append(args, "--get", key)...)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return "", false, nil
	}
	return strings.TrimSuffix(string(out), "\n"), err == nil, err
}

func (s *setting) ours(value string) bool {
	for _, known := range append(s.old, s.now) {
		if value == known {
			return true
		}
	}
	return false
}

// Install writes our settings; it touches none that somebody else wrote.
func Install(dir, scope string) error {
	if err := eachSetting(dir, scope, func(s *setting, value string, set bool) error {
		if set && !s.ours(value) {
			return fmt.Errorf("git config %s %s: %w", scope, s.key, ErrForeign)
		}
		return nil
	}); err != nil {
		return err
	}
	return eachSetting(dir, scope, func(s *setting, value string, set bool) error {
		if value == s.now {
			return nil
		}
		_, err := Git(dir, "config", scope, s.key, s.now)
		return err
	})
}

// Uninstall removes our settings, and no others.
func Uninstall(dir, scope string) error {
	err := eachSetting(dir, scope, func(s *setting, value string, set bool) error {
		if !set || !s.ours(value) {
			return nil
		}
		_, err := Git(dir, "config", scope, "--unset", s.key)
		return err
	})
	for _, section := range []string{"filter.leafseal", "diff.leafseal", "merge.leafseal"} {
		if out, _ := Git(dir, "config", scope, "--get-regexp", "^"+strings.ReplaceAll(section, ".", `\.`)+`\.`); len(out) == 0 {
			Git(dir, "config", scope, "--remove-section", section) // an empty one, if git has left it
		}
	}
	return err
}

// Installed reports whether the settings in force are ours.
func Installed(dir string) (bool, error) {
	all := true
	err := eachSetting(dir, "", func(s *setting, value string, set bool) error {
		all = all && set && s.ours(value)
		return nil
	})
	return all, err
}

func eachSetting(dir, scope string, do func(s *setting, value string, set bool) error) error {
	for i := range settings {
		value, set, err := configured(dir, scope, settings[i].key)
		if err == nil {
			err = do(&settings[i], value, set)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
