package link

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
)

// SQL Server's error numbers for a table and a procedure that do not exist. With one of them the database is
// open and has no mirrorstate extension.
const (
	errInvalidObject = 208
	// ErrNoProcedure is the number of the error for a stored procedure that does not exist.
	ErrNoProcedure = 2812
)

// Probe implements Endpoint.
//
// If the connection kept from an earlier probe is broken, this proves nothing about the server, so Probe tries one
// new connection. A probe without an answer ends with the timeout, but stays pending for a while: if the answer
// comes later, a later call of Probe returns it.
func (s *Server) Probe(ctx context.Context, a ProbeRequest) ProbeResult {
	if s.pending.answered() && s.pending.broken {
		s.dropPending() // a broken connection proves nothing about the server
	}
	if q := s.pending; q != nil && (q.answered() || a.Calls.SucceededSince(q.sent, time.Now(), s.budgets.Probe)) && !a.Fresh {
		return s.await(ctx, q, a) // while calls succeed, a new connection would show nothing more
	}
	if q := s.pending; q != nil && time.Since(q.sent) >= s.budgets.SlowProbe {
		s.dropPending()
	}
	o := s.probeOnce(ctx, a)
	if o.Reachable || o.Fresh || s.probeConn != nil || ctx.Err() != nil || errors.Is(o.Err, context.DeadlineExceeded) {
		return o
	}
	return s.probeOnce(ctx, a)
}

// probeOnce probes on the kept connection, or on a new one if there is none.
func (s *Server) probeOnce(ctx context.Context, a ProbeRequest) ProbeResult {
	if a.Fresh {
		s.closeProbeConn()
	}
	m, fresh := s.probeConn, s.probeConn == nil
	if fresh {
		var err error
		if m, err = s.dialUnlessAnswered(ctx); err != nil {
			if s.pending.answered() && !s.pending.broken {
				return s.result(s.pending)
			}
			return ProbeResult{Observation: choose.Observation{Partner: s.name, Role: choose.RoleUnknown, Fresh: true, Err: err, Reachable: classify.FromServer(err)}}
		}
	}
	s.probeConn = nil // until the server has answered on it
	return s.await(ctx, m.send(ctx, a, fresh), a)
}

