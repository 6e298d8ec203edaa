package gitx

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
	"slices"
	"strconv"
	"strings"
)

// Git runs git in a folder. GIT_DIR, GIT_INDEX_FILE and the like are in the
// environment when git itself has started us, and hold.
func Git(dir string, args ...string) ([]byte, error) { return GitInput(dir, nil, args...) }

// GitInput runs git with paths on its standard input, each ended by a zero
// byte.
func GitInput(dir string, paths []string, args ...string) ([]byte, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	if paths != nil {
		cmd.Stdin = strings.NewReader(strings.Join(paths, "\x00") + "\x00")
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return out, fmt.Errorf("git %s: %w: %s", args[0], err, first)
	}
	return out, nil
}

// Objects finds the versions of a path that git has. Nothing that could
// change while it is in use is kept.
type Objects struct {
	dir   string // top of the work tree
	index string // its file
	stamp fs.FileInfo
	paths map[string][4]string // object names by stage

	batch *exec.Cmd // git cat-file --batch
	ask   io.WriteCloser
	reply *bufio.Reader
}

// NewObjects returns the objects of the repository around a folder.
func NewObjects(dir string) (*Objects, error) {
	out, err := Git(dir, "rev-parse", "--git-path", "index")
	if err != nil {
		return nil, err
	}
	index := strings.TrimSuffix(string(out), "\n")
	if !filepath.IsAbs(index) {
		index = filepath.Join(dir, index)
	}
	return &Objects{dir: dir, index: index}, nil
}

// Versions names the objects of a path that are likely to have its data key:
// in the index, merged or not, then in HEAD. They need not exist.
func (o *Objects) Versions(path string) ([]string, error) {
	if err := o.readIndex(); err != nil {
		return nil, err
	}
	stages := o.paths[path]
	names := make([]string, 0, 5)
	for _, stage := range []int{0, 2, 3, 1} {
		if name := stages[stage]; name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return append(names, "HEAD:"+path), nil
}

// Staged returns the object of a path in the index; nil if it is not there, or
// unmerged.
func (o *Objects) Staged(path string) ([]byte, error) {
	if err := o.readIndex(); err != nil {
		return nil, err
	}
	name := o.paths[path][0]
	if name == "" {
		return nil, nil
	}
	return o.Blob(name)
}

// Stages returns the object names of an unmerged path: base, ours, theirs.
func (o *Objects) Stages(path string) ([4]string, error) {
	err := o.readIndex()
	return o.paths[path], err
}

// readIndex reads the index again if its file has changed.
func (o *Objects) readIndex() error {
	stamp, err := os.Stat(o.index)
	if errors.Is(err, fs.ErrNotExist) {
		o.paths, o.stamp = nil, nil
		return nil
	}
	if err != nil {
		return err
	}
	if o.stamp != nil && os.SameFile(stamp, o.stamp) && stamp.Size() == o.stamp.Size() && stamp.ModTime().Equal(o.stamp.ModTime()) {
		return nil
	}
	out, err := Git(o.dir, "ls-files", "--stage", "--full-name", "-z", ":/")
	if err != nil {
		return err
	}
	o.stamp, o.paths = stamp, make(map[string][4]string)
	for _, entry := range strings.Split(string(out), "\x00") {
		meta, path, ok := strings.Cut(entry, "\t") // mode, name, stage
		fields := strings.Fields(meta)
		if !ok || len(fields) != 3 || fields[0] == "160000" {
			continue
		}
		stage, err := strconv.Atoi(fields[2])
		if err != nil || stage > 3 {
			return fmt.Errorf("git ls-files: not a stage: %q", fields[2])
		}
		s := o.paths[path]
		s[stage] = fields[1]
		o.paths[path] = s
	}
	return nil
}

// Blob returns an object's bytes; nil if there is none of that name.
func (o *Objects) Blob(name string) ([]byte, error) {
	if strings.Contains(name, "\n") { // which --batch cannot be asked
		out, err := Git(o.dir, "cat-file", "blob", name)
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, nil
		}
		return out, err
	}
	if o.batch == nil {
		if err := o.start(); err != nil {
			return nil, err
		}
	}
	if _, err := io.WriteString(o.ask, name+"\n"); err != nil {
		return nil, err
	}
	line, err := o.reply.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	fields := strings.Fields(line)
	if n := len(fields); n < 3 || fields[n-1] == "missing" || fields[n-1] == "ambiguous" {
		return nil, nil
	}
	if fields[len(fields)-2] != "blob" {
		return nil, o.skip(fields[len(fields)-1])
	}
	size, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	data := make([]byte, size+1) // and a line feed
	if _, err := io.ReadFull(o.reply, data); err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	return data[:size:size], nil
}

