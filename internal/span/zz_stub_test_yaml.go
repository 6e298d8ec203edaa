package span

var YAML = Format{Name: "yaml", Match: func(string) bool { return false }, Find: func([]byte) ([]Span, error) { return nil, errNoKeys }}
