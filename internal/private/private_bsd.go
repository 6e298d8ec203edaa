//go:build unix && !linux && !darwin

package private

// inMemory: on other systems no folder is known to be in memory.
func inMemory(string) bool { return false }

// ramDisks: macOS alone makes them without further ado.
const ramDisks = false

func mountDisk(string) error   { return ErrDisk }
func unmountDisk(string) error { return nil }
