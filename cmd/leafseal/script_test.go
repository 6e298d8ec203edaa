package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/urfave/cli/v2"
)

func TestMain(m *testing.M) {
	testscript.Main(cleaner{m}, map[string]func(){"leafseal": main, "age-plugin-demo": demoPlugin})
}

// cleaner removes what tests share once all have run.
type cleaner struct{ *testing.M }

func (c cleaner) Run() int {
	defer func() {
		for _, dir := range built {
			os.RemoveAll(dir)
		}
	}()
	return c.M.Run()
}

var built []string // folders of built programs

// build builds programs once for all tests, and returns their folder.
func build(packages ...string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "leafseal-test-")
		if err != nil {
			return "", err
		}
		built = append(built, dir)
		out, err := exec.Command("go", append([]string{"build", "-o", dir + "/"}, packages...)...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		return dir, err
	})
}

var (
	ageOnce      = build("filippo.io/age/cmd/age", "filippo.io/age/cmd/age-keygen")
	leafsealOnce = build(".")
)

// sopsOnce is the folder of the sops that scripts talk to; in CI it is
// installed if it is not there. Scripts ask for it with [exec:sops].
var sopsOnce = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "leafseal-bench", "v3.13.3")
	if _, err := os.Stat(filepath.Join(dir, "sops")); err == nil || os.Getenv("CI") == "" {
		return dir, nil
	}
	if _, err := exec.LookPath("sops"); err == nil {
		return dir, nil
	}
	cmd := exec.Command("go", "install", "github.com/getsops/sops/v3/cmd/sops@v3.13.3")
	cmd.Env = append(os.Environ(), "GOBIN="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return dir, err
})

// TestScripts runs testdata/script/*.txtar. Plaintext in them is marked
// SENTINEL: it must never show where it should not.
func TestScripts(t *testing.T) {
	dir := "../../testdata/script"
	if scripts, err := filepath.Glob(dir + "/*.txtar"); err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts in %s: %v", dir, err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":      code,
			"expand":    expand,
			"failed":    failed,
			"helps":     helps,
			"hides":     hides,
			"leaks":     leaks,
			"let":       let,
			"remember":  remember,
			"unchanged": unchanged,
			"unescape":  unescape,
		},
	})
}

// setup gives each script a home folder of its own, empty, and no variable
// that leafseal or git would heed.
func setup(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, ".home")
	env.Setenv("HOME", home)
	env.Setenv("USER", "alice")
	env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	env.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(env.WorkDir))
	env.Setenv("NO_COLOR", "")
	foreign, err := filepath.Abs("../../testdata/foreign")
	if err != nil {
		return err
	}
	env.Setenv("FOREIGN", foreign)
	age, err := ageOnce()
	if err != nil {
		return err
	}
	sops, err := sopsOnce()
	if err != nil {
		return err
	}
	env.Setenv("PATH", strings.Join([]string{age, env.Getenv("PATH"), sops}, string(filepath.ListSeparator)))
	env.Values["files"] = map[string]remembered{}
	return os.Mkdir(home, 0o700)
}

// failed asserts what must be so after every failure: nothing on standard
// output, no plaintext on standard error, and none of FILE….
func failed(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("unsupported: ! failed")
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("standard output after a failure:\n%s", out)
	}
	if strings.Contains(ts.ReadFile("stderr"), "SENTINEL") {
		ts.Fatalf("plaintext on standard error")
	}
	if ts.ReadFile("stderr") == "" {
		ts.Fatalf("a failure without a word")
	}
	for _, f := range args {
		if _, err := os.Lstat(ts.MkAbs(f)); err == nil {
			ts.Fatalf("%s was left behind", f)
		}
	}
}

// code N COMMAND… asserts an exit code.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND…")
	}
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, not %s", got, args[0])
	}
}

