//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These tests watch every system call by which plaintext could reach a file,
// with strace, while real editors run on a terminal.

// watch is one traced run of leafseal.
type watch struct {
	t        *testing.T
	sentinel string
	dir      string // of the test: whatever it is on, it counts as a disk
	home     string
	work     string // where leafseal runs
	env      []string
	tty      *os.File // the side of the person
	cmd      *exec.Cmd

	mu     sync.Mutex
	screen bytes.Buffer
	views  map[int][]mount // what each thread in a view has mounted, by its number
	trace  []byte
	ended  chan struct{}
}

type mount struct{ point, kind, source string }

const traced = "openat,write,pwrite64,writev,pwritev,rename,renameat,renameat2,link,linkat,sendfile,splice,tee,copy_file_range"

func newWatch(t *testing.T, sentinel string) *watch {
	t.Helper()
	need(t, "strace", "-V")
	dir, err := os.MkdirTemp("", "leaktest-")
	if err != nil {
		t.Fatal(err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &watch{t: t, sentinel: sentinel, dir: dir, home: filepath.Join(dir, "home"), work: filepath.Join(dir, "work"), views: make(map[int][]mount), ended: make(chan struct{})}
	if err := errors.Join(os.Mkdir(w.home, 0o700), os.Mkdir(w.work, 0o700)); err != nil {
		t.Fatal(err)
	}
	w.env = []string{"HOME=" + w.home, "PATH=" + os.Getenv("PATH"), "TERM=xterm", "LANG=C.UTF-8"}
	return w
}

// terminal opens a pseudo terminal: the side of the person, and that of the
// programs.
func terminal(t *testing.T) (person, tty *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	raw, err := person.SyscallConn() // Fd would make reading block, and Close wait for it
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
			err = errors.Join(err, unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0),
				unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}))
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return person, tty
}

// run starts a program under strace, with a terminal of its own.
func (w *watch) run(argv ...string) {
	w.t.Helper()
	ptmx, slave := terminal(w.t)
	out, theirs, err := os.Pipe()
	if err != nil {
		w.t.Fatal(err)
	}
	w.tty = ptmx
	w.cmd = exec.Command("strace", append([]string{"-f", "-y", "-s", "70000", "-e", "trace=" + traced, "-e", "signal=none", "-o", "/proc/self/fd/3", "--"}, argv...)...)
	w.cmd.Env, w.cmd.Dir = w.env, w.work
	w.cmd.Stdin, w.cmd.Stdout, w.cmd.Stderr = slave, slave, slave
	w.cmd.ExtraFiles = []*os.File{theirs}
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := w.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	theirs.Close()
	slave.Close()
	go func() { // the screen
		buf := make([]byte, 4096)
		for {
			n, err := ptmx.Read(buf)
			w.mu.Lock()
			w.screen.Write(buf[:n])
			w.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	go func() { // which threads are in a view, as long as there are any
		for {
			select {
			case <-w.ended:
				return
			case <-time.After(20 * time.Millisecond):
				w.look()
			}
		}
	}()
	go func() {
		w.trace, _ = io.ReadAll(out)
		out.Close()
		w.cmd.Wait()
		close(w.ended)
	}()
	w.t.Cleanup(func() {
		for _, p := range w.below() {
			syscall.Kill(p, syscall.SIGKILL)
		}
		ptmx.Close()
	})
}

// below returns the processes that the program consists of.
func (w *watch) below() []int {
	parents := make(map[int]int)
	dirs, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, d := range dirs {
		stat, _ := os.ReadFile(d)
		var pid, ppid int
		if i := bytes.LastIndexByte(stat, ')'); i > 0 {
			var state string
			fmt.Sscan(string(stat[i+1:]), &state, &ppid)
			fmt.Sscan(string(stat), &pid)
			parents[pid] = ppid
		}
	}
	var all []int
	for pid := range parents {
		for p := pid; p > 1; p = parents[p] {
			if parents[p] == w.cmd.Process.Pid {
				all = append(all, pid)
				break
			}
		}
	}
	slices.Sort(all)
	return all
}

func (w *watch) look() {
	ours, _ := os.Readlink("/proc/self/ns/mnt")
	for _, pid := range w.below() {
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid))
		if err != nil || theirs == ours {
			continue
		}
		mounts := mounts(fmt.Sprintf("/proc/%d/mountinfo", pid))
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		w.mu.Lock()
		for _, task := range tasks {
			var tid int
			fmt.Sscan(filepath.Base(task), &tid)
			if len(mounts) >= len(w.views[tid]) {
				w.views[tid] = mounts
			}
		}
		w.mu.Unlock()
	}
}

