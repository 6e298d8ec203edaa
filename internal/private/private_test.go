package private

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestMain lets a test start this program again, to die with a folder.
func TestMain(m *testing.M) {
	if temp := os.Getenv("LEAFSEAL_TEST_DIE"); temp != "" {
		f, err := OnDisk(temp)
		if err == nil {
			_, err = f.Write("a.yaml", []byte("SENTINEL"))
		}
		if err != nil {
			println(err.Error())
			os.Exit(9)
		}
		self, _ := os.FindProcess(os.Getpid())
		self.Kill()
		select {}
	}
	os.Exit(m.Run())
}

// folders are all the ways by which this system has private folders.
func folders(t *testing.T, temp string) map[string]func() (*Folder, error) {
	all := map[string]func() (*Folder, error){"disk": func() (*Folder, error) { return OnDisk(temp) }}
	switch runtime.GOOS {
	case "linux":
		all["memory"] = func() (*Folder, error) { return New([]string{"", temp, "/dev/shm"}, temp) }
	case "darwin":
		all["RAM disk"] = func() (*Folder, error) { return New(nil, temp) }
	default:
		if _, err := New(nil, temp); !errors.Is(err, ErrDisk) {
			t.Errorf("a folder in memory: %v", err)
		}
	}
	return all
}

func TestFolder(t *testing.T) {
	temp := t.TempDir()
	for name, make := range folders(t, temp) {
		t.Run(name, func(t *testing.T) {
			f, err := make()
			if err != nil {
				t.Fatal(err)
			}
			if !IsFolder(f.Path) || IsFolder(filepath.Dir(f.Path)) {
				t.Error("IsFolder is wrong")
			}
			path, err := f.Write("a.yaml", []byte("SENTINEL and more"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err = f.Write("a.yaml", []byte("SENTINEL")); err != nil { // in its place
				t.Fatal(err)
			}
			if got, err := f.Read("a.yaml"); err != nil || string(got) != "SENTINEL" {
				t.Errorf("%q %v", got, err)
			}
			if runtime.GOOS != "windows" {
				for p, want := range map[string]os.FileMode{path: 0o600, f.Path: 0o700 | os.ModeDir} {
					if info, err := os.Stat(p); err != nil || info.Mode() != want {
						t.Errorf("%s: %v %v", p, info.Mode(), err)
					}
				}
			}
			// Others do not take it away as long as we live.
			other, err := make()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(path); err != nil {
				t.Error("a second folder took away the first")
			}
			if err := errors.Join(other.Close(), f.Close()); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(f.Path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the folder is still there: %v", err)
			}
		})
	}
	if entries, err := os.ReadDir(temp); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

// What a dead process left is removed by the next one.
func TestSweep(t *testing.T) {
	temp := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "LEAFSEAL_TEST_DIE="+temp)
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() == 9 {
		t.Fatalf("%v\n%s", err, out)
	}
	left, err := filepath.Glob(filepath.Join(temp, prefix+"*", "a.yaml"))
	if err != nil || len(left) != 1 {
		t.Fatalf("%v %v", left, err)
	}
	f, err := OnDisk(temp)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := os.Stat(left[0]); !errors.Is(err, os.ErrNotExist) {
		t.Error("it was not swept")
	}
	entries, _ := os.ReadDir(temp)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), filepath.Base(f.Path)) {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

func TestTooLarge(t *testing.T) {
	f, err := OnDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write("a", make([]byte, maxFile+1)); !errors.Is(err, errTooLarge) {
		t.Error(err)
	}
}
