// Leafseal keeps secrets in a git repository without keeping them in plain
// text there.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/leafseal/leafseal/internal/private"
)

func main() {
	if err := private.Harden(); err != nil {
		fmt.Fprintln(os.Stderr, "leafseal:", err)
		os.Exit(1)
	}
	os.Exit(run(os.Args, &env{
		stdin:   os.Stdin,
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		environ: os.Environ(),
		now:     time.Now,
		openTTY: openTTY,
	}))
}
