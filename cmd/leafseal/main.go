// Leafseal keeps secrets in a git repository without keeping them in plain
// text there.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/leafseal/leafseal/internal/private"
)

func main() {
	debug.SetTraceback("none") // a trace shows arguments
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
