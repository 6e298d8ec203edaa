package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/atomic"
	"github.com/leafseal/leafseal/internal/keys"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

// env is the world around one run: commands touch the process through it
// only.
type env struct {
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	environ []string
	now     func() time.Time
	openTTY func() (*os.File, error)

	// From the common flags.
	identityFiles           []string
	noInput, quiet, verbose bool

	found     *keys.Ring    // identities, once looked for
	explained bool          // where they were looked for has been said
	began     time.Time     // of a run that shows progress
	drawn     time.Time     // last
	shown     bool          // it stands on the terminal
	agentFor  time.Duration // what is unlocked goes to an agent for so long, even if none runs
}

func (e *env) flags(c *cli.Context) {
	e.identityFiles = c.StringSlice("identity")
	e.noInput, e.quiet, e.verbose = c.Bool("no-input"), c.Bool("quiet"), c.Bool("verbose")
}

func (e *env) getenv(name string) string {
	for _, kv := range e.environ {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// home is the person's home folder; XDG base directories default below it.
func (e *env) xdg(variable, fallback string) string {
	if dir := e.getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, "leafseal")
	}
	return filepath.Join(e.home(), fallback, "leafseal")
}

func (e *env) home() string {
	if h := e.getenv("HOME"); h != "" {
		return h
	}
	return e.getenv("USERPROFILE")
}

func (e *env) identityPath() string {
	return filepath.Join(e.xdg("XDG_CONFIG_HOME", ".config"), "identity")
}

func (e *env) trustPath() string {
	return filepath.Join(e.xdg("XDG_STATE_HOME", ".local/state"), "trust")
}

// keyUI lets the keys package ask the person.
func (e *env) keyUI() *keys.UI {
	ui := &keys.UI{Tell: func(text string) { e.say("%s", text) }}
	if tty := e.terminal(); tty != nil {
		tty.Close()
		ui.Ask = func(prompt string) (string, error) { return e.ask(prompt, false) }
		ui.Passphrase = func(prompt string) ([]byte, error) {
			answer, err := e.ask(prompt, true)
			return []byte(answer), err
		}
	}
	return ui
}

// ring looks for identities, once per run, in the order of the manual.
func (e *env) ring() (*keys.Ring, error) {
	if e.found != nil {
		return e.found, nil
	}
	ring, err := keys.Find(keys.Sources{
		Files:   e.identityFiles,
		Key:     e.getenv("LEAFSEAL_IDENTITY"),
		KeyFile: e.getenv("LEAFSEAL_IDENTITY_FILE"),
		Config:  e.identityPath(),
		SSH:     []string{filepath.Join(e.home(), ".ssh", "id_ed25519"), filepath.Join(e.home(), ".ssh", "id_rsa")},
		Stdin:   e.stdin,
		Agent:   e.agent(),
	}, e.keyUI())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", leafseal.ErrNoIdentity, err)
	}
	e.found = ring
	for _, w := range ring.Warnings {
		e.warn("%s", w)
	}
	return ring, nil
}

func (e *env) identities() ([]age.Identity, error) {
	ring, err := e.ring()
	if err != nil {
		return nil, err
	}
	return ring.Identities(), nil
}

// read returns the bytes of a file; "-" is standard input.
func (e *env) read(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(e.stdin)
	}
	return os.ReadFile(path)
}

// open reads, verifies and opens an encrypted file.
func (e *env) open(path, format string) (*leafseal.File, error) {
	src, err := e.read(path)
	if err != nil {
		return nil, err
	}
	ids, err := e.identities()
	if err != nil {
		return nil, err
	}
	f, err := leafseal.Open(src, leafseal.Options{Name: path, Format: format}, ids...)
	var at *leafseal.Error
	if errors.Is(err, leafseal.ErrNotEncrypted) && errors.As(err, &at) {
		if tool := e.wroteForeign(path, src); tool != "" {
			at.Hint = "it is a file of " + tool + ": leafseal import makes it one"
		}
	}
	return f, err
}

// write replaces the file at path with data if it still holds was; nil: if
// there is none. "-" is standard output.
func (e *env) write(path string, was, data []byte) error {
	if path == "-" {
		_, err := e.stdout.Write(data)
		return err
	}
	return unwritten(path, atomic.Replace(path, was, data))
}

// unwritten names the file where a write found another content.
func unwritten(path string, err error) error {
	if errors.Is(err, atomic.ErrChanged) {
		return fmt.Errorf("%s: %w; nothing was written", path, errChanged)
	}
	return err
}

// repo is the policy that covers a file.
type repo struct {
	root   string // folder of the policy
	policy *leafseal.Policy
	src    []byte
}

// repoOf finds the policy for a file: in its folder or one above, up to the
// root of the git repository. It is nil if there is none.
func repoOf(path string) (*repo, error) {
	root, _, src, err := findPolicy(path)
	if root == "" || err != nil {
		return nil, err
	}
	policy, err := leafseal.ParsePolicy(src)
	return &repo{root, policy, src}, err
}