func mounts(path string) []mount {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	var all []mount
	for lines := bufio.NewScanner(file); lines.Scan(); {
		left, right, _ := strings.Cut(lines.Text(), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if len(l) > 4 && len(r) > 1 {
			all = append(all, mount{l[4], r[0], r[1]})
		}
	}
	return all
}

// named are the processes of a name.
func (w *watch) named(name string) []int {
	return slices.DeleteFunc(w.below(), func(pid int) bool {
		exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		return !strings.HasPrefix(filepath.Base(exe), name)
	})
}

// await waits until the screen shows what.
func (w *watch) await(what string) {
	w.t.Helper()
	for range 1500 {
		w.mu.Lock()
		seen := strings.Contains(w.screen.String(), what)
		w.mu.Unlock()
		if seen {
			return
		}
		select {
		case <-w.ended:
			w.t.Fatalf("it ended without showing %q:\n%s", what, w.screen.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	w.t.Fatalf("the screen never showed %q:\n%q", what, w.screen.String())
}

func (w *watch) typed(keys ...string) {
	for _, k := range keys {
		io.WriteString(w.tty, k)
		time.Sleep(60 * time.Millisecond)
	}
}

func (w *watch) wait() {
	w.t.Helper()
	select {
	case <-w.ended:
	case <-time.After(60 * time.Second):
		w.t.Fatalf("it does not end:\n%q", w.screen.String())
	}
}

var (
	traceLine = regexp.MustCompile(`^(\d+) +(\w+)\((.*)$`)
	tracePath = regexp.MustCompile(`^(?:\d+|AT_FDCWD)<((?:[^>\\]|\\.)*)>`)
)

// leaks returns the system calls that put the sentinel, or data that strace
// does not show, into a file on a disk, and the files that hold it now.
func (w *watch) leaks() []string {
	var found []string
	host := mounts("/proc/self/mountinfo")
	for line := range strings.Lines(string(w.trace)) {
		m := traceLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			continue
		}
		call, args := m[2], m[3]
		switch call {
		case "write", "pwrite64", "writev", "pwritev":
			if !strings.Contains(args, w.sentinel) {
				continue
			}
		case "sendfile": // its first argument is the target
		case "splice", "tee", "copy_file_range": // the target comes third
			if _, rest, ok := strings.Cut(args, ">, "); ok {
				if _, rest, ok = strings.Cut(rest, ", "); ok {
					args = rest
				}
			}
		default:
			continue
		}
		path := ""
		if p := tracePath.FindStringSubmatch(args); p != nil {
			path = p[1]
		}
		var tid int
		fmt.Sscan(m[1], &tid)
		if !w.inMemory(tid, path, host) {
			found = append(found, fmt.Sprintf("%d %s into %s", tid, call, path))
		}
	}
	return append(found, w.onDisk()...)
}

func (w *watch) inMemory(tid int, path string, host []mount) bool {
	if !strings.HasPrefix(path, "/") { // pipe:[1], socket:[1], anon_inode:…
		return path != ""
	}
	if strings.HasPrefix(path, "/dev/pts/") || path == "/dev/tty" || path == "/dev/null" || strings.HasPrefix(path, "/memfd:") {
		return true
	}
	w.mu.Lock()
	view := w.views[tid]
	w.mu.Unlock()
	if view != nil {
		m := covering(view, path)
		return m.source == "leafseal" || m.kind == "tmpfs" && !strings.HasPrefix(path, w.dir)
	}
	kind := covering(host, path).kind
	return (kind == "tmpfs" || kind == "ramfs") && !strings.HasPrefix(path, w.dir)
}

// covering is the mount that a path is on: the last of the longest.
func covering(mounts []mount, path string) (best mount) {
	for _, m := range mounts {
		if (path == m.point || strings.HasPrefix(path, strings.TrimSuffix(m.point, "/")+"/")) && len(m.point) >= len(best.point) {
			best = m
		}
	}
	return best
}

// onDisk returns the files on a disk that hold the sentinel.
func (w *watch) onDisk() []string {
	return holding(w.sentinel, w.dir, os.TempDir(), "/var/tmp", "/run", "/var/spool")
}

// holding returns the files below some folders that hold a sentinel. Those of
// other tests and programs cannot: it is new each time.
func holding(sentinel string, roots ...string) []string {
	var found []string
	since := time.Now().Add(-10 * time.Minute)
	for _, root := range roots {
		filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || strings.Contains(path, "go-build") {
				return nil
			}
			info, err := d.Info()
			if err != nil || info.ModTime().Before(since) || info.Size() > 64<<20 {
				return nil
			}
			if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte(sentinel)) {
				found = append(found, "the file "+path)
			}
			return nil
		})
	}
	return found
}

