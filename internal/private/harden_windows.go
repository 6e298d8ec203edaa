package private

// Harden: Windows writes no dumps of its own accord.
func Harden() error { return nil }

// NoCore likewise.
func NoCore() error { return nil }
