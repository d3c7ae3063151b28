package config

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config is the whole configuration. The yaml tags are the keys in the file. In the
// environment pair.hold.window is MIRRORSTATE_PAIR_HOLD_WINDOW. Load sets the
// defaults and validates the values; after that they never change.
type Config struct {
	// API is the listener web applications call.
	API API `yaml:"api"`
	// Admin is the operators' listener.
	Admin Listener `yaml:"admin"`
	// Auth configures the authentication of callers.
	Auth Auth `yaml:"auth"`
	// Limits are the limits for callers.
	Limits Limits `yaml:"limits"`
	// Pair is the pair of SQL Servers.
	Pair Pair `yaml:"pair"`
	// Sweep is the expiry job.
	Sweep Sweep `yaml:"sweep"`
	// Log configures the log.
	Log Log `yaml:"log"`
	// Drain configures how the server ends.
	Drain Drain `yaml:"drain"`
	// Apps are the applications by their aliases, which are used in URLs. Empty: the only
	// alias is "default" for /LM/W3SVC/1/ROOT.
	Apps map[string]App `yaml:"apps"`
	// AppsOpen accepts applications that Apps does not name. Default: true if the configuration has no
	// Apps, otherwise false.
	AppsOpen bool `yaml:"apps_open"`

	// Notes are warnings for the operator.
	Notes []string `yaml:"-"`

	apps     map[string]*App   // used while Load reads Apps
	from     map[string]string // the place where a key was set
	partners *Partners         // the pair's servers; nil: the embedded pair
}

// Pair configures the pair of SQL Servers, and the hold.
type Pair struct {
	Source `yaml:",inline"`
	// Exposed is allow or refuse: whether writes are acknowledged while the mirror is away. With
	// refuse they are held until it is back, within the hold window. Each write then needs one
	// more query for the mirroring state, which the login must have the right to see.
	Exposed string `yaml:"exposed"`
	// Hold limits the calls that wait for a principal.
	Hold Hold `yaml:"hold"`
	// Budgets are the timeouts for the servers.
	Budgets Budgets `yaml:"budgets"`
	// Watchdog forces service if the pair has no witness.
	Watchdog Watchdog `yaml:"watchdog"`
}

// Hold limits the calls that wait for a principal.
type Hold struct {
	// Window is the maximum wait of one call. Default 30s.
	Window time.Duration `yaml:"window"`
	// Size is how many calls may wait. Default 10000.
	Size int `yaml:"size"`
	// Bytes is how much memory their items may use. Default 64MiB.
	Bytes Size `yaml:"bytes"`
}

// App configures one application.
type App struct {
	// Name is the application's name in ASP.NET, such as /LM/W3SVC/1/ROOT. Required.
	Name string `yaml:"name"`
	// Timeout is the timeout of a new session, in minutes. Default 20.
	Timeout int `yaml:"timeout"`
	// LockTimeout is the age from which a lock counts as abandoned. Default 110s.
	LockTimeout time.Duration `yaml:"lock_timeout"`
	// MaxSize is the maximum size of an item. Default 4MiB.
	MaxSize Size `yaml:"max_size"`
}

// DefaultApp is the application with the alias "default" if none is configured.
const DefaultApp = "/LM/W3SVC/1/ROOT"

// Size is a number of bytes, written as 4MiB, 64KiB, 1GiB, or without a unit.
type Size int64

// sizeUnits are the suffixes of a Size, longest first.
var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}, {"", 1}}

// ParseSize parses a size.
func ParseSize(s string) (Size, error) {
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(strings.TrimSpace(s), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.bytes {
			break
		}
		return Size(n * u.bytes), nil
	}
	return 0, fmt.Errorf("%q is not a size; write one like 4MiB, 64KiB or 1048576", s)
}

// defaults returns the defaults. They are set before the file is
// read, so that an explicit 0 differs from a missing key, and is refused.
func defaults() Config {
	return Config{
		Pair: Pair{
			Budgets:  defaultBudgets(),
			Hold:     Hold{Window: 30 * time.Second, Size: 10_000, Bytes: 64 << 20},
			Watchdog: Watchdog{After: 10 * time.Second, CoolDown: 10 * time.Minute},
		},
		Limits: defaultLimits(),
		Sweep:  Sweep{Enabled: true, Interval: time.Minute, MaxClockSkew: 5 * time.Second, AbandonedLockAfter: 110 * time.Second},
		Drain:  Drain{Pause: 5 * time.Second},
	}
}

// defaultApp returns the defaults of an application.
func defaultApp() App { return App{Timeout: 20, LockTimeout: 110 * time.Second, MaxSize: 4 << 20} }

// app returns the application with this alias, to set its keys.
func (c *Config) app(alias string) *App {
	if c.apps == nil {
		c.apps = map[string]*App{}
	}
	if c.apps[alias] == nil {
		app := defaultApp()
		c.apps[alias] = &app
	}
	return c.apps[alias]
}

