package partner

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// Config says what pair to speak to and how patiently. Zero values are
// defaulted by New; the filled-in Config never changes afterwards.
type Config struct {
	// Database is the mirrored database, for example ASPState. Required.
	Database string
	// Partners are the two servers, in either role. Their names must be "a" and
	// "b"; empty ones are given in that order.
	Partners [2]link.PartnerConfig
	// Hold bounds the calls that wait for a principal.
	Hold hold.Config
	// Budgets bound everything that waits for a server.
	Budgets link.Budgets
	// MonitorSteady is how long after the end of a probe the next one begins
	// while a principal serves. Default 1 s.
	MonitorSteady time.Duration
	// MonitorTrouble is the same while there is no principal, or its word is in
	// doubt. It slackens to ten times as much after some seconds of trouble.
	// Default 3 ms.
	MonitorTrouble time.Duration
	// MaxConns is the size of a partner's pool. Default 64.
	MaxConns int
	// Exposed is ExposedAllow (default) or ExposedRefuse: what to do with writes while
	// the mirror is away.
	Exposed string
	// Topology, when set, is reported as it is ("embedded"). Otherwise it is
	// discovered: see TopologyMirroring.
	Topology string
	// Observe has the pair look and change nothing by it: it takes no epoch, so that nobody is fenced by its being
	// there. It is for showing the pair. Writes want a Pair without it: one that observes sends them under whoever's
	// epoch stands.
	Observe bool
	// Memory names a file that remembers the accepted principal, its epoch and
	// role sequence over restarts, so that a former principal is not believed by
	// a proxy that knew better. Empty: nothing is remembered. One file a pair.
	Memory string
	// Watchdog forces service where SQL Server has no witness. Off by default.
	Watchdog choose.WatchdogConfig
	// Meter is told what became of calls. nil: nobody is.
	Meter Meter
	// Logger gets role changes, breaker changes, start and stop. Default: nothing is logged.
	Logger *slog.Logger
}

// What to do with writes while the principal is exposed: its mirror is away, or catching
// up, or SAFETY is OFF.
const (
	// ExposedAllow has them acknowledged: the principal alone has them.
	ExposedAllow = "allow"
	// ExposedRefuse acknowledges none. They are held until the mirror is back, within the
	// hold's window; those that were carried out are not answered before the principal has
	// said, after the commit, that its mirror is SYNCHRONIZED. That costs each write one
	// probe, which writes at the same time share. A principal that does not show its
	// mirroring state (there is none, or the login may not see it) counts as exposed.
	ExposedRefuse = "refuse"
)

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// withDefaults fills in what was left zero.
func (c Config) withDefaults() Config {
	orDefault(&c.Hold.Window, 30*time.Second)
	orDefault(&c.Hold.Size, 10_000)
	orDefault(&c.Hold.Bytes, 64<<20)
	c.Budgets = c.Budgets.WithDefaults()
	orDefault(&c.MonitorSteady, time.Second)
	orDefault(&c.MonitorTrouble, 3*time.Millisecond)
	orDefault(&c.MaxConns, 64)
	orDefault(&c.Exposed, ExposedAllow)
	orDefault(&c.Watchdog.After, 10*time.Second)
	orDefault(&c.Watchdog.CoolDown, 10*time.Minute)
	orDefault(&c.Partners[0].Name, choose.A)
	orDefault(&c.Partners[1].Name, choose.B)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// validate checks a Config that has its defaults, settings against each other included.
func (c Config) validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(c.Database == "" || len(c.Database) > 128, "database name must have 1 to 128 characters")
	bad(c.Partners[0].Name != choose.A || c.Partners[1].Name != choose.B, "partners must be named %q and %q, in this order", choose.A, choose.B)
	bad(c.Exposed != ExposedAllow && c.Exposed != ExposedRefuse, "exposed must be allow or refuse, not %q", c.Exposed)
	bad(c.Hold.Size < 0 || c.Hold.Bytes < 0 || c.Hold.Window < 0, "the hold's window, size and bytes must be positive")
	bad(c.MaxConns < 1, "max conns must be at least 1")
	for name, d := range map[string]time.Duration{
		"dial": c.Budgets.Dial, "login": c.Budgets.Login, "probe": c.Budgets.Probe, "slow probe": c.Budgets.SlowProbe, "attempt": c.Budgets.Attempt,
		"admin": c.Budgets.Admin, "grace": c.Budgets.Grace, "monitor steady": c.MonitorSteady, "monitor trouble": c.MonitorTrouble,
		"watchdog after": c.Watchdog.After, "watchdog cool-down": c.Watchdog.CoolDown,
	} {
		bad(d <= 0, "%s must be positive, not %s", name, d)
	}
	b := c.Budgets
	bad(b.Login < b.Dial, "login budget %s is shorter than dial %s, which is a part of it", b.Login, b.Dial)
	bad(b.SlowProbe < b.Probe, "slow probe budget %s is shorter than probe %s", b.SlowProbe, b.Probe)
	bad(b.Attempt < b.Probe, "attempt budget %s is shorter than probe %s: a call would give up before its server is missed", b.Attempt, b.Probe)
	bad(b.Attempt < b.Login, "attempt budget %s is shorter than login %s: a call's first connection could never be made", b.Attempt, b.Login)
	bad(b.Attempt > MaxAttempt, "attempt budget %s is longer than %s, the longest that an attempt may take", b.Attempt, MaxAttempt)
	bad(c.MonitorTrouble > c.MonitorSteady, "monitor trouble %s is slower than steady %s", c.MonitorTrouble, c.MonitorSteady)
	return errors.Join(errs...)
}
