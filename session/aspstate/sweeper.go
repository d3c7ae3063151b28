package aspstate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

// SweepConfig configures the expiry job. Zero values have defaults.
type SweepConfig struct {
	// Interval is the time from the last batch of one sweep to the first batch of the next, whichever proxies of the
	// fleet run them. Default 1 min, as for SQL Agent's job; at least a second.
	Interval time.Duration
	// AbandonedLockAfter is the age of a lock from which an expired session is deleted in spite of it. Default 110 s.
	AbandonedLockAfter time.Duration
	// MaxClockSkew is the greatest allowed difference of the partners' clocks. If it is exceeded, nothing is swept:
	// after a failover sessions would be deleted too early. Default 5 s.
	MaxClockSkew time.Duration
	// AgentJob says what to do if SQL Agent's own job exists: AgentBeside (default) or AgentYield.
	AgentJob string
}

// The minimum and the default interval.
const (
	sweepLeast   = time.Second
	sweepDefault = time.Minute
)

// The lease lasts half an interval, and each proxy requests it four times in an interval. So if the leader stops or
// freezes, another proxy leads within one interval.
const (
	leaseShare = 2
	askShare   = 4
)

func (c SweepConfig) withDefaults() SweepConfig {
	if c.Interval == 0 {
		c.Interval = sweepDefault
	}
	c.Interval = max(c.Interval, sweepLeast)
	if c.AgentJob == "" {
		c.AgentJob = AgentBeside
	}
	if c.AbandonedLockAfter == 0 {
		c.AbandonedLockAfter = session.DefaultLockTimeout
	}
	if c.MaxClockSkew == 0 {
		c.MaxClockSkew = 5 * time.Second
	}
	return c
}

// lease returns how long the lease lasts, in whole seconds, as the database counts it.
func (c SweepConfig) lease() time.Duration {
	return max(time.Second, (c.Interval / leaseShare).Truncate(time.Second))
}

// SweepStatus is the status of the expiry job.
type SweepStatus struct {
	// Leader is true if this proxy has the fleet's lease. A stock schema has no place for a lease: there every proxy is
	// the leader.
	Leader bool `json:"leader"`
	// LastRun is when the fleet last swept, by the database's clock. On a stock schema it is when this proxy last swept.
	LastRun *time.Time `json:"last_run"` // nil: never
	// Deleted is the number of rows that the last sweep of this proxy deleted.
	Deleted int64 `json:"deleted"`
	// OldestExpiredS is how long before the last sweep its oldest session had expired, in seconds: the job's lag.
	OldestExpiredS float64 `json:"oldest_expired_s"`

	Running        bool    `json:"running"`
	Batches        int64   `json:"batches"`         // of the last sweep
	AbandonedLocks int64   `json:"abandoned_locks"` // rows of the last sweep with an abandoned lock
	DurationS      float64 `json:"duration_s"`      // of the last sweep, with its pauses
	Method         string  `json:"method"`          // MirrorState_Sweep_1, DELETE in batches, or DeleteExpiredSessions
	// Held is the reason why nothing is swept; empty: sweeping is allowed.
	Held string `json:"held"`
	// AgentJob is what is known of SQL Agent's job on the principal: enabled, none, or unknown
	// (the login may not read msdb).
	AgentJob string `json:"agent_job"`
	// DeletedTotal and BatchesTotal count since the start of this proxy. DeletedFleet counts for all proxies since
	// the extension was installed.
	DeletedTotal int64 `json:"deleted_total"`
	BatchesTotal int64 `json:"batches_total"`
	DeletedFleet int64 `json:"deleted_fleet"`
	Runs         int64 `json:"runs"`
	// LastError is the error of the last sweep, or of the last request for the lease; empty: no error.
	LastError string `json:"last_error"`
}

// sweptPair is the pair as the sweeper needs it; *partner.Pair is one.
type sweptPair interface{ Status() partner.Status }

