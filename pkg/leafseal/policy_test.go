package leafseal_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

func policyText() string {
	return fmt.Sprintf(`# who may read what
users:
  alice: %s   # the founder
  bob: [%s]

groups:
  backend: [alice, bob]

files:
  # first match wins
  - path: config/prod/*.yaml
    for: [backend]
  - path: "**/.env"
    for: bob
    only: (?i)password|secret
    comments: keep
    seal: whole
    worktree: plain
`, alice.Recipient(), bob.Recipient())
}

func TestPolicy(t *testing.T) {
	p, err := leafseal.ParsePolicy([]byte(policyText()))
	if err != nil {
		t.Fatal(err)
	}
	names := func(path string) (list string) {
		r := p.Match(path)
		if r == nil {
			return "no rule"
		}
		for _, u := range p.Readers(r) {
			list += u.Name + " "
		}
		return list
	}
	for path, want := range map[string]string{
		"config/prod/a.yaml":   "alice bob ",
		"config/prod/x/a.yaml": "no rule",
		".env":                 "bob ",
		"a/b/.env":             "bob ",
		"a/b.env":              "no rule",
	} {
		if got := names(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	r := p.Match(".env")
	if r.Rule != (leafseal.Rule{Only: "(?i)password|secret", KeepComments: true, Whole: true}) || !r.Plain {
		t.Errorf("%+v", r)
	}
}

// One fault refuses all of a policy, with its line.
func TestPolicyRefused(t *testing.T) {
	for what, c := range map[string]struct {
		old, new string
		line     int
	}{
		"an invalid regexp":    {"(?i)password|secret", "^(pass", 13},
		"an unknown name":      {"for: bob", "for: carol", 13},
		"an unknown member":    {"[alice, bob]", "[alice, carol]", 0},
		"an unknown key":       {"only:", "olny:", 15},
		"an unknown section":   {"groups:", "group:", 6},
		"an unknown word":      {"comments: keep", "comments: kept", 16},
		"a bad glob":           {"config/prod/*.yaml", "config/[/*.yaml", 11},
		"an endless glob":      {"config/prod/*.yaml", strings.Repeat("{a,}", 17), 11},
		"an absolute path":     {"config/prod/*.yaml", "/config/*.yaml", 11},
		"a bad key":            {alice.Recipient().String(), "age1nonsense", 3},
		"the same key twice":   {bob.Recipient().String(), alice.Recipient().String(), 0},
		"a repeated user":      {"  bob:", "  alice:", 4},
		"a user like a group":  {"backend: [alice, bob]", "bob: [alice]", 0},
		"a bad name":           {"  bob:", "  b/ob:", 4},
		"a list for a path":    {"path: config/prod/*.yaml", "path: [x]", 11},
		"broken YAML":          {"for: [backend]", "for: [backend", 0},
		"a rule for nobody":    {"for: [backend]", "for: []", 11},
		"a rule without a for": {"    for: [backend]\n", "", 11},
	} {
		src := strings.Replace(policyText(), c.old, c.new, 1)
		p, err := leafseal.ParsePolicy([]byte(src))
		var e *leafseal.Error
		if !errors.Is(err, leafseal.ErrPolicy) || !errors.As(err, &e) {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if e.Line == 0 || c.line > 0 && e.Line != c.line {
			t.Errorf("%s: line %d, want %d (%v)", what, e.Line, c.line, err)
		}
		_ = p
	}
}

func TestUsersAreEditedInPlace(t *testing.T) {
	carol := newIdentity()
	src := policyText()
	added, err := leafseal.AddUser([]byte(src), "carol", carol.Recipient().String(), "backend")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(src, "[alice, bob]", "[alice, bob, carol]", 1)
	want = strings.Replace(want, "]\n\ngroups", "]\n  carol: "+carol.Recipient().String()+"\n\ngroups", 1)
	if string(added) != want {
		t.Errorf("added:\n%s\nwant:\n%s", added, want)
	}
	removed, err := leafseal.RemoveUser(added, "carol")
	if err != nil || string(removed) != src {
		t.Errorf("removed again (%v):\n%s", err, removed)
	}
	if _, err := leafseal.RemoveUser([]byte(src), "bob"); !errors.Is(err, leafseal.ErrPolicy) {
		t.Errorf("a rule was left without a reader: %v", err)
	}
	if _, err := leafseal.AddUser([]byte(src), "dave", alice.Recipient().String()); !errors.Is(err, leafseal.ErrPolicy) {
		t.Errorf("one key for two users: %v", err)
	}
	second, err := leafseal.AddUser([]byte(src), "alice", carol.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	p, err := leafseal.ParsePolicy(second)
	if err != nil || len(p.Users) != 3 || !strings.Contains(string(second), "# the founder") {
		t.Errorf("a second key: %v\n%s", err, second)
	}
}
