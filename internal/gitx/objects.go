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
	return gitWith(nil, dir, paths, args...)
}

func gitWith(env []string, dir string, paths []string, args ...string) ([]byte, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	if env != nil {
		cmd.Env = append(os.Environ(), env...)
	}
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

// AddTracked stages tracked files. With renormalize they are filtered again,
// even if they have not changed. env is added to the environment.
func AddTracked(dir string, paths []string, renormalize bool, env ...string) error {
	if len(paths) == 0 {
		return nil
	}
	literal := make([]string, len(paths))
	for i, path := range paths {
		literal[i] = ":(literal)" + path
	}
	how := "--update"
	if renormalize {
		how = "--renormalize"
	}
	_, err := gitWith(env, dir, literal, "add", how, "--pathspec-from-file=-", "--pathspec-file-nul")
	return err
}

// Replacement is new content for a file in the index that holds Was.
type Replacement struct {
	Path, Was string // path from the top of the work tree, object name
	Data      []byte
}

// ErrIndex says that the index does not hold what it was.
var ErrIndex = errors.New("git's index was changed meanwhile")

// Stage puts content into the index, past the filter, all of it or none. The
// work tree stays as it is.
func Stage(top string, list []Replacement) error {
	entries, err := Git(top, "ls-files", "--stage", "--full-name", "-z", ":/")
	if err != nil {
		return err
	}
	mode := make(map[string]string)
	for _, entry := range strings.Split(string(entries), "\x00") {
		meta, path, _ := strings.Cut(entry, "\t")
		if f := strings.Fields(meta); len(f) == 3 && f[2] == "0" {
			mode[path+"\x00"+f[1]] = f[0]
		}
	}
	var info []string
	for _, r := range list {
		m := mode[r.Path+"\x00"+r.Was]
		if m == "" {
			return fmt.Errorf("%s: %w", r.Path, ErrIndex)
		}
		cmd := exec.Command("git", "hash-object", "-w", "--stdin")
		cmd.Dir, cmd.Stdin = top, bytes.NewReader(r.Data)
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("git hash-object: %w", err)
		}
		info = append(info, m+" "+strings.TrimSpace(string(out))+" 0\t"+r.Path)
	}
	_, err = GitInput(top, info, "update-index", "-z", "--index-info")
	return err
}

// Objects finds the versions of a path that git has. Nothing that could
// change while it is in use is kept.
type Objects struct {
	dir               string // top of the work tree
	index             string // its file
	gitDir, commonDir string // of the work tree, and of all of them

	stamp   fs.FileInfo          // of the index when it was read
	paths   map[string][4]string // object names by stage
	order   []Entry              // merged files, by path
	removed map[string]string    // object names of files that only HEAD has
	next    string               // path that is likely to be asked for next

	batch *exec.Cmd // git cat-file --batch
	ask   io.WriteCloser
	reply *bufio.Reader
	pipe  io.Closer // of reply
	asked []string  // objects whose answers have not been read
}

// maxAsked bounds the answers that git prepares while we work. They wait in
// the pipe, not in memory.
const maxAsked = 16

// NewObjects returns the objects of the repository around a folder.
func NewObjects(dir string) (*Objects, error) {
	out, err := Git(dir, "rev-parse", "--git-path", "index", "--git-dir", "--git-common-dir")
	if err != nil {
		return nil, err
	}
	paths := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(paths) != 3 {
		return nil, fmt.Errorf("git rev-parse: not three paths: %q", out)
	}
	for i, path := range paths {
		if !filepath.IsAbs(path) {
			paths[i] = filepath.Join(dir, path)
		}
	}
	return &Objects{dir: dir, index: paths[0], gitDir: paths[1], commonDir: paths[2]}, nil
}

// Versions names the objects of a path that are likely to have its data key:
// in the index, merged or not, then in HEAD. They need not exist.
func (o *Objects) Versions(path string) ([]string, error) {
	if err := o.readIndex(); err != nil {
		return nil, err
	}
	stages, indexed := o.paths[path]
	if !indexed {
		if err := o.readRemoved(); err != nil || o.removed[path] == "" {
			return nil, err
		}
		return []string{o.removed[path]}, nil
	}
	names := make([]string, 0, 5)
	for _, stage := range []int{0, 2, 3, 1} {
		if name := stages[stage]; name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return append(names, "HEAD:"+path), nil
}

// Staged returns the object of a path in the index; nil if it is not there, or
// unmerged. git asks for one file after the other, in the order of the index:
// while it does, what follows is asked for ahead.
func (o *Objects) Staged(path string) ([]byte, error) {
	if err := o.readIndex(); err != nil {
		return nil, err
	}
	name := o.paths[path][0]
	if name == "" {
		return nil, nil
	}
	next := o.following(path)
	inOrder := o.next == path
	o.next = ""
	if len(next) > 0 {
		o.next = next[0].Path
	}
	if inOrder {
		names := []string{name}
		for _, e := range next {
			names = append(names, e.Object)
		}
		if err := o.Expect(names); err != nil {
			return nil, err
		}
	}
	return o.Blob(name)
}

// following lists small files of the same kind that follow in the index.
func (o *Objects) following(path string) (next []Entry) {
	at, found := slices.BinarySearchFunc(o.order, path, func(e Entry, path string) int { return strings.Compare(e.Path, path) })
	if !found {
		return nil
	}
	for _, e := range o.order[at+1 : min(at+1+4*maxAsked, len(o.order))] {
		if len(next) < maxAsked && filepath.Ext(e.Path) == filepath.Ext(path) && (slices.Contains(o.asked, e.Object) || o.small(e.Path)) {
			next = append(next, e)
		}
	}
	return next
}

// small reports whether it costs little to have git read an object in vain.
func (o *Objects) small(path string) bool {
	info, err := os.Lstat(filepath.Join(o.dir, path))
	return err == nil && info.Mode().IsRegular() && info.Size() <= 64<<10
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
		o.paths, o.order, o.removed, o.stamp = nil, nil, nil, nil
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
	o.stamp, o.paths, o.order, o.removed = stamp, make(map[string][4]string), nil, nil
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
		if stage == 0 {
			o.order = append(o.order, Entry{path, fields[1]})
		}
	}
	return nil
}

