package deliver

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/leafseal/leafseal/internal/span"
)

var texts = []string{"", "plain", "a b", "it's", `"`, `\`, `\n`, "$HOME", "`x`", "a\nb", "a'\n\"$\\`", "# no comment", " blanks ", "é", "=", "!", "*", "~"}

// TestRenderedAsRead: sh and our own dotenv reader see what was rendered.
func TestRenderedAsRead(t *testing.T) {
	var doc strings.Builder
	for i, text := range texts {
		doc.WriteString("k" + strconv.Itoa(i) + ": " + strconv.QuoteToASCII(text) + "\n")
	}
	for _, as := range []string{"env", "shell"} {
		out, err := Render(as, "yaml", []byte(doc.String()))
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range texts {
			got, err := exec.Command("sh", "-c", string(out)+"\nprintf %s \"$K"+strconv.Itoa(i)+`"`).Output()
			if err != nil || string(got) != text {
				t.Errorf("%s: sh reads %q as %q (%v)", as, text, got, err)
			}
		}
		if as == "shell" {
			continue
		}
		spans, err := span.Dotenv.Find(out)
		if err != nil || len(spans) != len(texts) {
			t.Fatalf("%d values: %v\n%s", len(spans), err, out)
		}
		for i, s := range spans {
			if got, err := span.Dotenv.Text(out, s); err != nil || got != texts[i] {
				t.Errorf("%q is read as %q (%v)", texts[i], got, err)
			}
		}
	}
}

func TestEnviron(t *testing.T) {
	for _, c := range []struct{ format, doc, want string }{
		{"yaml", "a: {b-c: 1, d: [x, {e: y}]}\n2fa: z\n", "A_B_C=1 A_D_0=x A_D_1_E=y _2FA=z"},
		{"yaml", "x: &x {p: 1, q: 2}\ny: {<<: *x, q: 3}\nz: {<<: [{p: 4}, *x]}\n", "X_P=1 X_Q=2 Y_Q=3 Y_P=1 Z_P=4 Z_Q=2"},
		{"yaml", "a: !!binary aGk=\nb: 0x10\nc: ~\nd: yes\ne: {}\n", "A=hi B=0x10 C= D=yes"},
		{"json", `{"a": {"b": [1e3, true, null, "x"]}}`, "A_B_0=1e3 A_B_1=true A_B_2= A_B_3=x"},
		{"ini", "a=1\n[b]\nc = 'x y'\nflag\nc = z\n[d \"e\"]\nf = g ; h\n", "A=1 B_C=z D_E_F=g ; h"},
		{"jsonc", "\ufeff{ // c\n\"a\": [1, true,], /* d */ \"b\": \"//x\",}", "A_0=1 A_1=true B=//x"},
		{"toml", "a.b-c = 0x10\nd = ['x', {e = 1979-05-27 07:32:00Z}]\nf = \"\"\"\n\"y\"\"\"\"\n[[s]]\n[[s]]\ng = true\n[s.h]\ni = {}\nj = [\n]\n", "A_B_C=0x10 D_0=x D_1_E=1979-05-27 07:32:00Z F=\"y\" S_1_G=true"},
		{"dotenv", "a=1\nexport B.c='2'\na=3\nnothing\n", "a=3 B.c=2"},
	} {
		vars, err := Environ(c.format, []byte(c.doc))
		var got []string
		for _, v := range vars {
			got = append(got, v.Name+"="+v.Text)
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%q gives %q (%v), want %q", c.doc, got, err, c.want)
		}
	}
	for _, c := range []struct{ format, doc, why string }{
		{"yaml", "a: {b: SECRET}\na_b: SECRET\n", "would both be"},
		{"yaml", "a: \"SECRET\\0\"\n", "zero byte"},
		{"yaml", "'': SECRET\n", "cannot be the name"},
		{"yaml", "- SECRET\n", "no map"},
		{"yaml", "? [SECRET]\n: x\n", "no name"},
		{"yaml", "a: &a [*a]\n", "nested"}, // an anchor in itself
		{"yaml", "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n", "expand"},
		{"json", `{"a": "\ud800"}`, "surrogate"},
		{"ini", "[a]\nb = 1\n[a \"b\"]\nc = 2\n", "a key and of a section"},
		{"jsonc", "{\"a\": 1, // b", "not valid JSON"},
		{"text", "SECRET", "no values"},
		{"toml", "a = 'SECRET", "no end"},
		{"toml", "a.b = 'SECRET'\na_b = 'SECRET'\n", "would both be"},
	} {
		vars, err := Environ(c.format, []byte(c.doc))
		if err == nil || vars != nil || !strings.Contains(err.Error(), c.why) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q: %v", c.doc, err)
		}
	}
}

func TestHijacks(t *testing.T) {
	for _, name := range strings.Fields("PATH Path LD_PRELOAD GIT_SSH_COMMAND BASH_ENV NODE_OPTIONS XDG_CONFIG_HOME ZDOTDIR TAR_OPTIONS OPENSSL_CONF MAKEFLAGS GOFLAGS " +
		"RUSTC_WRAPPER CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER PYTHONWARNINGS npm_config_script_shell JAVA_OPTS IBM_JAVA_OPTIONS KAFKA_JVM_OPTS MAVEN_OPTS CORECLR_PROFILER_PATH_64 " +
		"ComSpec PSModulePath AWS_PAGER KUBE_EDITOR EDITOR GTK_PATH R_PROFILE_USER LOCPATH VIMINIT PIP_INDEX_URL UV_INDEX") {
		if !Hijacks(name) {
			t.Errorf("%s is not refused", name)
		}
	}
	for _, name := range strings.Fields("DB_PATH PATHS PASSWORD NPM_TOKEN NPM_CONFIG__AUTH CARGO_REGISTRY_TOKEN GOOGLE_APPLICATION_CREDENTIALS AWS_SECRET_ACCESS_KEY AWS_CONFIG_FILE KUBECONFIG DOCKER_CONFIG " +
		"SSL_CERT_FILE HTTPS_PROXY BUNDLE_RUBYGEMS__PKG__GITHUB__COM COMPOSER_AUTH UV_PUBLISH_TOKEN TF_VAR_password DOTNET_ENVIRONMENT PYTHONUNBUFFERED JAVA_VERSION ENVIRONMENT OPTIONS HOMEPAGE LESSON") {
		if Hijacks(name) {
			t.Errorf("%s is refused", name)
		}
	}
}
