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

// SQL Server's numbers for a table and a procedure that aren't there: the database opens,
// and has no mirrorstate extension.
const (
	errInvalidObject = 208
	ErrNoProcedure   = 2812
)

// Probe implements endpoint. A parked connection that broke says nothing about
// the server: before it is called unreachable, it gets one fresh dial. Silence is
// another matter, and reported when the patience is over. The question then stays asked for a
// while: a slow server's answer is taken when it comes, whoever is dialled meanwhile.
func (s *Server) Probe(ctx context.Context, a Ask) Answer {
	if s.late.answered() && s.late.broken {
		s.unask() // which says nothing about the server either
	}
	if q := s.late; q != nil && (q.answered() || a.Calls.SucceededSince(q.asked, time.Now(), s.budgets.Probe)) && !a.Fresh {
		return s.await(ctx, q, a) // while calls succeed there, another connection would find out nothing
	}
	if q := s.late; q != nil && time.Since(q.asked) >= s.budgets.SlowProbe {
		s.unask()
	}
	o := s.probeOnce(ctx, a)
	if o.Reachable || o.Fresh || s.parked != nil || ctx.Err() != nil || errors.Is(o.Err, context.DeadlineExceeded) {
		return o
	}
	return s.probeOnce(ctx, a)
}

// probeOnce asks on the parked connection, or on a new one if there is none.
func (s *Server) probeOnce(ctx context.Context, a Ask) Answer {
	if a.Fresh {
		s.unpark()
	}
	m, fresh := s.parked, s.parked == nil
	if fresh {
		var err error
		if m, err = s.dialBesides(ctx); err != nil {
			if s.late.answered() && !s.late.broken {
				return s.answer(s.late)
			}
			return Answer{Observation: choose.Observation{Partner: s.name, Role: choose.RoleUnknown, Fresh: true, Err: err, Reachable: classify.FromServer(err)}}
		}
	}
	s.parked = nil // until it has answered
	return s.await(ctx, m.begin(ctx, a, fresh), a)
}

