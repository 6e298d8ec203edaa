package gitx

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
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
	// In the format "opaque", if format says so.
	NewFile func(path, format string) (*leafseal.File, error)
	// Locked says that smudge leaves ciphertext as it is.
	Locked bool
	Seen   *Seen
	// Refused and Kept tell the person about a file that cannot be cleaned,
	// and about one that stays ciphertext in the work tree.
	Refused, Kept func(path string, err error)

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
func (f *Filter) Clean(path string, src Source) (Content, error) {
	out, err := f.clean(path, src)
	if err != nil {
		f.Refused(path, err)
	}
	return out, err
}

func (f *Filter) clean(path string, src Source) (Content, error) {
	if src.Rest != nil && leafseal.FormatOf(path) == "" {
		return f.cleanStream(path, src)
	}
	all, err := src.all()
	if err != nil {
		return nil, err
	}
	out, err := f.cleanBytes(path, all)
	return Bytes(out), err
}

func (f *Filter) cleanBytes(path string, src []byte) ([]byte, error) {
	if len(src) == 0 {
		return src, nil
	}
	if blob, err := f.Objects.Staged(path); err != nil || f.Seen.Has(path, src, blob) {
		return blob, err
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
	out, err := f.encrypt(path, src, o, ids)
	if err == nil {
		f.Seen.Add(path, src, out)
	}
	return out, err
}

func (f *Filter) encrypt(path string, src []byte, o leafseal.Options, ids []age.Identity) ([]byte, error) {
	file, blob, err := f.stored(path, o, ids)
	if err != nil {
		return nil, err
	}
	if file == nil {
		if o.Format != "" && bytes.IndexByte(src, 0) >= 0 {
			o.Format = "opaque" // no text
		}
		if file, err = f.NewFile(path, o.Format); err != nil {
			return nil, err
		}
	} else if (file.Format() == "opaque" || file.Format() == cmp.Or(leafseal.FormatOf(path), "text")) && bytes.Equal(file.Plaintext(), src) {
		return blob, nil
	}
	if err := Update(file, o, src); err != nil {
		return nil, err
	}
	return file.Bytes(), nil
}

// stored opens the version of a path that git has. It is nil if there is none
// that is encrypted.
func (f *Filter) stored(path string, o leafseal.Options, ids []age.Identity) (file *leafseal.File, blob []byte, err error) {
	names, err := f.Objects.Versions(path)
	if err != nil {
		return nil, nil, err
	}
	var failed error
	for _, name := range names {
		blob, err := f.Objects.Blob(name)
		if err != nil {
			return nil, nil, err
		}
		if blob == nil {
			continue
		}
		file, err := leafseal.Open(blob, o, ids...)
		if err == nil {
			return file, blob, nil
		}
		if !errors.Is(err, leafseal.ErrNotEncrypted) && failed == nil {
			failed = err
		}
	}
	// A version that does not open has readers and a rule of its own, which a
	// new file would lose.
	return nil, nil, failed
}

// Update gives a file new plaintext, in its own format if that can hold it;
// text with the markers of a merge conflict is sealed as a whole.
func Update(file *leafseal.File, o leafseal.Options, plain []byte) error {
	if file.Format() == "text" && HasMarkers(plain) || file.Format() == "opaque" && o.Format != "" {
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
func (f *Filter) Smudge(path string, blob Source) Content {
	if blob.Rest != nil && leafseal.IsOpaque(blob.Start) {
		return f.smudgeStream(path, blob)
	}
	all, err := blob.all()
	if err != nil {
		return Bytes(nil) // git has gone, and Serve sees it too
	}
	return Bytes(f.Show(path, all))
}

// Show returns the plaintext of an object, or the object if it does not open.
func (f *Filter) Show(path string, blob []byte) []byte {
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
		f.Seen.Add(path, file.Plaintext(), blob)
		return file.Plaintext()
	case errors.Is(err, leafseal.ErrNotEncrypted):
		return blob // plain text in the repository: the guards tell
	}
	f.keep(path, err)
	return blob
}

func (f *Filter) keep(path string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Kept(path, err)
}