// Sweeper is the expiry job. It replaces SQL Agent's job for ASPState, and works on whichever partner is principal. Any
// number of proxies may run a Sweeper on the same database: the one that has the lease does the work. Its methods are
// safe for concurrent use.
//
// It never locks more rows than one batch has, and rests longer between batches if live calls become slower. If there is
// nothing to do, it costs an index seek.
type Sweeper struct {
	store   *Store
	pair    sweptPair
	cfg     atomic.Pointer[SweepConfig] // set by Reconfigure
	changed chan struct{}               // has a value if Run has not seen the newest configuration
	logger  *slog.Logger
	owner   session.OperationID
	turn    chan struct{} // held by the goroutine that sweeps

	fallBackLogged atomic.Bool // it is logged that the login may not delete rows in batches

	agent func(context.Context) string // looks for SQL Agent's job

	mu     sync.Mutex
	status SweepStatus
	leads  time.Time // when the lease ends, if status.Leader is set
	logged string    // the last logged reason for not sweeping; empty: sweeping is allowed

	lastFailure string // owned by Run; empty: the last run had no error
	agentLogged bool   // owned by Run: it is logged that SQL Agent's job exists
	askFailed   bool   // owned by Run: the last request for the lease failed
}

// NewSweeper returns a sweeper of the store's database. A nil logger discards.
func NewSweeper(store *Store, pair sweptPair, cfg SweepConfig, logger *slog.Logger) *Sweeper {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &Sweeper{store: store, pair: pair, changed: make(chan struct{}, 1), logger: logger, agent: store.agentJob,
		owner: session.NewOperationID(), turn: make(chan struct{}, 1), status: SweepStatus{AgentJob: agentUnknown}}
	cfg = cfg.withDefaults()
	s.cfg.Store(&cfg)
	return s
}

// Reconfigure sets the configuration from now on, also for a sweep in progress.
func (s *Sweeper) Reconfigure(cfg SweepConfig) {
	cfg = cfg.withDefaults()
	s.cfg.Store(&cfg)
	select {
	case s.changed <- struct{}{}:
	default: // it has a value already
	}
}

// Status returns the status, from memory.
func (s *Sweeper) Status() SweepStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Leader = st.Leader && time.Now().Before(s.leads)
	return st
}

// Run sweeps while it has the lease, until ctx ends. It may be called again after it has returned.
func (s *Sweeper) Run(ctx context.Context) error {
	// Proxies that start at the same time should not all request the lease at the same time.
	timer := time.NewTimer(rand.N(s.cfg.Load().Interval / askShare))
	defer timer.Stop()
	defer s.note(func(st *SweepStatus) { st.Leader = false }) // a lease is not renewed
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.changed:
		case <-timer.C:
		}
		next, err := s.look(ctx)
		switch {
		case err == nil:
			s.lastFailure = ""
		case ctx.Err() == nil:
			s.failed(err)
		}
		timer.Reset(next)
	}
}

// look requests the lease and sweeps if a sweep is due. It returns the time until the next look.
func (s *Sweeper) look(ctx context.Context) (next time.Duration, err error) {
	next = s.cfg.Load().Interval / askShare
	if heldByAgent(s.cfg.Load().AgentJob, s.Status().AgentJob) != "" {
		s.meetAgent(ctx) // the job may have been disabled, or not exist on a new principal
	}
	if s.held() {
		return next, nil
	}
	asked := time.Now()
	a, err := s.store.sweepBatch(ctx, s.ask(s.owner, 0))
	if err != nil {
		s.askFailed = true
		return next, err
	}
	s.note(func(st *SweepStatus) {
		s.leads = asked.Add(s.cfg.Load().lease())
		st.read(a, true)
		if s.askFailed || !a.leads {
			st.LastError = "" // the leader reports its own errors
		}
	})
	s.askFailed = false
	if !a.leads {
		return next, nil
	}
	if due := s.due(a); due > 0 {
		return min(next, due), nil
	}
	s.meetAgent(ctx)
	if s.held() {
		return next, nil
	}
	_, err = s.sweep(ctx, s.owner)
	return next, err
}

// due returns the time until the next sweep. It uses the database's clock if the database knows when the last one
// ran.
func (s *Sweeper) due(a sweepAnswer) time.Duration {
	last := s.Status().LastRun
	switch {
	case last == nil:
		return 0
	case a.method == sweepExtended && a.sinceRun < 0:
		return 0
	case a.method == sweepExtended:
		return s.cfg.Load().Interval - a.sinceRun
	}
	return time.Until(last.Add(s.cfg.Load().Interval))
}

