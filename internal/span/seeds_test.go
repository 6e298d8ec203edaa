package span

// Small documents with one odd thing each. The fuzz targets start from them
// and TestSeeds wants each accepted.

var yamlSeeds = []string{
	"a: b", "a: b\n", "a:\n", "a: \n", "a:   # c\n", "- \n- a\n-\n", "a: &x\nb: *x\n", "a: &x 1\nb: *x\n",
	"a: !!int 5\n", "a: !!str\n", "a: !x\n", "a: !!int &x 5\n", "a: &x !!int 5\n", "a: &x\n  !!int 5\n", "!!map {a: b}\n", "&m\na: b\n", "a: !\n",
	"a: |\n  x\n\n  y\n", "a: |+\n  x\n\n\nb: c\n", "a: |-\n  x", "a: >\n  x\n   y\n  z\n\nb: c\n", "a: |2\n   x\n", "a: | # c\n  x\n", "a: |\n\nb: c\n", "a: |+\n\n\nb: c\n", "- |\n x\n- y\n", "--- |\nx\n# y\n", "a: >-\n\n  x\n", "a: |\n\t\n", "a: |+\n",
	"a: 'x''y'\n", "a: 'x\n\n  y'\n", "a: \"x\\\"y\\\n  z\"\n", "a: x\n  y\n\n  z\n", "a: x  y\n", "a:\n  x y\n   z\n",
	"{a: b, c: }\n", "{a, b: c}\n", "[a, b: c, {d: e}]\n", "[]\n", "{}\n", "a: []\nb: {}\n", "a: [ # c\n]\n", "a: {x: 1,}\n", "{\"a\":\"b\",'c':d}\n", "[a,\n# c\n b]\n", "[[a], [b, [c]]]\n", "[{a: 1}: b]\n",
	"? a\n: b\n", "? a\n", "? [a, b]\n: c\n", "? |\n  k\n: v\n", ": a\n", "? - a\n  - b\n: - c\n", "8080: http\n\"8080\": x\n", "~: x\n", "? &k a\n: *k\n",
	"<<: &m {a: 1}\n", "m: &m {a: 1}\nx:\n  <<: *m\ny:\n  <<: [*m]\n",
	"# c\n", "#c\n#\n#  d  \n", "a: b # c\n# d\n  # e\n", "a:\n  # c\n  b: d\n", "- a # x\n# y\n- b\n",
	"---\na: b\n---\nc: d\n", "---\n---\na: b\n", "a: b\n...\n", "a: b\n...\n---\nc: d\n...\n# e\n", "%YAML 1.1\n---\na: b\n", "%TAG ! tag:x,2000: # c\n---\na: !y b\n", "--- a\n--- b\n", "---\n", "--- # c\na: b\n",
	"\xef\xbb\xbfa: b\n", "a: b\r\nc: |\r\n  d\r\n  e\r\n", "a: b\rc: d\r", "a: \"\\u2028\"\n", "a: é\n", "a: x\u0085\n", "a:\tb\n",
	"- - a\n  - b\n- - c\n", "a:\n- b\n- c:\n  - d\n", "-\n  a: b\n", "a\n", "'a'\n", "|\n a\n", "*a : b\n", "a: - b\n", "a: {b: c}: d\n",
}

var jsonSeeds = []string{
	"{}", "[]", `{"a":1}`, "{\n  \"a\": [1, {\"b\": null}],\n  \"c\": {}\n}\n", `[{"a":"\ud800\u0041"}]`, "\xef\xbb\xbf[1]", `[-0.1e+5, true,false]`,
	`{"a":1,"a":2}`, "{ \"a\" : 1 }\r\n", "[\n\t1\n]", "[[[]]]", `{"":""}`, `{"a":"\"\\\/\b\f\n\r\t"}`, "[\"\x7f\xff\"]", `{"leafseal": 1}`, `{"a": {"leafseal": ["v1"]}}`, "[1]]", "[1,]", "{\"a\"}", `["a\x"]`, "[01]", "[1.]", "nul", "[\x00]",
	"{\r\n  \"a\": 1\r\n}\r\n", "{\n\"a\": 1\n}", "[ ]", "{\n}",
}

var dotenvSeeds = []string{
	"A=b\n", "A=b", "export A = 'b\nc' # x\r\n", "A=\"a\\\"b\" # c\nB=`x`\n# c\n\nFLAG\nA=", "A=b # c\nA: c\n", "A='x'y # z\n", "A=#\n", "A= # c\n",
	"A=\"\n\"\n", "  A=b  \n", "A==b\n", "A=b\\\nc\n", "\xef\xbb\xbfA=b\n", "A=\"x\n", "export A\n", "A-B.c=d\n", "1A=b\n", "=b\n", "A=-----BEGIN X-----\nabc=\n", "A=\"-----BEGIN X-----\nabc=\n-----END X-----\"\n", "A='b'#c\n", "A=b\r\n\r\n#\r\n", "A=\x00",
}
