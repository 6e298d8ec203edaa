// Bench compares leafseal with its peers: whole processes on the same files,
// interleaved in one run. It prints medians and ratios and judges nothing.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const sopsVersion = "v3.13.3"

func main() {
	log.SetFlags(0)
	values := flag.Int("values", 100_000, "values in the large files")
	runs := flag.Int("runs", 3, "runs of each command on large files; small files get ten times as many")
	files := flag.Int("files", 3_000, "files in git")
	opaque := flag.Int("opaque", 1024, "MB of the opaque file")
	only := flag.String("only", "", "large, get, opaque or git")
	flag.Parse()
	dir, err := os.MkdirTemp(scratch(), "bench-leafseal-") // leafseal itself sweeps up /dev/shm/leafseal-*
	check(err)
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, runs: *runs}
	b.tools()
	if *only == "" || *only == "large" {
		b.large(*values)
	}
	if *only == "" || *only == "get" {
		b.get()
	}
	if *only == "" || *only == "opaque" {
		b.opaque(*opaque)
	}
	if *only == "" || *only == "git" {
		b.git(*files)
	}
}

// scratch is a folder in memory, where there is one: a disk is the noisiest
// part of a machine.
func scratch() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

type bench struct {
	dir                 string
	runs                int
	leafseal, age, sops string
	identity, recipient string
	env                 []string
	before              func() // a command is run
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// tools builds the peers: age and sops are Go modules.
func (b *bench) tools() {
	build := func(out, pkg string) string {
		path := filepath.Join(b.dir, out)
		run(exec.Command("go", "build", "-trimpath", "-tags", "urfave_cli_no_docs", "-ldflags", "-s -w", "-o", path, pkg))
		return path
	}
	b.leafseal = build("leafseal", "./cmd/leafseal")
	b.age = build("age", "filippo.io/age/cmd/age")
	keygen := build("age-keygen", "filippo.io/age/cmd/age-keygen")
	cache, err := os.UserCacheDir()
	check(err)
	b.sops = filepath.Join(cache, "leafseal-bench", sopsVersion, "sops")
	if _, err := os.Stat(b.sops); err != nil {
		log.Printf("installing sops %s, which takes some minutes once", sopsVersion)
		install := exec.Command("go", "install", "github.com/getsops/sops/v3/cmd/sops@"+sopsVersion)
		install.Env = append(os.Environ(), "GOBIN="+filepath.Dir(b.sops))
		install.Dir = b.dir
		run(install)
	}
	b.identity = filepath.Join(b.dir, "key.txt")
	run(exec.Command(keygen, "-o", b.identity))
	out, err := exec.Command(keygen, "-y", b.identity).Output()
	check(err)
	b.recipient = strings.TrimSpace(string(out))
	b.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "SOPS_AGE_KEY_FILE=" + b.identity, "LEAFSEAL_IDENTITY_FILE=" + b.identity}
}

func run(c *exec.Cmd) {
	if out, err := c.CombinedOutput(); err != nil {
		log.Fatalf("%v: %v\n%s", c.Args, err, out)
	}
}

// cost is what one process took.
type cost struct {
	wall, cpu   time.Duration
	memory      int64         // resident, at most, in bytes
	least, most time.Duration // of a median: what it lies between
}

func (b *bench) command(args ...string) *exec.Cmd {
	c := exec.Command(args[0], args[1:]...)
	c.Env = b.env
	return c
}

// measure runs commands in turn, n times each, and returns the medians.
func (b *bench) measure(n int, commands ...[]string) []cost {
	all := make([][]cost, len(commands))
	for range n {
		for i, args := range commands {
			if b.before != nil {
				b.before()
			}
			c := b.command(args...)
			var stderr bytes.Buffer
			c.Stderr = &stderr
			start := time.Now()
			if err := c.Run(); err != nil {
				log.Fatalf("%v: %v\n%s", args, err, stderr.String())
			}
			all[i] = append(all[i], cost{wall: time.Since(start), cpu: c.ProcessState.UserTime() + c.ProcessState.SystemTime(), memory: peak(c.ProcessState)})
		}
	}
	medians := make([]cost, len(commands))
	for i, costs := range all {
		medians[i].wall = median(costs, func(c cost) time.Duration { return c.wall })
		for k, c := range costs {
			medians[i].memory, medians[i].most = max(medians[i].memory, c.memory), max(medians[i].most, c.wall)
			if k == 0 || c.wall < medians[i].least {
				medians[i].least = c.wall
			}
		}
		medians[i].cpu = median(costs, func(c cost) time.Duration { return c.cpu })
	}
	return medians
}

func median(costs []cost, of func(cost) time.Duration) time.Duration {
	var d []time.Duration
	for _, c := range costs {
		d = append(d, of(c))
	}
	slices.Sort(d)
	return d[len(d)/2]
}

func (b *bench) write(name, text string) string {
	path := filepath.Join(b.dir, name)
	check(os.WriteFile(path, []byte(text), 0o600))
	return path
}