// dialBesides dials, and gives up if a late answer comes meanwhile.
func (s *Server) dialBesides(ctx context.Context) (*masterConn, error) {
	if s.late == nil {
		return s.dialMaster(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := s.late
	defer context.AfterFunc(late.over, func() {
		if !late.broken {
			cancel()
		}
	})()
	return s.dialMaster(ctx)
}

// patienceStep is how often, in parts of the probe's budget, a probe that is waited for longer looks at what the calls say.
const patienceStep = 10

// await waits for the answer to q, or for a late one to the question before, and no longer than the patience lasts. That is the
// probe's budget; more where the server is known to be slow, and its calls do not hang.
func (s *Server) await(ctx context.Context, q *question, a Ask) Answer {
	began := time.Now()
	var late <-chan struct{}
	if s.late != nil && s.late != q {
		late = s.late.over.Done()
	}
	timer := time.NewTimer(s.budgets.Probe)
	defer timer.Stop()
	for {
		select {
		case <-q.over.Done():
			return s.answer(q)
		case <-late:
			if late = nil; !s.late.broken {
				q.drop()
				return s.answer(s.late)
			}
			s.unask()
		case <-ctx.Done():
			q.drop()
			if s.late == q {
				s.late = nil
			}
			return Answer{Observation: choose.Observation{Partner: s.name, Role: choose.RoleUnknown, Fresh: q.fresh, Err: context.Cause(ctx)}}
		case <-timer.C:
		}
		if time.Since(began) >= s.patience || a.Calls.hangs(time.Now(), s.budgets.Probe) {
			return s.silence(q)
		}
		timer.Reset(s.budgets.Probe / patienceStep)
	}
}

// answer takes the answer to q. How long it took says how long the next may take.
func (s *Server) answer(q *question) Answer {
	o := Answer{Observation: q.o}
	if q == s.late {
		s.late = nil
		o.Late, o.Began, o.Asked, o.Taken = true, q.asked, q.ask.Number, q.ask.Take // it is of the time it was asked
	}
	s.unask()
	if q.broken {
		q.m.close()
	} else {
		s.unpark()
		s.parked = q.m
		s.patience = min(2*q.took, s.budgets.SlowProbe)
	}
	o.Patience = s.patience
	return o
}

// silence is what is told of a question that has no answer yet. It stays asked, unless one before it is: a server that is slow shall
// not be dialled again and again. A server that let a connection in and then does not answer is given more time on the next one.
func (s *Server) silence(q *question) Answer {
	o := Answer{Observation: choose.Observation{Partner: s.name, Role: choose.RoleUnknown, Fresh: q.fresh && q != s.late, Pending: q.asked, Err: errProbeTime}}
	if q.fresh && q != s.late {
		s.patience = min(2*max(s.patience, s.budgets.Probe), s.budgets.SlowProbe)
	}
	o.Patience = s.patience
	switch {
	case s.late == nil:
		s.late = q
	case s.late != q:
		q.drop()
	case time.Since(q.asked) >= s.budgets.SlowProbe:
		s.unask()
	}
	return o
}

// unask gives up the question that has no answer yet, if there is one.
func (s *Server) unask() {
	if s.late != nil {
		s.late.drop()
		s.late = nil
	}
}

// question is the queries of one probe, on their way on a connection that nothing else uses meanwhile.
type question struct {
	m     *masterConn
	ask   Ask
	fresh bool            // the connection was made for it
	asked time.Time       // when it was sent
	over  context.Context // ends with the answer; what follows may be read then

	o      choose.Observation
	broken bool // the connection is of no use any more
	took   time.Duration
}

// begin sends the queries of one probe. Whoever calls it takes the answer, or drops the question.
func (m *masterConn) begin(ctx context.Context, a Ask, fresh bool) *question {
	q := &question{m: m, ask: a, fresh: fresh, asked: time.Now()}
	q.o = choose.Observation{Partner: m.server.name, Role: choose.RoleUnknown, Fresh: fresh}
	over, end := context.WithCancel(context.Background())
	q.over = over
	// The driver would wait seconds for an answer to its cancel request: nothing is cancelled, and where the answer is
	// waited for no longer the socket is cut.
	ctx = context.WithoutCancel(ctx)
	go func() {
		defer end()
		q.o.Err = m.ask(ctx, a, &q.o)
		q.took = time.Since(q.asked)
		q.broken = q.o.Err != nil && classify.Fatal(q.o.Err)
	}()
	return q
}

// answered reports whether the answer is there, or the connection broke.
func (q *question) answered() bool { return q != nil && q.over.Err() != nil }

// drop cuts the connection, and waits until nobody uses it any more.
func (q *question) drop() {
	q.m.pool.c.cut(errProbeTime)
	<-q.over.Done()
	q.m.close()
}

var errProbeTime = fmt.Errorf("the probe's time is over: %w", context.DeadlineExceeded)

// wordFresh is how long a status is not asked for again before an epoch is taken: the take itself
// fails where the database can't be opened and written any more.
const wordFresh = 100 * time.Millisecond

// ask runs the queries of one probe.
func (m *masterConn) ask(ctx context.Context, a Ask, o *choose.Observation) error {
	began := time.Now()
	if a.Take != "" && m.word.MayOpen() && began.Sub(m.word.Began) < wordFresh {
		fresh := o.Fresh
		*o = m.word
		o.Fresh = fresh
	} else if err := m.askStatus(ctx, o); err != nil {
		return err
	}
	if !o.MayOpen() {
		return nil
	}
	if a.Take != "" {
		// To take it answers all that reading it does.
		switch err := m.takeEpoch(ctx, a.Take, o); {
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

// askStatus asks what the server says of the database without opening it.
func (m *masterConn) askStatus(ctx context.Context, o *choose.Observation) error {
	began := time.Now()
	if err := m.readStatus(ctx, o); err != nil {
		o.Reachable = classify.FromServer(err)
		return fmt.Errorf("read role of %s: %w", m.server.name, err)
	}
	o.Latency = time.Since(began)
	o.Clock += o.Latency / 2 // its clock was read half-way through
	if o.Grouped {
		if err := m.readGroup(ctx, o); err != nil {
			o.Reachable = classify.FromServer(err)
			return fmt.Errorf("read role of %s in its availability group: %w", m.server.name, err)
		}
	}
	m.word = *o
	m.word.Began = began
	return nil
}

// readStatus reads the one row of queryStatus; none leaves o.Known false.
func (m *masterConn) readStatus(ctx context.Context, o *choose.Observation) error {
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
	o.Clock = time.Until(utc)
	o.ServerName, o.State, o.ReadOnly, o.UserAccess, o.Updateable = name.String, state.String, readOnly.Bool, access.String, update.String
	o.Session, o.Mirroring, o.Sequence, o.Safety = session.String, mirroring.String, sequence.Int64, safety.String
	o.PartnerName, o.OtherName, o.WitnessState, o.WitnessName = partner.String, other.String, witness.String, witnessName.String
	o.Grouped = replica.Valid
	switch role.String {
	case "PRINCIPAL":
		o.Role = choose.RolePrincipal
	case "MIRROR":
		o.Role = choose.RoleMirror
	}
	return nil
}

// errNoEpochRow: the extension was installed by halves.
var errNoEpochRow = errors.New("the table MirrorStateEpoch has no row: run mirrorstate install again")

// readEpoch opens the database and reads its fencing row, if it has one.
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

// takeEpoch fences whoever was principal before.
func (m *masterConn) takeEpoch(ctx context.Context, as string, o *choose.Observation) error {
	row := m.conn.QueryRowContext(ctx, ForDatabase(callTakeEpoch, m.server.database), sql.Named("server", as))
	if err := row.Scan(&o.Epoch, &o.EpochServer); err != nil {
		return err
	}
	o.Opens, o.Extended = true, true
	return nil
}

// hasNumber says whether an error is the server's, of that number.
func hasNumber(err error, number int32) bool {
	e, ok := errors.AsType[mssql.Error](err)
	return ok && e.Number == number
}
