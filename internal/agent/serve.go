package agent

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"filippo.io/age"

	"github.com/leafseal/leafseal/internal/keys"
)

// server is the agent.
type server struct {
	now   func() time.Time
	until time.Time
	done  chan struct{} // closed when it has to end
	end   func()
	deaf  func() error // closes the socket

	mu    sync.Mutex
	texts map[[32]byte]*secret
}

const maxHeld = 64 // identity files

// Serve is the agent: it answers at path until the lifetime is over, by the
// clock on the wall, or it is told to stop. It calls ready once it listens.
func Serve(path string, lifetime time.Duration, now func() time.Time, ready func()) error {
	l, release, err := listen(path)
	if err != nil {
		return err
	}
	defer release()
	defer l.Close() // removes the socket
	done := make(chan struct{})
	s := &server{now: now, until: now().Round(0).Add(lifetime), done: done, end: sync.OnceFunc(func() { close(done) }), deaf: l.Close, texts: make(map[[32]byte]*secret)}
	defer s.forget()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP, os.Interrupt)
	go s.accept(l)
	ready()
	tick := time.NewTicker(min(lifetime, 5*time.Second))
	defer tick.Stop()
	for !s.over() {
		select {
		case <-tick.C: // timers stand still while the machine sleeps
		case <-signals:
			return nil
		case <-done:
			return nil
		}
	}
	return nil
}

func (s *server) over() bool { return !s.now().Round(0).Before(s.until) }

func (s *server) accept(l *net.UnixListener) {
	for {
		conn, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // such as too many open files
			time.Sleep(100 * time.Millisecond)
			continue
		}
		go s.answer(conn)
	}
}

func (s *server) answer(conn *net.UnixConn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if checkPeer(conn) != nil || s.over() {
		return
	}
	var text *secret
	h, _, err := receive(conn, func(n int) (space []byte, err error) {
		text, err = newSecret(n)
		if err != nil {
			return nil, err
		}
		return text.bytes, nil
	})
	reply, key := &header{}, []byte(nil)
	switch {
	case err != nil && h == nil:
		return
	case err != nil:
		reply.Err = err.Error()
	default:
		key, err = s.do(h, text, reply)
		if err != nil {
			reply.Err = err.Error()
		}
		if h.Do == "hold" && err == nil {
			text = nil // which the server has now
		}
	}
	if text != nil {
		text.wipe()
	}
	if h.Do == "stop" {
		s.deaf() // before the other side hears that it has ended
	}
	send(conn, reply, key)
	clear(key)
	if h.Do == "stop" {
		s.end()
	}
}

// do answers one request. Errors hold no byte of a key.
func (s *server) do(h *header, text *secret, reply *header) (key []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch h.Do {
	case "unwrap":
		if slices.Contains(h.Stanzas, nil) {
			return nil, errors.New("malformed request")
		}
		held := s.texts[h.File]
		if held == nil {
			return nil, nil
		}
		reply.Held = true
		return unwrap(held.bytes, h.Stanzas)
	case "hold":
		if text == nil {
			return nil, errors.New("nothing to hold")
		}
		if _, err := keys.Unlocked(text.bytes); err != nil {
			return nil, errors.New("it can hold only keys that ask for nothing more")
		}
		if len(s.texts) == maxHeld {
			return nil, errors.New("it holds too many keys")
		}
		if old := s.texts[h.File]; old != nil {
			old.wipe()
		}
		s.texts[h.File] = text
	case "status":
		reply.Count, reply.Until = len(s.texts), s.until
	case "stop":
		s.wipe()
	default:
		return nil, errors.New("unknown request")
	}
	return nil, nil
}

func unwrap(text []byte, stanzas []*age.Stanza) ([]byte, error) {
	ids, err := keys.Unlocked(text)
	if err != nil {
		return nil, errors.New("the key cannot be read")
	}
	for _, id := range ids {
		key, err := id.Unwrap(stanzas)
		if err == nil {
			return bytes.Clone(key), nil
		}
		if !errors.Is(err, age.ErrIncorrectIdentity) {
			return nil, err
		}
	}
	return nil, nil
}

func (s *server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
}

func (s *server) wipe() {
	for file, text := range s.texts {
		text.wipe()
		delete(s.texts, file)
	}
}
