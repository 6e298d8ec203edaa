package main

// The law of this program's voice. Data goes to standard output and nothing
// else does; everything else goes to standard error as "leafseal: …", hints on
// lines of their own; questions go to the terminal device, never to standard
// input, and only if there is a terminal, CI is not set and --no-input was not
// given. Control characters from files never reach a terminal.

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"unicode"

	"golang.org/x/term"

	"github.com/leafseal/leafseal/internal/keys"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

// say tells the person something, unless they asked for quiet.
func (e *env) say(format string, args ...any) {
	if !e.quiet {
		fmt.Fprintf(e.stderr, "leafseal: %s\n", printable(fmt.Sprintf(format, args...)))
	}
}

// detail tells what only --verbose asks for.
func (e *env) detail(format string, args ...any) {
	if e.verbose {
		e.say(format, args...)
	}
}

// warn tells what should not be missed, but does not stop anything.
func (e *env) warn(format string, args ...any) { e.say("warning: "+format, args...) }

// report prints an error with its hint.
func (e *env) report(err error) {
	var child childExit
	if errors.As(err, &child) || errors.Is(err, errFindings) {
		return
	}
	fmt.Fprintf(e.stderr, "leafseal: %s\n", printable(err.Error()))
	if errors.Is(err, errCancelled) {
		return
	}
	var located *leafseal.Error
	if errors.As(err, &located) && located.Hint != "" {
		fmt.Fprintf(e.stderr, "  hint: %s\n", printable(located.Hint))
	}
	if errors.Is(err, keys.ErrLocked) && e.noTerminal() {
		fmt.Fprintf(e.stderr, "  hint: where nobody can be asked, set LEAFSEAL_IDENTITY or LEAFSEAL_IDENTITY_FILE to a key without a passphrase\n")
	}
	if errors.Is(err, leafseal.ErrNoIdentity) && !e.explained {
		e.explainIdentities()
		e.explained = true
	}
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(e.stderr, "  hint: leafseal -h lists the commands, leafseal COMMAND -h their flags\n")
	}
}

// explainIdentities lists every place looked at for keys, in order.
func (e *env) explainIdentities() {
	ring, err := e.ring()
	if err != nil {
		return
	}
	fmt.Fprintln(e.stderr, "  looked for keys in:")
	for _, p := range ring.Places {
		fmt.Fprintf(e.stderr, "    %s\n", printable(placeLine(p)))
	}
}

func placeLine(p keys.Place) string {
	if p.Path == "" {
		return p.What + ": " + p.Found
	}
	return p.What + " " + p.Path + ": " + p.Found
}

// printable replaces control characters, so that a key name or a path cannot
// speak to the terminal. Line breaks of our own stay.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return '\ufffd'
		}
		return r
	}, s)
}

// openTTY opens the terminal that the person sits at, whatever the standard
// streams are.
func openTTY() (*os.File, error) { return os.OpenFile(ttyPath, os.O_RDWR, 0) }

// terminal returns the terminal if this run may ask, or nil.
func (e *env) terminal() *os.File {
	if e.noInput || e.getenv("CI") == "true" {
		return nil
	}
	tty, err := e.openTTY()
	if err != nil {
		return nil
	}
	return tty
}

func (e *env) noTerminal() bool {
	tty := e.terminal()
	if tty != nil {
		tty.Close()
	}
	return tty == nil
}

// ask prints a question on the terminal and reads a line; with hidden the
// answer is not echoed.
func (e *env) ask(question string, hidden bool) (string, error) {
	tty := e.terminal()
	if tty == nil {
		return "", errNoTerminal
	}
	defer tty.Close()
	fmt.Fprint(tty, printable(question)+" ")
	if !hidden {
		line, err := interruptible(func() (string, error) { return bufio.NewReader(tty).ReadString('\n') }, func() { fmt.Fprintln(tty) }, os.Interrupt)
		return strings.TrimRight(line, "\r\n"), err
	}
	return askHidden(tty)
}

// askHidden reads a line with echo off; echo comes back after whatever ends it,
// and it cannot be stopped by ^Z, as a shell would turn echo on meanwhile.
func askHidden(tty *os.File) (string, error) {
	fd := int(tty.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", errNoTerminal
	}
	defer fmt.Fprintln(tty)
	return interruptible(func() (string, error) {
		text, err := term.ReadPassword(fd)
		return string(text), err
	}, func() { term.Restore(fd, state) }, endsPrompt...)
}

// interruptible is what read returns; a signal of ends runs restore and
// cancels, and so does an error.
func interruptible(read func() (string, error), restore func(), ends ...os.Signal) (string, error) {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, ends...)
	defer signal.Stop(interrupted)
	type line struct {
		text string
		err  error
	}
	done := make(chan line, 1)
	go func() { // stays behind after ^C, until the process ends
		text, err := read()
		done <- line{text, err}
	}()
	select {
	case <-interrupted:
		restore()
		return "", errCancelled
	case l := <-done:
		if l.err != nil {
			return "", errCancelled
		}
		return l.text, nil
	}
}

var errNoTerminal = errors.New("there is no terminal to ask on")

// confirm asks a yes/no question. Without a terminal it is an error.
func (e *env) confirm(question string) error {
	answer, err := e.ask(question+" [y/N]", false)
	if err != nil {
		return err
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errCancelled
	}
	return nil
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
