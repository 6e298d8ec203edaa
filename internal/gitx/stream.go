package gitx

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"filippo.io/age"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

// Large files that have no format of their own go through here in constant
// memory. What has to wait, because git listens only when it has said all,
// waits as ciphertext in a file below .git.

// spill is ciphertext that waits on disk.
type spill struct{ *os.File }

func (o *Objects) newSpill() (*spill, error) {
	dir := filepath.Join(o.gitDir, "leafseal")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(dir, "spill")
	if err != nil {
		return nil, err
	}
	os.Remove(file.Name()) // it lives as long as it is open; elsewhere Close does it
	return &spill{file}, nil
}

// from copies a file in, and stands at its start again.
func (s *spill) from(r io.Reader) error {
	_, err := io.Copy(s.File, r)
	return errors.Join(err, s.rewind())
}

func (s *spill) rewind() error {
	_, err := s.Seek(0, io.SeekStart)
	return err
}

func (s *spill) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{s.File}) }

func (s *spill) Close() error {
	err := s.File.Close()
	os.Remove(s.Name())
	return err
}

// blobStream is an object as git writes it.
type blobStream struct {
	io.Reader
	cmd *exec.Cmd
}

// stream opens an object of any size.
func (o *Objects) stream(name string) (*blobStream, error) {
	cmd := exec.Command("git", "cat-file", "blob", name)
	cmd.Dir = o.dir
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &blobStream{out, cmd}, cmd.Start()
}

func (b *blobStream) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, b.Reader) }

// Close waits for git; what has not been read is not wanted.
func (b *blobStream) Close() error {
	_, err := b.Read(make([]byte, 1))
	b.Reader.(io.Closer).Close()
	if waited := b.cmd.Wait(); err == io.EOF {
		return waited
	}
	return nil
}

// cleanStream is clean for a file that is not read into memory.
func (f *Filter) cleanStream(path string, src Source) (Content, error) {
	ids, err := f.Identities()
	if leafseal.IsOpaque(src.Start) {
		if err != nil && !errors.Is(err, leafseal.ErrNoIdentity) {
			return nil, err
		}
		return f.passStream(path, src, ids)
	}
	if err != nil {
		return nil, err
	}
	name, file, err := f.storedStream(path, ids)
	if err != nil {
		return nil, err
	}
	var was io.Reader = bytes.NewReader(nil)
	if file == nil {
		if file, err = f.NewFile(path, "opaque"); err != nil {
			return nil, err
		}
	} else {
		old, err := f.Objects.stream(name)
		if err != nil {
			return nil, err
		}
		defer old.Close()
		if file, was, err = leafseal.OpenStream(old, Options(path), ids...); err != nil {
			return nil, err
		}
	}
	out, err := f.Objects.newSpill()
	if err != nil {
		return nil, err
	}
	same := &comparer{r: src.reader(), with: was, same: true}
	if err = file.EncryptTo(out, same); err == nil {
		err = out.rewind()
	}
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	if !same.equal() {
		return out, nil
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	return f.Objects.stream(name)
}

// storedStream finds the opaque version of a path that git has.
func (f *Filter) storedStream(path string, ids []age.Identity) (name string, file *leafseal.File, err error) {
	names, err := f.Objects.Versions(path)
	if err != nil {
		return "", nil, err
	}
	var failed error
	for _, name := range names {
		blob, err := f.Objects.stream(name)
		if err != nil {
			return "", nil, err
		}
		file, _, err := leafseal.OpenStream(blob, Options(path), ids...)
		if err := blob.Close(); err != nil && file != nil {
			return "", nil, err
		}
		if err == nil {
			return name, file, nil
		}
		if !errors.Is(err, leafseal.ErrNotEncrypted) && failed == nil {
			failed = err
		}
	}
	return "", nil, failed
}

// passStream is passes for an opaque file: it verifies, or nobody here can
// tell; there is nothing in it that could stand in clear.
func (f *Filter) passStream(path string, src Source, ids []age.Identity) (Content, error) {
	out, err := f.Objects.newSpill()
	if err != nil {
		return nil, err
	}
	err = out.from(src.reader())
	if err == nil {
		if err = verifyStream(out, path, ids); errors.Is(err, leafseal.ErrNoIdentity) {
			err = nil
		}
	}
	if err == nil {
		err = out.rewind()
	}
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

func verifyStream(src io.Reader, path string, ids []age.Identity) error {
	_, plain, err := leafseal.OpenStream(src, Options(path), ids...)
	if err == nil {
		_, err = io.Copy(io.Discard, plain)
	}
	return err
}

// smudgeStream is Smudge for an opaque file that is not read into memory: it
// is verified before the first byte goes out.
func (f *Filter) smudgeStream(path string, blob Source) Content {
	in, err := f.Objects.newSpill()
	if err != nil {
		f.keep(path, err)
		all, _ := blob.all()
		return Bytes(all)
	}
	if err := in.from(blob.reader()); err != nil {
		return &unreadable{in, err}
	}
	ids, err := f.Identities()
	if err == nil && !f.Locked {
		err = verifyStream(in, path, ids)
	}
	if seek := in.rewind(); seek != nil {
		return &unreadable{in, seek}
	}
	if err != nil {
		f.keep(path, err)
	}
	if err != nil || f.Locked {
		return in
	}
	_, plain, err := leafseal.OpenStream(in, Options(path), ids...)
	if err != nil {
		return &unreadable{in, err}
	}
	return &plainStream{plain, in}
}

// plainStream is plaintext that comes from a spill.
type plainStream struct {
	io.Reader
	in *spill
}

func (p *plainStream) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, p.Reader) }
func (p *plainStream) Close() error                       { return p.in.Close() }

// unreadable is content that the disk has lost.
type unreadable struct {
	in  *spill
	err error
}

func (u *unreadable) WriteTo(io.Writer) (int64, error) { return 0, u.err }
func (u *unreadable) Close() error                     { return u.in.Close() }

// comparer reads a file, and along with it another that may be the same.
type comparer struct {
	r, with io.Reader
	same    bool
	buf     []byte
}

func (c *comparer) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.same && n > 0 {
		if len(c.buf) < n {
			c.buf = make([]byte, len(p))
		}
		_, other := io.ReadFull(c.with, c.buf[:n])
		c.same = other == nil && bytes.Equal(p[:n], c.buf[:n])
	}
	return n, err
}

// equal reports, at the end of the file, whether the other ends here too, and
// is intact.
func (c *comparer) equal() bool {
	if !c.same {
		return false
	}
	n, err := io.ReadFull(c.with, make([]byte, 1))
	return n == 0 && err == io.EOF
}
