package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Trust remembers which keys this machine has encrypted to, under which names
// and in which repositories. On disk each is one line: repository, name and
// key, quoted as in Go, with tabs between them.
type Trust struct {
	path  string
	known map[string]bool
	added []string
}

// OpenTrust reads the store at path; a missing file is an empty store.
func OpenTrust(path string) (*Trust, error) {
	t := &Trust{path: path, known: make(map[string]bool)}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for n, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		if line != "" && !validTrustLine(line) {
			return nil, fmt.Errorf("%s:%d: not a line of the trust store", path, n+1)
		}
		t.known[line] = true
	}
	return t, nil
}

func validTrustLine(line string) bool {
	fields := strings.Split(line, "\t")
	for _, f := range fields {
		s, err := strconv.Unquote(f)
		if err != nil || strconv.Quote(s) != f {
			return false
		}
	}
	return len(fields) == 3
}

func trustLine(repo, name, key string) string {
	return strconv.Quote(repo) + "\t" + strconv.Quote(name) + "\t" + strconv.Quote(key)
}

// Known reports whether the key was encrypted to under that name there.
func (t *Trust) Known(repo, name, key string) bool { return t.known[trustLine(repo, name, key)] }

// Add notes a key. Save writes it.
func (t *Trust) Add(repo, name, key string) {
	line := trustLine(repo, name, key)
	if !t.known[line] {
		t.known[line] = true
		t.added = append(t.added, line+"\n")
	}
}

// Save appends what was added, in one write, so that programs running side by
// side lose nothing.
func (t *Trust) Save() error {
	if len(t.added) == 0 {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(t.path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(t.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(strings.Join(t.added, "")); err != nil {
		f.Close()
		return err
	}
	t.added = nil
	return f.Close()
}