func (s *Sweeper) ask(owner session.OperationID, limit int) sweepAsk {
	return sweepAsk{owner: owner, lease: s.cfg.Load().lease(), limit: limit, abandoned: s.cfg.Load().AbandonedLockAfter, method: s.Status().Method}
}

// ErrNotLeader means that another proxy of the fleet has the lease.
var ErrNotLeader = errors.New("another proxy has the lease of the sweeper")

// ErrSweepHeld means that sweeping is not allowed at present. The status has the reason.
var ErrSweepHeld = errors.New("nothing is swept")

// Sweep deletes the expired sessions, even if another proxy has the lease: two sweeps at once do no harm. It returns nil
// when no expired session is left, or the first error: ErrSweepHeld, an error of the store, or ctx's. A failover during
// the sweep delays it. The status shows what it has deleted.
func (s *Sweeper) Sweep(ctx context.Context) (SweepStatus, error) {
	return s.sweep(ctx, session.OperationID{})
}

// sweep is Sweep for the owner of the lease; a zero owner needs no lease.
func (s *Sweeper) sweep(ctx context.Context, owner session.OperationID) (SweepStatus, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return s.Status(), context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	if s.held() {
		return s.Status(), fmt.Errorf("%w: %s", ErrSweepHeld, s.Status().Held)
	}
	began := time.Now()
	s.note(func(st *SweepStatus) { st.begin() })
	err := s.batches(ctx, owner)
	s.note(func(st *SweepStatus) {
		st.end(began)
		if ctx.Err() == nil && !errors.Is(err, ErrNotLeader) {
			st.LastError = errorText(err)
		}
	})
	st := s.Status()
	level := slog.LevelDebug
	if st.Deleted > 0 {
		level = slog.LevelInfo
	}
	s.logger.Log(ctx, level, "swept", "deleted", st.Deleted, "abandoned_locks", st.AbandonedLocks, "batches", st.Batches, "duration", time.Since(began),
		"oldest_expired_s", st.OldestExpiredS, "method", st.Method, "error", errorText(err))
	return st, err
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// batches deletes batch after batch until a batch deletes less than half of its limit.
func (s *Sweeper) batches(ctx context.Context, owner session.OperationID) error {
	p, last, pause := newPace(s.store.live.take()), time.Now(), time.Duration(0)
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-rest.C:
		}
		s.store.live.gap(ctx, pause)
		rows, began := p.rows, time.Now()
		a, err := s.store.sweepBatch(ctx, s.ask(owner, rows))
		if err != nil {
			return err
		}
		s.fellBack(a)
		s.note(func(st *SweepStatus) {
			if owner == s.owner {
				s.leads = began.Add(s.cfg.Load().lease())
			}
			st.read(a, owner == s.owner)
			st.add(a)
		})
		switch {
		case !a.leads:
			return ErrNotLeader
		case a.all || 2*a.deleted < rows: // a few rows may have been locked at that moment
			return nil
		}
		if s.held() { // after a failover the clock is that of the other partner
			return fmt.Errorf("%w: %s", ErrSweepHeld, s.Status().Held)
		}
		_, pause = p.next(time.Since(began), began.Sub(last), s.store.live.take())
		last = began
		rest.Reset(pause)
	}
}

// fellBack logs, once, that the procedure is used because the login may not delete rows in batches.
func (s *Sweeper) fellBack(a sweepAnswer) {
	if a.method == SweepProcedure && !s.fallBackLogged.Swap(true) {
		s.logger.Warn("expired sessions are deleted all at once by "+SweepProcedure+", locked ones too: the login lacks a right to do it in batches",
			"advice", "GRANT SELECT, DELETE ON dbo.ASPStateTempSessions TO [the login's user]")
	}
}

// meetAgent checks whether SQL Agent's job exists, and logs that once.
func (s *Sweeper) meetAgent(ctx context.Context) {
	job := s.agent(ctx)
	s.note(func(st *SweepStatus) { st.AgentJob = job })
	if job == agentEnabled && !s.agentLogged {
		s.agentLogged = true
		s.logger.Info("SQL Agent's job deletes expired sessions too", "rule", s.cfg.Load().AgentJob,
			"advice", "disable the job on both servers, or set sweep.agent_job: yield; both at once do no harm")
	}
}

