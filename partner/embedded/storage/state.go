package storage

import (
	"crypto/rand"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
)

// role is a partner's role in the mirroring session, numbered as in
// sys.database_mirroring.
type role int

const (
	RoleNone      role = 0 // not mirrored
	RolePrincipal role = 1
	RoleMirror    role = 2
)

// String is mirroring_role_desc.
func (r role) String() string { return [...]string{"", "PRINCIPAL", "MIRROR"}[r] }

// Mirroring is what a partner remembers of the mirroring session, durably. It is
// replaced as a whole, never changed.
type Mirroring struct {
	GUID           string
	Role           role
	Sequence       int64 // role switches of the database, from 1
	SafetyFull     bool
	SafetySequence int64
	Suspended      bool
	// forced: this principal was made by force and has not met its partner since.
	Forced bool
	// diverged: this mirror was a principal that lost its place; until it has
	// discarded what nobody else has, it can't become principal.
	Diverged bool
	Timeout  int64          // seconds
	History  []RecoveryFork // the roles that this data went through, oldest first
}

// RoleAge is a reign: the time between two role switches, or from a loss of the mirror on. Two partners that know
// a reign of the same identity agree on everything up to its beginning.
type RecoveryFork struct {
	ID    string
	Start int64 // the last commit before it began
}

// keptReigns is how many reigns are remembered. Partners that have been apart for
// longer find nothing in common, and the mirror is made anew.
const keptForks = 100

// NewReign adds a reign that begins after the commit lsn.
func (m *Mirroring) NewFork(sequence, lsn int64) {
	m.Sequence = sequence
	m.History = append(slices.Clone(m.History), RecoveryFork{ID: NewGUID(), Start: lsn})
	m.History = m.History[max(0, len(m.History)-keptForks):]
}

// Reign is the identity of the reign that goes on.
func (m *Mirroring) ForkID() string {
	if len(m.History) == 0 {
		return ""
	}
	return m.History[len(m.History)-1].ID
}

// NewGUID makes a random uniqueidentifier as SQL Server writes it.
func NewGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16]))
}

// CommonPoint is the last commit that two histories share: where the first reign
// after their last common one begins, or where the shorter log ends.
func CommonPoint(a, b []RecoveryFork, lsnA, lsnB int64) int64 {
	for i, r := range slices.Backward(a) {
		j := slices.IndexFunc(b, func(o RecoveryFork) bool { return o.ID == r.ID })
		if j < 0 {
			continue
		}
		if i+1 < len(a) {
			lsnA = min(lsnA, a[i+1].Start)
		}
		if j+1 < len(b) {
			lsnB = min(lsnB, b[j+1].Start)
		}
		return min(lsnA, lsnB)
	}
	return 0
}

// LoadMirroring reads the state; nil if the database is new.
func (s *Store) LoadMirroring() (*Mirroring, error) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	m, err := loadMirroring(s.Main.Conn)
	if err != nil {
		err = fmt.Errorf("read the mirroring state of %s: %w", s.Path, err)
	}
	return m, err
}

func loadMirroring(c *Conn) (m *Mirroring, err error) {
	one, err := c.Prepare(`SELECT guid, role, role_sequence, safety_full, safety_sequence, suspended, forced, diverged, timeout FROM partner_state`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, one.Close()) }()
	v := make([]driver.Value, 9)
	found, err := one.Row(v)
	if err != nil || !found {
		return nil, err
	}
	s := Scanner{V: v}
	m = &Mirroring{GUID: s.Text(), Role: role(s.Int64()), Sequence: s.Int64(), SafetyFull: s.Int64() != 0, SafetySequence: s.Int64(),
		Suspended: s.Int64() != 0, Forced: s.Int64() != 0, Diverged: s.Int64() != 0, Timeout: s.Int64()}
	if s.Err != nil {
		return nil, s.Err
	}
	m.History, err = loadHistory(c)
	return m, err
}

func loadHistory(c *Conn) (history []RecoveryFork, err error) {
	all, err := c.Prepare(`SELECT identity, start_lsn FROM partner_roles ORDER BY role_sequence`)
	if err != nil {
		return nil, err
	}
	v := make([]driver.Value, 2)
	err = all.Rows(v, func() bool {
		s := Scanner{V: v}
		history = append(history, RecoveryFork{ID: s.Text(), Start: s.Int64()})
		return true
	})
	return history, errors.Join(err, all.Close())
}

// SaveMirroring makes the state durable, and flushes it to the disk: a role must
// not be forgotten, whatever happens to the machine.
func (s *Store) SaveMirroring(m *Mirroring) error {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.SaveLocked(m)
}

// SaveLocked is saveMirroring for who holds mu.
func (s *Store) SaveLocked(m *Mirroring) error {
	if s.Main == nil {
		return errShut
	}
	c := s.Main.Conn
	if err := c.Script("PRAGMA synchronous = FULL"); err != nil {
		return err
	}
	err := s.Main.InTransaction(func() error { return WriteMirroring(c, m) })
	err = errors.Join(err, c.Script("PRAGMA synchronous = NORMAL"))
	if err != nil {
		return fmt.Errorf("save the mirroring state in %s: %w", s.Path, err)
	}
	return nil
}

// WriteMirroring writes the state in the open transaction of c. Its texts are our
// own: GUIDs and numbers.
func WriteMirroring(c *Conn, m *Mirroring) error {
	var text strings.Builder
	fmt.Fprintf(&text, "DELETE FROM partner_state; INSERT INTO partner_state VALUES (1, '%s', %d, %d, %d, %d, %d, %d, %d, %d);",
		m.GUID, m.Role, m.Sequence, sqlvalue.BoolInt(m.SafetyFull), m.SafetySequence, sqlvalue.BoolInt(m.Suspended), sqlvalue.BoolInt(m.Forced), sqlvalue.BoolInt(m.Diverged), m.Timeout)
	text.WriteString("DELETE FROM partner_roles;")
	for i, r := range m.History {
		fmt.Fprintf(&text, "INSERT INTO partner_roles VALUES (%d, '%s', %d);", i+1, r.ID, r.Start)
	}
	return c.Script(text.String())
}
