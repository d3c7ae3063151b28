package embedded

import (
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// The parameters of a timeout that callers may leave out.
var (
	paramTimeoutLater   = parameter{name: "@timeout", typ: tds.Int, optional: true}
	paramTimeoutSeconds = parameter{name: "@timeoutSeconds", typ: tds.Int, optional: true}
)

// timeoutGiven is a timeout that a call sets: @timeout, @timeoutSeconds and @given. Source:
// 40-extension-sessions.sql.
type timeoutGiven struct {
	minutes, seconds argument
	ends             argument // a datetime, when a session ends that is used now
}

func givenOf(t *transaction, minutes, seconds argument) (timeoutGiven, error) {
	g := timeoutGiven{minutes: minutes, seconds: seconds}
	var d datetime
	switch {
	case seconds.ok:
		d = t.now.addSeconds(seconds.n)
	case minutes.ok:
		d = t.now.addMinutes(minutes.n)
	default:
		return g, nil
	}
	if !d.inRange() {
		_, err := expiry(lastDate, 1)
		return g, err
	}
	g.ends = argument{ok: true, n: int64(d)}
	return g, nil
}

// slid is COALESCE(@given, when the session ends by its own timeout).
func (g *timeoutGiven) slid(t *transaction, s *sessionRow) (datetime, error) {
	if g.ends.ok {
		return g.ends.date(), nil
	}
	if s.inSeconds() {
		return t.now.addSeconds(int64(s.timeoutSeconds.n)), nil
	}
	return expiry(t.now, s.timeout)
}

// set sets the timeout, where one is given.
func (g *timeoutGiven) set(s *sessionRow, clock datetime2) {
	if g.minutes.ok {
		s.timeout, s.timeoutSeconds, s.timeoutDate = g.minutes.int32(), g.secondsOnly(), clock
	}
}

// secondsOnly is CASE WHEN @timeout IS NOT NULL THEN @timeoutSeconds END.
func (g *timeoutGiven) secondsOnly() nullInt {
	return nullInt{g.seconds.int32(), g.minutes.ok && g.seconds.ok}
}

// inSeconds is (TimeoutSeconds + 59) / 60 = Timeout.
func (s *sessionRow) inSeconds() bool {
	return s.timeoutSeconds.ok && (s.timeoutSeconds.n+59)/60 == s.timeout
}

// told is the Timeout that is answered: minutes, or seconds below zero.
func (s *sessionRow) told() int32 {
	if s.inSeconds() {
		return -s.timeoutSeconds.n
	}
	return s.timeout
}

// slide is the sliding of a read: only when less than the full timeout is left,
// and then with five percent to spare, so that most reads write nothing; to the
// second where the timeout is in seconds.
func slide(t *transaction, c *situation) error {
	s := *c.s
	if s.expires = t.now.addSeconds(int64(s.timeout) * 63); s.inSeconds() {
		s.expires = t.now.addSeconds(int64(s.timeoutSeconds.n))
	}
	if !s.expires.inRange() {
		_, err := expiry(lastDate, 1)
		return err
	}
	t.put(&s)
	c.s = &s
	return nil
}

// due reports whether less than the full timeout is left.
func due(t *transaction, s *sessionRow) bool {
	if s.inSeconds() {
		return s.expires < t.now.addSeconds(int64(s.timeoutSeconds.n))
	}
	return s.expires < t.now.addMinutes(int64(s.timeout))
}

// mayTouch reports whether a touch writes: it sets a timeout that nobody has set, nor made the
// session, since it was sent; or it sets none, and the session is due.
func (g *timeoutGiven) mayTouch(t *transaction, s *sessionRow, sent argument) bool {
	if !g.minutes.ok {
		return due(t, s)
	}
	if s.timeoutDate.null() {
		return sent.ok && s.created.before(sent)
	}
	return sent.ok && s.timeoutDate < sent.date2()
}

func touchSession(t *transaction, a arguments) (*result, error) {
	id, epoch, notAfter, lockTimeout, sent := a[0], a[1], a[2], a[3], a[4]
	g, err := givenOf(t, a[5], a[6])
	if err != nil {
		return nil, err
	}
	c, err := look(t, id, epoch, lockTimeout)
	if err != nil {
		return nil, err
	}
	if c.e == nil {
		return noRow(columnsWithoutItem), nil
	}
	wrote := false
	if c.s != nil && g.mayTouch(t, c.s, sent) && (c.s.expires > t.now || c.heldAlive()) && inTime(t, notAfter) && c.sameEpoch {
		if err := slide(t, &c); err != nil {
			return nil, err
		}
		if wrote = true; g.ends.ok {
			s := *c.s
			s.expires = g.ends.date()
			g.set(&s, t.clock)
			t.put(&s)
			c.s = &s
		}
	}
	outcome := int64(resultDone)
	switch {
	case c.moved:
		outcome = resultMoved
	case c.s == nil, c.s.expires <= t.now && c.free():
		outcome = resultNoSession
	case late(t, notAfter), g.minutes.ok && !wrote:
		outcome = resultAgain
	}
	return notApplied(t, outcome, c.s)
}
