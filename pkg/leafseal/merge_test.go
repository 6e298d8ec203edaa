package leafseal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// gitMerge is git's own three-way text merge.
func gitMerge(t testing.TB, ours, base, theirs string) (string, bool) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"merge-file", "-p"}
	for i, text := range []string{ours, base, theirs} {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	out, err := exec.Command("git", args...).Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("git is needed: %v", err)
	}
	return string(out), err == nil
}

// A generator of random documents as trees, and of small edits of them.
type node struct {
	key  string
	text string
	kids []*node
	list bool
}

func randomTree(r *rand.Rand, sections int) []*node {
	var all []*node
	for i := range sections {
		s := &node{key: fmt.Sprintf("svc%d", i)}
		for _, j := range r.Perm(5)[:1+r.IntN(5)] {
			s.kids = append(s.kids, &node{key: []string{"user", "password", "host", "port", "token"}[j], text: fmt.Sprint("v", r.IntN(4))})
		}
		if r.IntN(2) == 0 {
			l := &node{key: "users", list: true}
			for range 1 + r.IntN(4) {
				l.kids = append(l.kids, &node{text: fmt.Sprint("u", r.IntN(3))})
			}
			s.kids = append(s.kids, l)
		}
		all = append(all, s)
	}
	return all
}

func clone(t []*node) []*node {
	var c []*node
	for _, n := range t {
		m := *n
		m.kids = clone(n.kids)
		c = append(c, &m)
	}
	return c
}

func change(r *rand.Rand, tree []*node) []*node {
	tree = clone(tree)
	s := tree[r.IntN(len(tree))]
	n := s.kids[r.IntN(len(s.kids))]
	switch {
	case n.list && r.IntN(2) == 0:
		i := r.IntN(len(n.kids) + 1)
		n.kids = append(n.kids[:i:i], append([]*node{{text: "new"}}, n.kids[i:]...)...)
	case n.list:
		n.kids[r.IntN(len(n.kids))].text = fmt.Sprint("c", r.IntN(99))
	case r.IntN(4) == 0:
		s.kids = append(s.kids, &node{key: fmt.Sprint("added", r.IntN(99)), text: "x"})
	default:
		n.text = fmt.Sprint("c", r.IntN(99))
	}
	return tree
}

func toYAML(tree []*node) string {
	var b strings.Builder
	for _, s := range tree {
		fmt.Fprintf(&b, "%s:\n  # managed by terraform\n", s.key)
		for _, n := range s.kids {
			if !n.list {
				fmt.Fprintf(&b, "  %s: %s\n", n.key, n.text)
				continue
			}
			fmt.Fprintf(&b, "  %s:\n", n.key)
			for _, e := range n.kids {
				fmt.Fprintf(&b, "    - name: %s\n      role: admin\n", e.text)
			}
		}
	}
	return b.String()
}

func toJSON(tree []*node) string {
	var b strings.Builder
	b.WriteString("{\n")
	for i, s := range tree {
		fmt.Fprintf(&b, "  %q: {\n", s.key)
		for j, n := range s.kids {
			if n.list {
				fmt.Fprintf(&b, "    %q: [\n", n.key)
				for k, e := range n.kids {
					fmt.Fprintf(&b, "      {\"name\": %q}%s\n", e.text, comma(k, len(n.kids)))
				}
				fmt.Fprintf(&b, "    ]%s\n", comma(j, len(s.kids)))
				continue
			}
			fmt.Fprintf(&b, "    %q: %q%s\n", n.key, n.text, comma(j, len(s.kids)))
		}
		fmt.Fprintf(&b, "  }%s\n", comma(i, len(tree)))
	}
	return b.String() + "}\n"
}

// toJSONC has a comment, and a comma behind every member.
func toJSONC(tree []*node) string {
	s := regexp.MustCompile(`([^,{\[])\n`).ReplaceAllString(toJSON(tree), "$1,\n")
	return strings.ReplaceAll(strings.TrimSuffix(s, ",\n"), "\"password\"", "// rotated\n    \"password\"") + "\n"
}

