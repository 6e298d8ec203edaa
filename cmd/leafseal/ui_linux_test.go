package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestEchoComesBack: whatever ends a prompt for a passphrase, the terminal
// echoes again.
func TestEchoComesBack(t *testing.T) {
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer person.Close()
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
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
