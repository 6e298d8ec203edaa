//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/leafseal/leafseal/internal/migrate"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

// sopsTree is a folder of 200 files of sops.
type sopsTree struct {
	t     *testing.T
	dir   string
	files map[string][]byte
	ids   []age.Identity
	env   []string
	to    []string // flags
}

func newSopsTree(t *testing.T) *sopsTree {
	t.Helper()
	const fixtures = "../../testdata/foreign/sops/"
	key, err := filepath.Abs(fixtures + "identity.txt")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	tree := &sopsTree{t: t, dir: t.TempDir(), files: map[string][]byte{}}
	tree.env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "SOPS_AGE_KEY_FILE=" + key, "LEAFSEAL_IDENTITY_FILE=" + key}
	if tree.ids, err = age.ParseIdentities(bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	names := []string{"nested.yaml", "odd.json", "plain.env", "regex.yaml"}
	for i := range 200 {
		name := names[i%len(names)]
		src, err := os.ReadFile(fixtures + name)
		if err != nil {
			t.Fatal(err)
		}
		tree.files[fmt.Sprintf("d%d/f%03d%s", i%7, i, filepath.Ext(name))] = src
	}
	tree.to = []string{"--to", tree.ids[0].(*age.X25519Identity).Recipient().String()}
	for i := range 12 { // more readers than before: the files grow
		id, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		tree.to = append(tree.to, "--to", fmt.Sprintf("r%d=%s", i, id.Recipient()))
	}
	tree.write()
	return tree
}

func (s *sopsTree) write() {
	for name, src := range s.files {
		path := filepath.Join(s.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, src, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *sopsTree) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary(s.t), append(append([]string{"import", "--tree", "."}, s.to...), args...)...)
	cmd.Dir, cmd.Env = s.dir, s.env
	return cmd
}

// state counts the files of dir that are still sops's, and those that are
// leafseal's and open; any other file is an error, but for what a kill leaves.
func (s *sopsTree) state(dir string) (sops, ours, left int) {
	s.t.Helper()
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		rel, _ := filepath.Rel(dir, path)
		was, known := s.files[filepath.ToSlash(rel)]
		switch {
		case strings.HasPrefix(d.Name(), ".leafseal-"):
			left++
		case !known:
			s.t.Errorf("%s: where is it from?", rel)
		case bytes.Equal(src, was):
			sops++
		default:
			if _, err := leafseal.Open(src, leafseal.Options{Name: path}, s.ids...); err != nil {
				s.t.Errorf("%s: neither the old file nor a new one: %v", rel, err)
			}
			ours++
		}
		return nil
	})
	return sops, ours, left
}

func (s *sopsTree) expect(dir string, sops, ours int) {
	s.t.Helper()
	if a, b, left := s.state(dir); a != sops || b != ours || left > 0 {
		s.t.Errorf("%d files are sops's, %d leafseal's, %d left over; want %d and %d", a, b, left, sops, ours)
	}
}

// TestImportTree: 200 files, one command; all or nothing if one is damaged.
func TestImportTree(t *testing.T) {
	tree := newSopsTree(t)
	bad := filepath.Join(tree.dir, "d4", "f137.json") // 137 % 7 is 4
	src, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(src, []byte(",iv:")) + 6
	damaged := bytes.Clone(src)
	damaged[at]++
	if err := os.WriteFile(bad, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	tree.files["d4/f137.json"] = damaged
	out, err := tree.command().CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("f137.json:")) || !bytes.Contains(out, []byte("nothing was written")) {
		t.Fatalf("%v\n%s", err, out)
	}
	tree.expect(tree.dir, 200, 0)
	tree.files["d4/f137.json"] = src
	tree.write()
	start := time.Now()
	if out, err = tree.command().CombinedOutput(); err != nil || !bytes.Contains(out, []byte("200 files imported")) {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("200 files in %v", time.Since(start).Round(time.Millisecond))
	if bytes.Contains(out, []byte("\r")) || bytes.Contains(out, []byte("\x1b")) {
		t.Error("progress, and nobody looks")
	}
	tree.expect(tree.dir, 0, 200)
}

// TestImportTreeSpaceless: the disk becomes full in the middle.
func TestImportTreeSpaceless(t *testing.T) {
	need(t, "unshare", "-rm", "true")
	tree := newSopsTree(t)
	script := `mkdir -p ../m && mount -t tmpfs -o size=2m none ../m && cp -a . ../m/ && cd ../m && "$0" "$@"; code=$?; cp -a . "$OUT"; exit $code`
	cmd := tree.command()
	cmd.Args = append([]string{"unshare", "-rm", "sh", "-c", script}, append([]string{cmd.Path}, cmd.Args[1:]...)...)
	cmd.Path, _ = exec.LookPath("unshare")
	result := t.TempDir()
	cmd.Env = append(cmd.Env, "OUT="+result)
	out, err := cmd.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("no space left")) || bytes.Contains(out, []byte("could not be put back")) {
		t.Fatalf("%v\n%s", err, out)
	}
	tree.expect(result, 200, 0)
}

// TestImportTreeKilled: each file is the old or the new one whenever the
// command is killed, and the same command goes on with the rest.
func TestImportTreeKilled(t *testing.T) {
	tree := newSopsTree(t)
	start := time.Now()
	if out, err := tree.command().CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	took := time.Since(start)
	mixed := 0
	for i := 1; i <= 6; i++ {
		tree.write()
		cmd := tree.command()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i <= 3 {
			time.Sleep(took * time.Duration(i) / 4)
		} else { // among the renames: as soon as a file is new
			first := filepath.Join(tree.dir, "d0", "f000.yaml")
			for range 20_000 {
				if src, err := os.ReadFile(first); err == nil && !migrate.Sops(src) {
					break
				}
				time.Sleep(100 * time.Microsecond)
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
		sops, ours, _ := tree.state(tree.dir)
		if sops+ours != 200 {
			t.Fatalf("%d files of sops and %d of leafseal", sops, ours)
		}
		if sops > 0 && ours > 0 {
			mixed++
		}
		if out, err := tree.command().CombinedOutput(); sops > 0 && err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if sops, ours, _ := tree.state(tree.dir); sops != 0 || ours != 200 {
			t.Fatalf("the second run left %d files of sops", sops)
		}
	}
	t.Logf("a kill met %d of 6 runs among the renames", mixed)
}
