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

// SweepConfig is how the expiry job works. Zero values are defaults.
type SweepConfig struct {
	// Interval is from the last batch of one sweep to the first of the next, by whichever proxy of
	// the fleet. Default 1 min, as SQL Agent's job; at least a second.
	Interval time.Duration
	// AbandonedLockAfter is the age from which a lock no longer keeps its expired session. Default 110 s.
	AbandonedLockAfter time.Duration
	// MaxClockSkew is how far the partners' clocks may be apart. Further, nothing is swept: after a
	// failover sessions would be gone too early. Default 5 s.
	MaxClockSkew time.Duration
	// AgentJob is what to do beside SQL Agent's own job: AgentBeside (default) or AgentYield.
	AgentJob string
}

// The least and the default interval.
const (
	sweepLeast   = time.Second
	sweepDefault = time.Minute
)

// The lease lasts half an interval and is asked for four times in one: so another proxy leads within
// one, if the leader dies or freezes.
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

// lease is how long the lease lasts, in whole seconds, as the database counts it.
func (c SweepConfig) lease() time.Duration {
	return max(time.Second, (c.Interval / leaseShare).Truncate(time.Second))
}

// SweepStatus is what the expiry job has done and does.
type SweepStatus struct {
	// Leader: this proxy has the fleet's lease. On a stock schema, which has no place for one, every
	// proxy leads.
	Leader bool `json:"leader"`
	// LastRun is when the fleet last swept, by the database's clock; on a stock schema, when this proxy did.
	LastRun *time.Time `json:"last_run"` // nil: never
	// Deleted is how many rows the last sweep of this proxy deleted, or has so far.
	Deleted int64 `json:"deleted"`
	// OldestExpiredS is how long ago the oldest session had expired that the last sweep found, in seconds: the job's lag.
	OldestExpiredS float64 `json:"oldest_expired_s"`

	Running        bool    `json:"running"`
	Batches        int64   `json:"batches"`         // of the last sweep
	AbandonedLocks int64   `json:"abandoned_locks"` // rows of the last sweep whose lock nobody had given back
	DurationS      float64 `json:"duration_s"`      // of the last sweep, its pauses included
	Method         string  `json:"method"`          // MirrorState_Sweep_1, DELETE in batches, or DeleteExpiredSessions
	// Held says why nothing is swept; empty: nothing speaks against it.
	Held string `json:"held"`
	// AgentJob is what is known of SQL Agent's job on the principal: enabled, none, or unknown
	// (the login may not read msdb).
	AgentJob string `json:"agent_job"`
	// DeletedTotal and BatchesTotal count since the start of this proxy, DeletedFleet since the
	// extension was installed, by all.
	DeletedTotal int64 `json:"deleted_total"`
	BatchesTotal int64 `json:"batches_total"`
	DeletedFleet int64 `json:"deleted_fleet"`
	Runs         int64 `json:"runs"`
	// LastError is why the last sweep ended early, or why the lease could not be asked for; empty: nothing of that.
	LastError string `json:"last_error"`
}

// sweptPair is the pair as the sweeper needs it; *partner.Pair is one.
type sweptPair interface{ Status() partner.Status }

// Sweeper is the expiry job: what SQL Agent's job was for an ASPState, wherever the principal is. Any number of
// proxies may run one on the same database: one of them, by a lease, does the work. Its methods are safe
// for concurrent use.
//
// It holds no lock on more than a batch of rows at a time, rests between batches for longer the
// slower live calls become, and costs an index seek when there is nothing to do.
type Sweeper struct {
	store  *Store
	pair   sweptPair
	cfg    atomic.Pointer[SweepConfig] // replaced by Reconfigure
	mended chan struct{}               // holds one token if it was, and Run has not seen it
	logger *slog.Logger
	owner  session.OperationID
	turn   chan struct{} // held by who sweeps

	fallTold atomic.Bool // that rows may not be deleted in batches

	agent func(context.Context) string // looks for SQL Agent's job

	mu     sync.Mutex
	status SweepStatus
	leads  time.Time // until then the lease is this proxy's own, if the status says so
	told   string    // what speaks against sweeping, as it was last logged

	lastFailure string // owned by Run; empty: the last look went well
	agentTold   bool   // owned by Run: that SQL Agent's job is there
	askFailed   bool   // owned by Run: the last time it asked for the lease
}

// NewSweeper makes a sweeper of the store's database. A nil logger discards.
func NewSweeper(store *Store, pair sweptPair, cfg SweepConfig, logger *slog.Logger) *Sweeper {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &Sweeper{store: store, pair: pair, mended: make(chan struct{}, 1), logger: logger, agent: store.agentJob,
		owner: session.NewOperationID(), turn: make(chan struct{}, 1), status: SweepStatus{AgentJob: agentUnknown}}
	cfg = cfg.withDefaults()
	s.cfg.Store(&cfg)
	return s
}

// Reconfigure has it work by another configuration from now on; a sweep under way goes on by the new one.
func (s *Sweeper) Reconfigure(cfg SweepConfig) {
	cfg = cfg.withDefaults()
	s.cfg.Store(&cfg)
	select {
	case s.mended <- struct{}{}:
	default: // it has been told
	}
}

// Status tells what it does. It asks nobody.
func (s *Sweeper) Status() SweepStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Leader = st.Leader && time.Now().Before(s.leads)
	return st
}

