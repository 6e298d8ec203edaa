package span

import "bytes"

// Opaque is the format of files of any kind. It has no values of its own: the
// whole file is one, and its block stands in front of the body, so that both
// can be read as a stream.
var Opaque = Format{
	Name:    "opaque",
	Comment: "#",
	Match:   func(string) bool { return false },
	Find:    Text.Find,
	Text:    Text.Text,
	Quote:   Text.Quote,
	Insert:  Text.Insert,
	Delete:  Text.Delete,
	Attach: func(body []byte, lines []string) ([]byte, error) {
		head, _ := (&Format{Comment: "#"}).AttachBlock(nil, lines)
		return append(head, body...), nil
	},
	Detach: func(src []byte) (body []byte, lines []string, ok bool) {
		n, ok := OpaqueBlock(src)
		if !ok {
			return src, nil, false
		}
		_, lines, _ = (&Format{Comment: "#"}).DetachBlock(src[:n])
		return src[n:], lines, true
	},
}

// OpaqueBlock returns the length of the block that an opaque file starts with.
// ok is false if src is no such file, or too short to tell.
func OpaqueBlock(src []byte) (n int, ok bool) {
	if !bytes.HasPrefix(src, []byte(OpaqueBegin)) {
		return 0, false
	}
	end := []byte("\n#" + endMark + "\n")
	i := bytes.Index(src, end)
	return i + len(end), i >= 0
}

// OpaqueBegin is how every opaque file starts.
const OpaqueBegin = "#" + beginMark + "v1 opaque\n"
