package leafseal_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

func opaqueFile(t testing.TB, id *age.X25519Identity, plain []byte) []byte {
	t.Helper()
	f, err := leafseal.New(leafseal.Options{Name: "x.p12", Format: "opaque", Readers: []leafseal.Reader{reader("a", id)}})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := f.EncryptTo(&out, bytes.NewReader(plain)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func streamed(id *age.X25519Identity, r io.Reader) ([]byte, error) {
	_, plain, err := leafseal.OpenStream(r, leafseal.Options{Name: "x.p12"}, id)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(plain)
}

func TestOpaque(t *testing.T) {
	id := newIdentity()
	for _, size := range []int{1, 2, 1000, 64 << 10, 64<<10 + 1, 1 << 20} {
		plain := bytes.Repeat([]byte{0, 'a', 0xff, '\r', '\n'}, size/5+1)[:size]
		src := opaqueFile(t, id, plain)
		for name, read := range map[string]func() ([]byte, error){
			"stream":   func() ([]byte, error) { return streamed(id, bytes.NewReader(src)) },
			"trickle":  func() ([]byte, error) { return streamed(id, iotest.HalfReader(bytes.NewReader(src))) },
			"memory":   func() ([]byte, error) { return leafseal.Decrypt(src, "x.p12", id) },
			"any name": func() ([]byte, error) { return leafseal.Decrypt(src, "x.yaml", id) },
		} {
			if got, err := read(); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes, %s: %v", size, name, err)
			}
		}
	}
	inMemory, err := leafseal.Encrypt([]byte("\x00secret"), leafseal.Options{Format: "opaque", Readers: []leafseal.Reader{reader("a", id)}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := streamed(id, bytes.NewReader(inMemory)); err != nil || string(got) != "\x00secret" {
		t.Error(err)
	}
}

// Every byte of an opaque file counts, for both ways to read it.
func TestOpaqueEveryByte(t *testing.T) {
	id := newIdentity()
	src := opaqueFile(t, id, []byte("\x00secret"))
	other := opaqueFile(t, id, []byte("\x01other!"))
	check := func(what string, bad []byte) {
		t.Helper()
		for _, read := range []func() ([]byte, error){
			func() ([]byte, error) { return streamed(id, bytes.NewReader(bad)) },
			func() ([]byte, error) { return leafseal.Decrypt(bad, "x.p12", id) },
		} {
			got, err := read()
			ok := errors.Is(err, leafseal.ErrTampered) || errors.Is(err, leafseal.ErrNotEncrypted) || errors.Is(err, leafseal.ErrNoIdentity) || errors.Is(err, leafseal.ErrUnsupported)
			if !ok || bytes.Contains(got, []byte("secret")) {
				t.Errorf("%s: %v, %q", what, err, got)
			}
		}
	}
	for i := range src {
		for _, flip := range []byte{1, 0x20, 0x80} {
			bad := bytes.Clone(src)
			bad[i] ^= flip
			check("changed", bad)
		}
		check("cut", src[:i])
		check("removed", append(bytes.Clone(src[:i]), src[i+1:]...))
		check("added", append(append(bytes.Clone(src[:i]), 'x'), src[i:]...))
	}
	check("longer", append(bytes.Clone(src), 'x'))
	const end = "# leafseal:end\n"
	head, _, _ := strings.Cut(string(src), end)
	_, body, _ := strings.Cut(string(other), end)
	check("another body", []byte(head+end+body))
	check("two blocks", append(bytes.Clone(src[:strings.Index(string(src), end)+len(end)]), src...))
}

// A body of the same data key, but of another version, does not fit the block.
func TestOpaqueVersions(t *testing.T) {
	id := newIdentity()
	src := opaqueFile(t, id, []byte("\x00old"))
	f, err := leafseal.Open(src, leafseal.Options{Name: "x.p12"}, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Edit([]byte("\x00new")); err != nil {
		t.Fatal(err)
	}
	const end = "# leafseal:end\n"
	head, _, _ := strings.Cut(string(src), end)
	_, body, _ := strings.Cut(string(f.Bytes()), end)
	if _, err := streamed(id, strings.NewReader(head+end+body)); !errors.Is(err, leafseal.ErrTampered) {
		t.Error(err)
	}
}

// A failing disk is no tampering.
func TestOpaqueReadError(t *testing.T) {
	id := newIdentity()
	src := opaqueFile(t, id, make([]byte, 200<<10))
	disk := errors.New("disk")
	for _, n := range []int64{0, 10, 1000, 100 << 10} {
		_, err := streamed(id, io.MultiReader(io.LimitReader(bytes.NewReader(src), n), iotest.ErrReader(disk)))
		if !errors.Is(err, disk) || errors.Is(err, leafseal.ErrTampered) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}
