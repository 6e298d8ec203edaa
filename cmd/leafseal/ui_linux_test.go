package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

// TestEchoComesBack: whatever ends a prompt for a passphrase, the terminal
// echoes again.
func TestEchoComesBack(t *testing.T) {
	person, tty := terminal(t)
	defer person.Close()
	defer tty.Close()
	await := func(on bool) {
		t.Helper()
		for range 500 {
			state, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			if (state.Lflag&unix.ECHO != 0) == on {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("echo is not %v", on)
	}
	for _, s := range endsPrompt {
		end := make(chan error, 1)
		go func() {
			_, err := askHidden(tty)
			end <- err
		}()
		await(false)
		if err := syscall.Kill(os.Getpid(), s.(syscall.Signal)); err != nil {
			t.Fatal(err)
		}
		if err := <-end; !errors.Is(err, errCancelled) {
			t.Fatal(s, err)
		}
		await(true)
		fmt.Fprintln(person) // for the reader that stays behind
		time.Sleep(20 * time.Millisecond)
	}
}

// TestCancelledCode: a file that stays closed because of ^C at the prompt is
// no file that nobody can open.
func TestCancelledCode(t *testing.T) {
	if code := exitCode(fmt.Errorf("%w: %w", leafseal.ErrNoIdentity, errCancelled)); code != 8 {
		t.Fatal(code)
	}
}

// TestInterruptedQuestion: ^C cancels a question to which the answer is seen,
// also while edit keeps ^C from ending the process.
func TestInterruptedQuestion(t *testing.T) {
	person, tty := terminal(t)
	defer person.Close()
	defer tty.Close()
	e := &env{openTTY: func() (*os.File, error) { return os.OpenFile(tty.Name(), os.O_RDWR|syscall.O_NOCTTY, 0) }}
	kept := make(chan os.Signal, 1)
	signal.Notify(kept, os.Interrupt)
	defer signal.Stop(kept)
	end := make(chan error, 1)
	go func() { end <- e.again("Again?", errors.New("why")) }()
	if _, err := person.Read(make([]byte, 100)); err != nil { // the question
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-end:
		if !errors.Is(err, errCancelled) {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("^C was not heard")
	}
	fmt.Fprintln(person) // for the reader that stays behind
}
