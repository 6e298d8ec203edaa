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
	Clean(path string, src Source) (Content, error)
	// Smudge returns what goes into the work tree. It may be called from
	// several goroutines, unless there is a rest.
	Smudge(path string, blob Source) Content
}

// Source is a file that comes in: all of it, or its start and the rest.
type Source struct {
	Start []byte
	Rest  io.Reader // nil if Start is all
}

// maxStart is how much of a file is read before anyone knows what it is.
const maxStart = 4 << 20

// ReadSource reads the start of a file.
func ReadSource(r io.Reader) (Source, error) {
	start, err := io.ReadAll(io.LimitReader(r, maxStart+1))
	if err != nil || len(start) <= maxStart {
		return Source{Start: start}, err
	}
	return Source{start, r}, nil
}

// all reads a file to its end.
func (s Source) all() ([]byte, error) {
	if s.Rest == nil {
		return s.Start, nil
	}
	return io.ReadAll(s.reader())
}

func (s Source) reader() io.Reader {
	if s.Rest == nil {
		return bytes.NewReader(s.Start)
	}
	return io.MultiReader(bytes.NewReader(s.Start), s.Rest)
}

// Content is a file that goes out. It is closed when it has been written.
type Content interface {
	WriteTo(w io.Writer) (int64, error)
	Close() error
}

// Bytes is content in memory.
type Bytes []byte

func (b Bytes) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b)
	return int64(n), err
}

func (Bytes) Close() error { return nil }

// maxDelayed bounds the bytes that wait for delayed answers.
const maxDelayed = 32 << 20

// Serve speaks version 2 of git's long-running filter protocol until git
// closes the stream (gitattributes(5), "Long Running Filter Process").
func Serve(r io.Reader, w io.Writer, h Handler) error {
	out := bufio.NewWriterSize(w, 1<<16)
	f := &filter{
		in: &packetReader{r: bufio.NewReaderSize(r, 1<<16)}, out: &packetWriter{w: out}, flushOut: out.Flush,
		h: h, slots: make(chan struct{}, runtime.GOMAXPROCS(0)), done: make(chan delayed, 1), waiting: make(map[string]int), ready: make(map[string]Content),
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

	slots   chan struct{}      // one per core
	done    chan delayed       // answers of delayed requests
	working int                // requests that have none yet
	waiting map[string]int     // bytes of delayed paths, until git has fetched them
	size    int                // their sum
	ready   map[string]Content // answers that git has not fetched
}

type delayed struct {
	path string
	data Content
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
	content := &contentReader{in: f.in}
	src, err := ReadSource(content)
	if err != nil {
		return err
	}
	// git 2.39 crashes on a delayed answer for an unmerged path (checkout -m):
	// a treeish says that it is none.
	path, wait := keys["pathname"], keys["can-delay"] == "1" && keys["treeish"] != ""
	switch keys["command"] {
	case "clean":
		data, err := f.h.Clean(path, src)
		if broken := content.drain(); broken != nil {
			return broken
		}
		if err != nil {
			f.out.lines("status=error")
			return nil
		}
		f.answer(data)
	case "smudge":
		return f.smudge(path, src, wait, content)
	default: // of a later version
		f.out.lines("status=abort")
		return content.drain()
	}
	return nil
}

// contentReader reads a file's bytes from packets.
type contentReader struct {
	in   *packetReader
	data []byte
	done bool
	err  error
}

func (c *contentReader) Read(p []byte) (int, error) {
	for len(c.data) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		if c.done {
			return 0, io.EOF
		}
		var err error
		if c.data, c.done, err = c.in.next(); err != nil {
			c.err = noEOF(err)
		}
	}
	n := copy(p, c.data)
	c.data = c.data[n:]
	return n, nil
}

// drain reads what is left: git listens only when it has said all.
func (c *contentReader) drain() error {
	_, err := io.Copy(io.Discard, c)
	return err
}

func (f *filter) answer(data Content) {
	f.out.lines("status=success")
	body := bufio.NewWriterSize(f.out.contents(), maxContent)
	_, err := data.WriteTo(body)
	err = errors.Join(err, body.Flush(), data.Close())
	f.out.flush()
	if err != nil && f.out.err == nil { // what was sent does not count
		f.out.lines("status=error")
		return
	}
	f.out.flush() // the status stays
}

func (f *filter) smudge(path string, src Source, wait bool, content *contentReader) error {
	if data, ok := f.ready[path]; ok && len(src.Start) == 0 {
		f.size -= f.waiting[path]
		delete(f.ready, path)
		delete(f.waiting, path)
		f.answer(data)
		return nil
	}
	size := len(src.Start)
	if _, twice := f.waiting[path]; !wait || twice || src.Rest != nil || f.size+size > maxDelayed {
		data := f.h.Smudge(path, src)
		if err := content.drain(); err != nil {
			return errors.Join(err, data.Close())
		}
		f.answer(data)
		return nil
	}
	f.waiting[path] = size
	f.size += size
	f.working++
	go func() {
		f.slots <- struct{}{}
		data := f.h.Smudge(path, src)
		<-f.slots
		f.done <- delayed{path, data}
	}()
	f.out.lines("status=delayed")
	return nil
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
