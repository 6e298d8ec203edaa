//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

// Every command that writes files, killed at any time and with every system
// call of its writes failing: each file is the old one or the new one.

// writer is a command that writes. It runs in a folder of its own, which
// bench.fill fills.
type writer struct {
	name string
	args []string
}

var writers = []writer{
	{"encrypt", []string{"encrypt", "--to", "$KEY", "plain.yaml"}},
	{"encrypt -o", []string{"encrypt", "--to", "$KEY", "-o", "new.yaml", "plain.yaml"}},
	{"encrypt --opaque", []string{"encrypt", "--opaque", "--to", "$KEY", "plain.bin"}},
	{"decrypt --in-place", []string{"decrypt", "--in-place", "a.yaml"}},
	{"decrypt -o", []string{"decrypt", "-o", "new.yaml", "a.yaml"}},
	{"decrypt opaque", []string{"decrypt", "-o", "new.bin", "opaque.bin"}},
	{"set", []string{"set", "a.yaml", "b", "SENTINEL9"}},
	{"set in a new file", []string{"set", "--trust", "all", "new.yaml", "b", "SENTINEL9"}},
	{"unset", []string{"unset", "a.yaml", "b"}},
	{"rotate", []string{"rotate", "a.yaml", "b.yaml", "opaque.bin"}},
	{"edit", []string{"edit", "--visible", "a.yaml"}},
	{"edit in a view", []string{"edit", "a.yaml"}},
	{"apply", []string{"apply", "--trust", "all", "--yes", "a.yaml", "b.yaml"}},
	{"users add", []string{"users", "add", "zoe", "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z"}},
	{"users remove", []string{"users", "remove", "bob"}},
	{"keygen", []string{"keygen", "-o", "new.key"}},
	{"export", []string{"export", "--as", "sops", "-o", "new.yaml", "a.yaml"}},
	{"import", []string{"import", "--to", "$KEY", "sops.yaml"}},
}

// bench is where writers run.
type bench struct {
	t    *testing.T
	bin  string
	key  string
	id   *age.X25519Identity
	env  []string
	fill map[string][]byte // what the folder holds at first
}

func newBench(t *testing.T) *bench {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.MkdirTemp("/dev/shm", "writers-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(memory) })
	b := &bench{t: t, bin: binary(t), id: id, key: id.Recipient().String()}
	editor := filepath.Join(t.TempDir(), "editor")
	if err := os.WriteFile(editor, []byte("#!/bin/sh\nexec sed -i s/SENTINEL2/SENTINEL9/ \"$1\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "XDG_RUNTIME_DIR=" + memory,
		"LEAFSEAL_IDENTITY=" + id.String(), "EDITOR=" + editor}
	dir := b.folder()
	for _, name := range []string{"a.yaml", "b.yaml", "plain.yaml", "opaque.bin", "plain.bin"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(faultPlain), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	policy := "users:\n  me: " + b.key + "\n  bob: " + newKey(t) + "\ngroups: {all: [me, bob]}\nfiles: [{path: \"*.yaml\", for: [all]}]\n"
	if err := os.WriteFile(filepath.Join(dir, ".leafseal.yaml"), []byte(policy), 0o640); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"encrypt", "--to", "me=$KEY", "a.yaml", "b.yaml"},
		{"encrypt", "--opaque", "--to", "me=$KEY", "opaque.bin"},
		{"export", "--as", "sops", "-o", "sops.yaml", "a.yaml"},
	} {
		if out, err := b.command(dir, args).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	b.fill = b.read(dir)
	return b
}

func newKey(t *testing.T) string {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id.Recipient().String()
}

func (b *bench) command(dir string, args []string, under ...string) *exec.Cmd {
	argv := append(slices.Clone(under), b.bin)
	for _, a := range args {
		argv = append(argv, strings.ReplaceAll(a, "$KEY", b.key))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	b.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, b.env, time.Second
	return cmd
}

// folder makes a folder with the files of b.fill.
func (b *bench) folder() string {
	dir, err := os.MkdirTemp("", "writers-")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { os.RemoveAll(dir) })
	for name, data := range b.fill {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o640); err != nil {
			b.t.Fatal(err)
		}
	}
	return dir
}

func (b *bench) read(dir string) map[string][]byte {
	entries, err := os.ReadDir(dir)
	if err != nil {
		b.t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			b.t.Fatal(err)
		}
	}
	return files
}

// state is what a folder holds, but for what is random in it. Temporary files
// that a killed program left are no part of it; they hold plaintext only if
// that is what the command writes.
func (b *bench) state(dir string, w writer) map[string]string {
	state := make(map[string]string)
	for name, data := range b.read(dir) {
		if strings.HasPrefix(name, ".leafseal-") {
			if bytes.Contains(data, []byte("SENTINEL")) && !strings.HasPrefix(w.name, "decrypt") {
				b.t.Fatalf("%s: plaintext is left in %s", w.name, name)
			}
			continue
		}
		err, file := leafseal.ErrNotEncrypted, (*leafseal.File)(nil)
		if bytes.Contains(data, []byte("# leafseal:begin ")) {
			file, err = leafseal.Open(data, leafseal.Options{Name: name}, b.id)
		}
		switch {
		case err == nil:
			state[name] = fmt.Sprintf("sealed to %d: %s", len(file.Readers()), file.Plaintext())
			if w.name == "rotate" && bytes.Equal(data, b.fill[name]) {
				state[name] += " before"
			}
		case !errors.Is(err, leafseal.ErrNotEncrypted):
			b.t.Fatalf("%s: %s: %v\n%s", w.name, name, err, data)
		case bytes.Contains(data, []byte("AGE-SECRET-KEY-")) && bytes.HasSuffix(data, []byte("\n")):
			state[name] = "identity"
		case bytes.Contains(data, []byte("ENC[")) && bytes.Contains(data, []byte("mac:")) && bytes.HasSuffix(data, []byte("\n")):
			state[name] = "of sops"
		default:
			state[name] = string(data)
		}
	}
	return state
}