// Run sweeps, while it has the lease, until ctx ends. It may be called again when it has returned.
func (s *Sweeper) Run(ctx context.Context) error {
	// Proxies that start together shall not ask together.
	timer := time.NewTimer(rand.N(s.cfg.Load().Interval / askShare))
	defer timer.Stop()
	defer s.note(func(st *SweepStatus) { st.Leader = false }) // the lease, if there is one, is not renewed
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.mended:
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

// look asks for the lease and sweeps if it is time. It says when to look again.
func (s *Sweeper) look(ctx context.Context) (next time.Duration, err error) {
	next = s.cfg.Load().Interval / askShare
	if heldByAgent(s.cfg.Load().AgentJob, s.Status().AgentJob) != "" {
		s.meetAgent(ctx) // it may have been disabled, or be missing on a new principal
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
			st.LastError = "" // whoever leads has errors of its own
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

// due is in how long the next sweep is to begin: by the database's clock, where it knows when the last one ran.
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

// ErrNotLeader: another proxy of the fleet sweeps.
var ErrNotLeader = errors.New("another proxy has the sweeper's lease")

// ErrSweepHeld: nothing is swept just now; the status says why.
var ErrSweepHeld = errors.New("nothing is swept")

// Sweep deletes what has expired by now, whoever has the fleet's lease: two at once do no harm. It
// returns when nothing is left, or with the first error that stopped it: ErrSweepHeld, the store's errors, or
// ctx's. A failover in its middle delays it. What it had deleted by then is in the status.
func (s *Sweeper) Sweep(ctx context.Context) (SweepStatus, error) {
	return s.sweep(ctx, session.OperationID{})
}

// sweep is Sweep by who has the lease; an owner of zeros goes without.
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

// batches deletes batch after batch until one finds less than it may take.
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
		case a.all || 2*a.deleted < rows: // a few less may be rows that somebody locked at that moment
			return nil
		}
		if s.held() { // a failover may have brought another clock
			return fmt.Errorf("%w: %s", ErrSweepHeld, s.Status().Held)
		}
		_, pause = p.next(time.Since(began), began.Sub(last), s.store.live.take())
		last = began
		rest.Reset(pause)
	}
}

// fellBack says, once, that the procedure is called because rows may not be deleted in batches.
func (s *Sweeper) fellBack(a sweepAnswer) {
	if a.method == SweepProcedure && !s.fallTold.Swap(true) {
		s.logger.Warn("expired sessions are deleted all at once by "+SweepProcedure+", locked ones too: the login lacks a right to do it in batches",
			"mend", "GRANT SELECT, DELETE ON dbo.ASPStateTempSessions TO [the login's user]")
	}
}

// meetAgent finds out whether SQL Agent does the same, and says so once.
func (s *Sweeper) meetAgent(ctx context.Context) {
	job := s.agent(ctx)
	s.note(func(st *SweepStatus) { st.AgentJob = job })
	if job == agentEnabled && !s.agentTold {
		s.agentTold = true
		s.logger.Info("SQL Agent's job deletes expired sessions too", "rule", s.cfg.Load().AgentJob,
			"mend", "disable the job on both servers, or set sweep.agent_job: yield; both at once do no harm")
	}
}

// held tells whether something forbids to sweep, and logs when that changes.
func (s *Sweeper) held() bool {
	why := clocksApart(s.pair.Status(), s.cfg.Load().MaxClockSkew)
	s.mu.Lock()
	if why == "" {
		why = heldByAgent(s.cfg.Load().AgentJob, s.status.AgentJob)
	}
	s.status.Held = why
	was := s.told
	s.told = why
	s.mu.Unlock()
	switch {
	case why != "" && was == "":
		s.logger.Warn("expired sessions are not swept", "reason", why)
	case why == "" && was != "":
		s.logger.Info("expired sessions are swept again")
	}
	return why != ""
}

// clocksApart says, in words, that two partners' clocks are too far apart; empty: they are not,
// or one of them is not known.
func clocksApart(st partner.Status, most time.Duration) string {
	if len(st.Partners) != 2 || st.Partners[0].Seen.IsZero() || st.Partners[1].Seen.IsZero() {
		return ""
	}
	apart := time.Duration((st.Partners[0].ClockMS - st.Partners[1].ClockMS) * float64(time.Millisecond)).Abs()
	if apart <= most {
		return ""
	}
	return fmt.Sprintf("the clocks of %s and %s are %s apart, and sweep.max_clock_skew is %s: set the servers' time right",
		st.Partners[0].Name, st.Partners[1].Name, apart.Round(time.Millisecond), most)
}

func (s *Sweeper) note(change func(*SweepStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
}

// failed logs why a look or a sweep came to nothing, where that is not simply that there is no principal.
func (s *Sweeper) failed(err error) {
	was := s.lastFailure
	s.lastFailure = err.Error()
	if s.askFailed {
		s.note(func(st *SweepStatus) { st.LastError = s.lastFailure })
	}
	switch {
	case sameFailure(s.lastFailure, was): // said already
	case errors.Is(err, ErrNotLeader), errors.Is(err, ErrSweepHeld), errors.Is(err, session.ErrNoPrincipal):
	case errorNumber(err) == errNoPermission:
		s.logger.Error("expired sessions can't be swept: the login lacks a right", "error", err,
			"mend", "GRANT EXECUTE ON SCHEMA::dbo TO [the login's user]; on a stock schema, to sweep in batches, also GRANT SELECT, DELETE ON dbo.ASPStateTempSessions")
	default:
		s.logger.Warn("expired sessions were not swept", "error", err)
	}
}

// sameFailure reports whether two errors differ in numbers at the most: the port of a connection that broke, a duration.
func sameFailure(a, b string) bool {
	digits := func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}
	return strings.Map(digits, a) == strings.Map(digits, b)
}

// read takes what every answer tells; leased of the lease, too.
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
