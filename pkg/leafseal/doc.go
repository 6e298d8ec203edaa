/*
Package leafseal encrypts the values of YAML, JSON, TOML, dotenv and INI files to
the age keys of the people and machines that may read them, and leaves the rest of
the file as it is: keys, layout, comments' marks and line breaks stay in plain
sight, and decrypting gives back every byte.

# Using it

	sealed, err := leafseal.Encrypt(plain, leafseal.Options{
		Name:    "config.yaml",
		Readers: []leafseal.Reader{{Name: "alice", Key: "age1ql3z…"}},
	})
	plain, err := leafseal.Decrypt(sealed, "config.yaml", identity)

	f, err := leafseal.Open(sealed, leafseal.Options{Name: "config.yaml"}, identity)
	err = f.Set("db.password", "hunter2")
	sealed = f.Bytes()

Identities are age's (filippo.io/age: X25519, hybrid, agessh, plugin). The
package reads no environment variable, no file and no default place; it never
writes. Errors are *[Error] values; none of them holds a byte of a value.

Everything that Open, Decrypt and Get return is verified: within one version of
a file no byte can be changed, moved, added or removed without the data key.
Who can merge without keys can mix versions, and so can whoever can push:
without a key one can produce any document each of whose segments (a token with
the clear bytes before it; a whole run of list elements or comments; the tail
with the block) occurs in some version ever sealed under this data key, and
whose neighbours agree. That includes setting a value back to an older one, and
dropping or restoring a key that some version lacked or had elsewhere. Rotate
ends it: a new data key shares nothing with the old. Rule.Whole forbids it, at
the price of a conflict whenever two people change the file.

The exported names and the format follow semantic versioning: every v1 file
stays readable by every later v1 of the package.

# The format, version v1

What follows is enough to write a second implementation; testdata/vectors in
the repository holds cases for it. MUST is meant as in RFC 2119.

A file is a body and a block. The body is the original document in which the
source text of some values and comments is replaced by tokens. The block holds
the metadata and is carried as comments behind the body, or in JSON as one last
member of it. Empty input has no encrypted form: empty stays empty.

Every string in quotation marks below is ASCII. Integers are big endian.

enc. One injective encoding is used throughout, written enc(…): the
concatenation of its parts. A part is a type byte, the length of the content as
32 bits, and the content. Type 'b': a byte string. Type 'i': a number, 4 bytes.
Type 'l': a list, whose content is the enc of its elements. In what follows
"quoted" strings, digests and source texts are byte strings, [a, b] is a list.

Subkeys. The data key is 32 random bytes. Each subkey is HKDF-SHA256 (RFC 5869)
with the data key as input key material, no salt, and info = "leafseal/v1 " +
PURPOSE + " " + FORMAT. Purposes: "value", "nonce", "seal", "next" (32 bytes
each), "id" (16 bytes). "body" is reserved for opaque files. FORMAT is the word
on the block's begin line. The id subkey is the file id.

Spans. The format finds the spans of the body, in order: every scalar value,
alias and empty collection (kind "value") and every comment that is not empty
(kind "comment"). Keys are not spans. The source text of a value is all of it:
quotes, a tag directly in front, a block scalar's header and indentation. That
of a comment is what follows its mark and the blanks behind the mark, without
blanks at the end. The formats' own sections say more.

A span whose whole source text is a token (in JSON and TOML: a string in double
quotes) is sealed; every other span is clear. A token is "leafseal." followed by at
least 96 characters of base64url (RFC 4648 section 5) without padding; trailing
bits MUST be zero.

Path. A value's path is enc of the number of its document in the stream (from
0; 0 where the format has no streams), then for each level from the root either
the list [KIND, KEY], where KEY is the decoded key and KIND its scalar kind, or
the byte string "list" for a list level. Positions in lists are left out. A
comment's path is empty (no parts).

Anchored. A value is anchored if its path is unique among all values of the
body, sealed or clear, and crosses no list. All other spans are unanchored.

Element. Unanchored spans form elements: one element of an outermost list (a
list in no other list), one comment, or one value of a repeated path. The first
sealed span of an element starts it; a comment always starts one.

Walk. Walking over the sealed spans in order, keep: anchor (the path of the
last anchored sealed value; at first empty), run, elem, before (byte strings;
at first empty), and for each span:

	clear = [ bytes between the end of the previous sealed span, or the start
	          of the body, and the start of this span;
	          [ the path of each clear span among them, each as a list ] ]
	if the span is unanchored and starts an element: before = elem; elem = ""
	pred  = ["anchored", [anchor], run]      if the span is anchored
	        ["first", [anchor], before]      else if elem is empty
	        ["next", [anchor], elem]         else
	place = enc(kind, [path], clear, pred)   where clear and pred are lists
	then, with text the span's source text:
	if the span is anchored: anchor = path; run = elem = before = ""
	else: elem = SHA-256(enc(elem, [path], text))
	      run  = SHA-256(enc(run, clear, [path], text))

[path] is the list of the path's parts. A sealed span includes what was added
around its token: the quotes in JSON and TOML; in YAML the one space in front of the
token of an empty text. At the end of the body, end = enc(clear, ["anchored",
[anchor], run]) with the bytes and clear spans after the last sealed span.

Padding. The padded text is the source text, a byte 0x80, and zeros up to the
bucket for that length L (text and mark): the next multiple of 32 up to 512;
above that Padmé: with e = floor(log2 L) and s = floor(log2 e) + 1, L rounded
up to a multiple of 2^(e-s). On opening, zeros and bucket MUST be exact.

Associated data. ad = enc("leafseal/v1", kind, SHA-256(enc(begin line, rule
lines…))). The begin line is "v1 FORMAT".

Token. nonce = the first 24 bytes of HMAC-SHA256(nonce subkey, enc(ad, place,
padded text)). The token holds nonce ‖ XChaCha20-Poly1305(value subkey, nonce,
padded text, ad). To open it: decrypt; check the padding; recompute the nonce
from the place and compare in constant time. The last step is what binds a
token to its place and commits to key and associated data; an implementation
MUST do it, for every token, before it releases any text.

Block lines, in this order; each at most once but "to"; [ ] may be missing:

	v1 FORMAT                 the begin line
	[only REGEX]              rule lines: what is sealed. RE2, tested against
	[except REGEX]            the keys of a value joined by "."
	[comments keep]           comments are clear; without it, a value with a
	                          comment in it is sealed, whatever its keys
	[whole]                   the seal covers the whole body
	[no-newline]              the original does not end in a line break
	id HEX                    the file id, 32 lower-case hexadecimal digits
	[prev HEX PROOF]          the id before the last change of the data key,
	                          and base64url of HMAC-SHA256(next subkey of the
	                          old data key, new file id, 16 bytes)
	to NAME KEY               a reader; at least one; "-" for no name
	key BASE64                an age file (C2SP age) with the 32 bytes of the
	                          data key as payload; padded base64, one line
	seal BASE64URL            see below

KEY is an age recipient, or an SSH public key without its comment. The stanzas
of the age file MUST match the "to" lines in number, order and, where the
recipient tells it, type ("X25519", "mlkem768x25519", "ssh-ed25519", "ssh-rsa"
with the key's fingerprint); other stanzas, grease included, are refused. A
reader decodes the lines, encodes them again and compares: there is one valid
encoding. Unknown versions and lines are refused.

Seal. HMAC-SHA256(seal subkey, [all block lines above the seal] ‖ end), where
the lines are one list of byte strings; with a "whole" line followed by one more
byte string, the body.

Carriage. In YAML, TOML, dotenv, INI and text the block stands at the end of the
file (with ";" for "#" in INI):

	# leafseal:begin v1 yaml
	# id …
	# leafseal:end

Each line ends in LF, or in CRLF if the first line break of the body is CRLF. If
the body does not end in LF, a line break of the same kind is put in front of the
block and the line "no-newline" says so. In JSON, with comments or without, the
block is one last member "leafseal" of a root object, or one last element
{"leafseal": […]} of a root array: an array of strings, the begin line first,
without begin and end marks. It stands directly behind the last value of the
root, in front of a comma and comments that follow that.
The layout of both is a function of the body; a reader attaches the block again
and compares all bytes. The last block of a file counts; nothing may follow it.

Reading. A file without a block is not a leafseal file; if it holds tokens it is
damaged. No text is released before all tokens are opened, all places are proved
and the seal is checked. Writers MUST refuse plaintext that holds something
token-shaped, and MUST open what they wrote and compare it with what they were
given before they hand it out. Both MAY refuse a file whose paths, one for each
value, are together far longer than the file.

# YAML

The documents are those that gopkg.in/yaml.v3 reads; KIND is the short name of
the key's tag ("str", "int", "null", "merge", …). A tag directly in front of a
value is part of its source text, so types do not show; an anchor is not. The
alias of a merge key (<<) is always clear. A missing value behind ":", "-" or an
anchor is a span of no length, whose token gets one space in front. Repeated
keys in one map are refused.

# JSON

RFC 8259 with an object or an array at the root; KIND is "str". Repeated keys
are allowed. An empty object or array at the root is structure, not a value. The
root member "leafseal" is reserved.

# JSON with comments

The format "jsonc": JSON with JavaScript's two kinds of comments wherever white
space may stand, and with a comma behind the last member or element. The text of
a comment is what is between its marks, without blanks at both ends, and without
line breaks there in the kind that has an end mark. In the other kind, which ends
with its line, a CR that is not in front of LF is refused: it ends such a comment
for some programs. Comments inside an empty object or array that is a value are part of
its source text.

# INI

A line ends in LF or CRLF; other CRs and zero bytes are refused. A byte order
mark in front is no part of the first line. White space is space and tab. A line
is, by its first character that is no white space:

  - none: blank;
  - ";" or "#": a comment. Nothing behind a value is one;
  - "[": a section. Its name ends at the first "]" that only white space, or a
    comment, follows; a line without is refused, and one with a "=" behind a "]"
    in front of that. [name "sub"], where name holds
    no white space and no "]", has two keys: the name, of KIND "str", and sub
    with \x read as x, of KIND "sub". All others have one, of KIND "str": what is
    between the brackets, without white space at both ends;
  - other white space (of Unicode, Latin-1 or ASCII, 0x1c to 0x1f): refused;
  - else, up to the first "=" or ":" (the first "=" if the line begins with "//"
    and no white space stands in what is the key then), a key, which is the text without white space at its end; behind it,
    the value.

The path of a value is the keys of its section, if one came before, and its own
key, of KIND "str". Keys are compared byte by byte, in sections and for values:
neither case nor quotes are folded. Repeated sections and keys are allowed.

A line that has no key, or an empty one, is as a whole a value, whose path is
the section's and ["line", ""]. So is a line in base64 of 24 characters or more,
in groups of four, that ends in one or two "=". A line without "=" and ":" MUST
be one word, of letters, digits, bytes above 127 and "_.+/-@%*~!?^" with at least
one of the first three kinds, or begin with !include; others are refused: such a
file is not INI.

The source text of a value begins behind the white space behind "=" or ":" and
ends with the last character that is no white space of its last line. The last
line is found thus:

  - if the value begins with a quote (", ' or `, or """) that the same quote does
    not close on its line: the line in which it does; it is refused if there is
    none. Behind " a backslash takes the next byte with it; but where the value's
    first line ends in its quote a second time, that closes it;
  - from there, each line below that is indented deeper than the key, or than
    another line that belongs to the value, belongs to it, with the blank lines
    and comments in between (so it is for a line in base64);
  - and each line below a line of it that ends in an odd number of backslashes,
    with comments, but no blank lines, in between, unless that line is a section
    or KEY = with a KEY of letters, digits and "_.-" that does not begin with a
    digit, "." or "-", and is not in base64 as above, of any length.

A value that holds "-----BEGIN " without "-----END" behind it is refused.

Programs differ on what of this are keys of their own. So the following values
are sealed under every rule: lines that are values as a whole; values whose quote
closes in another line; those with further lines of which one holds "=" or ":" or
begins with "["; those that hold "=" and whose key ends in ":", or has white
space in it; those behind a value that ends in a backslash, with at most comments
in between; those behind values that hold an odd number of "\"" in all.

What Get returns is what most programs see: without the quotes around all of it,
if they are in it nowhere else; comments behind a value are not cut off, escapes
not read. Lines that are indented are joined by LF, as for Python's configparser,
those behind a backslash follow directly, as for git; comments between them go.

# TOML

TOML v1.0.0 (https://toml.io/en/v1.0.0) in UTF-8, a byte order mark in front
allowed; integers and floats beyond 64 bits are refused. KIND is "str". Values
are scalars, empty arrays (with the comments in them) and empty inline tables.
The path of a value is that of its table, whether headers, dotted keys or inline
tables name it; an array of tables is a list. Headers are clear bytes. A token
stands in double quotes.

The tables of one array may stand apart from each other, and the tables of one
element, too. An element starts with each value that is in an outermost list and
in another element of one than the value before it; or if that was in no list.

# dotenv

Lines KEY=VALUE with an optional "export", single, double or back quotes that
may span lines, and comments. What loaders read differently belongs to the value:
behind an unquoted value a " # comment" is sealed with it. A line that is no
assignment is sealed as a whole, as a value whose path is ["line", ""].

# Text

The whole text is one value with the path of the root.
*/
package leafseal