// check holds what a fault left against what there was and what there was to be.
func (b *bench) check(dir string, w writer, was, done map[string]string, exit error) {
	b.t.Helper()
	now := b.state(dir, w)
	if exit == nil && !maps.Equal(now, done) {
		b.t.Fatalf("%s: it says that it is done, but left %q", w.name, now)
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if now[name] != was[name] && now[name] != done[name] {
			b.t.Fatalf("%s: %s is neither old nor new: %q", w.name, name, now[name])
		}
	}
	for name := range was {
		if _, there := now[name]; !there {
			b.t.Fatalf("%s: %s is gone", w.name, name)
		}
	}
}

// each runs f for every writer as a test of its own, with what its folder
// holds before and after it, and how long it takes.
func (b *bench) each(f func(b *bench, w writer, was, done map[string]string, takes time.Duration)) {
	b.t.Run("each", func(t *testing.T) {
		for _, w := range writers {
			t.Run(w.name, func(t *testing.T) {
				t.Parallel()
				b := &bench{t, b.bin, b.key, b.id, b.env, b.fill}
				dir := b.folder()
				was := b.state(dir, w)
				started := time.Now()
				out, err := b.command(dir, w.args).CombinedOutput()
				takes := time.Since(started)
				done := b.state(dir, w)
				if err != nil || maps.Equal(was, done) {
					t.Fatalf("it does nothing: %v\n%s", err, out)
				}
				f(b, w, was, done, takes)
			})
		}
	})
}

// TestKilledWriters kills each of them at random moments, 500 in all.
func TestKilledWriters(t *testing.T) {
	b := newBench(t)
	rounds := 500/len(writers) + 1
	var killed atomic.Int64
	b.each(func(b *bench, w writer, was, done map[string]string, takes time.Duration) {
		for i := 0; i < rounds; {
			dir := b.folder()
			cmd := b.command(dir, w.args)
			if err := cmd.Start(); err != nil {
				b.t.Fatal(err)
			}
			time.Sleep(time.Duration(rand.Int64N(int64(takes))))
			cmd.Process.Kill()
			err := cmd.Wait()
			if err != nil {
				killed.Add(1)
				i++
			}
			b.check(dir, w, was, done, err)
		}
	})
	t.Logf("%d were killed in time", killed.Load())
	// What killed edits left in memory, the next one takes away.
	memory := b.env[slices.IndexFunc(b.env, func(kv string) bool { return strings.HasPrefix(kv, "XDG_RUNTIME_DIR=") })]
	memory = strings.TrimPrefix(memory, "XDG_RUNTIME_DIR=")
	if out, err := b.command(b.folder(), []string{"edit", "a.yaml"}).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if left, err := os.ReadDir(memory); err != nil || len(left) > 0 {
		t.Errorf("left in memory: %v %v", left, err)
	}
}

// TestFailingCalls lets each system call of each write fail in turn.
func TestFailingCalls(t *testing.T) {
	need(t, "strace", "-V")
	b := newBench(t)
	var runs atomic.Int64
	b.each(func(b *bench, w writer, was, done map[string]string, _ time.Duration) {
		if w.name == "edit in a view" {
			return // Go's own start of a process in namespaces hangs if two writes fail; what is saved is saved as by "edit"
		}
		for _, c := range []struct{ calls, errors string }{
			{"write,pwrite64", "ENOSPC,EIO,EINTR"}, {"fsync", "ENOSPC,EIO,EINTR"}, {"rename,renameat,renameat2", "ENOSPC,EIO,EINTR"},
			{"linkat,unlinkat,flock,fchmod,fchmodat", "EIO"},
		} {
			for _, name := range strings.Split(c.errors, ",") {
				for n := 1; ; n++ {
					dir := b.folder()
					trace := filepath.Join(b.t.TempDir(), "trace")
					cmd := b.command(dir, w.args, "strace", "-f", "-qq", "-o", trace, "-e", "signal=none", "-e", "trace="+c.calls, "-e", fmt.Sprintf("inject=%s:error=%s:when=%d", c.calls, name, n))
					started := time.Now()
					out, err := cmd.CombinedOutput()
					if time.Since(started) > 10*time.Second {
						log, _ := os.ReadFile(trace)
						b.t.Fatalf("it hangs when call %d of %s is %s\n%s", n, c.calls, name, log)
					}
					if !strings.HasPrefix(w.name, "decrypt") {
						noPlain(b.t, out)
					}
					b.check(dir, w, was, done, err)
					log, logErr := os.ReadFile(trace)
					if logErr != nil {
						b.t.Fatalf("no trace: %v\n%s", logErr, out)
					}
					if !bytes.Contains(log, []byte("(INJECTED)")) {
						break
					}
					runs.Add(1)
				}
			}
		}
	})
	if t.Logf("%d failing calls", runs.Load()); int(runs.Load()) < 10*len(writers) {
		t.Errorf("only %d calls failed", runs.Load())
	}
}