func toINI(tree []*node) string {
	var b strings.Builder
	for _, s := range tree {
		fmt.Fprintf(&b, "; %s\n[%s]\n", s.key, s.key)
		for _, n := range s.kids {
			if n.list {
				for _, e := range n.kids {
					fmt.Fprintf(&b, "%s = %s\n", n.key, e.text)
				}
				continue
			}
			fmt.Fprintf(&b, "%s = %s\n", n.key, n.text)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// toTOML writes every other list as an array of tables, which then stands
// behind the table's own keys.
func toTOML(tree []*node) string {
	var b strings.Builder
	for i, s := range tree {
		fmt.Fprintf(&b, "[%s]\n# managed by terraform\n", s.key)
		tables := ""
		for _, n := range s.kids {
			switch {
			case !n.list:
				fmt.Fprintf(&b, "%s = %q\n", n.key, n.text)
			case i%2 == 0:
				for _, e := range n.kids {
					tables += fmt.Sprintf("\n[[%s.%s]]\nname = %q\nrole = 'admin'\n", s.key, n.key, e.text)
				}
			default:
				fmt.Fprintf(&b, "%s = [\n", n.key)
				for _, e := range n.kids {
					fmt.Fprintf(&b, "  {name = %q, role = 'admin'},\n", e.text)
				}
				b.WriteString("]\n")
			}
		}
		b.WriteString(tables + "\n")
	}
	return b.String()
}

func comma(i, n int) string {
	if i < n-1 {
		return ","
	}
	return ""
}

func toEnv(tree []*node) string {
	var b strings.Builder
	for _, s := range tree {
		fmt.Fprintf(&b, "# %s\n", s.key)
		for _, n := range s.kids {
			if n.list {
				for _, e := range n.kids {
					fmt.Fprintf(&b, "%s_USER=%s\n", s.key, e.text)
				}
				continue
			}
			fmt.Fprintf(&b, "%s_%s=%s\n", s.key, n.key, n.text)
		}
	}
	return b.String()
}

// Two branches that git can merge as ciphertext give what they give as
// plaintext: each clean result verifies.
func TestMergeOfCiphertext(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for name, render := range map[string]func([]*node) string{"a.yaml": toYAML, "a.json": toJSON, "a.env": toEnv, "a.toml": toTOML, "a.ini": toINI, "a.jsonc": toJSONC} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, 2))
			clean, both := 0, 0
			for range rounds {
				tree := randomTree(r, 4+r.IntN(12))
				base, ours, theirs := render(tree), render(change(r, tree)), render(change(r, tree))
				want, ok := gitMerge(t, ours, base, theirs)
				if !ok {
					continue
				}
				both++
				sealed := encrypt(t, name, base)
				got, ok := gitMerge(t, edited(t, name, sealed, ours), sealed, edited(t, name, sealed, theirs))
				if !ok {
					continue
				}
				clean++
				if plain := string(open(t, name, got).Plaintext()); plain != want {
					t.Fatalf("merged to\n%s\nnot\n%s", plain, want)
				}
			}
			t.Logf("%d of %d two-branch merges that are clean as plaintext are clean as ciphertext, and all of them verify", clean, both)
			if clean*10 < both*7 {
				t.Errorf("only %d of %d merges are clean", clean, both)
			}
		})
	}
}

// Random changes of whole lines of ciphertext are all noticed.
func TestRandomLineChanges(t *testing.T) {
	for name, render := range map[string]func([]*node) string{"a.yaml": toYAML, "a.json": toJSON, "a.env": toEnv, "a.toml": toTOML, "a.ini": toINI, "a.jsonc": toJSONC} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(3, 4))
			total := 0
			for range 40 {
				sealed := encrypt(t, name, render(randomTree(r, 1+r.IntN(4))))
				for range 60 {
					if m := mutate(r, sealed); m != sealed {
						total++
						refused(t, name, "a random change", m)
					}
				}
			}
			t.Logf("%d random changes, none unnoticed", total)
		})
	}
}

func mutate(r *rand.Rand, sealed string) string {
	l := strings.SplitAfter(strings.TrimSuffix(sealed, "\n"), "\n")
	l[len(l)-1] += "\n"
	i, j := r.IntN(len(l)), r.IntN(len(l))
	switch r.IntN(7) {
	case 0:
		l = append(l[:i:i], l[i+1:]...)
	case 1:
		l = append(l[:j:j], append([]string{l[i]}, l[j:]...)...)
	case 2:
		l[i], l[j] = l[j], l[i]
	case 3:
		a, b := tokenRE.FindString(l[i]), tokenRE.FindString(l[j])
		if a != "" && b != "" {
			l[i], l[j] = strings.Replace(l[i], a, b, 1), strings.Replace(l[j], b, a, 1)
		}
	case 4:
		c := []byte(l[i])
		c[r.IntN(len(c))] ^= 1
		l[i] = string(c)
	case 5:
		l = append(l[:min(i, j):min(i, j)], l[max(i, j):]...)
	case 6:
		l = l[:i]
	}
	return strings.Join(l, "")
}
