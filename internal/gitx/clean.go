package gitx

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"filippo.io/age"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

// Filter turns files of one work tree into what git stores, and back. It is
// the Handler of Serve.
type Filter struct {
	Objects    *Objects
	Identities func() ([]age.Identity, error)
	// NewFile begins a file that no version in git has a data key for.
	NewFile func(path string) (*leafseal.File, error)
	// Locked says that smudge leaves ciphertext as it is.
	Locked bool
	// Refused and Kept tell the person about a file that cannot be cleaned,
	// and about one that stays ciphertext in the work tree.
	Refused, Kept func(path string, err error)

	last  string                  // path that was cleaned
	ahead map[string]chan version // by object name

	mu sync.Mutex // of Kept
}

// Options are how a path's content is read: as text where the name does not
// tell a format.
func Options(path string) leafseal.Options {
	o := leafseal.Options{Name: path}
	if leafseal.FormatOf(path) == "" {
		o.Format = "text"
	}
	return o
}

// Clean implements Handler. Plain text is sealed with the data key of the
// version that git has, so that what is unchanged stays so; ciphertext passes;
// empty files stay empty.
func (f *Filter) Clean(path string, src []byte) ([]byte, error) {
	out, err := f.clean(path, src)
	if err != nil {
		f.Refused(path, err)
	}
	return out, err
}

func (f *Filter) clean(path string, src []byte) ([]byte, error) {
	if len(src) == 0 {
		return src, nil
	}
	o := Options(path)
	info, err := leafseal.Inspect(src, o)
	if err == nil {
		return src, f.passes(path, src, o, info)
	}
	if !errors.Is(err, leafseal.ErrNotEncrypted) {
		return nil, err
	}
	ids, err := f.Identities()
	if err != nil {
		return nil, err
	}
	f.readAhead(path, ids)
	names, err := f.Objects.Versions(path)
	if err != nil {
		return nil, err
	}
	var was version
	var failed error
	for _, name := range names {
		was = f.version(name, o, ids)
		if was.file != nil {
			break
		}
		if was.err != nil && !errors.Is(was.err, leafseal.ErrNotEncrypted) && failed == nil {
			failed = was.err
		}
	}
	file := was.file
	if file == nil {
		// A version that does not open has readers and a rule of its own,
		// which a new file would lose.
		if failed != nil {
			return nil, failed
		}
		if file, err = f.NewFile(path); err != nil {
			return nil, err
		}
	} else if file.Format() == cmp.Or(leafseal.FormatOf(path), "text") && bytes.Equal(file.Plaintext(), src) {
		return was.blob, nil
	}
	if err := Update(file, o, src); err != nil {
		return nil, err
	}
	return file.Bytes(), nil
}

// version is an object, opened. file is nil if it does not open, err too if
// there is no such object.
type version struct {
	blob []byte
	file *leafseal.File
	err  error
}

func (f *Filter) version(name string, o leafseal.Options, ids []age.Identity) version {
	if ready, ok := f.ahead[name]; ok {
		delete(f.ahead, name)
		return <-ready
	}
	return f.open(name, o, ids)
}

func (f *Filter) open(name string, o leafseal.Options, ids []age.Identity) version {
	blob, err := f.Objects.Blob(name)
	if blob == nil || err != nil {
		return version{err: err}
	}
	file, err := leafseal.Open(blob, o, ids...)
	return version{blob, file, err}
}

// Read-ahead: at most this many files, each no larger.
const (
	aheadFiles = 8
	aheadSize  = 64 << 10
)

// readAhead opens what git is likely to ask for next, on other cores: git asks
// for one file after the other, in the order of the index.
func (f *Filter) readAhead(path string, ids []age.Identity) {
	next := f.Objects.After(f.last, aheadFiles)
	inOrder := slices.ContainsFunc(next, func(e Entry) bool { return e.Path == path })
	if f.last = path; !inOrder {
		return
	}
	if f.ahead == nil {
		f.ahead = make(map[string]chan version)
	}
	for _, e := range f.Objects.After(path, aheadFiles) {
		if _, begun := f.ahead[e.Object]; begun || filepath.Ext(e.Path) != filepath.Ext(path) || len(f.ahead) == aheadFiles {
			continue
		}
		if info, err := os.Lstat(e.Path); err != nil || !info.Mode().IsRegular() || info.Size() > aheadSize {
			continue
		}
		ready := make(chan version, 1)
		f.ahead[e.Object] = ready
		go func() { ready <- f.open(e.Object, Options(e.Path), ids) }()
	}
}

// Update gives a file new plaintext, in its own format if that can hold it;
// text with the markers of a merge conflict is sealed as a whole.
func Update(file *leafseal.File, o leafseal.Options, plain []byte) error {
	if file.Format() == "text" && HasMarkers(plain) {
		return file.Edit(plain)
	}
	err := file.As(o.Format, plain)
	if err != nil && HasMarkers(plain) && errors.Is(err, leafseal.ErrUnsupported) {
		return file.As("text", plain)
	}
	return err
}

// HasMarkers reports whether text holds a conflict as git writes it.
func HasMarkers(text []byte) bool {
	want := []string{"<<<<<<<", "=======", ">>>>>>>"}
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte(want[0])) {
			if want = want[1:]; len(want) == 0 {
				return true
			}
		}
	}
	return false
}

// passes reports whether ciphertext in the work tree may go into git: it is a
// version that git has, or verifies, or, without a key, has all in it sealed
// that its rule seals.
func (f *Filter) passes(path string, src []byte, o leafseal.Options, info *leafseal.Info) error {
	names, err := f.Objects.Versions(path)
	if err != nil {
		return err
	}
	for _, name := range names {
		blob, err := f.Objects.Blob(name)
		if err != nil || bytes.Equal(blob, src) {
			return err
		}
	}
	ids, err := f.Identities()
	if err == nil {
		if _, err = leafseal.Open(src, o, ids...); err == nil {
			return nil
		}
	}
	if errors.Is(err, leafseal.ErrNoIdentity) && len(info.Exposed) == 0 {
		return nil
	}
	if errors.Is(err, leafseal.ErrNoIdentity) {
		return &leafseal.Error{File: path, Key: info.Exposed[0], Err: fmt.Errorf("%w: this stands in plain text in an encrypted file, and none of your keys opens it to seal it", leafseal.ErrNoIdentity)}
	}
	return err
}

// Smudge implements Handler. It never fails: what does not open stays
// ciphertext.
func (f *Filter) Smudge(path string, blob []byte) []byte {
	o := Options(path)
	if len(blob) == 0 || f.Locked {
		return blob
	}
	var file *leafseal.File
	ids, err := f.Identities()
	if err == nil {
		file, err = leafseal.Open(blob, o, ids...)
	} else if _, plain := leafseal.Inspect(blob, o); plain != nil {
		err = plain
	}
	switch {
	case err == nil:
		return file.Plaintext()
	case errors.Is(err, leafseal.ErrNotEncrypted):
		return blob // plain text in the repository: the guards tell
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Kept(path, err)
	return blob
}
