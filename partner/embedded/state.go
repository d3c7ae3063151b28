package embedded

import (
	"crypto/rand"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// role is a partner's role in the mirroring session, numbered as in
// sys.database_mirroring.
type role int

const (
	roleNone      role = 0 // not mirrored
	rolePrincipal role = 1
	roleMirror    role = 2
)

// String is mirroring_role_desc.
func (r role) String() string { return [...]string{"", "PRINCIPAL", "MIRROR"}[r] }

// mirroring is what a partner remembers of the mirroring session, durably. It is
// replaced as a whole, never changed.
type mirroring struct {
	guid           string
	role           role
	sequence       int64 // role switches of the database, from 1
	safetyFull     bool
	safetySequence int64
	suspended      bool
	// forced: this principal was made by force and has not met its partner since.
	forced bool
	// diverged: this mirror was a principal that lost its place; until it has
	// discarded what nobody else has, it can't become principal.
	diverged bool
	timeout  int64     // seconds
	history  []roleAge // the roles that this data went through, oldest first
}

// roleAge is a reign: the time between two role switches, or from a loss of the mirror on. Two partners that know
// a reign of the same identity agree on everything up to its beginning.
type roleAge struct {
	identity string
	start    int64 // the last commit before it began
}

// keptReigns is how many reigns are remembered. Partners that have been apart for
// longer find nothing in common, and the mirror is made anew.
const keptReigns = 100

// newReign adds a reign that begins after the commit lsn.
func (m *mirroring) newReign(sequence, lsn int64) {
	m.sequence = sequence
	m.history = append(slices.Clone(m.history), roleAge{identity: newGUID(), start: lsn})
	m.history = m.history[max(0, len(m.history)-keptReigns):]
}

// reign is the identity of the reign that goes on.
func (m *mirroring) reign() string {
	if len(m.history) == 0 {
		return ""
	}
	return m.history[len(m.history)-1].identity
}

// newGUID makes a random uniqueidentifier as SQL Server writes it.
func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16]))
}

// commonPoint is the last commit that two histories share: where the first reign
// after their last common one begins, or where the shorter log ends.
func commonPoint(a, b []roleAge, lsnA, lsnB int64) int64 {
	for i, r := range slices.Backward(a) {
		j := slices.IndexFunc(b, func(o roleAge) bool { return o.identity == r.identity })
		if j < 0 {
			continue
		}
		if i+1 < len(a) {
			lsnA = min(lsnA, a[i+1].start)
		}
		if j+1 < len(b) {
			lsnB = min(lsnB, b[j+1].start)
		}
		return min(lsnA, lsnB)
	}
	return 0
}

// loadMirroring reads the state; nil if the database is new.
func (s *store) loadMirroring() (*mirroring, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := loadMirroring(s.main.conn)
	if err != nil {
		err = fmt.Errorf("read the mirroring state of %s: %w", s.path, err)
	}
	return m, err
}

func loadMirroring(c *conn) (m *mirroring, err error) {
	one, err := c.prepare(`SELECT guid, role, role_sequence, safety_full, safety_sequence, suspended, forced, diverged, timeout FROM partner_state`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, one.close()) }()
	v := make([]driver.Value, 9)
	found, err := one.row(v)
	if err != nil || !found {
		return nil, err
	}
	s := scanner{v: v}
	m = &mirroring{guid: s.text(), role: role(s.int64()), sequence: s.int64(), safetyFull: s.int64() != 0, safetySequence: s.int64(),
		suspended: s.int64() != 0, forced: s.int64() != 0, diverged: s.int64() != 0, timeout: s.int64()}
	if s.err != nil {
		return nil, s.err
	}
	m.history, err = loadHistory(c)
	return m, err
}

func loadHistory(c *conn) (history []roleAge, err error) {
	all, err := c.prepare(`SELECT identity, start_lsn FROM partner_roles ORDER BY role_sequence`)
	if err != nil {
		return nil, err
	}
	v := make([]driver.Value, 2)
	err = all.rows(v, func() bool {
		s := scanner{v: v}
		history = append(history, roleAge{identity: s.text(), start: s.int64()})
		return true
	})
	return history, errors.Join(err, all.close())
}

// saveMirroring makes the state durable, and flushes it to the disk: a role must
// not be forgotten, whatever happens to the machine.
func (s *store) saveMirroring(m *mirroring) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saveLocked(m)
}

// saveLocked is saveMirroring for who holds mu.
func (s *store) saveLocked(m *mirroring) error {
	if s.main == nil {
		return errShut
	}
	c := s.main.conn
	if err := c.script("PRAGMA synchronous = FULL"); err != nil {
		return err
	}
	err := s.main.inTransaction(func() error { return writeMirroring(c, m) })
	err = errors.Join(err, c.script("PRAGMA synchronous = NORMAL"))
	if err != nil {
		return fmt.Errorf("save the mirroring state in %s: %w", s.path, err)
	}
	return nil
}

// writeMirroring writes the state in the open transaction of c. Its texts are our
// own: GUIDs and numbers.
func writeMirroring(c *conn, m *mirroring) error {
	var text strings.Builder
	fmt.Fprintf(&text, "DELETE FROM partner_state; INSERT INTO partner_state VALUES (1, '%s', %d, %d, %d, %d, %d, %d, %d, %d);",
		m.guid, m.role, m.sequence, boolInt(m.safetyFull), m.safetySequence, boolInt(m.suspended), boolInt(m.forced), boolInt(m.diverged), m.timeout)
	text.WriteString("DELETE FROM partner_roles;")
	for i, r := range m.history {
		fmt.Fprintf(&text, "INSERT INTO partner_roles VALUES (%d, '%s', %d);", i+1, r.identity, r.start)
	}
	return c.script(text.String())
}
