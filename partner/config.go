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

// Config configures a Pair. New replaces zero values by their defaults. The Config never changes afterwards.
type Config struct {
	// Database is the mirrored database, for example ASPState. Required.
	Database string
	// Partners are the two servers, in any role. Their names must be "a" and "b", in this order; empty names
	// get these.
	Partners [2]link.PartnerConfig
	// Hold bounds the calls that wait for a principal.
	Hold hold.Config
	// Budgets bound every wait for a server.
	Budgets link.Budgets
	// MonitorSteady is the pause between two probes of a partner while a principal serves. Default 1 s.
	MonitorSteady time.Duration
	// MonitorTrouble is the pause between two probes while no principal serves, or it is in doubt. After some
	// seconds it grows to ten times as much. Default 3 ms.
	MonitorTrouble time.Duration
	// MaxConns is the largest number of connections in a partner's pool. Default 64.
	MaxConns int
	// Exposed says what to do with writes while the principal commits without its mirror: ExposedAllow
	// (default) or ExposedRefuse.
	Exposed string
	// Topology, if set, is shown in the status, for example "embedded". If it is empty, the topology is
	// discovered: mirroring, availability-group or plain.
	Topology string
	// Observe makes the pair take no epoch, so that it fences no principal. Use it for programs that only show the
	// status of a pair. Calls still run, with the epoch that another proxy took. Do not set it if the pair is used
	// for writes.
	Observe bool
	// Memory names a file that keeps the accepted principal, its epoch and role sequence across restarts. With
	// it, a restarted proxy does not follow a former principal. Each pair needs its own file. Empty: nothing is
	// kept.
	Memory string
	// Watchdog forces service on the mirror of a pair without a witness. Off by default.
	Watchdog choose.WatchdogConfig
	// Meter receives the result of every attempt and of every wait. May be nil.
	Meter Meter
	// Logger receives changes of role, breaker and principal, and the operators' verbs. Default:
	// nothing is logged.
	Logger *slog.Logger
}

// The values of Config.Exposed. A principal is exposed if its mirror is disconnected or not SYNCHRONIZED, or
// SAFETY is OFF.
const (
	// ExposedAllow acknowledges writes that only the principal has.
	ExposedAllow = "allow"
	// ExposedRefuse does not acknowledge such writes. They wait in the hold until the mirror is back. A write
	// that was executed is answered only after the principal reported, after the commit, that its mirror is
	// SYNCHRONIZED. This costs each write one probe, which concurrent writes share. A principal whose mirroring
	// state is unknown, because there is none or the login may not see it, counts as exposed.
	ExposedRefuse = "refuse"
)

// orDefault sets *v to def if it is the zero value.
func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// withDefaults returns a copy in which zero values have their defaults.
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

// validate checks a Config that has its defaults. It also compares settings with each other.
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
	bad(b.Login < b.Dial, "login budget %s is shorter than dial %s, which is part of it", b.Login, b.Dial)
	bad(b.SlowProbe < b.Probe, "slow probe budget %s is shorter than probe %s", b.SlowProbe, b.Probe)
	bad(b.Attempt < b.Probe, "attempt budget %s is shorter than probe %s: a call would end before a probe notices that the server is lost", b.Attempt, b.Probe)
	bad(b.Attempt < b.Login, "attempt budget %s is shorter than login %s: the first connection of a call could not be made in time", b.Attempt, b.Login)
	bad(b.Attempt > MaxAttempt, "attempt budget %s is longer than %s, the longest that an attempt may take", b.Attempt, MaxAttempt)
	bad(c.MonitorTrouble > c.MonitorSteady, "monitor trouble %s is slower than steady %s", c.MonitorTrouble, c.MonitorSteady)
	return errors.Join(errs...)
}
