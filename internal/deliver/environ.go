package deliver

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// Variable is one value by the name it has in an environment.
type Variable struct{ Name, Text, From string } // From is the dotted path

// Environ returns the scalars of a document as variables: the keys of the
// path in upper case, joined by "_", list positions as numbers; names of a
// dotenv file stay as they are. It is an error if two values would get one
// name, or if a value cannot stand in an environment.
func Environ(format string, plain []byte) ([]Variable, error) {
	data, err := load(format, plain)
	if err != nil {
		return nil, err
	}
	if data.kind != object {
		return nil, errors.New("only values with names can be variables, and its root is no map")
	}
	var vars []Variable
	flatten(data, "", "", func(v Variable) { vars = append(vars, v) })
	from := make(map[string]string)
	for i, v := range vars {
		if format == "dotenv" {
			vars[i].Name = v.From
			continue
		}
		if v.Name != "" && v.Name[0] >= '0' && v.Name[0] <= '9' { // which no shell could use
			v.Name = "_" + v.Name
			vars[i].Name = v.Name
		}
		if other, taken := from[v.Name]; taken {
			return nil, fmt.Errorf("%q and %q would both be the variable %s", other, v.From, v.Name)
		}
		from[v.Name] = v.From
	}
	for _, v := range vars {
		if strings.ContainsRune(v.Text, 0) {
			return nil, fmt.Errorf("%s holds a zero byte, which no variable can", v.From)
		}
		if !validName().MatchString(v.Name) {
			return nil, fmt.Errorf("%q cannot be the name of a variable", v.Name)
		}
	}
	return vars, nil
}

var (
	validName = lazy(`^[A-Za-z0-9_.-]*[A-Za-z0-9][A-Za-z0-9_.-]*$`)
	shellName = lazy(`^[A-Za-z_][A-Za-z0-9_]*$`)
	notInName = lazy(`[^A-Z0-9]+`)
)

func flatten(v *value, name, from string, add func(Variable)) {
	if v.kind != list && v.kind != object {
		add(Variable{strings.TrimPrefix(name, "_"), v.text, from})
		return
	}
	for i, item := range v.items {
		key := fmt.Sprint(i)
		if v.kind == object {
			key = v.names[i]
		}
		under := name + "_" + notInName().ReplaceAllString(strings.ToUpper(key), "_")
		path := key
		if from != "" {
			path = from + "." + key
		}
		flatten(item, under, path, add)
	}
}

// Hijacks reports whether a variable of this name makes other programs run
// code, or find other programs and libraries, than the person meant.
func Hijacks(name string) bool { return hijacking().MatchString(name) }

var hijacking = lazy(`^(?:(?:LD|DYLD|GIT|BASH_FUNC)_.*|PATH|HOME|IFS|ENV|BASH_ENV|BASHOPTS|SHELLOPTS|SHELL|PS[0124]|PROMPT_COMMAND|CDPATH|` +
	`PYTHON(?:PATH|HOME|STARTUP|INSPECT|BREAKPOINT|USERBASE)|PERL5?(?:LIB|OPT|DB)|PERL5SHELL|RUBY(?:LIB|OPT|SHELL)|GEM_(?:PATH|HOME)|BUNDLE_GEMFILE|NODE_(?:OPTIONS|PATH)|` +
	`LUA_(?:PATH|CPATH|INIT).*|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|CLASSPATH|PHPRC|PHP_INI_SCAN_DIR|DOTNET_STARTUP_HOOKS|GCONV_PATH|NLSPATH|GLIBC_TUNABLES|MALLOC_CHECK_|` +
	`(?:GIT_)?(?:EDITOR|VISUAL|PAGER|BROWSER)|LESSOPEN|LESSCLOSE|SSH_ASKPASS|SUDO_.*|COMSPEC|PATHEXT)$`)

// ShellName reports whether every shell can use a variable of this name.
func ShellName(name string) bool { return shellName().MatchString(name) }

// lazy compiles a regular expression when it is first needed.
func lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
