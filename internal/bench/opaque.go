package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// opaque measures one large file as a stream against age, which does the same
// with it but for the Sync to the disk at the end. It is on a disk, as what
// does not fit into memory is.
func (b *bench) opaque(megabytes int) {
	dir, err := os.MkdirTemp("", "bench-leafseal-")
	check(err)
	defer os.RemoveAll(dir)
	plain, aged, ours, out := filepath.Join(dir, "plain"), filepath.Join(dir, "age"), filepath.Join(dir, "leafseal"), filepath.Join(dir, "out")
	f, err := os.Create(plain)
	check(err)
	_, err = io.CopyN(f, rand.Reader, int64(megabytes)<<20)
	check(err)
	check(f.Close())
	b.before = func() { os.Remove(out); syncDisks() }
	defer func() { b.before = nil }()
	run(b.command(b.age, "-r", b.recipient, "-o", aged, plain))
	run(b.command(b.leafseal, "encrypt", "-q", "--opaque", "--to", b.recipient, "-o", ours, plain))
	fmt.Printf("\n%-28s %9s %12s %12s %8s %18s %14s\n", "operation", "MB", "leafseal", "age", "ratio", "noise", "memory")
	for _, op := range []struct {
		name     string
		ours, to []string
	}{
		{"encrypt --opaque", []string{b.leafseal, "encrypt", "-q", "--opaque", "--to", b.recipient, "-o", out, plain}, []string{b.age, "-r", b.recipient, "-o", out, plain}},
		{"decrypt", []string{b.leafseal, "decrypt", "-q", "-o", out, ours}, []string{b.age, "-d", "-i", b.identity, "-o", out, aged}},
	} {
		c := b.measure(2*b.runs+1, op.ours, op.to)
		round := func(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
		fmt.Printf("%-28s %9d %12s %12s %8s %18s %11d MB\n", op.name, megabytes, round(c[0].wall), round(c[1].wall), fmt.Sprintf("%.2f×", float64(c[1].wall)/float64(c[0].wall)),
			fmt.Sprintf("%v–%v", round(c[0].least), round(c[0].most)), c[0].memory>>20)
		fmt.Printf("%-28s %9s %12s %12s %8s %18s %11d MB\n", "  CPU time", "", round(c[0].cpu), round(c[1].cpu), fmt.Sprintf("%.2f×", float64(c[1].cpu)/float64(c[0].cpu)),
			fmt.Sprintf("age %v–%v", round(c[1].least), round(c[1].most)), c[1].memory>>20)
	}
}
