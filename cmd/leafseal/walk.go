package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/leafseal/leafseal/internal/gitx"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

// candidate is a file below a policy: one that a rule is for, or one that is
// encrypted.
type candidate struct {
	path string             // to open and to show
	in   bool               // named by the person, or below what they named
	rule *leafseal.FileRule // nil: no rule matches
	src  []byte
	info *leafseal.Info // nil: see err
	err  error          // why there is no info

	// Where the work tree has plain text as the rule wants, src is what git
	// has: its index, under this path, this object.
	staged, object string
}

// largest is the size up to which files without a rule are looked into.
const largest = 32 << 20

// candidates finds the policy around the first of paths, or around the
// current folder, and the files that it is about; those below paths, or all,
// are in. What is named itself is looked at even if git ignores it.
func candidates(paths []string) (*repo, []candidate, error) {
	start := "."
	if len(paths) > 0 {
		start = paths[0]
	}
	r, err := repoAround(start)
	if err != nil {
		return nil, nil, err
	}
	files, err := listFiles(r.root)
	if err != nil {
		return nil, nil, err
	}
	in := files
	if len(paths) > 0 {
		if in, err = r.within(files, paths); err != nil {
			return nil, nil, err
		}
		files = slices.Concat(files, in)
		slices.Sort(files)
		files = slices.Compact(files)
	}
	var found []candidate
	index := &indexed{root: r.root}
	defer index.close()
	for _, rel := range files {
		c := candidate{path: r.show(rel), rule: r.policy.Match(rel)}
		_, c.in = slices.BinarySearch(in, rel)
		stat, err := os.Lstat(c.path)
		if err != nil || !stat.Mode().IsRegular() || c.rule == nil && stat.Size() > largest {
			continue
		}
		if c.src, err = os.ReadFile(c.path); err != nil {
			return nil, nil, err
		}
		c.info, c.err = leafseal.Inspect(c.src, leafseal.Options{Name: c.path})
		if c.rule != nil && c.rule.Plain && errors.Is(c.err, leafseal.ErrNotEncrypted) {
			if err := index.look(&c, rel); err != nil {
				return nil, nil, err
			}
		}
		if c.rule != nil || c.info != nil {
			found = append(found, c)
		}
	}
	return r, found, nil
}

// indexed reads what git has of files, if it is asked for any.
type indexed struct {
	root    string
	prefix  string // of root, as seen from the top of the work tree
	objects *gitx.Objects
	names   map[string]string // objects by path
}

func (x *indexed) open() error {
	top := gitRoot(x.root)
	if top == "" || x.names != nil {
		return nil
	}
	rel, err := filepath.Rel(top, x.root)
	if err != nil {
		return err
	}
	entries, err := gitx.IndexEntries(top)
	if err != nil {
		return err
	}
	x.prefix, x.names = filepath.ToSlash(rel), make(map[string]string)
	for _, e := range entries {
		x.names[e.Path] = e.Object
	}
	x.objects, err = gitx.NewObjects(top)
	return err
}

// look replaces a candidate's plain text by what git has of the file. What it
// has not is sealed once it is added: there is nothing to look at.
func (x *indexed) look(c *candidate, rel string) error {
	if err := x.open(); err != nil {
		return err
	}
	at := path.Join(x.prefix, rel)
	object := x.names[at]
	if object == "" {
		if x.names != nil {
			c.src = nil
		}
		return nil
	}
	blob, err := x.objects.Blob(object)
	if err != nil {
		return err
	}
	c.staged, c.object, c.src = at, object, blob
	c.info, c.err = leafseal.Inspect(blob, leafseal.Options{Name: c.path})
	return nil
}

func (x *indexed) close() {
	if x.objects != nil {
		x.objects.Close() // it was only read from
	}
}

// repoAround is the policy for a file or folder; there must be one.
func repoAround(start string) (*repo, error) {
	stat, err := os.Stat(start)
	if err != nil {
		return nil, err
	}
	inside := start
	if stat.IsDir() {
		inside = filepath.Join(start, leafseal.PolicyFile)
	}
	r, err := repoOf(inside)
	if r == nil && err == nil {
		err = noPolicy(start)
	}
	return r, err
}

// listFiles lists the files below root by what git tracks or would add, or
// all of them without git. Folders with a policy of their own, and policies,
// are left out.
func listFiles(root string) ([]string, error) {
	var files []string
	out, err := git(root, "ls-files", "-co", "--exclude-standard", "-z")
	if err == nil {
		files = strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 })
	} else if files, err = walkAll(root); err != nil {
		return nil, err
	}
	slices.Sort(files)
	var own []string
	for _, f := range files {
		if path.Base(f) == leafseal.PolicyFile && path.Dir(f) != "." {
			own = append(own, path.Dir(f)+"/")
		}
	}
	return slices.DeleteFunc(slices.Compact(files), func(f string) bool {
		return f == leafseal.PolicyFile || slices.ContainsFunc(own, func(dir string) bool { return strings.HasPrefix(f, dir) })
	}), nil
}

func walkAll(root string) (files []string, err error) {
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		rel, err := filepath.Rel(root, p)
		files = append(files, filepath.ToSlash(rel))
		return err
	})
	return files, err
}

// within keeps the files that are named by paths or lie below one of them.
func (r *repo) within(files, paths []string) ([]string, error) {
	var kept []string
	for _, p := range paths {
		stat, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		rel, err := r.rel(p)
		if err != nil {
			return nil, err
		}
		if rel == ".." || strings.HasPrefix(rel, "../") {
			return nil, &leafseal.Error{File: p, Err: errors.New("outside of " + r.root + ", whose policy the first path chose")}
		}
		if !stat.IsDir() {
			if rel != leafseal.PolicyFile {
				kept = append(kept, rel)
			}
			continue
		}
		for _, f := range files {
			if rel == "." || strings.HasPrefix(f, rel+"/") {
				kept = append(kept, f)
			}
		}
	}
	slices.Sort(kept)
	return slices.Compact(kept), nil
}

// show is a file of the repository as seen from the current folder.
func (r *repo) show(rel string) string {
	abs := filepath.Join(r.root, filepath.FromSlash(rel))
	wd, err := os.Getwd()
	if err == nil {
		wd, err = filepath.EvalSymlinks(wd)
	}
	if err == nil {
		if near, err := filepath.Rel(wd, abs); err == nil {
			return near
		}
	}
	return abs
}

// git asks git something; it never changes anything.
func git(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("git", append([]string{"-c", "core.fsmonitor=false"}, args...)...)
	cmd.Dir = dir
	return cmd.Output()
}
