package gitx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// packets writes a conversation: each text is a packet, "" a flush packet.
func packets(texts ...string) []byte {
	var b bytes.Buffer
	for _, t := range texts {
		if t == "" {
			b.WriteString("0000")
			continue
		}
		fmt.Fprintf(&b, "%04x%s", len(t)+4, t)
	}
	return b.Bytes()
}

var hello = packets("git-filter-client\n", "version=2\n", "", "capability=clean\n", "capability=smudge\n", "capability=delay\n", "capability=later\n", "")

// said is what Serve answers to hello.
var said = packets("git-filter-server\n", "version=2\n", "", "capability=clean\n", "capability=smudge\n", "capability=delay\n", "")

// shout is a handler without keys: clean shouts, smudge whispers.
type shout struct{ paths *[]string }

var errShout = errors.New("refused")

func (s shout) Clean(path string, in Source) (Content, error) {
	src, err := in.all()
	if err != nil {
		return nil, err
	}
	if s.paths != nil {
		*s.paths = append(*s.paths, path)
	}
	if bytes.Contains(src, []byte("bad")) {
		return nil, errShout
	}
	return Bytes(bytes.ToUpper(src)), nil
}

func (shout) Smudge(path string, in Source) Content {
	blob, _ := in.all()
	return Bytes(bytes.ToLower(blob))
}

// serve runs a conversation and fails if it hangs.
func serve(t testing.TB, in []byte, h Handler) (string, error) {
	t.Helper()
	type result struct {
		out string
		err error
	}
	done := make(chan result, 1)
	go func() {
		var out bytes.Buffer
		err := Serve(bytes.NewReader(in), &out, h)
		done <- result{out.String(), err}
	}()
	select {
	case r := <-done:
		return r.out, r.err
	case <-time.After(20 * time.Second):
		t.Fatalf("hangs on %q", in)
		return "", nil
	}
}

func TestServe(t *testing.T) {
	large := strings.Repeat("x", maxContent+1)
	for _, tt := range []struct {
		name     string
		ask, say []string
	}{
		{"nothing", nil, nil},
		{"clean", []string{"command=clean\n", "pathname=a\n", "", "se", "cret", ""}, []string{"status=success\n", "", "SECRET", "", ""}},
		{"smudge", []string{"command=smudge\n", "pathname=a\n", "ref=refs/heads/main\n", "treeish=1\n", "blob=2\n", "", "SECRET", ""}, []string{"status=success\n", "", "secret", "", ""}},
		{"empty", []string{"command=clean\n", "pathname=a\n", "", ""}, []string{"status=success\n", "", "", ""}},
		{"without a line feed", []string{"command=clean", "pathname=a", "", "x", ""}, []string{"status=success\n", "", "X", "", ""}},
		{"refused", []string{"command=clean\n", "pathname=a\n", "", "bad", "", "command=clean\n", "pathname=b\n", "", "x", ""},
			[]string{"status=error\n", "", "status=success\n", "", "X", "", ""}},
		{"unknown keys", []string{"x=y=z\n", "command=clean\n", "pathname=a\n", "later\n", "", "x", ""}, []string{"status=success\n", "", "X", "", ""}},
		{"unknown command", []string{"command=shred\n", "pathname=a\n", "", "x", ""}, []string{"status=abort\n", ""}},
		{"large", []string{"command=clean\n", "pathname=a\n", "", large[:maxContent], large[maxContent:], ""},
			[]string{"status=success\n", "", strings.Repeat("X", maxContent), "X", "", ""}},
		{"delay without a tree", []string{"command=smudge\n", "pathname=a\n", "can-delay=1\n", "", "X", ""}, []string{"status=success\n", "", "x", "", ""}},
		{"delay", []string{"command=smudge\n", "pathname=a\n", "can-delay=1\n", "treeish=1\n", "", "X", "", "command=list_available_blobs\n", "",
			"command=smudge\n", "pathname=a\n", "", "", "command=list_available_blobs\n", ""},
			[]string{"status=delayed\n", "", "pathname=a\n", "", "status=success\n", "", "status=success\n", "", "x", "", "", "", "status=success\n", ""}},
		{"delay twice", []string{"command=smudge\n", "pathname=a\n", "can-delay=1\n", "treeish=1\n", "", "X", "",
			"command=smudge\n", "pathname=a\n", "can-delay=1\n", "treeish=1\n", "", "Y", ""},
			[]string{"status=delayed\n", "", "status=success\n", "", "y", "", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := serve(t, slices.Concat(hello, packets(tt.ask...)), shout{})
			if want := string(said) + string(packets(tt.say...)); err != nil || out != want {
				t.Errorf("%v, said\n%q\nwant\n%q", err, out, want)
			}
		})
	}
}

