package gitx

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
)

// Handler turns one file's bytes into what git stores, and back. path is
// relative to the top of the work tree, as git has it: bytes, not escaped.
type Handler interface {
	// Clean returns what goes into the repository. An error rejects the file;
	// the handler has told the person why.
	Clean(path string, src []byte) ([]byte, error)
	// Smudge returns what goes into the work tree. It may be called from
	// several goroutines.
	Smudge(path string, blob []byte) []byte
}

// maxDelayed bounds the bytes that wait for delayed answers.
const maxDelayed = 32 << 20

// Serve speaks version 2 of git's long-running filter protocol until git
// closes the stream (gitattributes(5), "Long Running Filter Process").
func Serve(r io.Reader, w io.Writer, h Handler) error {
	out := bufio.NewWriterSize(w, 1<<16)
	f := &filter{
		in: &packetReader{r: bufio.NewReaderSize(r, 1<<16)}, out: &packetWriter{w: out}, flushOut: out.Flush,
		h: h, slots: make(chan struct{}, runtime.GOMAXPROCS(0)), done: make(chan delayed, 1), waiting: make(map[string]int), ready: make(map[string][]byte),
	}
	if err := f.handshake(); err != nil {
		return err
	}
	for {
		err := f.request()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = errors.Join(f.out.err, f.flushOut())
		}
		if err != nil {
			return err
		}
	}
}

type filter struct {
	in       *packetReader
	out      *packetWriter
	flushOut func() error
	h        Handler

	slots   chan struct{}     // one per core
	done    chan delayed      // answers of delayed requests
	working int               // requests that have none yet
	waiting map[string]int    // bytes of delayed paths, until git has fetched them
	size    int               // their sum
	ready   map[string][]byte // answers that git has not fetched
}

type delayed struct {
	path string
	data []byte
}

// list reads packets up to a flush packet as lines.
func (f *filter) list() (lines []string, err error) {
	for {
		data, flush, err := f.in.next()
		if err == io.EOF && len(lines) > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil || flush {
			return lines, err
		}
		if len(lines) == 64 {
			return nil, fmt.Errorf("%w: too many keys", errPacket)
		}
		lines = append(lines, strings.TrimSuffix(string(data), "\n"))
	}
}

func (f *filter) handshake() error {
	hello, err := f.list()
	if err != nil {
		return noEOF(err)
	}
	if len(hello) == 0 || hello[0] != "git-filter-client" || !slices.Contains(hello, "version=2") {
		return errors.New("this is not git speaking version 2 of its filter protocol")
	}
	f.out.lines("git-filter-server", "version=2")
	if err := errors.Join(f.out.err, f.flushOut()); err != nil {
		return err
	}
	offered, err := f.list()
	if err != nil {
		return noEOF(err)
	}
	var taken []string
	for _, c := range []string{"capability=clean", "capability=smudge", "capability=delay"} {
		if slices.Contains(offered, c) {
			taken = append(taken, c)
		}
	}
	f.out.lines(taken...)
	return errors.Join(f.out.err, f.flushOut())
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// request answers one request. It is io.EOF when git is done.
func (f *filter) request() error {
	lines, err := f.list()
	if err != nil {
		return err
	}
	keys := make(map[string]string)
	for _, l := range lines {
		name, value, _ := strings.Cut(l, "=")
		keys[name] = value
	}
	if keys["command"] == "list_available_blobs" {
		f.available()
		return nil
	}
	content, err := f.content()
	if err != nil {
		return err
	}
	// git 2.39 crashes on a delayed answer for an unmerged path (checkout -m):
	// a treeish says that it is none.
	path, wait := keys["pathname"], keys["can-delay"] == "1" && keys["treeish"] != ""
	switch keys["command"] {
	case "clean":
		data, err := f.h.Clean(path, content)
		if err != nil {
			f.out.lines("status=error")
			return nil
		}
		f.answer(data)
	case "smudge":
		f.smudge(path, content, wait)
	default: // of a later version
		f.out.lines("status=abort")
	}
	return nil
}

// content reads a file's bytes.
func (f *filter) content() ([]byte, error) {
	var b bytes.Buffer
	for {
		data, flush, err := f.in.next()
		if err != nil {
			return nil, noEOF(err)
		}
		if flush {
			return b.Bytes(), nil
		}
		b.Write(data)
	}
}

func (f *filter) answer(data []byte) {
	f.out.lines("status=success")
	f.out.content(data)
	f.out.flush() // the status stays
}

func (f *filter) smudge(path string, content []byte, wait bool) {
	if data, ok := f.ready[path]; ok && len(content) == 0 {
		f.size -= f.waiting[path]
		delete(f.ready, path)
		delete(f.waiting, path)
		f.answer(data)
		return
	}
	if _, twice := f.waiting[path]; !wait || twice || f.size+len(content) > maxDelayed {
		f.answer(f.h.Smudge(path, content))
		return
	}
	f.waiting[path] = len(content)
	f.size += len(content)
	f.working++
	go func() {
		f.slots <- struct{}{}
		data := f.h.Smudge(path, content)
		<-f.slots
		f.done <- delayed{path, data}
	}()
	f.out.lines("status=delayed")
}

// available lists the delayed files that are ready, and waits for at least
// one; an empty list says that none is left.
func (f *filter) available() {
	var paths []string
	take := func(d delayed) {
		f.ready[d.path] = d.data
		f.working--
		paths = append(paths, "pathname="+d.path)
	}
	for f.working > 0 && len(paths) < 512 {
		if len(paths) == 0 {
			take(<-f.done)
			continue
		}
		select {
		case d := <-f.done:
			take(d)
			continue
		default:
		}
		break
	}
	f.out.lines(paths...)
	f.out.lines("status=success")
}
