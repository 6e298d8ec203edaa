package span

import (
	"bytes"
	"strings"
)

// How the block is carried. The lines themselves mean nothing here.

const (
	beginMark = " leafseal:begin "
	endMark   = " leafseal:end"
)

// AttachBlock returns body with the block's lines carried in it.
func (f *Format) AttachBlock(body []byte, lines []string) ([]byte, error) {
	if f.Attach != nil {
		return f.Attach(body, lines)
	}
	eol := lineBreak(body)
	size := len(body) + 40
	for _, l := range lines {
		size += len(l) + 6
	}
	out := append(make([]byte, 0, size), body...)
	if f.NeedsGlue(body) {
		out = append(out, eol...)
	}
	for i, l := range lines {
		out = append(out, f.Comment...)
		if i == 0 {
			out = append(out, beginMark...)
		} else {
			out = append(out, ' ')
		}
		out = append(append(out, l...), eol...)
	}
	return append(append(append(out, f.Comment...), endMark...), eol...), nil
}

// DetachBlock splits src into the body and the lines of its last block. ok is
// false where there is no mark of a block. A block that is damaged, or that
// something follows, comes back as far as it can be read: the caller attaches
// it again and compares. The body keeps the line break that may be glue.
func (f *Format) DetachBlock(src []byte) (body []byte, lines []string, ok bool) {
	if f.Detach != nil {
		return f.Detach(src)
	}
	begin := lastLine(src, f.Comment+beginMark)
	if end := lastLine(src, f.Comment+endMark); begin < 0 && end >= 0 {
		return src[:end], nil, true
	} else if begin < 0 {
		return src, nil, false
	}
	rest := strings.TrimSuffix(string(src[begin:]), "\n")
	for i, l := range strings.Split(rest, "\n") {
		l = strings.TrimSuffix(l, "\r")
		if l == f.Comment+endMark {
			break
		}
		prefix := f.Comment + " "
		if i == 0 {
			prefix = f.Comment + beginMark
		}
		l, found := strings.CutPrefix(l, prefix)
		if !found {
			break
		}
		lines = append(lines, l)
	}
	return src[:begin], lines, true
}

// lastLine returns the offset of the last line that begins with prefix, or -1.
func lastLine(src []byte, prefix string) int {
	for end := len(src); ; {
		i := bytes.LastIndex(src[:end], []byte(prefix))
		if i <= 0 || src[i-1] == '\n' {
			return i
		}
		end = i
	}
}

// NeedsGlue reports whether a line break goes between body and block.
func (f *Format) NeedsGlue(body []byte) bool {
	return f.Attach == nil && len(body) > 0 && body[len(body)-1] != '\n'
}

// TrimGlue removes that line break.
func (f *Format) TrimGlue(body []byte) []byte {
	if f.Attach != nil {
		return body
	}
	body = bytes.TrimSuffix(body, []byte("\n"))
	if lineBreak(body) == "\r\n" {
		body = bytes.TrimSuffix(body, []byte("\r"))
	}
	return body
}

// lineBreak is the line break of a block behind body: that of its first line.
func lineBreak(body []byte) string {
	if i := bytes.IndexByte(body, '\n'); i > 0 && body[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}
