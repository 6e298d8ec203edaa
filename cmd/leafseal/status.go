package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

func statusCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "tell which files are sealed, to whom, and what differs from the policy",
		UsageText: "leafseal status [FLAG…] [PATH…]",
		Description: `Looks at every file that git tracks or would add and that a rule of
.leafseal.yaml matches, and at encrypted files that none matches. Exits with 1
if it finds plain text, damage, other readers or another rule than the policy
wants, or a copied file. Without a key that opens a file, its integrity is
not checked; all else is.

leafseal status
leafseal status --json config/`,
		ArgsUsage: "[PATH…]",
		Flags:     []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			paths, err := e.arguments(c, 0, "PATH…")
			if err != nil {
				return err
			}
			r, files, err := candidates(paths)
			if err != nil {
				return err
			}
			ids, err := e.identities()
			if err != nil && !errors.Is(err, leafseal.ErrNoIdentity) {
				return err
			}
			var list []fileStatus
			for i := range files {
				if files[i].in {
					list = append(list, statusOf(r, files, i, ids))
				}
			}
			return e.showStatus(c, list)
		},
	}
}

// fileStatus is what status knows of one file.
type fileStatus struct {
	File      string       `json:"file"`
	Rule      int          `json:"rule_line"` // of the policy; 0: no rule
	Encrypted bool         `json:"encrypted"`
	Intact    *bool        `json:"intact"` // null: not checked
	Format    string       `json:"format,omitempty"`
	ID        string       `json:"id,omitempty"`
	Values    int          `json:"values"` // sealed ones
	Readers   []jsonReader `json:"readers"`
	Missing   []jsonReader `json:"missing"` // the policy wants them
	Extra     []jsonReader `json:"extra"`   // the policy does not
	Findings  []string     `json:"findings"`

	who string
}

func statusOf(r *repo, files []candidate, i int, ids []age.Identity) fileStatus {
	c := files[i]
	s := fileStatus{File: c.path, Readers: []jsonReader{}, Missing: []jsonReader{}, Extra: []jsonReader{}, Findings: []string{}}
	find := func(format string, args ...any) { s.Findings = append(s.Findings, fmt.Sprintf(format, args...)) }
	if c.rule != nil {
		s.Rule = c.rule.Line
	}
	if c.info == nil {
		switch {
		case len(c.src) == 0: // nothing to seal
		case errors.Is(c.err, leafseal.ErrNotEncrypted):
			find("plain text%s", plainHelp(&c))
		default:
			s.Encrypted = errors.Is(c.err, leafseal.ErrTampered)
			find("%s", reason(c.err))
		}
		return s
	}
	s.Encrypted, s.Format, s.ID, s.Values = true, c.info.Format, c.info.ID, len(sealedPaths(c.info.Values))
	s.Readers, s.who = jsonReaders(c.info.Readers), names(c.info.Readers)
	if _, err := leafseal.Open(c.src, leafseal.Options{Name: c.path}, ids...); !errors.Is(err, leafseal.ErrNoIdentity) {
		intact := err == nil
		if s.Intact = &intact; !intact {
			find("%s", reason(err))
		}
	}
	for j, other := range files {
		if j != i && other.info != nil && other.info.ID == c.info.ID {
			find("a copy of %s, with the same data key: leafseal rotate one of them", other.path)
		}
	}
	if c.rule == nil {
		return s
	}
	missing, extra := drift(c.info.Readers, r.policy.Readers(c.rule))
	s.Missing, s.Extra = jsonReaders(missing), jsonReaders(extra)
	if len(missing) > 0 {
		find("the policy wants %s to read it too: leafseal apply", names(missing))
	}
	if len(extra) > 0 {
		find("%s can read it, whom the policy does not name: leafseal apply", names(extra))
	}
	if c.info.Rule != c.rule.Rule {
		find("the policy has another rule for what is sealed: leafseal apply")
	}
	return s
}

// plainHelp says what helps against plain text where there should be none.
func plainHelp(c *candidate) string {
	if c.rule != nil && c.rule.Plain {
		return " in git: leafseal git install, then git add --renormalize " + c.path
	}
	return ": leafseal encrypt " + c.path
}

// reason is an error without the name of the file.
func reason(err error) string {
	var e *leafseal.Error
	if errors.As(err, &e) {
		bare := *e
		bare.File = ""
		err = &bare
	}
	return strings.TrimLeft(err.Error(), ": ")
}

// drift is the difference between those who can read and those who should.
func drift(have, want []leafseal.Reader) (missing, extra []leafseal.Reader) {
	lacks := func(list []leafseal.Reader, r leafseal.Reader) bool {
		return !slices.ContainsFunc(list, func(o leafseal.Reader) bool { return o.Name == r.Name && o.Key == r.Key })
	}
	for _, r := range want {
		if lacks(have, r) {
			missing = append(missing, r)
		}
	}
	for _, r := range have {
		if lacks(want, r) {
			extra = append(extra, r)
		}
	}
	return missing, extra
}

func (e *env) showStatus(c *cli.Context, list []fileStatus) error {
	findings := 0
	for _, s := range list {
		findings += len(s.Findings)
	}
	if c.Bool("json") {
		if err := e.listJSON(append([]fileStatus{}, list...)); err != nil {
			return err
		}
	} else {
		for _, s := range list {
			e.list("%s", s.line())
			for _, f := range s.Findings {
				e.list("    %s", f)
			}
		}
	}
	if len(list) == 0 {
		e.say("there is no file here that a rule of %s matches", leafseal.PolicyFile)
	}
	if findings > 0 {
		e.say("%s in %s", count(findings, "finding"), count(len(list), "file"))
		return errFindings
	}
	return nil
}

func (s *fileStatus) line() string {
	mark, text := "ok  ", ""
	if len(s.Findings) > 0 {
		mark = "look"
	}
	switch {
	case s.Encrypted && s.who != "":
		text = fmt.Sprintf("%s, readable by %s", count(s.Values, "value"), s.who)
		if s.Intact == nil {
			text += "; integrity not checked, none of your keys opens it"
		}
		if s.Rule == 0 {
			text += "; no rule matches it"
		}
	case len(s.Findings) == 0:
		text = "empty"
	}
	return strings.TrimRight(mark+"  "+s.File+"  "+text, " ")
}
