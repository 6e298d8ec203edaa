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
// code, or find other programs and libraries, than the person meant. Windows
// and npm do not tell upper case from lower.
func Hijacks(name string) bool { return hijacking().MatchString(name) }

var hijacking = lazy(`^(?i:` + strings.Join([]string{
	// The linker, the C library, libraries that load modules.
	`(?:LD|DYLD|_RLD)_.*|LIBPATH|SHLIB_PATH|GCONV_PATH|LOCPATH|NLSPATH|GLIBC_TUNABLES|MALLOC_(?:CHECK_|TRACE)|HOSTALIASES|LOCALDOMAIN|RES_OPTIONS|RESOLV_HOST_CONF`,
	`OPENSSL_(?:CONF|MODULES|ENGINES)|KRB5_CONFIG|SASL_PATH|ODBC(?:SYSINI|INI|INSTINI)|LIBMYSQL_PLUGIN.*|G(?:TK|IO|ST)_.*(?:PATH|MODULES?|DIR)|GTK_MODULES|QT_(?:QPA_PLATFORM_)?PLUGIN_PATH|QML2?_IMPORT_PATH|CUDA_INJECTION64_PATH`,
	// Where everything looks for programs and settings, shells, terminals.
	`PATH|HOME|IFS|ENV|SHELL|XDG_(?:CONFIG|DATA)_(?:HOME|DIRS)|BASH_(?:ENV|FUNC_.*|LOADABLES_PATH)|BASHOPTS|SHELLOPTS|GLOBIGNORE|PS[0124]|PROMPT_COMMAND|CDPATH|ZDOTDIR|FPATH|(?:READ)?NULLCMD|INPUTRC|TERMCAP|TERMINFO(?:_DIRS)?|TERMPATH|SUDO_.*`,
	// Windows.
	`COMSPEC|PATHEXT|PSMODULEPATH|SYSTEMROOT|WINDIR|(?:LOCAL)?APPDATA|USERPROFILE|HOME(?:DRIVE|PATH)|PROGRAM(?:DATA|FILES.*)|ALLUSERSPROFILE|__COMPAT_LAYER`,
	// Languages, and what builds and installs their packages.
	`PYTHON(?:PATH|HOME|STARTUP|INSPECT|BREAKPOINT|USERBASE|WARNINGS|PLATLIBDIR|EXECUTABLE|PYCACHEPREFIX|_.*)|(?:PIP|UV)_(?:CONFIG_FILE|(?:DEFAULT_|EXTRA_)?INDEX(?:_URL)?|FIND_LINKS)|VIRTUAL_ENV`,
	`PERL5?(?:LIB|OPT|DB)|PERL5SHELL|PERLIO_DEBUG|RUBY(?:LIB|OPT|SHELL|PATH)|RUBYGEMS_GEMDEPS|GEM(?:_PATH|_HOME|RC)|BUNDLE_(?:GEMFILE|PATH|BIN_PATH|APP_CONFIG)`,
	`NODE_(?:OPTIONS|PATH|REPL_EXTERNAL_MODULE)|ELECTRON_RUN_AS_NODE|NPM_CONFIG_(?:SCRIPT_SHELL|NODE_OPTIONS|SHELL|GIT|EDITOR|BROWSER|VIEWER|PREFIX|USERCONFIG|GLOBALCONFIG|INIT_MODULE|REGISTRY)|YARN_(?:YARN_PATH|RC_FILENAME|PLUGINS)|BUN_(?:OPTIONS|INSPECT_PRELOAD)|TS_NODE_.*`,
	`CLASSPATH|_JAVA_OPTIONS|(?:.*_)?(?:JAVA|JVM|MAVEN|GRADLE|ANT|SBT|CATALINA)(?:_TOOL)?_OPT(?:ION)?S|ANT_ARGS|MAVEN_ARGS|(?:JAVA|JRE|MAVEN|GRADLE_USER|CATALINA)_HOME`,
	`DOTNET_(?:STARTUP_HOOKS|ADDITIONAL_DEPS|SHARED_STORE|ROOT.*|GCNAME|GCPATH)|COMPLUS_.*|COR(?:ECLR)?_(?:PROFILER.*|ENABLE_PROFILING)|ASPNETCORE_HOSTINGSTARTUPASSEMBLIES`,
	`PHPRC|PHP_INI_SCAN_DIR|COMPOSER(?:_HOME|_VENDOR_DIR|_BIN_DIR)?|LUA_(?:PATH|CPATH|INIT).*|ERL_(?:A|Z)?FLAGS|ERL_LIBS|ELIXIR_ERL_OPTIONS|MIX_(?:HOME|ARCHIVES|EXS)|R_(?:PROFILE|ENVIRON|LIBS)(?:_USER|_SITE)?|R_HOME|JULIA_(?:LOAD_PATH|DEPOT_PATH|PROJECT)|GUILE_LOAD.*PATH|TCLLIBPATH`,
	`GO(?:FLAGS|ROOT|ENV|PATH|BIN|WORK|TOOLCHAIN|PROXY)|CC|CXX|CARGO_(?:HOME|BUILD_.*|TARGET_.*)|RUSTC(?:_.*)?|RUSTFLAGS|RUSTDOC|RUSTUP_(?:HOME|TOOLCHAIN)|(?:GNU)?MAKE(?:FLAGS|FILES)|MFLAGS|COMPILER_PATH|GCC_EXEC_PREFIX`,
	// Tools that run what a variable, or the settings that it leads to, says.
	`GIT_.*|(?:.*_)?(?:EDITOR|VISUAL|PAGER|BROWSER)|MANPAGER|HGEDITOR|HGRCPATH|LESS|LESS(?:OPEN|CLOSE|KEY.*)|VIMINIT|EXINIT|VIMRUNTIME|EMACSLOADPATH|PSQLRC|SSH_(?:ASKPASS|SK_HELPER|PKCS11_HELPER)|(?:CVS|RSYNC)_RSH|RSYNC_CONNECT_PROG|SVN_SSH|GNUPGHOME`,
	`TAR_OPTIONS|CURL_HOME|WGETRC|ANSIBLE_(?:CONFIG|LIBRARY|.*_PLUGINS?|VAULT_PASSWORD_FILE)|TF_CLI_.*|HELM_PLUGINS`,
}, "|") + `)$`)

// ShellName reports whether every shell can use a variable of this name.
func ShellName(name string) bool { return shellName().MatchString(name) }

// lazy compiles a regular expression when it is first needed.
func lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
