package leafseal

import (
	"bufio"
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/leafseal/leafseal/internal/seal"
	"github.com/leafseal/leafseal/internal/span"
)

// Opaque files: the block in front, then the body as an age file whose file
// key is wrapped by the data key. Small ones are Files like others; of any
// size they stream.

// IsOpaque reports whether a file that starts like this is an encrypted opaque
// one; 32 bytes are enough to tell.
func IsOpaque(start []byte) bool { return bytes.HasPrefix(start, []byte(span.OpaqueBegin)) }

// maxOpaqueBlock bounds the block in front of a body.
const maxOpaqueBlock = 4 << 20

// EncryptTo reads plaintext and writes an opaque file with f's data key,
// readers and rule, in constant memory. f is of the format "opaque", from New
// or OpenStream, and stays as it is. Unlike Edit it does not open what it has
// written.
func (f *File) EncryptTo(w io.Writer, plain io.Reader) error {
	if f.format != &span.Opaque {
		return f.err(ErrUnsupported, fmt.Errorf("a file of the format %s cannot be written as a stream", f.format.Name))
	}
	head, rest, err := f.key.NewBody(f.block.AD(seal.Body))
	if err != nil {
		return err
	}
	blk := f.block
	blk.Seal = f.key.Sum(&blk, endOfOpaque(head), head)
	block, err := span.Opaque.AttachBlock(head, blk.Lines())
	if err != nil {
		return err
	}
	if _, err := w.Write(block); err != nil {
		return err
	}
	body := rest(w)
	if _, err := io.CopyBuffer(body, struct{ io.Reader }{plain}, make([]byte, 1<<18)); err != nil {
		return err
	}
	return body.Close()
}

// OpenStream opens an opaque file of any size in constant memory. The block is
// verified when it returns; of the plaintext every byte is verified before it
// is read, but that nothing is missing at the end only when it ends with
// io.EOF: after any other error, which wraps ErrTampered, what was read must
// not be used. The File has no Plaintext and no Bytes. Of o only Name is used;
// a file that is not opaque is ErrNotEncrypted.
func OpenStream(src io.Reader, o Options, identities ...age.Identity) (*File, io.Reader, error) {
	in := bufio.NewReader(src) // small: age reads past it
	block, err := readOpaqueBlock(in)
	if err != nil {
		return nil, nil, err
	}
	_, blk, err := detach(&span.Opaque, o.Name, block)
	if err != nil {
		return nil, nil, err
	}
	f, err := beginBlock(o.Name, &span.Opaque, blk, identities)
	if err != nil {
		return nil, nil, err
	}
	head, plain, err := f.key.OpenBody(blk.AD(seal.Body), in)
	if err == nil && !sealFits(f.key, blk, head) {
		err = seal.ErrBody
	}
	if err != nil {
		return nil, nil, f.bodyError(err)
	}
	return f, &namedReader{f, plain}, nil
}

func readOpaqueBlock(in *bufio.Reader) (block []byte, err error) {
	for {
		line, err := in.ReadSlice('\n')
		block = append(block, line...)
		if err == io.EOF || err == nil && !bytes.HasPrefix(block, []byte("#")) {
			return block, nil // detach says what is wrong
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if _, whole := span.OpaqueBlock(block); whole || len(block) > maxOpaqueBlock {
			return block, nil
		}
	}
}

// namedReader names the file in errors.
type namedReader struct {
	f *File
	r io.Reader
}

func (n *namedReader) Read(p []byte) (int, error) {
	k, err := n.r.Read(p)
	if err != nil && err != io.EOF {
		err = n.f.bodyError(err)
	}
	return k, err
}

func (f *File) bodyError(err error) error {
	if errors.Is(err, seal.ErrBody) {
		return f.err(ErrTampered, err)
	}
	return err
}

// endOfOpaque is the place of the end: the head of the body, and nothing
// before it.
func endOfOpaque(head []byte) []byte { return new(seal.Chain).End(head) }

func sealFits(key *seal.Key, blk *seal.Block, head []byte) bool {
	return subtle.ConstantTimeCompare(key.Sum(blk, endOfOpaque(head), head), blk.Seal) == 1
}

// sealOpaque is sealBody.
func sealOpaque(file string, key *seal.Key, blk *seal.Block, b *body) ([]byte, error) {
	f := &File{name: file, format: &span.Opaque, block: *blk, key: key}
	out := new(bytes.Buffer)
	if err := f.EncryptTo(out, bytes.NewReader(b.src)); err != nil {
		return nil, err
	}
	_, sealed, err := detach(&span.Opaque, file, out.Bytes())
	if err != nil {
		return nil, err
	}
	if err := prove(&span.Opaque, key, out.Bytes(), b); err != nil {
		return nil, err
	}
	*blk = *sealed
	return out.Bytes(), nil
}

// openOpaque is openBody.
func openOpaque(file string, key *seal.Key, blk *seal.Block, src []byte) (*opened, error) {
	f := &File{name: file, format: &span.Opaque}
	head, r, err := key.OpenBody(blk.AD(seal.Body), bytes.NewReader(src))
	if err == nil && !sealFits(key, blk, head) {
		err = seal.ErrBody
	}
	if err != nil {
		return nil, f.bodyError(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return nil, f.bodyError(err)
	}
	found, err := find(&span.Opaque, file, plain, ErrTampered)
	if err != nil {
		return nil, err
	}
	return &opened{plain: plain, found: found, sealed: []bool{true}[:len(found.spans)]}, nil
}
