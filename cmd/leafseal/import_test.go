package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestWriteTogether: if one of several files cannot be written, the others are
// put back, and there is no new policy.
func TestWriteTogether(t *testing.T) {
	dir := t.TempDir()
	a, b, policy := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, ".leafseal.yaml")
	for _, path := range []string{a, b} {
		if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	e := &env{stdout: io.Discard, stderr: io.Discard}
	read := func(path string) string {
		src, err := os.ReadFile(path)
		if err != nil {
			return err.Error()
		}
		return string(src)
	}
	changes := []change{{a, []byte("old"), []byte("new")}, {b, []byte("another"), []byte("new")}}
	if err := e.writeTogether(changes, &newPolicy{policy, "users:\n"}); !errors.Is(err, errChanged) {
		t.Fatalf("error %v", err)
	}
	if read(a) != "old" || read(b) != "old" {
		t.Errorf("%q and %q after a failure", read(a), read(b))
	}
	if _, err := os.Stat(policy); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a policy after a failure: %v", err)
	}
	changes[1].was = []byte("old")
	if err := e.writeTogether(changes, &newPolicy{policy, "users:\n"}); err != nil {
		t.Fatal(err)
	}
	if read(a) != "new" || read(b) != "new" || read(policy) != "users:\n" {
		t.Errorf("%q, %q, %q", read(a), read(b), read(policy))
	}
}
