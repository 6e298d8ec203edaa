package atomic

import (
	"os"

	"golang.org/x/sys/unix"
)

// flushEvery is how much of a large file is written before the kernel is told
// to begin to bring it to the disk.
const flushEvery = 8 << 20

// early is a writer to a file. Without it the kernel would write to the disk
// only in the Sync at the end, and all would wait for it.
type early struct {
	f       *os.File
	n, told int64
	next    chan int64 // offsets
	ended   chan struct{}
}

func writeEarly(f *os.File) *early {
	e := &early{f: f, next: make(chan int64, 1), ended: make(chan struct{})}
	go func() { // it may wait for the disk
		defer close(e.ended)
		for from := range e.next {
			unix.SyncFileRange(int(f.Fd()), from, flushEvery, unix.SYNC_FILE_RANGE_WRITE) // what fails is for Sync to tell
		}
	}()
	return e
}

func (e *early) Write(p []byte) (int, error) {
	n, err := e.f.Write(p)
	e.n += int64(n)
	if e.n-e.told >= flushEvery {
		select {
		case e.next <- e.told:
			e.told += flushEvery
		default: // the disk is behind as it is
		}
	}
	return n, err
}

// Close does not close the file.
func (e *early) Close() error {
	close(e.next)
	<-e.ended
	return nil
}