// findPolicy returns where the policy for a file is, the file's path as its
// globs see it, and the policy's text. root is "" if there is none.
func findPolicy(path string) (root, rel string, src []byte, err error) {
	dir, err := realDir(path)
	if err != nil {
		return "", "", nil, err
	}
	for root = dir; ; root = filepath.Dir(root) {
		src, err := os.ReadFile(filepath.Join(root, leafseal.PolicyFile))
		if err == nil {
			rel, err := relTo(root, dir, path)
			return root, rel, src, err
		}
		if !errors.Is(err, os.ErrNotExist) {
			return "", "", nil, err
		}
		if _, err := os.Lstat(filepath.Join(root, ".git")); err == nil || root == filepath.Dir(root) {
			return "", "", nil, nil
		}
	}
}

// realDir is the folder of a file, without symbolic links.
func realDir(path string) (string, error) {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return dir, nil
}

func relTo(root, dir, path string) (string, error) {
	rel, err := filepath.Rel(root, filepath.Join(dir, filepath.Base(path)))
	return filepath.ToSlash(rel), err
}

// rel is a file's path as the policy's globs see it.
func (r *repo) rel(path string) (string, error) {
	dir, err := realDir(path)
	if err != nil {
		return "", err
	}
	return relTo(r.root, dir, path)
}

// rule is what the policy wants for one file.
type rule struct {
	*leafseal.FileRule
	repo    *repo
	readers []leafseal.Reader
}

// ruleFor finds the policy's rule for a file, or says what is missing.
func ruleFor(path string) (*rule, error) {
	root, rel, src, err := findPolicy(path)
	if err != nil {
		return nil, err
	}
	if root == "" {
		return nil, noPolicy(path)
	}
	policy, err := leafseal.ParsePolicy(src)
	if err != nil {
		return nil, err
	}
	return (&repo{root, policy, src}).ruleFor(path, rel)
}

func (r *repo) ruleFor(path, rel string) (*rule, error) {
	fr := r.policy.Match(rel)
	if fr == nil {
		e := &leafseal.Error{File: path, Err: fmt.Errorf("%w: no rule of %s matches %s", leafseal.ErrPolicy, filepath.Join(r.root, leafseal.PolicyFile), rel),
			Hint: "add to its files:  - {path: " + strconv.Quote(rel) + ", for: [" + firstUser(r.policy) + "]}"}
		if near := nearestRule(r.policy, rel); near != "" {
			e.Hint = "the nearest rule is " + near + "; " + e.Hint
		}
		return nil, e
	}
	return &rule{fr, r, r.policy.Readers(fr)}, nil
}

func noPolicy(path string) error {
	return &leafseal.Error{File: path, Err: fmt.Errorf("%w: there is no %s here or above", leafseal.ErrPolicy, leafseal.PolicyFile),
		Hint: "leafseal init makes one; leafseal encrypt --to does without"}
}

func firstUser(p *leafseal.Policy) string {
	if len(p.Users) == 0 {
		return "NAME"
	}
	return p.Users[0].Name
}

// withRecipients fills in the recipients of readers, so that plugins can ask
// the person.
func (e *env) withRecipients(readers []leafseal.Reader) ([]leafseal.Reader, error) {
	for i := range readers {
		to, err := keys.ParseRecipient(readers[i].Key, e.keyUI())
		if err != nil {
			return nil, fmt.Errorf("the key of reader %s: %w", readers[i].Name, err)
		}
		readers[i].Recipient = to
	}
	return readers, nil
}

// trustFlag names readers whose new keys are accepted without asking.
func trustFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "trust", Usage: "accept the key that the policy gives for `NAME` (\"all\": for everyone)"}
}

// trust makes sure that this machine has encrypted to these keys under these
// names in this repository before, or that the person agrees to begin now:
// the policy can be changed by anyone who can push.
func (e *env) trust(root string, readers []leafseal.Reader, accept []string) error {
	known, err := keys.OpenTrust(e.trustPath())
	if err != nil {
		return err
	}
	own := map[string]bool{}
	if ring, err := e.ring(); err == nil {
		for _, k := range ring.PublicKeys() {
			own[k] = true
		}
	}
	for _, r := range readers {
		if known.Known(root, r.Name, r.Key) {
			continue
		}
		if !own[r.Key] && !accepted(accept, r.Name) {
			if err := e.askTrust(root, r); err != nil {
				return err
			}
		}
		known.Add(root, r.Name, r.Key)
	}
	return known.Save()
}

// learn notes a key that the person gave themselves.
func (e *env) learn(root, name, key string) error {
	known, err := keys.OpenTrust(e.trustPath())
	if err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(root); err == nil {
		root = real
	}
	known.Add(root, name, key)
	return known.Save()
}

func accepted(accept []string, name string) bool {
	for _, a := range accept {
		if a == name || a == "all" {
			return true
		}
	}
	return false
}

func (e *env) askTrust(root string, r leafseal.Reader) error {
	err := e.confirm(fmt.Sprintf("%s wants to encrypt to a key that this machine does not know yet:\n  %s  %s\nLet %s read?",
		filepath.Join(root, leafseal.PolicyFile), r.Name, r.Key, r.Name))
	if errors.Is(err, errNoTerminal) {
		return &leafseal.Error{Key: r.Name, Err: fmt.Errorf("%w: this machine has not encrypted to this key before: %s", leafseal.ErrPolicy, r.Key),
			Hint: "if it is the right key, say --trust " + r.Name}
	}
	return err
}
