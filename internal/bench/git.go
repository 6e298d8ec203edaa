package main

import (
	"fmt"
	"log"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A variant is one way to keep the same files in git.
type variant struct {
	name    string
	attr    string // .gitattributes
	prepare func(repo string)
	runs    int
	times   map[string][]cost
}

// operations are in the order in which they run. The last two are for a reader
// of the history, and a person who looks.
var operations = []string{"add + commit", "status, all touched", "clone + checkout", "branch switch", "diff of two branches", "warm status"}

// git measures git's own commands on files that a filter manages, in turn with
// plain git, and with git-crypt if it is there, which gets one run: it takes
// minutes.
func (b *bench) git(files int) {
	check(os.WriteFile(filepath.Join(b.dir, ".gitconfig"), []byte("[user]\n\tname = a\n\temail = a@example.org\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n"), 0o600))
	b.env = append(b.env, "PATH="+b.dir+":"+os.Getenv("PATH"))
	b.in(b.dir, b.leafseal, "git", "install")

	ours := &variant{name: "leafseal", runs: b.runs, prepare: func(repo string) {
		check(os.WriteFile(filepath.Join(repo, ".leafseal.yaml"), []byte("users:\n  a:\n    - "+b.recipient+"\nfiles:\n  - path: '**/*.sec.yaml'\n    for: [a]\n    worktree: plain\n"), 0o600))
		b.in(repo, b.leafseal, "users", "trust", "all")
		b.in(repo, b.leafseal, "git", "install")
	}}
	plain := &variant{name: "plain git", runs: b.runs, prepare: func(string) {}}
	cat := &variant{name: "textconv=cat", runs: b.runs}
	variants := []*variant{plain, ours}
	if path, err := exec.LookPath("git-crypt"); err != nil {
		log.Print("git-crypt is not installed (apt-get install git-crypt): no comparison with it")
	} else {
		variants = append(variants, &variant{name: "git-crypt", runs: 1, attr: "*.sec.yaml filter=git-crypt diff=git-crypt\n", prepare: func(repo string) {
			b.in(repo, path, "init")
			b.in(repo, path, "export-key", filepath.Join(b.dir, "git-crypt.key"))
		}})
	}
	for _, v := range append(variants, cat) {
		v.times = make(map[string][]cost)
	}
	for run := range b.runs {
		for _, v := range variants {
			if run < v.runs {
				b.gitRun(v, cat, files, run)
			}
		}
	}
	fmt.Printf("\n%d files of 1.5 KB in git\n%-24s %12s %12s %8s %12s %8s\n", files, "operation", "plain git", "leafseal", "ratio", "git-crypt", "ratio")
	for _, op := range operations {
		row := fmt.Sprintf("%-24s", op)
		own := median(ours.times[op], wall)
		base := median(plain.times[op], wall)
		row += fmt.Sprintf(" %12s %12s %7.1f×", base.Round(time.Millisecond), own.Round(time.Millisecond), float64(own)/float64(base))
		if len(variants) > 2 {
			theirs := median(variants[2].times[op], wall)
			row += fmt.Sprintf(" %12s %7.1f×", theirs.Round(time.Millisecond), float64(theirs)/float64(own))
		}
		fmt.Println(row)
	}
	op := operations[4]
	own, base := median(ours.times[op], wall), median(cat.times[op], wall)
	fmt.Printf("%s with textconv=cat: %v, %.2f×\n", op, base.Round(time.Millisecond), float64(own)/float64(base))
}

func wall(c cost) time.Duration { return c.wall }

// in runs a command in a folder, in the environment of the bench.
func (b *bench) in(dir string, args ...string) cost {
	c := exec.Command(args[0], args[1:]...)
	c.Dir, c.Env = dir, b.env
	start := time.Now()
	out, err := c.CombinedOutput()
	if err != nil {
		log.Fatalf("%v: %v\n%s", args, err, out)
	}
	return cost{wall: time.Since(start), cpu: c.ProcessState.UserTime() + c.ProcessState.SystemTime()}
}

func (b *bench) gitRun(v, cat *variant, files, run int) {
	dir := filepath.Join(b.dir, "git")
	check(os.RemoveAll(dir))
	repo := filepath.Join(dir, "repo")
	check(os.MkdirAll(repo, 0o700))
	timed := func(v *variant, op string, costs ...cost) {
		var sum cost
		for _, c := range costs {
			sum.wall, sum.cpu = sum.wall+c.wall, sum.cpu+c.cpu
		}
		v.times[op] = append(v.times[op], sum)
	}
	b.in(repo, "git", "init", "-q")
	b.in(repo, "git", "commit", "-q", "--allow-empty", "-m", "root")
	v.prepare(repo)
	if v.attr != "" {
		check(os.WriteFile(filepath.Join(repo, ".gitattributes"), []byte(v.attr), 0o600))
	}
	names := gitFiles(repo, files, 42)
	timed(v, operations[0], b.in(repo, "git", "add", "."), b.in(repo, "git", "commit", "-q", "-m", "all"))
	time.Sleep(1100 * time.Millisecond) // or git reads all files again: they are as old as the index
	b.in(repo, "git", "status")
	timed(v, operations[5], b.in(repo, "git", "status"))
	now := time.Now().Add(-time.Hour).Add(time.Duration(run) * time.Second)
	for _, name := range names {
		check(os.Chtimes(name, now, now))
	}
	timed(v, operations[1], b.in(repo, "git", "status"))
	clone := filepath.Join(dir, "clone")
	costs := []cost{b.in(dir, "git", "clone", "-q", repo, clone)}
	if v.name == "git-crypt" {
		costs = append(costs, b.in(clone, "git-crypt", "unlock", filepath.Join(b.dir, "git-crypt.key")))
	}
	timed(v, operations[2], costs...)
	b.in(repo, "git", "checkout", "-q", "-b", "other")
	for i, name := range names {
		text, err := os.ReadFile(name)
		check(err)
		check(os.WriteFile(name, []byte(strings.Replace(string(text), "  password: ", fmt.Sprintf("  password: changed%d", i), 1)), 0o600))
	}
	b.in(repo, "git", "commit", "-q", "-a", "-m", "changed")
	timed(v, operations[3], b.in(repo, "git", "checkout", "-q", "main"))
	timed(v, operations[4], b.in(repo, "git", "diff", "main", "other"))
	if v.name == "leafseal" {
		timed(cat, operations[4], b.in(repo, "git", "-c", "diff.leafseal.textconv=cat", "diff", "main", "other"))
	}
}

// gitFiles writes files of 1.5 KB, 50 in a folder, the same for every variant.
func gitFiles(repo string, n int, seed int64) (names []string) {
	random := rand.New(rand.NewSource(seed))
	word := func() string {
		w := make([]byte, 20)
		for i := range w {
			w[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[random.Intn(36)]
		}
		return string(w)
	}
	for i := range n {
		var t strings.Builder
		for s := 0; t.Len() < 1500; s++ {
			fmt.Fprintf(&t, "service%d:\n", s)
			for _, k := range []string{"host", "user", "password", "token"} {
				fmt.Fprintf(&t, "  %s: %s\n", k, word())
			}
		}
		name := filepath.Join(repo, fmt.Sprintf("d%d", i/50), fmt.Sprintf("f%d.sec.yaml", i))
		check(os.MkdirAll(filepath.Dir(name), 0o700))
		check(os.WriteFile(name, []byte(t.String()), 0o600))
		names = append(names, name)
	}
	return names
}