// readRemoved asks once for what HEAD has and the index has not: a new file
// costs a question less.
func (o *Objects) readRemoved() error {
	if o.removed != nil {
		return nil
	}
	head, err := headTree(o.dir)
	if err != nil {
		return err
	}
	out, err := Git(o.dir, "diff-index", "--cached", "--no-renames", "--diff-filter=D", "-z", head)
	if err != nil {
		return err
	}
	o.removed = make(map[string]string)
	parts := strings.Split(string(out), "\x00")
	for i := 0; i+1 < len(parts); i += 2 {
		if f := strings.Fields(parts[i]); len(f) == 5 { // ":mode mode name name status"
			o.removed[parts[i+1]] = f[2]
		}
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
	for {
		if len(o.asked) == 0 {
			if err := o.Expect([]string{name}); err != nil {
				return nil, err
			}
		}
		is := o.asked[0]
		o.asked = o.asked[1:]
		data, err := o.answer(is == name)
		if err != nil {
			return nil, fmt.Errorf("git cat-file: %w", err)
		}
		if is == name {
			return data, nil
		}
	}
}

// Expect asks git for objects that Blob is about to be called for, in this
// order, as far as they have not been asked for.
func (o *Objects) Expect(names []string) error {
	if o.batch == nil {
		if err := o.start(); err != nil {
			return err
		}
	}
	var lines strings.Builder
	for _, name := range names {
		if !slices.Contains(o.asked, name) && len(o.asked) <= maxAsked {
			o.asked = append(o.asked, name)
			lines.WriteString(name + "\n")
		}
	}
	if lines.Len() == 0 {
		return nil
	}
	_, err := io.WriteString(o.ask, lines.String())
	return err
}

// answer reads one answer of git's; it keeps the bytes if they are wanted.
func (o *Objects) answer(wanted bool) ([]byte, error) {
	line, err := o.reply.ReadString('\n')
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(line)
	if n := len(fields); n < 3 || fields[n-1] == "missing" || fields[n-1] == "ambiguous" {
		return nil, nil
	}
	size, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil {
		return nil, err
	}
	if !wanted || fields[len(fields)-2] != "blob" {
		_, err := io.CopyN(io.Discard, o.reply, int64(size)+1) // and a line feed
		return nil, err
	}
	data := make([]byte, size+1)
	_, err = io.ReadFull(o.reply, data)
	return data[:size:size], err
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
	o.batch, o.ask, o.reply, o.pipe = cmd, ask, bufio.NewReaderSize(reply, 1<<16), reply
	return nil
}

// Close ends the process that reads objects.
func (o *Objects) Close() error {
	if o.batch == nil {
		return nil
	}
	o.ask.Close()
	if len(o.asked) == 0 {
		return o.batch.Wait()
	}
	o.pipe.Close() // git is writing what nobody wants
	o.batch.Wait()
	return nil
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

// headTree names HEAD, or the empty tree before the first commit.
func headTree(dir string) (string, error) {
	if _, err := Git(dir, "rev-parse", "--verify", "-q", "HEAD"); err == nil {
		return "HEAD", nil
	}
	empty, err := Git(dir, "hash-object", "-t", "tree", "--stdin")
	return strings.TrimSpace(string(empty)), err
}

// StagedChanges lists the files that the next commit adds or changes.
func StagedChanges(dir string) ([]Entry, error) {
	from, err := headTree(dir)
	if err != nil {
		return nil, err
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
// Locked reports whether this work tree is to hold ciphertext.
func (o *Objects) Locked() bool {
	_, err := os.Stat(o.lockedPath())
	return err == nil
}

func (o *Objects) lockedPath() string { return filepath.Join(o.gitDir, "leafseal", "locked") }

// SetLocked notes whether this work tree is to hold ciphertext.
func (o *Objects) SetLocked(locked bool) error {
	if !locked {
		if err := os.Remove(o.lockedPath()); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(o.lockedPath()), 0o700); err != nil {
		return err
	}
	return os.WriteFile(o.lockedPath(), nil, 0o600)
}
