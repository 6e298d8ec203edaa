package span

// Text is the format that seals a whole text as one value: for text that no
// other format accepts, and for merge conflicts.
var Text = Format{
	Name:    "text",
	Comment: "#",
	Match:   func(string) bool { return false },
	Find: func(src []byte) ([]Span, error) {
		if len(src) == 0 {
			return nil, nil
		}
		return []Span{{End: len(src), Kind: Value}}, nil
	},
	Text:   func(src []byte, s Span) (string, error) { return string(src[s.Start:s.End]), nil },
	Quote:  func(text string, _ []byte, _ Span) ([]byte, error) { return []byte(text), nil },
	Insert: func([]byte, int, []Step, string) ([]byte, error) { return nil, errNoKeys },
	Delete: func([]byte, int, []Step) ([]byte, error) { return nil, errNoKeys },
}

var errNoKeys = &Error{0, "the file has no keys: it is sealed as a whole", "leafseal edit shows it, a merge conflict as well"}