func (o *Objects) skip(size string) error {
	n, err := strconv.ParseInt(size, 10, 64)
	if err == nil {
		_, err = io.CopyN(io.Discard, o.reply, n+1)
	}
	return err
}

func (o *Objects) start() error {
	cmd := exec.Command("git", "cat-file", "--batch")
	cmd.Dir = o.dir
	ask, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	reply, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	o.batch, o.ask, o.reply = cmd, ask, bufio.NewReaderSize(reply, 1<<16)
	return nil
}

// Close ends the process that reads objects.
func (o *Objects) Close() error {
	if o.batch == nil {
		return nil
	}
	o.ask.Close()
	return o.batch.Wait()
}

// Entry is a file in the index or in a commit.
type Entry struct{ Path, Object string }

// IndexEntries lists the files in the index.
func IndexEntries(dir string) ([]Entry, error) {
	out, err := Git(dir, "ls-files", "--stage", "--full-name", "-z", ":/")
	if err != nil {
		return nil, err
	}
	var list []Entry
	for _, entry := range strings.Split(string(out), "\x00") {
		meta, path, ok := strings.Cut(entry, "\t")
		if f := strings.Fields(meta); ok && len(f) == 3 && strings.HasPrefix(f[0], "100") {
			list = append(list, Entry{path, f[1]})
		}
	}
	return list, nil
}

// emptyTree is the name that every git knows the empty tree by.
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// StagedChanges lists the files that the next commit adds or changes.
func StagedChanges(dir string) ([]Entry, error) {
	from := "HEAD"
	if _, err := Git(dir, "rev-parse", "--verify", "-q", "HEAD"); err != nil {
		from = emptyTree
	}
	out, err := Git(dir, "diff-index", "--cached", "--no-renames", "--diff-filter=ACMT", "-z", from)
	return rawEntries(out), err
}

// CommitChanges lists the files that a commit adds or changes, against each
// of its parents.
func CommitChanges(dir, commit string) ([]Entry, error) {
	out, err := Git(dir, "diff-tree", "-r", "-m", "--root", "--no-commit-id", "--no-renames", "--diff-filter=ACMT", "-z", commit)
	return rawEntries(out), err
}

// rawEntries reads git's raw diff format: ":mode mode name name status", path.
func rawEntries(out []byte) (list []Entry) {
	parts := strings.Split(string(out), "\x00")
	for i := 0; i+1 < len(parts); i += 2 {
		if f := strings.Fields(parts[i]); len(f) == 5 && strings.HasPrefix(f[1], "100") {
			list = append(list, Entry{parts[i+1], f[3]})
		}
	}
	return list
}

// FilterAttributes returns the filter attribute of each path.
func FilterAttributes(dir string, paths []string) (map[string]string, error) {
	found := make(map[string]string)
	if len(paths) == 0 {
		return found, nil
	}
	out, err := GitInput(dir, paths, "check-attr", "-z", "--stdin", "filter")
	if err != nil {
		return nil, err
	}
	parts := strings.Split(string(out), "\x00")
	for i := 0; i+2 < len(parts); i += 3 {
		found[parts[i]] = parts[i+2]
	}
	return found, nil
}

// lockedKey is the setting that keeps ciphertext in a work tree.
const lockedKey = "leafseal.locked"

// Locked reports whether this work tree is to hold ciphertext.
func Locked(dir string) bool {
	value, _, err := configured(dir, "", lockedKey)
	return err == nil && value == "true"
}

// SetLocked notes whether this work tree is to hold ciphertext.
func SetLocked(dir string, locked bool) error {
	if locked {
		_, err := Git(dir, "config", "--local", lockedKey, "true")
		return err
	}
	if _, set, err := configured(dir, "--local", lockedKey); err != nil || !set {
		return err
	}
	_, err := Git(dir, "config", "--local", "--unset", lockedKey)
	return err
}
