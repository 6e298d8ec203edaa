// Package agent keeps unlocked identities between runs: a process that
// answers on a Unix socket, to its own person alone. What it holds leaves it
// only as the file keys that the identities open.
package agent

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"filippo.io/age"
)

// A message is a header in JSON and a payload, each after its length in four
// bytes. Only payloads are secret.
type header struct {
	Do      string        `json:",omitempty"` // of a request: "unwrap", "hold", "status" or "stop"
	File    [32]byte      // SHA-256 of the locked identity file
	Stanzas []*age.Stanza `json:",omitempty"`

	Held  bool      `json:",omitempty"` // of a reply
	Count int       `json:",omitempty"`
	Until time.Time `json:",omitzero"`
	Err   string    `json:",omitempty"`
}

const (
	maxHeader  = 1 << 20
	maxPayload = 1 << 20
	patience   = 10 * time.Second // with the other side
)

func send(w io.Writer, h *header, payload []byte) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	msg := append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
	if _, err := w.Write(binary.BigEndian.AppendUint32(msg, uint32(len(payload)))); err != nil {
		return err
	}
	if len(payload) > 0 { // the other side may have gone after an empty one
		_, err = w.Write(payload)
	}
	return err
}

// receive reads a message; the payload goes into what space returns.
func receive(r io.Reader, space func(n int) ([]byte, error)) (*header, []byte, error) {
	size := func(limit uint32) (int, error) {
		var b [4]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return 0, err
		}
		n := binary.BigEndian.Uint32(b[:])
		if n > limit {
			return 0, errors.New("message too long")
		}
		return int(n), nil
	}
	n, err := size(maxHeader)
	if err != nil {
		return nil, nil, err
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, nil, err
	}
	h := new(header)
	if err := json.Unmarshal(text, h); err != nil {
		return nil, nil, errors.New("malformed message")
	}
	if n, err = size(maxPayload); err != nil || n == 0 {
		return h, nil, err
	}
	payload, err := space(n)
	if err != nil {
		return h, nil, err
	}
	_, err = io.ReadFull(r, payload)
	return h, payload, err
}

func onHeap(n int) ([]byte, error) { return make([]byte, n), nil }

// Client asks the agent that listens at Path.
type Client struct{ Path string }

// ErrNone says that no agent runs.
var ErrNone = errors.New("no agent runs")

func (c Client) ask(h *header, payload []byte) (*header, []byte, error) {
	conn, err := net.DialTimeout("unix", c.Path, patience)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, nil, ErrNone
	}
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	if err := checkPeer(conn.(*net.UnixConn)); err != nil {
		return nil, nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	if err := send(conn, h, payload); err != nil {
		return nil, nil, err
	}
	reply, key, err := receive(conn, onHeap)
	if err == nil && reply.Err != "" {
		err = errors.New(reply.Err)
	}
	return reply, key, err
}

// Unwrap opens a file key with the identities of a file that the agent holds.
// Without an agent, held is false.
func (c Client) Unwrap(file [32]byte, stanzas []*age.Stanza) (key []byte, held bool, err error) {
	reply, key, err := c.ask(&header{Do: "unwrap", File: file, Stanzas: stanzas}, nil)
	switch {
	case reply == nil || !reply.Held:
		return nil, false, nil
	case err == nil && key == nil:
		err = age.ErrIncorrectIdentity
	}
	return key, true, err
}

// Hold gives the agent the unlocked text of an identity file.
func (c Client) Hold(file [32]byte, text []byte) error {
	_, _, err := c.ask(&header{Do: "hold", File: file}, text)
	return err
}

// Status returns the number of identity files that the agent holds, and when
// it ends.
func (c Client) Status() (held int, until time.Time, err error) {
	reply, _, err := c.ask(&header{Do: "status"}, nil)
	if err != nil {
		return 0, time.Time{}, err
	}
	return reply.Count, reply.Until, nil
}

// Stop ends the agent, if one runs, and returns when it has forgotten.
func (c Client) Stop() error {
	_, _, err := c.ask(&header{Do: "stop"}, nil)
	if errors.Is(err, ErrNone) {
		return nil
	}
	return err
}

// checkPeer makes sure that the other side is a process of the same person.
func checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	uid, err := -1, error(nil)
	if control := raw.Control(func(fd uintptr) { uid, err = peerUID(int(fd)) }); control != nil {
		return control
	}
	if err != nil {
		return fmt.Errorf("who is on the agent's socket cannot be told: %w", err)
	}
	if uid != os.Geteuid() {
		return errors.New("another user is on the agent's socket")
	}
	return nil
}

func listen(path string) (l *net.UnixListener, release func(), err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	if !onlyOurs(dir) {
		return nil, nil, fmt.Errorf("%s is no folder that only you can write to", dir)
	}
	release, err = takeLock(path + ".lock")
	if err != nil {
		return nil, nil, err
	}
	os.Remove(path) // of an agent that died: nobody else has the lock
	l, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err == nil {
		if err = os.Chmod(path, 0o600); err != nil {
			l.Close()
		}
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return l, release, nil
}