// driver knows how to work with an editor: copy and delete lines, type one
// more, save, and leave.
type driver struct {
	name       string
	rc, rcText string // its worst configuration
	edit       func(line string) []string
	leave      []string
	pause      time.Duration // until it has written whatever it writes by itself
	needs      []string      // arguments by which it says that it is there
}

const worstVim = `set nocompatible swapfile directory=~/ backup writebackup backupdir=~/ undofile undodir=~/ updatetime=100 updatecount=1 modeline history=1000 autowriteall
`

const worstEmacs = `(setq make-backup-files t backup-directory-alist '(("." . "~/")) auto-save-default t auto-save-interval 5 auto-save-timeout 1
  auto-save-file-name-transforms '((".*" "~/" t)) savehist-additional-variables '(kill-ring) savehist-autosave-interval 1)
(savehist-mode 1)
`

var drivers = []driver{
	{"vim", ".vimrc", worstVim + "set viminfo='100,<1000,s1000,h,n~/.viminfo\n",
		func(l string) []string { return []string{"yy", "p", "dd", "o" + l, "\x1b", ":w\r"} }, []string{":q\r"}, 1500 * time.Millisecond, []string{"--version"}},
	{"nvim", ".config/nvim/init.vim", worstVim + "set shada='100,<1000,s1000,h\n",
		func(l string) []string { return []string{"yy", "p", "dd", "o" + l, "\x1b", ":w\r"} }, []string{":q\r"}, 1500 * time.Millisecond, []string{"--version"}},
	{"nano", ".nanorc", "set backup\nset backupdir \"~/\"\nset historylog\nset positionlog\nset locking\n",
		func(l string) []string { return []string{"\x0b", "\x15", l, "\x0f", "\r"} }, []string{"\x18"}, time.Second, []string{"--version"}},
	{"micro", ".config/micro/settings.json", `{"backup": true, "permbackup": true, "savehistory": true, "savecursor": true, "saveundo": true, "clipboard": "internal"}`,
		func(l string) []string { return []string{"\x0b", "\x16", l, "\x13"} }, []string{"\x11"}, 9 * time.Second, []string{"-version"}},
	{"emacs", ".emacs", worstEmacs,
		func(l string) []string { return []string{"\x0b", "\x0b", "\x19", l, "\x18\x13"} }, []string{"\x18\x03"}, 3 * time.Second, []string{"--version"}},
}

