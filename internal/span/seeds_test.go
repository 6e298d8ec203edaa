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

var iniSeeds = []string{
	"a=b\n", "a = b", "[s]\na = b ; c\n", "; c\n#\n[s] # c\n\n[t]\n", "a:b\nc: d=e\n", "k\n", "[s]\n= x\nk =\n", "\xef\xbb\xbf[s]\r\na = b\r\n",
	"s3 =\n  a = 1\n  b = 2\nx = y\n", "a = b\n\n  c\n  ; d\n  e\n  # f\ng = h\n", "a = b \\\n c \\\nd\ne = f\n", "p = C:\\x\\\nq = 1\n", "a = \\\n; c\nx\n",
	"[remote \"a]\\\"b\"] ; c\n\turl = x\n\tbare\n", "[a]]\nk=v\n", "[ a ]\nk=v\n[a]\nk=w\n", "[]\nk=v\n", "[*.{js,py}]\nindent = 2\n",
	"a = \"x\ny=z\" ; c\nb = 'q'\n", "a = \"\"\"x\n\"y\"\n\"\"\"\n", "a = \"C:\\d\\\"\nb = 1\n", "a = \"x\n", "a = 'tis\nb = 'x'\n",
	"//r.org/:_authToken=x\n", "h1 user=a pass=b\n", "a = -----BEGIN X-----\nabc=\n", "a =\n -----BEGIN X-----\n abc=\n -----END X-----\n", "QUJDREVGR0hJSktMTU5PUFFSUw==\n",
	"server {\n", "}\n", "a b\n", "!includedir /x\n", "[a] b = c\n", "[a\n", "a = b\rc = d\n", "a=\x00", "a = b\n  [c]\n  d = e\n", "k\n  a = b\n", "  a = b\n c = d\n   e = f\n", "=\n", ":x\n",
	"a = \"b\nc = \"d\n", "a==\n", "a = ;\n", "a = \"\"\nb = \"\"\"\"\"\"\n", "a = b\\", "a = b\\\n\n", "a =\n\n\n  b\n", "00\n0:\\\nA0000000000000000000000=", "a = x\n;\n  y\n;\n",
}

var jsoncSeeds = []string{
	"// c\n{}", "{}//", "{}// c", "[1,]", "{\"a\":1,}", "{/*c*/}", "{\"a\":{/* c */}}", "[ // c\n]", "[1, // c\n 2 /* d */, /* e */ ]", "{\"a\" /* b */ : // c\n 1}",
	"/**/{/***/}/* x **/", "{\n  // c\r\n \"a\": 1 // d\r\n}\r\n", "[1, // c\r2]", "[1 /* c", "[,]", "[1,,]", "{,}", "[1]/", "[1] # c", "[/*\n * c\n */ 1]", "{\"a\": 1 /* , */ , /* , */ }",
	"{\"a\": 1, // \"leafseal\": [\"v1\"]\n}", "[{\"leafseal\": [\"v1\"],},]", "{\n/* c */ \"a\": 1\n}", "{/*\n*/\"\":0,\n}", "\xef\xbb\xbf// c\n[1]", "[\"//\", \"/*\"]", "[[/* c */], [], {\"b\": [1,],},]",
}

var tomlSeeds = []string{
	"", "a=1", "a = 1 # c\n", "\xef\xbb\xbfa = 1\n", "\xef\xbb\xbf", "# c\n#\n#  d\t\n", "a = 1\r\n[b]\r\nc = \"\"\"\r\nx\\\r\n  y\r\n\"\"\"\r\n", "a = 'x'\nb = \"\\\"\\u00e9\\U0001F600\\t\"\n",
	"a = \"\"\"\nx\\\n\n   y\"\"\"\n", "a = \"\"\"\"x\"\"\"\"\"\n", "a = '''\n'x'''''\n", "a = \"\"\"\"\"\"\n", "a = ''''''", "a = \"\"\"\\\n  \"\"\"\n", "a = \"\"\"\\\\\n\"\"\"\n", "\"a.b\".'c'. d-1 = 1\n", "'' = 1\n", "1.2 = 3\n",
	"[a]\nb = 1\n[a.c]\nd = 2\n", "[a.b]\n[a]\nc = 1\n", "[ a . \"b\" ] # c\n  c = 1\n", "a.b = 1\na.c = 2\n[a.d]\ne = 3\n", "[[a]]\nb = 1\n# c\n[[a]]\nb = 1\n[a.c]\nd = 1\n[[a.e]]\nf = 1\n[[a.e]]\nf = 1\n[[a]]\n",
	"[[a]]\nb = 1\n[x]\ny = [1, 2]\n[a.c]\nd = 2\n[[a]]\nb = 3\n", "[[a.b]]\n[a]\n[a.c]\n", "a = [1, 'x', [2, []], {b = [3], c.d = {}}, true, # c\n]\n", "a = [ # c\n]\nb = {}\nc = { }\n", "a = [\n  1, # x\n  # y\n  2 # z\n]\n", "a = {b = {c = {d = \"\"\"\n\"\"\"}}, e = '''\n'''}\n",
	"a = 1979-05-27T07:32:00.5-07:00\nb = 1979-05-27 07:32:00z\nc = 1979-05-27\nd = 07:32:00\ne = 1979-05-27 # c\nf = 1979-05-27 \n", "a = +1_000\nb = 0xDEAD_beef\nc = 0o17\nd = 0b1\ne = -0\nf = 1e06\ng = 6.6e-34\nh = -inf\ni = +nan\nj = 9223372036854775807\nk = 1_0.0_1\n",
	"a = 0x8000000000000000", "a = 9223372036854775808", "a = 1e400", "a = 01", "a = 1__0", "a = .5", "a = 5.", "a = 1979-02-29", "a = 23:60:00", "a = 07:32", "a = 1979-05-27T07:32Z", "a = tru", "a =\n", "a\n", "= 1\n", "a = 1 b = 2\n", "a = \"x\ny\"\n", "a = \"\\x41\\e\"\n", "a = \"\\ud800\"\n", "a = \"\"\"x\n", "a = [1 2]\n", "a = [,]\n", "a = {b = 1,}\n", "a = {\nb = 1}\n", "a = {b = 1, # c\n}", "a = [1\n", "a = {b = 1\n", "[a\n", "[[a]\n", "[a]]\n", "[]\n", "[a.]\n",
	"a = 1\na = 2\n", "a = 1\n[a]\n", "[a]\n[a]\n", "[a]\nb.c = 1\n[a.b]\n", "[a.b]\n[a]\nb.c = 1\n", "a = []\n[[a]]\n", "a = {}\n[a.b]\n", "[[a]]\n[a]\n", "[a]\n[[a]]\n", "[a.b]\n[[a]]\n", "a = {b.c = 1, b.d = 2}\n", "a = {b = {}, b.c = 1}\n", "a = {b = 1, b = 2}\n", "a.b = 1\na.b.c = 2\n", "a = 1\r", "a = 1\rb = 2", "# \x01\n", "a = \"\x7f\"", "a = \"\xff\"", "\x00", "a = \"\x00\"",
}
