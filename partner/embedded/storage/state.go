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

// role is a partner's role in the mirroring session, numbered as in sys.database_mirroring.
type role int

const (
	RoleNone      role = 0 // not mirrored
	RolePrincipal role = 1
	RoleMirror    role = 2
)

// String returns mirroring_role_desc.
func (r role) String() string { return [...]string{"", "PRINCIPAL", "MIRROR"}[r] }

// Mirroring is the durable state of the mirroring session on a partner. It is replaced as a whole, never changed.
type Mirroring struct {
	GUID           string
	Role           role
	Sequence       int64 // number of role switches of the database, from 1
	SafetyFull     bool
	SafetySequence int64
	Suspended      bool
	// Forced is true if a forced service made this copy principal, and it has not been connected to its partner since.
	Forced bool
	// Diverged is true if this mirror was a principal and lost the role. Such a mirror cannot become principal until it
	// has discarded the commits that no other copy has.
	Diverged bool
	Timeout  int64          // seconds
	History  []RecoveryFork // the recovery forks of this data, oldest first
}

// RecoveryFork is a range of commits, as in sys.database_recovery_status: from a role switch or the loss of the
// mirror to the next one. Two partners with a recovery fork of the same identity have the same commits up to its
// beginning.
type RecoveryFork struct {
	ID    string
	Start int64 // the last commit before the fork
}

// keptForks is the number of recovery forks that are kept. Partners that have been disconnected for longer have
// no common fork, and the mirror is copied as a whole.
const keptForks = 100

// NewFork adds a recovery fork that begins after the commit lsn.
func (m *Mirroring) NewFork(sequence, lsn int64) {
	m.Sequence = sequence
	m.History = append(slices.Clone(m.History), RecoveryFork{ID: NewGUID(), Start: lsn})
	m.History = m.History[max(0, len(m.History)-keptForks):]
}

// ForkID returns the identity of the current recovery fork.
func (m *Mirroring) ForkID() string {
	if len(m.History) == 0 {
		return ""
	}
	return m.History[len(m.History)-1].ID
}

// NewGUID returns a random uniqueidentifier as SQL Server writes it.
func NewGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16]))
}

// CommonPoint returns the last commit that two histories share: the beginning of the first recovery fork after
// their last common one, or the end of the shorter log.
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

// SaveMirroring stores the state durably and flushes it to the disk, because a role must survive a crash of the
// machine.
func (s *Store) SaveMirroring(m *Mirroring) error {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.SaveLocked(m)
}

// SaveLocked is SaveMirroring for a caller that holds Mu.
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

// WriteMirroring writes the state in the open transaction of c. Its texts need no escaping: they are GUIDs and
// numbers.
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
