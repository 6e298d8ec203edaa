//go:build !linux

package atomic

import "os"

type early struct{ *os.File }

func writeEarly(f *os.File) early { return early{f} }

// Close does not close the file.
func (early) Close() error { return nil }
