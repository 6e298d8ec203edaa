// Leafseal keeps secrets in a git repository without keeping them in plain
// text there.
package main

import (
	"os"
	"time"
)

func main() {
	os.Exit(run(os.Args, &env{
		stdin:   os.Stdin,
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		environ: os.Environ(),
		now:     time.Now,
		openTTY: openTTY,
	}))
}
