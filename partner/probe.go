package partner

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
)

// SQL Server's numbers for a table and a procedure that aren't there: the database opens,
// and has no mirrorstate extension.
const (
	errInvalidObject = 208
	errNoProcedure   = 2812
)

// probe implements endpoint. A parked connection that broke says nothing about
// the server: before it is called unreachable, it gets one fresh dial. Silence is
// another matter, and reported at once.
func (s *server) probe(ctx context.Context, a ask) Observation {
	o := s.probeOnce(ctx, a)
	if o.Reachable || o.Fresh || s.parked != nil || ctx.Err() != nil || errors.Is(o.Err, context.DeadlineExceeded) {
		return o
	}
	return s.probeOnce(ctx, a)
}

// probeOnce asks on the parked connection, or on a new one if there is none.
func (s *server) probeOnce(ctx context.Context, a ask) Observation {
	o := Observation{Partner: s.name, Role: RoleUnknown}
	if a.fresh {
		s.unpark()
	}
	if s.parked == nil {
		o.Fresh = true
		m, err := s.dialMaster(ctx)
		if err != nil {
			o.Err = err
			o.Reachable = fromServer(err)
			return o
		}
		s.parked = m
	}
	// The driver would wait seconds for an answer to its cancel request: the
	// socket is cut instead, and the next probe dials.
	ctx, cancel := context.WithTimeoutCause(ctx, s.budgets.Probe, errProbeTime)
	defer cancel()
	m := s.parked
	stop := context.AfterFunc(ctx, func() { m.pool.c.cut(errProbeTime) })
	o.Err = s.ask(ctx, a, &o)
	if o.Err != nil && ctx.Err() != nil {
		o.Err = fmt.Errorf("%w: %w", context.Cause(ctx), o.Err) // the driver tells of the socket that was cut
	}
	if !stop() || o.Err != nil && isFatal(o.Err) {
		s.unpark()
	}
	return o
}

var errProbeTime = fmt.Errorf("the probe's time is over: %w", context.DeadlineExceeded)

// wordFresh is how long a status is not asked for again before an epoch is taken: the take itself
// fails where the database can't be opened and written any more.
const wordFresh = 100 * time.Millisecond

// ask runs the queries of one probe.
func (s *server) ask(ctx context.Context, a ask, o *Observation) error {
	began := time.Now()
	if a.take != "" && s.word.mayOpen() && began.Sub(s.word.Began) < wordFresh {
		fresh := o.Fresh
		*o = s.word
		o.Fresh = fresh
	} else if err := s.askStatus(ctx, o); err != nil {
		return err
	}
	if !o.mayOpen() {
		return nil
	}
	if a.take != "" {
		// To take it answers all that reading it does.
		switch err := s.takeEpoch(ctx, a.take, o); {
		case err == nil:
			return nil
		case !hasNumber(err, errNoProcedure):
			o.Reachable = fromServer(err)
			return fmt.Errorf("take the next epoch on %s: %w", s.name, err)
		}
	}
	if err := s.readEpoch(ctx, o); err != nil {
		o.Reachable = fromServer(err) || errors.Is(err, errNoEpochRow)
		return fmt.Errorf("open %s on %s: %w", s.database, s.name, err)
	}
	return nil
}

// askStatus asks what the server says of the database without opening it.
func (s *server) askStatus(ctx context.Context, o *Observation) error {
	began := time.Now()
	if err := s.readStatus(ctx, o); err != nil {
		o.Reachable = fromServer(err)
		return fmt.Errorf("read role of %s: %w", s.name, err)
	}
	o.Latency = time.Since(began)
	o.Clock += o.Latency / 2 // its clock was read half-way through
	if o.Grouped {
		if err := s.readGroup(ctx, o); err != nil {
			o.Reachable = fromServer(err)
			return fmt.Errorf("read role of %s in its availability group: %w", s.name, err)
		}
	}
	s.word = *o
	s.word.Began = began
	return nil
}

// readStatus reads the one row of queryStatus; none leaves o.Known false.
func (s *server) readStatus(ctx context.Context, o *Observation) error {
	var state, access, update, session, role, mirroring, safety, partner, other, witness, witnessName, name, replica sql.NullString
	var readOnly sql.NullBool
	var sequence sql.NullInt64
	var utc time.Time
	err := s.parked.conn.QueryRowContext(ctx, queryStatus, sql.Named("db", s.database)).Scan(
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
		o.Role = RolePrincipal
	case "MIRROR":
		o.Role = RoleMirror
	}
	return nil
}

// errNoEpochRow: the extension was installed by halves.
var errNoEpochRow = errors.New("the table MirrorStateEpoch has no row: run mirrorstate install again")

// readEpoch opens the database and reads its fencing row, if it has one.
func (s *server) readEpoch(ctx context.Context, o *Observation) error {
	row := s.parked.conn.QueryRowContext(ctx, forDatabase(queryEpoch, s.database))
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
func (s *server) takeEpoch(ctx context.Context, as string, o *Observation) error {
	row := s.parked.conn.QueryRowContext(ctx, forDatabase(callTakeEpoch, s.database), sql.Named("server", as))
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