func yamlFile(n int) string {
	var t strings.Builder
	for i := range n {
		fmt.Fprintf(&t, "key%d: some secret value %d\n", i, i*7919)
	}
	return t.String()
}

// sectionsFile spares sops what is quadratic in it: long maps.
func sectionsFile(n int) string {
	var t strings.Builder
	for i := range n {
		if i%10 == 0 {
			fmt.Fprintf(&t, "section%d:\n", i/10)
		}
		fmt.Fprintf(&t, "  key%d: some secret value %d\n", i, i*7919)
	}
	return t.String()
}

func jsonFile(n int) string {
	var t strings.Builder
	t.WriteString("{\n")
	for i := range n {
		fmt.Fprintf(&t, "  \"key%d\": \"some secret value %d\"", i, i*7919)
		if i < n-1 {
			t.WriteByte(',')
		}
		t.WriteByte('\n')
	}
	return t.String() + "}\n"
}

func envFile(n int) string {
	var t strings.Builder
	for i := range n {
		fmt.Fprintf(&t, "KEY_%d=some-secret-value-%d\n", i, i*7919)
	}
	return t.String()
}

func tomlFile(n int) string {
	var t strings.Builder
	for i := range n {
		if i%10 == 0 {
			fmt.Fprintf(&t, "\n[section_%d]\n", i/10)
		}
		fmt.Fprintf(&t, "key_%d = \"some secret value %d\"\n", i, i*7919)
	}
	return t.String()
}

// large measures encrypting and decrypting files of n values, and a tenth of
// that: the cost per value must stay the same. sops is quadratic in JSON, and
// does not read TOML.
func (b *bench) large(n int) {
	fmt.Printf("%-28s %9s %12s %12s %8s %14s\n", "operation", "values", "leafseal", "sops", "ratio", "per value")
	for _, f := range []struct {
		name string
		text func(int) string
		sops bool
	}{{"flat.yaml", yamlFile, true}, {"sections.yaml", sectionsFile, true}, {"x.json", jsonFile, false}, {"x.env", envFile, true}, {"x.toml", tomlFile, false}} {
		for _, size := range []int{n / 10, n} {
			plain := b.write(f.name, f.text(size))
			ours, theirs := filepath.Join(b.dir, "ours-"+f.name), filepath.Join(b.dir, "theirs-"+f.name)
			encrypt := [][]string{{b.leafseal, "encrypt", "-q", "--force", "--to", b.recipient, "-o", ours, plain}}
			decrypt := [][]string{{b.leafseal, "decrypt", "-q", ours}}
			if f.sops {
				encrypt = append(encrypt, []string{b.sops, "encrypt", "--age", b.recipient, "--output", theirs, plain})
				decrypt = append(decrypt, []string{b.sops, "decrypt", theirs})
			}
			b.row("encrypt "+f.name, size, b.measure(b.runs, encrypt...))
			b.row("decrypt "+f.name, size, b.measure(b.runs, decrypt...))
		}
	}
}

func (b *bench) row(what string, n int, c []cost) {
	theirs, ratio := "-", "-"
	if len(c) > 1 {
		theirs = c[1].wall.Round(time.Millisecond).String()
		ratio = fmt.Sprintf("%.1f×", float64(c[1].wall)/float64(c[0].wall))
	}
	fmt.Printf("%-28s %9d %12s %12s %8s %14s\n", what, n, c[0].wall.Round(time.Millisecond), theirs, ratio, (c[0].wall / time.Duration(n)).Round(10*time.Nanosecond))
}

// get measures the CPU time of reading one value of ten.
func (b *bench) get() {
	var text strings.Builder
	for i := range 10 {
		fmt.Fprintf(&text, "key%d: some secret value %d\n", i, i)
	}
	plain := b.write("ten.yaml", text.String())
	ours, theirs, aged := filepath.Join(b.dir, "ten-ours.yaml"), filepath.Join(b.dir, "ten-theirs.yaml"), filepath.Join(b.dir, "ten.age")
	b.measure(1, []string{b.leafseal, "encrypt", "-q", "--to", b.recipient, "-o", ours, plain},
		[]string{b.sops, "encrypt", "--age", b.recipient, "--output", theirs, plain},
		[]string{b.age, "-r", b.recipient, "-o", aged, plain})
	c := b.measure(b.runs*30,
		[]string{b.leafseal, "get", ours, "key5"},
		[]string{b.age, "-d", "-i", b.identity, aged},
		[]string{b.sops, "decrypt", "--extract", `["key5"]`, theirs})
	fmt.Printf("\nget one of ten values, CPU time: leafseal %v, age -d %v (%.2f× of age), sops %v (%.2f× of sops)\n",
		c[0].cpu.Round(10*time.Microsecond), c[1].cpu.Round(10*time.Microsecond), float64(c[0].cpu)/float64(c[1].cpu),
		c[2].cpu.Round(10*time.Microsecond), float64(c[0].cpu)/float64(c[2].cpu))
}