// held reports whether something forbids sweeping, and logs when that changes.
func (s *Sweeper) held() bool {
	why := clocksApart(s.pair.Status(), s.cfg.Load().MaxClockSkew)
	s.mu.Lock()
	if why == "" {
		why = heldByAgent(s.cfg.Load().AgentJob, s.status.AgentJob)
	}
	s.status.Held = why
	was := s.logged
	s.logged = why
	s.mu.Unlock()
	switch {
	case why != "" && was == "":
		s.logger.Warn("expired sessions are not swept", "reason", why)
	case why == "" && was != "":
		s.logger.Info("expired sessions are swept again")
	}
	return why != ""
}

// clocksApart returns a text if the partners' clocks differ too much. It returns "" if they do not, or if one of the
// clocks is not known.
func clocksApart(st partner.Status, most time.Duration) string {
	if len(st.Partners) != 2 || st.Partners[0].Seen.IsZero() || st.Partners[1].Seen.IsZero() {
		return ""
	}
	apart := time.Duration((st.Partners[0].ClockMS - st.Partners[1].ClockMS) * float64(time.Millisecond)).Abs()
	if apart <= most {
		return ""
	}
	return fmt.Sprintf("the clocks of %s and %s are %s apart, and sweep.max_clock_skew is %s: correct the servers' clocks",
		st.Partners[0].Name, st.Partners[1].Name, apart.Round(time.Millisecond), most)
}

func (s *Sweeper) note(change func(*SweepStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
}

// failed logs the error of a look or a sweep, unless an equal one was logged last or there is no principal.
func (s *Sweeper) failed(err error) {
	was := s.lastFailure
	s.lastFailure = err.Error()
	if s.askFailed {
		s.note(func(st *SweepStatus) { st.LastError = s.lastFailure })
	}
	switch {
	case sameFailure(s.lastFailure, was): // logged already
	case errors.Is(err, ErrNotLeader), errors.Is(err, ErrSweepHeld), errors.Is(err, session.ErrNoPrincipal):
	case errorNumber(err) == errNoPermission:
		s.logger.Error("expired sessions cannot be swept: the login lacks a right", "error", err,
			"advice", "GRANT EXECUTE ON SCHEMA::dbo TO [the login's user]; on a stock schema, to sweep in batches, also GRANT SELECT, DELETE ON dbo.ASPStateTempSessions")
	default:
		s.logger.Warn("expired sessions were not swept", "error", err)
	}
}

// sameFailure reports whether two errors differ only in numbers: the port of a broken connection, a duration.
func sameFailure(a, b string) bool {
	digits := func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}
	return strings.Map(digits, a) == strings.Map(digits, b)
}

// read copies the values of an answer to the status, and with leased also the state of the lease.
func (st *SweepStatus) read(a sweepAnswer, leased bool) {
	st.Method = a.method
	if leased {
		st.Leader = a.leads
	}
	if !a.lastRun.IsZero() {
		st.LastRun = &a.lastRun
	}
	st.DeletedFleet = max(st.DeletedFleet, a.deletedEver)
}

func (st *SweepStatus) begin() {
	st.Running = true
	st.Deleted, st.Batches, st.AbandonedLocks, st.OldestExpiredS, st.DurationS, st.LastError = 0, 0, 0, 0, 0, ""
}

// add counts a batch.
func (st *SweepStatus) add(a sweepAnswer) {
	if !a.leads {
		return
	}
	st.Deleted += int64(a.deleted)
	st.DeletedTotal += int64(a.deleted)
	st.AbandonedLocks += int64(a.abandoned)
	st.Batches++
	st.BatchesTotal++
	st.OldestExpiredS = max(st.OldestExpiredS, a.oldest.Seconds())
	if a.method != sweepExtended {
		now := time.Now().UTC()
		st.LastRun = &now
	}
}

func (st *SweepStatus) end(began time.Time) {
	st.Running = false
	st.Runs++
	st.DurationS = time.Since(began).Seconds()
}
