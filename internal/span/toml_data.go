package span

// TOMLNode is a value of a TOML document's data, as a program would load it.
type TOMLNode struct {
	Type  string // "table", "list", "string", "number", "boolean" or "date", which is a time too
	Text  string // of a scalar: of a string unquoted, else as it is written
	Key   string // in its table
	Start int    // offset of a value's source text, or of the key that names a table first
	Items []*TOMLNode
}

// LoadTOML reads the data of a document. Tables keep the order in which their
// keys come first. It returns an *Error as TOML.Find does.
func LoadTOML(src []byte) (*TOMLNode, error) {
	s, err := scanTOML(src)
	if err != nil {
		return nil, err
	}
	all := make([]TOMLNode, len(s.nodes))
	for i, n := range s.nodes {
		v := &all[i]
		v.Key, v.Start = n.key, n.start
		switch n.kind {
		case tomlScalar:
			text := src[n.start:n.end]
			v.Type = typeTOML(text)
			v.Text, _ = textTOML(src, Span{Start: n.start, End: n.end}) // it never fails
		case tomlList, tomlTables:
			v.Type = "list"
		default:
			v.Type = "table"
		}
		if i > 0 {
			all[n.parent].Items = append(all[n.parent].Items, v)
		}
	}
	return &all[0], nil
}

// typeTOML tells the type of a valid scalar.
func typeTOML(text []byte) string {
	switch c := text[0]; {
	case c == '"' || c == '\'':
		return "string"
	case c == 't' || c == 'f':
		return "boolean"
	case numberTOML(string(text)):
		return "number"
	}
	return "date"
}
