package keys

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

// A locked identity opens with its passphrase, and asks for bounded work: a
// factor of 40 would take days.
func TestOpenAge(t *testing.T) {
	to, err := age.NewScryptRecipient("horse")
	if err != nil {
		t.Fatal(err)
	}
	to.SetWorkFactor(10)
	var file bytes.Buffer
	w, err := age.Encrypt(&file, to)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("text"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := openAge(file.Bytes(), []byte("horse")); err != nil || string(text) != "text" {
		t.Fatal(err)
	}
	if _, err := openAge(file.Bytes(), []byte("donkey")); !errors.Is(err, errPassphrase) {
		t.Fatal(err)
	}
	for _, factor := range []string{"23", "40", "63"} {
		hostile := strings.Replace(file.String(), " 10\n", " "+factor+"\n", 1)
		if hostile == file.String() {
			t.Fatal("no work factor")
		}
		done := make(chan error, 1)
		go func() {
			_, err := openAge([]byte(hostile), []byte("horse"))
			done <- err
		}()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), "work") || strings.Contains(err.Error(), "horse") {
				t.Errorf("factor %s: %v", factor, err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("factor %s is worked on", factor)
		}
	}
}

// Who does not give the passphrase leaves the key locked, which no caller may
// take for a damaged file; why it was not given stays known.
func TestPassphraseNotGiven(t *testing.T) {
	cancelled := errors.New("cancelled")
	r := &Ring{ui: &UI{Passphrase: func(string) ([]byte, error) { return nil, cancelled }}}
	r.addLocked(&locked{name: "key", open: openAge}, nil)
	_, err := r.Identities()[0].Unwrap([]*age.Stanza{{Type: "X25519"}})
	if !errors.Is(err, ErrLocked) || !errors.Is(err, cancelled) {
		t.Fatal(err)
	}
}