// fill sets defaults for empty texts: an empty text, as in MIRRORSTATE_API_LISTEN=, counts as
// not set.
func (c *Config) fill() {
	orDefault(&c.API.Listen, "127.0.0.1:8080")
	orDefault(&c.Admin.Listen, "127.0.0.1:8081")
	orDefault(&c.Pair.Exposed, "allow")
	orDefault(&c.Sweep.AgentJob, "beside")
	orDefault(&c.Log.Format, "console")
	orDefault(&c.Log.Level, "info")
	if c.from["drain.timeout"] == "" {
		c.Drain.Timeout = c.Pair.Hold.Window + max(drainGrace, 2*c.Pair.Budgets.Attempt)
	}
	if len(c.apps) == 0 {
		c.app("default").Name = DefaultApp
		c.AppsOpen = c.AppsOpen || c.from["apps_open"] == ""
	}
	c.Apps = make(map[string]App, len(c.apps))
	for alias, app := range c.apps {
		c.Apps[alias] = *app
	}
	c.apps = nil
}

func orDefault(v *string, def string) {
	if *v == "" {
		*v = def
	}
}

// Origin returns where a key was set: a place in the file, a variable, a flag; empty: the value is the default.
func (c *Config) Origin(key string) string { return c.from[key] }

// mistakes checks the values' ranges, and compares values.
func (c *Config) mistakes() Mistakes {
	var wrong Mistakes
	bad := func(is bool, key, format string, args ...any) {
		if is {
			wrong = append(wrong, c.mistake(key, fmt.Sprintf(format, args...)))
		}
	}
	bad(!isListen(c.API.Listen), "api.listen", "%q is not host:port, such as 127.0.0.1:8080", c.API.Listen)
	bad(!isListen(c.Admin.Listen), "admin.listen", "%q is not host:port, such as 127.0.0.1:8081", c.Admin.Listen)
	bad(c.Pair.Exposed != "allow" && c.Pair.Exposed != "refuse", "pair.exposed", "%q must be allow or refuse", c.Pair.Exposed)
	bad(c.Pair.Hold.Window < time.Millisecond || c.Pair.Hold.Window > 10*time.Minute, "pair.hold.window", "%v is not between 1ms and 10m", c.Pair.Hold.Window)
	bad(c.Pair.Hold.Size < 1, "pair.hold.size", "%d must be at least 1", c.Pair.Hold.Size)
	bad(c.Pair.Hold.Bytes < 1, "pair.hold.bytes", "%d must be at least 1", c.Pair.Hold.Bytes)
	c.API.TLS.validate("api.tls", c.Auth, bad)
	bad(!isBasePath(c.API.BasePath), "api.base_path", "%q is not a path such as /state: it must begin with a slash and not end with one; only letters, digits and . _ ~ - are allowed between slashes", c.API.BasePath)
	c.Admin.TLS.validate("admin.tls", c.Auth, bad)
	c.API.validateHosts("api", bad)
	c.Admin.validateHosts("admin", bad)
	c.Limits.validate(bad)
	c.Pair.Budgets.validate(bad)
	c.Pair.Watchdog.validate(bad)
	c.Sweep.validate(bad)
	c.Log.validate(bad)
	c.Drain.validate(bad)
	for _, alias := range slices.Sorted(maps.Keys(c.Apps)) {
		c.Apps[alias].validate("apps."+alias, alias, bad)
	}
	return wrong
}

// validate reports invalid values of an application to bad.
func (a App) validate(key, alias string, bad func(is bool, key, format string, args ...any)) {
	bad(alias == "" || strings.ContainsAny(alias, "/?#% "), key, "an alias must not be empty, and must not contain / ? # %% or blanks")
	bad(a.Name == "", key+".name", "is missing; give the application's name, such as %s", DefaultApp)
	bad(a.Timeout < 1 || a.Timeout > 525600, key+".timeout", "%d is not between 1 and 525600 minutes", a.Timeout)
	bad(a.LockTimeout < time.Second || a.LockTimeout > 24*time.Hour, key+".lock_timeout", "%v is not between 1s and 24h", a.LockTimeout)
	bad(a.MaxSize < 1 || a.MaxSize > 1<<30, key+".max_size", "%d bytes is not between 1 and 1GiB", a.MaxSize)
}

// mistake returns a mistake of a key with its place. If the key is not set, the place is that of the
// nearest section around it.
func (c *Config) mistake(key, text string) Mistake {
	at := key
	for at != "" && c.from[at] == "" {
		at = parent(at)
	}
	return Mistake{From: c.from[at], Key: key, Text: text}
}

// isListen reports whether a text is host:port.
func isListen(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	n, perr := strconv.Atoi(port)
	return err == nil && perr == nil && n >= 0 && n <= 65535
}
