package private

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// tmpfs is a new folder in memory.
func tmpfs(t *testing.T) string {
	t.Helper()
	if !inMemory(shared) {
		if os.Getenv("CI") != "" {
			t.Fatal("no " + shared)
		}
		t.Skip("SKIPPED: no " + shared)
	}
	dir, err := os.MkdirTemp(shared, "private-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// What a dead process left is removed, and nothing else of a similar name.
func TestSweepOnlyOurs(t *testing.T) {
	place := tmpfs(t)
	live, err := New([]string{place}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	for name, mode := range map[string]os.FileMode{prefix + "123": 0o700, "leafseal-3": 0o700, prefix + "src": 0o700, prefix + "1.2": 0o700, prefix: 0o700, prefix + "2": 0o755} {
		if err := os.Mkdir(filepath.Join(place, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	next, err := New([]string{place}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	for name, stays := range map[string]bool{prefix + "123": false, "leafseal-3": true, prefix + "src": true, prefix + "1.2": true, prefix: true, prefix + "2": true, filepath.Base(live.Path): true} {
		if _, err := os.Lstat(filepath.Join(place, name)); (err == nil) != stays {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A place is no place if others can put something else where our folder is.
func TestPlaces(t *testing.T) {
	place := tmpfs(t)
	if !inMemory(place) {
		t.Error("our own folder is refused")
	}
	for _, mode := range []uint32{0o777, 0o770, 0o1777} {
		if err := unix.Chmod(place, mode); err != nil {
			t.Fatal(err)
		}
		if inMemory(place) {
			t.Errorf("mode %o is accepted", mode)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can make a folder of somebody else")
	}
	if err := os.Chown(place, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []uint32{0o700, 0o1777} {
		if err := unix.Chmod(place, mode); err != nil {
			t.Fatal(err)
		}
		if inMemory(place) {
			t.Errorf("mode %o of somebody else is accepted", mode)
		}
	}
}