// Every path is bytes, up to its last line feed.
func TestServePaths(t *testing.T) {
	for _, path := range []string{"a", "-rf", "--", "a b", "new\nline", "quote\"'`$(x)", "\xff\xfe", "a=b", "=", "ä/ö", strings.Repeat("d/", 2000) + "f", "ends\n"} {
		var paths []string
		_, err := serve(t, slices.Concat(hello, packets("command=clean\n", "pathname="+path+"\n", "", "x", "")), shout{&paths})
		if err != nil || len(paths) != 1 || paths[0] != path {
			t.Errorf("%q: %v, %q", path, err, paths)
		}
	}
}

// Many delayed files are all answered, each with its own content.
func TestServeDelayed(t *testing.T) {
	const n = 300
	toServer, fromGit := io.Pipe()
	toGit, fromServer := io.Pipe()
	served := make(chan error, 1)
	go func() {
		err := Serve(toServer, fromServer, shout{})
		fromServer.Close()
		served <- err
	}()
	git := &packetReader{r: toGit}
	list := func() (lines []string) {
		for {
			data, flush, err := git.next()
			if err != nil {
				t.Fatal(err)
			}
			if flush {
				return lines
			}
			lines = append(lines, strings.TrimSuffix(string(data), "\n"))
		}
	}
	say := func(texts ...string) { fromGit.Write(packets(texts...)) }
	fromGit.Write(hello)
	list()
	list()
	for i := range n {
		say("command=smudge\n", fmt.Sprintf("pathname=f%d\n", i), "can-delay=1\n", "treeish=1\n", "", fmt.Sprintf("CONTENT %d", i), "")
		if got := list(); !slices.Equal(got, []string{"status=delayed"}) {
			t.Fatalf("%q", got)
		}
	}
	got := make(map[string]string)
	for {
		say("command=list_available_blobs\n", "")
		paths := list()
		if status := list(); !slices.Equal(status, []string{"status=success"}) {
			t.Fatalf("%q", status)
		}
		if len(paths) == 0 {
			break
		}
		for _, p := range paths {
			say("command=smudge\n", p+"\n", "", "")
			list()
			got[strings.TrimPrefix(p, "pathname=f")] = strings.Join(list(), "")
			list()
		}
	}
	fromGit.Close()
	if err := <-served; err != nil || len(got) != n {
		t.Fatalf("%v, %d answers", err, len(got))
	}
	for i, content := range got {
		if content != "content "+i {
			t.Errorf("f%s: %q", i, content)
		}
	}
}

func TestServeMalformed(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":             "",
		"another protocol":    string(packets("git-upload-pack\n", "")),
		"another version":     string(packets("git-filter-client\n", "version=3\n", "")),
		"no number":           "zzzz",
		"too short":           "0003",
		"too long":            "fff1" + strings.Repeat("x", 1<<16),
		"signs":               "+0a0",
		"cut off in a length": string(hello) + "00",
		"cut off in a list":   string(hello) + string(packets("command=clean\n", "pathname=a\n")),
		"cut off in content":  string(hello) + string(packets("command=clean\n", "pathname=a\n", "", "x")),
		"cut off in a packet": string(hello) + "0010comm",
		"endless list":        string(hello) + string(packets(slices.Repeat([]string{"x=y\n"}, 100)...)),
	} {
		if out, err := serve(t, []byte(in), shout{}); err == nil {
			t.Errorf("%s: no error, said %q", name, out)
		}
	}
	// A conversation that is cut off anywhere ends.
	whole := slices.Concat(hello, packets("command=smudge\n", "pathname=a\n", "can-delay=1\n", "treeish=1\n", "", "X", "", "command=list_available_blobs\n", "", "command=clean\n", "pathname=b\n", "", "bad", ""))
	for n := range whole {
		serve(t, whole[:n], shout{})
	}
}

// git may have gone.
func TestServeBrokenPipe(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	if err := Serve(bytes.NewReader(hello), w, shout{}); err == nil {
		t.Error("no error")
	}
}

func FuzzServe(f *testing.F) {
	for _, ask := range [][]string{
		{"command=clean\n", "pathname=a\n", "", "x", ""},
		{"command=smudge\n", "pathname=a\n", "can-delay=1\n", "treeish=1\n", "", "X", "", "command=list_available_blobs\n", "", "command=smudge\n", "pathname=a\n", "", ""},
		{"command=list_available_blobs\n", "", "command=x\n", "", ""},
	} {
		f.Add(slices.Concat(hello, packets(ask...)))
	}
	f.Add([]byte("0009abcde0000"))
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := serve(t, in, shout{})
		said := &packetReader{r: strings.NewReader(out)}
		for {
			if _, _, broken := said.next(); broken == io.EOF {
				return
			} else if broken != nil {
				t.Fatalf("%v after %v: %q", broken, err, out)
			}
		}
	})
}
