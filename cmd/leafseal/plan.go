package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/leafseal/leafseal/pkg/leafseal"
)

// plan is what apply has to do to one file.
type plan struct {
	candidate
	f            *leafseal.File
	want         []leafseal.Reader
	gain, lose   []leafseal.Reader // by key: who can read, who no longer
	renamed      bool
	rule, copied bool
	reveal       []string
}

// plans opens all files that differ from the policy. skipped is set if some
// file cannot be made to match; that is said at once.
func (e *env) plans(r *repo, files []candidate, reveal []string) (plans []*plan, skipped error, err error) {
	ids, err := e.identities()
	if err != nil {
		return nil, nil, err
	}
	for i, c := range files {
		if !c.in || c.rule == nil || len(c.src) == 0 {
			continue
		}
		if errors.Is(c.err, leafseal.ErrNotEncrypted) {
			e.warn("%s is plain text%s", c.path, plainHelp(&c))
			skipped = errFindings
			continue
		}
		if c.err != nil {
			return nil, nil, c.err
		}
		p := &plan{candidate: c, want: r.policy.Readers(c.rule), rule: c.info.Rule != c.rule.Rule, reveal: reveal}
		p.gain, p.lose = byKey(p.want, c.info.Readers), byKey(c.info.Readers, p.want)
		missing, extra := drift(c.info.Readers, p.want)
		p.renamed = len(missing)+len(extra) > 0
		p.copied = len(p.gain) > 0 && slices.ContainsFunc(files, func(o candidate) bool { return o.info != nil && o.path != files[i].path && o.info.ID == c.info.ID })
		if !p.renamed && !p.rule && len(reveal) == 0 {
			continue
		}
		if p.f, err = leafseal.Open(c.src, leafseal.Options{Name: c.path}, ids...); errors.Is(err, leafseal.ErrNoIdentity) {
			e.report(err)
			skipped = fmt.Errorf("%w: %w", errFindings, err)
			continue
		} else if err != nil {
			return nil, nil, err
		}
		plans = append(plans, p)
	}
	return plans, skipped, nil
}

// byKey are the readers in a whose keys are not in b.
func byKey(a, b []leafseal.Reader) []leafseal.Reader {
	return slices.DeleteFunc(slices.Clone(a), func(r leafseal.Reader) bool {
		return slices.ContainsFunc(b, func(o leafseal.Reader) bool { return o.Key == r.Key })
	})
}

// steps says what will be done.
func (p *plan) steps() []string {
	var steps []string
	if len(p.gain) > 0 {
		steps = append(steps, names(p.gain)+" can read it")
	}
	if len(p.lose) > 0 {
		steps = append(steps, names(p.lose)+" cannot read it any more, new data key")
	}
	if p.copied {
		steps = append(steps, "it is a copy of another file, new data key")
	}
	if len(p.gain)+len(p.lose) == 0 && p.renamed {
		steps = append(steps, "its readers are named as in the policy")
	}
	if p.rule {
		steps = append(steps, "sealed: "+sealedBy(p.candidate.rule.Rule))
	}
	if len(p.reveal) > 0 {
		steps = append(steps, "in clear from now on: "+strings.Join(p.reveal, ", "))
	}
	return steps
}

func (e *env) compute(p *plan) error {
	if p.copied && len(p.lose) == 0 {
		if err := p.f.Rotate(); err != nil {
			return err
		}
	}
	if p.rule || len(p.reveal) > 0 {
		if err := e.setRule(p); err != nil {
			return err
		}
	}
	readers, err := e.withRecipients(slices.Clone(p.want))
	if err != nil {
		return err
	}
	return p.f.SetReaders(readers)
}

func (e *env) setRule(p *plan) error {
	if err := p.f.SetRule(p.candidate.rule.Rule, p.reveal...); err != nil {
		return err
	}
	values, err := p.f.Values()
	if err != nil {
		return err
	}
	for _, path := range p.reveal {
		i := slices.IndexFunc(values, func(v leafseal.Value) bool { return v.Path == path })
		switch {
		case path == leafseal.AllComments && p.f.Rule().KeepComments:
		case path == leafseal.AllComments:
			return stillSealed(p, path)
		case i < 0:
			return &leafseal.Error{File: p.path, Key: path, Err: leafseal.ErrNotFound, Hint: "leafseal get --keys lists the paths"}
		case values[i].Sealed:
			return stillSealed(p, path)
		}
	}
	return nil
}

func stillSealed(p *plan, path string) error {
	return &leafseal.Error{File: p.path, Key: path, Err: fmt.Errorf("%w: the rule on line %d seals this", leafseal.ErrPolicy, p.candidate.rule.Line),
		Hint: "change its only, except or comments first"}
}
