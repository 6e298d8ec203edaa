//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"filippo.io/age"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

// Writes under faults: whatever happens, the file is the old one or the new
// one, it opens, and no plaintext stays in another file.

// binary builds the program as its users have it.
func binary(t *testing.T) string {
	t.Helper()
	dir, err := leafsealOnce()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "leafseal")
}

const faultPlain = "a: SENTINEL1\nb: SENTINEL2\nc: SENTINEL3\n"

type faults struct {
	t   *testing.T
	dir string
	id  *age.X25519Identity
	env []string
}

func newFaults(t *testing.T, dir string) *faults {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	return &faults{t, dir, id, []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LEAFSEAL_IDENTITY=" + id.String()}}
}

func (f *faults) path() string { return filepath.Join(f.dir, "a.yaml") }

// seal writes the file as it stands before each fault.
func (f *faults) seal(plain string) []byte {
	f.t.Helper()
	sealed, err := leafseal.Encrypt([]byte(plain), leafseal.Options{Name: "a.yaml", Readers: []leafseal.Reader{{Name: "me", Key: f.id.Recipient().String()}}})
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.path(), sealed, 0o640); err != nil {
		f.t.Fatal(err)
	}
	return sealed
}

// intact asserts that the file opens to one of plains, and that no other file
// in the folder holds plaintext. It removes those.
func (f *faults) intact(plains ...string) string {
	f.t.Helper()
	src, err := os.ReadFile(f.path())
	if err != nil {
		f.t.Fatal(err)
	}
	got := string(src)
	if plain, err := leafseal.Decrypt(src, "a.yaml", f.id); err == nil {
		got = string(plain)
	} else if !errors.Is(err, leafseal.ErrNotEncrypted) {
		f.t.Fatalf("%v\n%s", err, src)
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, e := range entries {
		path := filepath.Join(f.dir, e.Name())
		if path == f.path() {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil || bytes.Contains(data, []byte("SENTINEL")) {
			f.t.Fatalf("%s is left behind with plaintext (%v)", e.Name(), err)
		}
		os.Remove(path)
	}
	for _, p := range plains {
		if got == p {
			return got
		}
	}
	f.t.Fatalf("neither old nor new: %q", got)
	return ""
}

// TestSpacelessDisk runs the writers on a tmpfs that has no room for a second
// copy of the file.
func TestSpacelessDisk(t *testing.T) {
	need(t, "unshare", "-rm", "true")
	bin := binary(t)
	dir := t.TempDir()
	f := newFaults(t, dir)
	big := "filler: " + strings.Repeat("x", 30_000) + "\n" + faultPlain
	sealed := f.seal(big)
	for _, args := range [][]string{{"set", "d/a.yaml", "a", "SENTINEL9"}, {"rotate", "d/a.yaml"}, {"decrypt", "--in-place", "d/a.yaml"}} {
		// On the way out, the folder is copied to where this test sees it.
		script := `mkdir -p d && mount -t tmpfs -o size=72k none d && cp -p a.yaml d/ && "$0" "$@"; code=$?; rm -rf out; cp -a d out; exit $code`
		cmd := exec.Command("unshare", append([]string{"-rm", "sh", "-c", script, bin}, args...)...)
		cmd.Dir, cmd.Env = dir, f.env
		out, err := cmd.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("no space left")) {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		noPlain(t, out)
		got, err := os.ReadFile(filepath.Join(dir, "out", "a.yaml"))
		entries, _ := os.ReadDir(filepath.Join(dir, "out"))
		if err != nil || !bytes.Equal(got, sealed) || len(entries) != 1 {
			t.Fatalf("%v: the folder holds %v, and not the old file alone (%v)", args, entries, err)
		}
	}
}

// TestFileSizeLimit: a write that the kernel cuts short.
func TestFileSizeLimit(t *testing.T) {
	bin := binary(t)
	f := newFaults(t, t.TempDir())
	sealed := f.seal("filler: " + strings.Repeat("x", 3_000) + "\n" + faultPlain)
	for _, args := range [][]string{{"set", f.path(), "a", "SENTINEL9"}, {"rotate", f.path()}, {"decrypt", "--in-place", f.path()}} {
		cmd := exec.Command("sh", append([]string{"-c", `ulimit -f 2; exec "$0" "$@"`, bin}, args...)...) // of 512 bytes
		cmd.Env = f.env
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Fatalf("%v: done all the same\n%s", args, out)
		}
		noPlain(t, out)
		got, err := os.ReadFile(f.path())
		entries, _ := os.ReadDir(f.dir)
		if err != nil || !bytes.Equal(got, sealed) {
			t.Fatalf("%v: not the old file (%v)", args, err)
		}
		for _, e := range entries {
			if data, err := os.ReadFile(filepath.Join(f.dir, e.Name())); err != nil || bytes.Contains(data, []byte("SENTINEL")) || e.Name() != "a.yaml" {
				t.Fatalf("%v: %s is left behind (%v)", args, e.Name(), err)
			}
		}
	}
}

func TestReadOnlyFolder(t *testing.T) {
	bin := binary(t)
	dir, err := os.MkdirTemp("", "leafseal-test-") // t.TempDir is not open to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o700); os.RemoveAll(dir) })
	f := newFaults(t, dir)
	sealed := f.seal(faultPlain)
	if err := errors.Join(os.Chmod(f.path(), 0o666), os.Chmod(dir, 0o555), os.Chmod(filepath.Dir(bin), 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"set", f.path(), "a", "SENTINEL9"}, {"rotate", f.path()}, {"decrypt", "--in-place", f.path()}, {"decrypt", "-o", filepath.Join(dir, "out"), f.path()}} {
		cmd := exec.Command(bin, args...)
		cmd.Env = f.env
		if os.Geteuid() == 0 { // whom no mode holds back
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		out, err := cmd.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("permission denied")) {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		noPlain(t, out)
		entries, _ := os.ReadDir(dir)
		if got, err := os.ReadFile(f.path()); err != nil || !bytes.Equal(got, sealed) || len(entries) != 1 {
			t.Fatalf("%v: the folder holds %v, and not the old file alone (%v)", args, entries, err)
		}
	}
}

// TestNotDumpable: other processes of the same person cannot read leafseal's
// memory and environment, and no core is written.
func TestNotDumpable(t *testing.T) {
	bin := binary(t)
	dir, err := os.MkdirTemp("", "leafseal-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := newFaults(t, dir)
	f.seal("x: SENTINEL\n")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(f.path(), 0o644), os.Chmod(filepath.Dir(bin), 0o755)); err != nil {
		t.Fatal(err)
	}
	const look = `cat /proc/self/environ >/dev/null && echo mine; cat /proc/$PPID/environ || echo closed; head -c 1 /proc/$PPID/maps || echo closed; ls -l /proc/$PPID/fd || echo closed`
	cmd := exec.Command(bin, "exec", "--mask", f.path(), "--", "sh", "-c", look)
	cmd.Env = f.env
	if os.Geteuid() == 0 { // who may read everything
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "closed\n") != 3 || !strings.Contains(string(out), "mine\n") || strings.Contains(string(out), "AGE-SECRET") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestParallelWriters: no update is lost; who comes too late exits with 7.
func TestParallelWriters(t *testing.T) {
	bin := binary(t)
	f := newFaults(t, t.TempDir())
	f.seal("x: 1\n")
	const writers = 50
	codes := make([]int, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for {
				cmd := exec.Command(bin, "set", f.path(), fmt.Sprintf("k%d", i), "v")
				cmd.Env = f.env
				cmd.Run()
				if codes[i] = cmd.ProcessState.ExitCode(); codes[i] != 7 {
					return
				}
			}
		})
	}
	wg.Wait()
	src, err := os.ReadFile(f.path())
	if err != nil {
		t.Fatal(err)
	}
	plain, err := leafseal.Decrypt(src, "a.yaml", f.id)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range codes {
		if c != 0 || !bytes.Contains(plain, fmt.Appendf(nil, "\nk%d: v\n", i)) {
			t.Errorf("writer %d: exit code %d, or its update is lost", i, c)
		}
	}
}

func noPlain(t *testing.T, out []byte) {
	t.Helper()
	if bytes.Contains(out, []byte("SENTINEL")) {
		t.Fatalf("plaintext in a message:\n%s", out)
	}
}

// need skips a test whose counterpart is missing; in CI it fails.
func need(t *testing.T, name string, args ...string) {
	t.Helper()
	if err := exec.Command(name, args...).Run(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s: %v", name, err)
		}
		t.Skipf("SKIPPED: %s: %v", name, err)
	}
}
