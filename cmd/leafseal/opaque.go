package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/leafseal/leafseal/internal/atomic"
	"github.com/leafseal/leafseal/pkg/leafseal"
)

// Opaque files stream: they may be larger than memory.

func opaqueFlag() cli.Flag {
	return &cli.BoolFlag{Name: "opaque", Usage: "take the file as a whole, whatever is in it, and of any size"}
}

// encryptOpaque encrypts one file as a stream.
func (e *env) encryptOpaque(c *cli.Context, path string) error {
	o, root, err := e.wanted(c, path)
	if err != nil {
		return err
	}
	o.Format = "opaque"
	in, info, start, err := e.openFile(path)
	if err != nil {
		return err
	}
	defer in.Close()
	if len(start) == 0 {
		return &leafseal.Error{File: path, Err: fmt.Errorf("%w: an empty file holds nothing to encrypt", leafseal.ErrUnsupported)}
	}
	if leafseal.IsOpaque(start) {
		return &leafseal.Error{File: path, Err: leafseal.ErrEncrypted, Hint: "leafseal apply gives it other readers"}
	}
	if root != "" {
		if err := e.trust(root, o.Readers, c.StringSlice("trust")); err != nil {
			return err
		}
	}
	if o.Readers, err = e.withRecipients(o.Readers); err != nil {
		return err
	}
	f, err := leafseal.New(o)
	if err != nil {
		return err
	}
	out := path
	if c.IsSet("output") {
		out = c.String("output")
		if info, err = replacedInfo(out, c.Bool("force")); err != nil {
			return err
		}
	}
	if err := e.writeStream(out, info, func(w io.Writer) error { return f.EncryptTo(w, in) }); err != nil {
		return err
	}
	if out != "-" {
		e.say("%s: sealed as a whole, readable by %s", out, names(f.Readers()))
		e.warnHistory(out)
	}
	return nil
}

// decryptOpaque decrypts one file as a stream; done is false if it is not an
// opaque one.
func (e *env) decryptOpaque(c *cli.Context, path string) (done bool, err error) {
	if path == "-" {
		return false, nil // read into memory: it cannot be read twice
	}
	in, _, start, err := e.openFile(path)
	if err != nil {
		return false, err
	}
	defer in.Close()
	if !leafseal.IsOpaque(start) {
		return false, nil
	}
	ids, err := e.identities()
	if err != nil {
		return true, err
	}
	_, plain, err := leafseal.OpenStream(in, leafseal.Options{Name: path}, ids...)
	if err != nil {
		return true, err
	}
	out, info := c.String("output"), fs.FileInfo(nil)
	if out == "" {
		out = "-"
	}
	if out == "-" && isTerminal(e.stdout) {
		return true, &leafseal.Error{File: path, Err: errors.New("this may be binary, which is not shown on a terminal"), Hint: "-o writes it to a file"}
	}
	if out != "-" {
		if info, err = replacedInfo(out, c.Bool("force")); err != nil {
			return true, err
		}
	}
	write := func(w io.Writer) error {
		_, err := io.CopyBuffer(struct{ io.Writer }{w}, plain, make([]byte, 1<<15)) // of 64 kB at whole pages Linux is slower, at times by half
		return err
	}
	if out != "-" && info == nil { // the ciphertext stays, whatever becomes of it
		debug.SetMemoryLimit(streamMemory)
		return true, unwritten(out, atomic.Create(out, write))
	}
	return true, e.writeStream(out, info, write)
}

// openFile opens a file, and looks at how it starts.
func (e *env) openFile(path string) (in io.ReadCloser, info fs.FileInfo, start []byte, err error) {
	var src io.ReadCloser = io.NopCloser(e.stdin)
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, nil, nil, err
		}
		if info, err = file.Stat(); err != nil {
			file.Close()
			return nil, nil, nil, err
		}
		src = file
	}
	start = make([]byte, 32)
	n, err := io.ReadFull(src, start)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		src.Close()
		return nil, nil, nil, err
	}
	start = start[:n]
	return &startedFile{io.MultiReader(bytes.NewReader(start), src), src}, info, start, nil
}

type startedFile struct {
	io.Reader
	io.Closer
}

// streamMemory is what a stream gets by with: age allocates every chunk anew,
// and on a busy machine the collector would fall behind.
const streamMemory = 40 << 20

// writeStream writes a file that comes as a stream, whole or not at all; "-"
// is standard output, which gets what is there before a failure.
func (e *env) writeStream(path string, was fs.FileInfo, write func(w io.Writer) error) error {
	debug.SetMemoryLimit(streamMemory)
	if path == "-" {
		return write(e.stdout)
	}
	return unwritten(path, atomic.ReplaceWith(path, was, write))
}
