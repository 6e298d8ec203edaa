package span

import (
	"bytes"
	"slices"
)

// Entries of TOML taken out: an entry with its lines and the comment behind
// it, a table with its sections and all below it, an item of an array or
// inline table with one comma. Of an array's comments none goes.

func deleteTOML(src []byte, _ int, path []Step) ([]byte, error) {
	e, err := editTOML(src)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, step := range path {
		if n, err = e.child(n, step); err != nil {
			return nil, err
		}
		if n < 0 {
			return nil, errorAt(0, "there is no such value")
		}
	}
	owner := e.nodes[n].parent
	for e.nodes[owner].kind == tomlDotted {
		owner = e.nodes[owner].parent
	}
	var cuts []tomlCut
	if k := e.nodes[owner].kind; k == tomlList || k == tomlInline {
		cuts = e.cutItems(owner, n)
	} else {
		cuts = e.cutLines(n, nil)
	}
	return e.without(cuts), nil
}

// tomlCut is a range of the source that goes.
type tomlCut struct{ from, to int }

// without returns the document without the cuts, which may overlap.
func (e *tomlEdit) without(cuts []tomlCut) []byte {
	slices.SortFunc(cuts, func(a, b tomlCut) int { return a.from - b.from })
	out := make([]byte, 0, len(e.src))
	at := 0
	for _, c := range cuts {
		if c.from > at {
			out = append(out, e.src[at:c.from]...)
		}
		at = max(at, c.to)
	}
	return append(out, e.src[at:]...)
}

// entries appends the values that n holds as an entry, or as several with
// dotted keys.
func (e *tomlEdit) entries(n int, list []int) []int {
	if e.nodes[n].kind != tomlDotted {
		return append(list, n)
	}
	for _, k := range e.kids[n] {
		list = e.entries(k, list)
	}
	return list
}

// cutLines cuts the lines of an entry, and the sections of a table and of all
// below it.
func (e *tomlEdit) cutLines(n int, cuts []tomlCut) []tomlCut {
	v := e.nodes[n]
	if v.kind < tomlTables { // an entry
		return append(cuts, e.lines(v.entry, v.end))
	}
	if i := e.section[n]; i >= 0 && n > 0 {
		cuts = append(cuts, e.lines(e.sections[i].start, e.lead(i+1)-1))
	}
	for _, k := range e.kids[n] {
		if e.section[n] < 0 || e.nodes[k].kind >= tomlTables {
			cuts = e.cutLines(k, cuts)
		}
	}
	return cuts
}

// lines returns the whole lines from one offset to another. At the end of a
// document its empty lines go with them.
func (e *tomlEdit) lines(from, to int) tomlCut {
	from = bytes.LastIndexByte(e.src[:from], '\n') + 1
	if from == 0 && bytes.HasPrefix(e.src, []byte(bom)) {
		from = len(bom)
	}
	to = lineEnd(e.src, to)
	to += lineBreakAt(e.src, to)
	if to < len(e.src) {
		return tomlCut{from, to}
	}
	kept := len(bytes.TrimRight(e.src[:from], " \t\r\n"))
	if to > 0 && e.src[to-1] == '\n' && kept > 0 {
		kept = lineEnd(e.src, kept)
		kept += lineBreakAt(e.src, kept)
	}
	if kept > 0 {
		from = min(from, kept)
	}
	return tomlCut{from, to}
}

// cutItems cuts an element of the array n, or an entry of the inline table n,
// or several with dotted keys, each with one comma.
func (e *tomlEdit) cutItems(n, what int) []tomlCut {
	gone := make(map[int]bool)
	for _, id := range e.entries(what, nil) {
		gone[id] = true
	}
	items := e.kids[n]
	if e.nodes[n].kind == tomlInline {
		items = nil
		for _, k := range e.kids[n] {
			items = e.entries(k, items)
		}
		slices.SortFunc(items, func(a, b int) int { return e.nodes[a].start - e.nodes[b].start })
	}
	var cuts []tomlCut
	kept := -1 // the last item that stays
	for i, id := range items {
		if !gone[id] {
			kept = i
			continue
		}
		cuts = append(cuts, e.cutItem(n, id)...)
	}
	if last := len(items) - 1; kept >= 0 && kept < last && e.comma(e.nodes[items[last]].end) == 0 {
		comma := e.comma(e.nodes[items[kept]].end)
		cuts = append(cuts, tomlCut{comma - 1, comma})
	}
	return cuts
}

// cutItem cuts one item of n, the comma behind it, and its line if nothing
// else stands there. Comments stay.
func (e *tomlEdit) cutItem(n, id int) []tomlCut {
	line, alone := 0, false // no item of an inline table has its own line
	start, end := e.nodes[id].start, e.nodes[id].end
	if e.nodes[n].kind == tomlInline {
		start = e.nodes[id].entry
	} else {
		line = bytes.LastIndexByte(e.src[:start], '\n') + 1
		alone = line > e.nodes[n].start && skipBlanks(e.src, line, start) == start
	}
	var cuts []tomlCut
	if comma := e.comma(end); comma > 0 && len(bytes.Trim(e.src[end:comma-1], " \t")) == 0 {
		end = comma
	} else if comma > 0 {
		cuts = append(cuts, tomlCut{comma - 1, comma})
	}
	rest := skipBlanks(e.src, end, len(e.src))
	switch c := e.src[rest]; {
	case alone && lineBreakAt(e.src, rest) > 0:
		start, end = line, rest+lineBreakAt(e.src, rest)
	case alone || c == '#':
	case c == ']' || c == '}' || lineBreakAt(e.src, rest) > 0:
		start = len(bytes.TrimRight(e.src[:start], " \t"))
	default:
		end = rest
	}
	return append(cuts, tomlCut{start, end})
}
