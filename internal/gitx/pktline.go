// Package gitx is leafseal's surface towards git: the filter process, the
// objects behind a path, merging, attributes, configuration and hooks.
package gitx

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// The pkt-line format: gitprotocol-common(5). Four hexadecimal digits give a
// packet's length, themselves included; "0000" is a flush packet.
const (
	maxPacket  = 65520
	maxContent = maxPacket - 4
)

var errPacket = errors.New("malformed pkt-line")

// packetReader reads packets.
type packetReader struct {
	r   io.Reader
	buf [maxPacket]byte
}

// next returns a packet's content, valid until the next call; flush is true
// for a flush packet. At the end of the stream, between packets, err is io.EOF.
func (p *packetReader) next() (data []byte, flush bool, err error) {
	if _, err := io.ReadFull(p.r, p.buf[:4]); err != nil {
		if err == io.EOF {
			return nil, false, io.EOF
		}
		return nil, false, fmt.Errorf("%w: cut off in a length", errPacket)
	}
	var length [2]byte
	if _, err := hex.Decode(length[:], p.buf[:4]); err != nil {
		return nil, false, fmt.Errorf("%w: the length is no number", errPacket)
	}
	n := int(length[0])<<8 | int(length[1])
	switch {
	case n == 0:
		return nil, true, nil
	case n < 4 || n > maxPacket:
		return nil, false, fmt.Errorf("%w: a length of %d", errPacket, n)
	}
	if _, err := io.ReadFull(p.r, p.buf[:n-4]); err != nil {
		return nil, false, fmt.Errorf("%w: cut off", errPacket)
	}
	return p.buf[:n-4], false, nil
}

// packetWriter writes packets. The first error stays.
type packetWriter struct {
	w   io.Writer
	err error
}

func (p *packetWriter) write(data []byte) {
	if p.err == nil {
		_, p.err = p.w.Write(data)
	}
}

func (p *packetWriter) flush() { p.write([]byte("0000")) }

// lines writes each text as a packet with a line feed, and a flush packet.
func (p *packetWriter) lines(texts ...string) {
	for _, t := range texts {
		p.write(fmt.Appendf(nil, "%04x%s\n", len(t)+5, t))
	}
	p.flush()
}

// contents returns a writer whose every write is one or more packets.
func (p *packetWriter) contents() io.Writer { return contentWriter{p} }

type contentWriter struct{ p *packetWriter }

func (c contentWriter) Write(data []byte) (int, error) {
	for rest := data; len(rest) > 0; {
		n := min(len(rest), maxContent)
		c.p.write(fmt.Appendf(nil, "%04x", n+4))
		c.p.write(rest[:n])
		rest = rest[n:]
	}
	return len(data), c.p.err
}
