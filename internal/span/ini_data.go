package span

// INILine is a logical line that holds data: it names a section, or holds a
// value.
type INILine struct {
	Start int    // offset of the line
	Path  []Step // the keys of the section, and the one of the value
	Value Span   // of a section it is zero
}

// INILines returns them in order. It returns an *Error as INI.Find does.
func INILines(src []byte) (list []INILine, err error) {
	err = eachINILine(src, func(l *iniLine) {
		switch l.kind {
		case iniSection:
			list = append(list, INILine{Start: l.start, Path: l.section})
		case iniKey, iniWord:
			list = append(list, INILine{l.start, l.value.Path, l.value})
		}
	})
	return list, err
}
