//go:build linux || darwin

package agent

import (
	"crypto/sha256"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
)

// clock is one that the test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// start runs an agent and returns its client, and what its end comes to.
func start(t *testing.T, lifetime time.Duration, now func() time.Time) (Client, chan error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	c := Client{filepath.Join(dir, "s", "agent.sock")}
	ready, end := make(chan struct{}), make(chan error, 1)
	go func() { end <- Serve(c.Path, lifetime, now, func() { close(ready) }) }()
	t.Cleanup(func() { c.Stop(); os.RemoveAll(dir) })
	select {
	case <-ready:
	case err := <-end:
		t.Fatal(err)
	}
	return c, end
}

func TestAgent(t *testing.T) {
	time0 := &clock{t: time.Now()}
	c, end := start(t, time.Hour, time0.now)
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("0123456789abcdef")
	stanzas, err := id.Recipient().Wrap(key)
	if err != nil {
		t.Fatal(err)
	}
	file := sha256.Sum256([]byte("locked"))
	if _, held, err := c.Unwrap(file, stanzas); held || err != nil {
		t.Fatal(held, err)
	}
	if err := c.Hold(file, []byte("no key")); err == nil {
		t.Fatal("it holds anything")
	}
	if err := c.Hold(file, []byte(id.String()+"\n")); err != nil {
		t.Fatal(err)
	}
	if got, held, err := c.Unwrap(file, stanzas); string(got) != string(key) || !held || err != nil {
		t.Fatal(held, err)
	}
	if _, held, err := c.Unwrap(file, nil); !held || !errors.Is(err, age.ErrIncorrectIdentity) {
		t.Fatal(held, err)
	}
	if n, until, err := c.Status(); n != 1 || !until.Equal(time0.now().Add(time.Hour)) || err != nil {
		t.Fatal(n, until, err)
	}
	if err := Serve(c.Path, time.Hour, time.Now, func() { t.Error("a second one") }); err == nil {
		t.Fatal("two agents at one path")
	}
	time0.move(time.Hour) // as if the machine had slept
	if _, held, _ := c.Unwrap(file, stanzas); held {
		t.Fatal("it answers after its time")
	}
	select {
	case err := <-end:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
	if _, _, err := c.Status(); !errors.Is(err, ErrNone) {
		t.Fatal(err)
	}
}

// What is no message is not answered, and does no harm.
func TestMalformed(t *testing.T) {
	c, _ := start(t, time.Hour, time.Now)
	for _, msg := range []string{"", "x", "\xff\xff\xff\xff", "\x00\x00\x00\x02{}\xff\xff\xff\xff", "\x00\x00\x00\x02no\x00\x00\x00\x00", "\x00\x00\x00\x02{}\x00\x00\x00\x00"} {
		conn, err := net.Dial("unix", c.Path)
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte(msg))
		conn.Close()
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Hold([32]byte{}, []byte(id.String())); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ask(&header{Do: "unwrap", Stanzas: []*age.Stanza{nil}}, nil); err == nil {
		t.Fatal("a stanza that is none")
	}
	if _, _, err := c.Status(); err != nil {
		t.Fatal(err)
	}
}

// Once it is told to stop, nobody is answered any more.
func TestStop(t *testing.T) {
	for range 20 {
		c, end := start(t, time.Hour, time.Now)
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Status(); !errors.Is(err, ErrNone) {
			t.Fatal(err)
		}
		if err := <-end; err != nil {
			t.Fatal(err)
		}
	}
}

// It listens in no folder where others could put something in its place.
func TestSharedFolder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "agent.sock")
	for _, mode := range []os.FileMode{0o777, 0o777 | os.ModeSticky, 0o770} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := Serve(path, time.Hour, time.Now, func() { t.Error("it listens") }); err == nil {
			t.Fatal(mode)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := Serve(filepath.Join(link, "agent.sock"), time.Hour, time.Now, func() { t.Error("it listens") }); err == nil {
		t.Fatal("behind a link")
	}
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		t.Fatal(left, err)
	}
}

// Another user gets no answer, even if the file modes let them in.
func TestOtherUser(t *testing.T) {
	if path := os.Getenv("AGENT_TEST_PATH"); path != "" {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if err := send(conn, &header{Do: "status"}, nil); err == nil {
			if _, _, err = receive(conn, onHeap); err == nil {
				t.Fatal("answered")
			}
		}
		if _, _, err := (Client{path}).Status(); err == nil {
			t.Fatal("the client trusts an agent of another user")
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can be somebody else")
	}
	c, _ := start(t, time.Hour, time.Now)
	for path, mode := range map[string]os.FileMode{filepath.Dir(filepath.Dir(c.Path)): 0o755, filepath.Dir(c.Path): 0o755, c.Path: 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Join(filepath.Dir(c.Path), "test")
	data, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(bin, data, 0o755)
	}
	if err != nil {
		if runtime.GOOS == "linux" {
			t.Fatal(err)
		}
		t.Skip("SKIPPED: no /proc:", err)
	}
	cmd := exec.Command(bin, "-test.run=TestOtherUser")
	cmd.Env, cmd.Dir = []string{"AGENT_TEST_PATH=" + c.Path}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