// dialUnlessAnswered dials, and stops if the answer to the pending probe comes meanwhile.
func (s *Server) dialUnlessAnswered(ctx context.Context) (*masterConn, error) {
	if s.pending == nil {
		return s.dialMaster(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pending := s.pending
	defer context.AfterFunc(pending.done, func() {
		if !pending.broken {
			cancel()
		}
	})()
	return s.dialMaster(ctx)
}

// timeoutChecks is the number of checks of CallTimes in one probe budget, while a probe waits longer than that.
const timeoutChecks = 10

// await waits for the answer to q, or for the late answer to the pending probe before it. It waits for the
// probe budget, and longer if the server is known to be slow and its calls do not stall.
func (s *Server) await(ctx context.Context, q *pendingProbe, a ProbeRequest) ProbeResult {
	began := time.Now()
	var pending <-chan struct{}
	if s.pending != nil && s.pending != q {
		pending = s.pending.done.Done()
	}
	timer := time.NewTimer(s.budgets.Probe)
	defer timer.Stop()
	for {
		select {
		case <-q.done.Done():
			return s.result(q)
		case <-pending:
			if pending = nil; !s.pending.broken {
				q.abandon()
				return s.result(s.pending)
			}
			s.dropPending()
		case <-ctx.Done():
			q.abandon()
			if s.pending == q {
				s.pending = nil
			}
			return ProbeResult{Observation: choose.Observation{Partner: s.name, Role: choose.RoleUnknown, Fresh: q.fresh, Err: context.Cause(ctx)}}
		case <-timer.C:
		}
		if time.Since(began) >= s.timeout || a.Calls.stalled(time.Now(), s.budgets.Probe) {
			return s.timedOut(q)
		}
		timer.Reset(s.budgets.Probe / timeoutChecks)
	}
}

// result returns the answer to q. The time that it took sets the timeout of the next probe.
func (s *Server) result(q *pendingProbe) ProbeResult {
	o := ProbeResult{Observation: q.observation}
	if q == s.pending {
		s.pending = nil
		o.Late, o.Began, o.Request, o.TakenAs = true, q.sent, q.request.Number, q.request.TakeEpochAs // the answer describes the time when the probe was sent
	}
	s.dropPending()
	if q.broken {
		q.conn.close()
	} else {
		s.closeProbeConn()
		s.probeConn = q.conn
		s.timeout = min(2*q.took, s.budgets.SlowProbe)
	}
	o.Timeout = s.timeout
	return o
}

// timedOut returns the result of a probe without an answer. The probe becomes the pending one, unless an earlier
// probe is pending already: a slow server must not be dialled again and again. If the server accepted a new
// connection and did not answer on it, the next probe gets more time.
func (s *Server) timedOut(q *pendingProbe) ProbeResult {
	o := ProbeResult{Observation: choose.Observation{Partner: s.name, Role: choose.RoleUnknown, Fresh: q.fresh && q != s.pending, PendingSince: q.sent, Err: errProbeTimeout}}
	if q.fresh && q != s.pending {
		s.timeout = min(2*max(s.timeout, s.budgets.Probe), s.budgets.SlowProbe)
	}
	o.Timeout = s.timeout
	switch {
	case s.pending == nil:
		s.pending = q
	case s.pending != q:
		q.abandon()
	case time.Since(q.sent) >= s.budgets.SlowProbe:
		s.dropPending()
	}
	return o
}

// dropPending abandons the pending probe, if there is one.
func (s *Server) dropPending() {
	if s.pending != nil {
		s.pending.abandon()
		s.pending = nil
	}
}

// pendingProbe is a probe whose queries were sent on a connection that nothing else uses meanwhile.
type pendingProbe struct {
	conn    *masterConn
	request ProbeRequest
	fresh   bool            // the connection was made for this probe
	sent    time.Time       // when the queries were sent
	done    context.Context // ends with the answer; the fields below may be read after that

	observation choose.Observation
	broken      bool // the connection must not be used again
	took        time.Duration
}

// send sends the queries of one probe. The caller must wait for the answer, or abandon the probe.
func (m *masterConn) send(ctx context.Context, a ProbeRequest, fresh bool) *pendingProbe {
	q := &pendingProbe{conn: m, request: a, fresh: fresh, sent: time.Now()}
	q.observation = choose.Observation{Partner: m.server.name, Role: choose.RoleUnknown, Fresh: fresh}
	done, end := context.WithCancel(context.Background())
	q.done = done
	// The queries are not cancelled, because the driver would wait seconds for an answer to its cancel request.
	// To stop waiting, abandon closes the socket.
	ctx = context.WithoutCancel(ctx)
	go func() {
		defer end()
		q.observation.Err = m.runQueries(ctx, a, &q.observation)
		q.took = time.Since(q.sent)
		q.broken = q.observation.Err != nil && classify.Fatal(q.observation.Err)
	}()
	return q
}

// answered reports whether the answer has come, or the connection broke.
func (q *pendingProbe) answered() bool { return q != nil && q.done.Err() != nil }

// abandon closes the connection and waits until nothing uses it.
func (q *pendingProbe) abandon() {
	q.conn.pool.connector.abort(errProbeTimeout)
	<-q.done.Done()
	q.conn.close()
}

var errProbeTimeout = fmt.Errorf("the probe timed out: %w", context.DeadlineExceeded)

// statusMaxAge is how old a status may be when an epoch is taken without asking for the status again. Taking
// the epoch itself fails if the database can no longer be opened for writing.
const statusMaxAge = 100 * time.Millisecond

// runQueries runs the queries of one probe and stores what they show in o.
func (m *masterConn) runQueries(ctx context.Context, a ProbeRequest, o *choose.Observation) error {
	began := time.Now()
	if a.TakeEpochAs != "" && m.lastStatus.MayOpen() && began.Sub(m.lastStatus.Began) < statusMaxAge {
		fresh := o.Fresh
		*o = m.lastStatus
		o.Fresh = fresh
	} else if err := m.fetchStatus(ctx, o); err != nil {
		return err
	}
	if !o.MayOpen() {
		return nil
	}
	if a.TakeEpochAs != "" {
		// Taking the epoch also returns all that reading it would.
		switch err := m.takeEpoch(ctx, a.TakeEpochAs, o); {
		case err == nil:
			return nil
		case !hasNumber(err, ErrNoProcedure):
			o.Reachable = classify.FromServer(err)
			return fmt.Errorf("take the next epoch on %s: %w", m.server.name, err)
		}
	}
	if err := m.readEpoch(ctx, o); err != nil {
		o.Reachable = classify.FromServer(err) || errors.Is(err, errNoEpochRow)
		return fmt.Errorf("open %s on %s: %w", m.server.database, m.server.name, err)
	}
	return nil
}

// fetchStatus asks for the status of the database without opening it.
func (m *masterConn) fetchStatus(ctx context.Context, o *choose.Observation) error {
	began := time.Now()
	if err := m.scanStatus(ctx, o); err != nil {
		o.Reachable = classify.FromServer(err)
		return fmt.Errorf("read role of %s: %w", m.server.name, err)
	}
	o.Latency = time.Since(began)
	o.ClockOffset += o.Latency / 2 // the clock was read about half-way through the round trip
	if o.InGroup {
		if err := m.readGroup(ctx, o); err != nil {
			o.Reachable = classify.FromServer(err)
			return fmt.Errorf("read role of %s in its availability group: %w", m.server.name, err)
		}
	}
	m.lastStatus = *o
	m.lastStatus.Began = began
	return nil
}

// scanStatus reads the row of QueryStatus. If there is no row, o.Known stays false.
func (m *masterConn) scanStatus(ctx context.Context, o *choose.Observation) error {
	var state, access, update, session, role, mirroring, safety, partner, other, witness, witnessName, name, replica sql.NullString
	var readOnly sql.NullBool
	var sequence sql.NullInt64
	var utc time.Time
	err := m.conn.QueryRowContext(ctx, QueryStatus, sql.Named("db", m.server.database)).Scan(
		&state, &readOnly, &access, &update, &session, &role, &mirroring, &sequence,
		&safety, &partner, &other, &witness, &witnessName, &utc, &name, &replica)
	if errors.Is(err, sql.ErrNoRows) {
		o.Reachable = true
		return nil
	}
	if err != nil {
		return err
	}
	o.Reachable, o.Known = true, true
	o.ClockOffset = time.Until(utc)
	o.ServerName, o.State, o.ReadOnly, o.UserAccess, o.Updateable = name.String, state.String, readOnly.Bool, access.String, update.String
	o.Session, o.Mirroring, o.Sequence, o.Safety = session.String, mirroring.String, sequence.Int64, safety.String
	o.PartnerName, o.PartnerInstance, o.WitnessState, o.WitnessName = partner.String, other.String, witness.String, witnessName.String
	o.InGroup = replica.Valid
	switch role.String {
	case "PRINCIPAL":
		o.Role = choose.RolePrincipal
	case "MIRROR":
		o.Role = choose.RoleMirror
	}
	return nil
}

// errNoEpochRow means that the extension is only partly installed.
var errNoEpochRow = errors.New("the table MirrorStateEpoch has no row: run mirrorstate install again")

// readEpoch opens the database and reads its epoch row, if it has one.
func (m *masterConn) readEpoch(ctx context.Context, o *choose.Observation) error {
	row := m.conn.QueryRowContext(ctx, ForDatabase(QueryEpoch, m.server.database))
	err := row.Scan(&o.Epoch, &o.EpochServer)
	if hasNumber(err, errInvalidObject) {
		o.Opens = true
		return nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		return errNoEpochRow
	}
	if err != nil {
		return err
	}
	o.Opens, o.Extended = true, true
	return nil
}

// takeEpoch takes the next epoch under the server name as. It fences the former principal.
func (m *masterConn) takeEpoch(ctx context.Context, as string, o *choose.Observation) error {
	row := m.conn.QueryRowContext(ctx, ForDatabase(callTakeEpoch, m.server.database), sql.Named("server", as))
	if err := row.Scan(&o.Epoch, &o.EpochServer); err != nil {
		return err
	}
	o.Opens, o.Extended = true, true
	return nil
}

// hasNumber reports whether err is an error of the server with that number.
func hasNumber(err error, number int32) bool {
	e, ok := errors.AsType[mssql.Error](err)
	return ok && e.Number == number
}
