package gitx

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"sync"
)

// Seen remembers between runs which plaintexts belong to which objects, so
// that git's question about a file that was only touched, or just checked out,
// is answered without opening anything. It holds keyed hashes: to who has no
// identity they say nothing, and who cannot open a file cannot add to it.
// A lost or damaged memory costs time only. Nil remembers nothing.
type Seen struct {
	path string
	key  []byte

	mu    sync.Mutex
	known map[tag]bool
	order []tag // the oldest first
	added bool
}

type tag [16]byte

const maxSeen = 1 << 16 // a megabyte

// OpenSeen reads the memory of a clone. key is a secret of the person's.
func OpenSeen(o *Objects, key []byte) *Seen {
	s := &Seen{path: filepath.Join(o.commonDir, "leafseal", "seen"), key: key, known: make(map[tag]bool)}
	data, _ := os.ReadFile(s.path)
	for ; len(data) >= len(tag{}); data = data[len(tag{}):] {
		s.add(tag(data))
	}
	return s
}

func (s *Seen) add(t tag) {
	if !s.known[t] {
		s.known[t] = true
		s.order = append(s.order, t)
	}
}

// tag is a hash of three strings, of which none can be taken for another's
// end.
func (s *Seen) tag(path string, plain, blob []byte) (t tag) {
	h := hmac.New(sha256.New, s.key)
	for _, part := range [][]byte{[]byte(path), plain, blob} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	copy(t[:], h.Sum(nil))
	return t
}

// Has reports whether blob is known to hold this plaintext.
func (s *Seen) Has(path string, plain, blob []byte) bool {
	if s == nil || len(s.known) == 0 {
		return false
	}
	t := s.tag(path, plain, blob)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[t]
}

// Add notes that blob holds this plaintext.
func (s *Seen) Add(path string, plain, blob []byte) {
	if s == nil {
		return
	}
	t := s.tag(path, plain, blob)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.added = s.added || !s.known[t]
	s.add(t)
}

// Save writes what was added. Of two processes the later one wins.
func (s *Seen) Save() error {
	if s == nil || !s.added {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(s.path), "seen")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	var data []byte
	for _, t := range s.order[max(0, len(s.order)-maxSeen):] {
		data = append(data, t[:]...)
	}
	_, err = tmp.Write(data)
	if closed := tmp.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), s.path)
}