// helps asserts that every command has help with an example.
func helps(ts *testscript.TestScript, _ bool, _ []string) {
	var walk func(path []string, list []*cli.Command)
	walk = func(path []string, list []*cli.Command) {
		for _, c := range list {
			full := append(slices.Clone(path), c.Name)
			ts.Check(ts.Exec("leafseal", append(full, "-h")...))
			out := ts.ReadFile("stdout")
			if strings.Count(out, strings.Join(append([]string{"leafseal"}, full...), " ")) < 3 || ts.ReadFile("stderr") != "" {
				ts.Fatalf("no help with an example for %v:\n%s", full, out)
			}
			walk(full, c.Subcommands)
		}
	}
	walk(nil, newApp(&env{}).Commands)
}

// hides asserts that FILE… (or stdout, stderr) hold no plaintext.
func hides(ts *testscript.TestScript, neg bool, args []string) {
	for _, f := range args {
		if strings.Contains(ts.ReadFile(f), "SENTINEL") != neg {
			ts.Fatalf("plaintext in %s: %v", f, !neg)
		}
	}
}

// leaks asserts that no object of the git repository in DIR, reachable or not,
// and no file in its .git folder holds plaintext.
func leaks(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: leaks DIR")
	}
	dir := ts.MkAbs(args[0])
	cmd := exec.Command("git", "cat-file", "--batch-all-objects", "--batch")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+ts.Getenv("HOME"))
	objects, err := cmd.Output()
	ts.Check(err)
	if len(objects) == 0 {
		ts.Fatalf("no objects in %s", dir)
	}
	if i := bytes.Index(objects, []byte("SENTINEL")); i >= 0 {
		ts.Fatalf("plaintext in an object of %s: …%s", dir, objects[max(0, i-300):min(len(objects), i+100)])
	}
	out, err := exec.Command("git", "-C", dir, "rev-parse", "--absolute-git-dir").Output()
	ts.Check(err)
	ts.Check(filepath.WalkDir(strings.TrimSpace(string(out)), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte("SENTINEL")) {
			ts.Fatalf("plaintext in %s", path)
		}
		return err
	}))
}

// let VAR FILE sets a variable to the text of a file, or of stdout, without
// the line break at its end.
func let(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: let VAR FILE")
	}
	ts.Setenv(args[0], strings.TrimSuffix(ts.ReadFile(args[1]), "\n"))
}

// expand FILE… replaces the variables in files.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	for _, f := range args {
		ts.Check(os.WriteFile(ts.MkAbs(f), []byte(os.Expand(ts.ReadFile(f), ts.Getenv)), 0o600))
	}
}

type remembered struct {
	data  []byte
	mtime time.Time
}

func look(ts *testscript.TestScript, file string) remembered {
	data, err := os.ReadFile(ts.MkAbs(file))
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(file))
	ts.Check(err)
	return remembered{data, info.ModTime()}
}

// remember FILE… notes bytes and modification times for unchanged.
func remember(ts *testscript.TestScript, _ bool, args []string) {
	for _, f := range args {
		ts.Value("files").(map[string]remembered)[f] = look(ts, f)
	}
}

// unchanged FILE… asserts that bytes and modification times are as remembered.
func unchanged(ts *testscript.TestScript, neg bool, args []string) {
	for _, f := range args {
		was, now := ts.Value("files").(map[string]remembered)[f], look(ts, f)
		if (bytes.Equal(was.data, now.data) && was.mtime.Equal(now.mtime)) == neg {
			ts.Fatalf("%s: unchanged is %v", f, neg)
		}
	}
}

// unescape FILE… replaces \e, \r and \c (no line break at the end) by the
// bytes that a txtar file cannot hold.
func unescape(ts *testscript.TestScript, _ bool, args []string) {
	for _, f := range args {
		text := strings.NewReplacer(`\e`, "\x1b", `\r`, "\r", "\\c\n", "").Replace(ts.ReadFile(f))
		ts.Check(os.WriteFile(ts.MkAbs(f), []byte(text), 0o600))
	}
}