// TestEditorLeaks: no editor, however it is set up and however it ends,
// leaves plaintext on a disk, at any time.
func TestEditorLeaks(t *testing.T) {
	bin := binary(t)
	if out, err := exec.Command("unshare", "-rm", "true").CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no namespaces: %v %s", err, out)
		}
		t.Skipf("SKIPPED: no namespaces: %v %s", err, out)
	}
	slots := make(chan struct{}, 6) // an editor mostly waits
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			need(t, d.name, d.needs...)
			for _, worst := range []bool{false, true} {
				for _, end := range []string{"normally", "leafseal killed", "editor killed", "both killed", "visible"} {
					t.Run(fmt.Sprintf("worst=%v/%s", worst, end), func(t *testing.T) {
						t.Parallel()
						slots <- struct{}{}
						defer func() { <-slots }()
						editorRun(t, bin, d, worst, end)
					})
				}
			}
		})
	}
}

func editorRun(t *testing.T, bin string, d driver, worst bool, end string) {
	w := newWatch(t, fmt.Sprintf("SENTINEL%x", time.Now().UnixNano()))
	if worst {
		rc := filepath.Join(w.home, d.rc)
		if err := errors.Join(os.MkdirAll(filepath.Dir(rc), 0o700), os.WriteFile(rc, []byte(d.rcText), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	f := newFaults(t, w.work)
	old := f.seal("a: " + w.sentinel + "\n")
	w.env = append(w.env, "LEAFSEAL_IDENTITY="+f.id.String(), "EDITOR="+d.name)
	argv := []string{bin, "edit", "a.yaml"}
	if end == "visible" {
		argv = []string{bin, "edit", "--visible", "a.yaml"}
	}
	w.run(argv...)
	w.await(w.sentinel)
	time.Sleep(300 * time.Millisecond) // until it takes keys
	w.typed(d.edit("b: " + w.sentinel + "typed")...)
	if end == "normally" || end == "visible" {
		time.Sleep(d.pause)
	} else {
		time.Sleep(time.Second)
	}
	if during := w.onDisk(); len(during) > 0 {
		t.Errorf("while it ran: %s", during)
	}
	editor, self := w.named(d.name), w.named("leafseal")
	if len(editor) == 0 || len(self) == 0 {
		t.Fatalf("no editor %v, or no leafseal %v", editor, self)
	}
	kill := func(pids []int) {
		for _, p := range pids {
			syscall.Kill(p, syscall.SIGKILL)
		}
	}
	switch end {
	case "leafseal killed":
		kill(self[:1])
		if d.name == "nano" { // which ends itself on SIGHUP
			time.Sleep(200 * time.Millisecond)
		}
		w.tty.Close()
	case "editor killed":
		kill(editor)
	case "both killed":
		kill(append(editor, self...))
	default:
		w.typed(d.leave...)
	}
	w.wait()
	if leaks := w.leaks(); len(leaks) > 0 {
		t.Errorf("leaks:\n%s", strings.Join(leaks, "\n"))
	}
	now, err := os.ReadFile(f.path())
	if err != nil {
		t.Fatal(err)
	}
	if end == "normally" || end == "visible" {
		f.intact("a: "+w.sentinel+"\nb: "+w.sentinel+"typed\n", "a: "+w.sentinel+"\nb: "+w.sentinel+"typed")
	} else if !bytes.Equal(now, old) {
		t.Error("the file was changed")
	}
	if end != "visible" && !strings.Contains(string(w.trace), w.sentinel) {
		t.Error("the trace shows nothing at all: this test tests nothing")
	}
}

// TestLeakTestFinds: the same without leafseal does leak.
func TestLeakTestFinds(t *testing.T) {
	need(t, "vim", "--version")
	w := newWatch(t, fmt.Sprintf("SENTINEL%x", time.Now().UnixNano()))
	d := drivers[0]
	path := filepath.Join(w.dir, "plain.yaml")
	if err := errors.Join(os.WriteFile(filepath.Join(w.home, d.rc), []byte(d.rcText), 0o600), os.WriteFile(path, []byte("a: "+w.sentinel+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	w.run("vim", path)
	w.await(w.sentinel)
	time.Sleep(300 * time.Millisecond)
	w.typed(d.edit("b: " + w.sentinel)...)
	time.Sleep(time.Second)
	w.typed(d.leave...)
	w.wait()
	leaks := strings.Join(w.leaks(), "\n")
	for _, want := range []string{"write into " + path, ".swp", "the file " + filepath.Join(w.home, ".viminfo")} {
		if !strings.Contains(leaks, want) {
			t.Errorf("no %q among the leaks:\n%s", want, leaks)
		}
	}
}

// TestCommandLeaks: nor do commands that hold plaintext.
func TestCommandLeaks(t *testing.T) {
	bin := binary(t)
	w := newWatch(t, fmt.Sprintf("SENTINEL%x", time.Now().UnixNano()))
	f := newFaults(t, w.work)
	env := append(w.env, "LEAFSEAL_IDENTITY="+f.id.String(), "BIN="+bin)
	policy := "users:\n  me: " + f.id.Recipient().String() + "\n  zoe: " + newKey(t) + "\nfiles: [{path: \"*.yaml\", for: [me, zoe]}]\n"
	if err := os.WriteFile(filepath.Join(w.work, ".leafseal.yaml"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`"$BIN" exec a.yaml -- sh -c 'echo $A'`,
		`"$BIN" exec --mask a.yaml -- sh -c 'echo $A'`,
		`"$BIN" exec --file F=a.yaml -- sh -c 'cat $F'`,
		`"$BIN" exec --file F=a.yaml -- sh -c 'cat $F; kill -9 $$'`,
		`"$BIN" exec --file F=a.yaml#a --mask -- sh -c 'cat $F; kill -9 $$'`,
		`"$BIN" exec --file F=a.yaml#a --mask -- sh -c 'cat $F; sleep 0.1; kill -9 $PPID'`,
		`echo "$S" | "$BIN" set a.yaml b -`,
		`"$BIN" rotate -q a.yaml`,
		`"$BIN" unset a.yaml a`,
		`"$BIN" apply -q --trust all --yes a.yaml`,
		`>b.yaml; "$BIN" export --as sops -o b.yaml --force a.yaml`,
		`echo "a: $S" | "$BIN" encrypt -q --to "$KEY" --format yaml -o b.yaml --force -`,
		`"$BIN" render a.yaml --as env`,
		`"$BIN" render a.yaml --as json`,
		`"$BIN" verify -q a.yaml`,
		`"$BIN" decrypt a.yaml`,
		`"$BIN" get a.yaml a`,
	} {
		one := &watch{t: t, sentinel: w.sentinel, dir: w.dir, home: w.home, work: w.work, env: append(env, "S="+w.sentinel, "KEY="+f.id.Recipient().String()), views: make(map[int][]mount), ended: make(chan struct{})}
		f.seal("a: " + w.sentinel + "\nb: x\n")
		one.run("sh", "-c", line)
		one.wait()
		if leaks := one.leaks(); len(leaks) > 0 {
			t.Errorf("%s leaks:\n%s", line, strings.Join(leaks, "\n"))
		}
		if left := holding(w.sentinel, "/dev/shm"); len(left) > 0 {
			t.Errorf("%s leaves in memory: %s", line, left)
		}
		if len(one.trace) == 0 || strings.Contains(one.screen.String(), "leafseal: ") {
			t.Errorf("%s: does not do what is to be tested\n%s", line, one.screen.String())
		}
	}
}
