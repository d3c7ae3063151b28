package embedded

import "slices"

// transaction is what one procedure call sees and does: rows as its group of
// calls and it itself left them. It decides first and writes last: what it puts
// is taken or dropped as a whole, so that one call's error never undoes another's.
type transaction struct {
	from  *reader
	group map[rowKey]row // what earlier calls of the group put; nil: nothing
	own   []change       // what this call puts
	epoch *epochRow      // the epoch row as committed; nil if there is none

	caught bool // what is put stands in a TRY whose CATCH passes over a lack of room
	noRoom bool // there was none: nothing of that is to be put

	now   datetime  // GETUTCDATE()
	clock datetime2 // SYSUTCDATETIME()
}

func newTransaction(from *reader, group map[rowKey]row, epoch *epochRow) *transaction {
	return &transaction{from: from, group: group, epoch: epoch, now: utcNow(), clock: clockNow()}
}

// mayFail begins the TRY of a procedure that answers as well if there is no room for what
// it puts. It says whether to put it.
func (t *transaction) mayFail() bool {
	t.caught = true
	return !t.noRoom
}

// seen finds the row among what the group and the call have put.
func (t *transaction) seen(tb table, key string) (r row, ok bool) {
	for _, c := range slices.Backward(t.own) {
		if c.table == tb && c.key == key {
			return c.row, true
		}
	}
	r, ok = t.group[rowKey{tb, key}]
	return r, ok
}

// session reads a session; nil if there is none.
func (t *transaction) session(id argument) (*sessionRow, error) {
	if !id.ok {
		return nil, nil
	}
	if r, ok := t.seen(tableSessions, foldKey(id.s)); ok {
		s, _ := r.(*sessionRow)
		return s, nil
	}
	return t.from.sessionRow(id.s)
}

// put writes the row. It must not be changed afterwards.
func (t *transaction) put(r row) {
	t.own = append(t.own, change{table: r.table(), key: r.key(), row: r})
}

// remove removes the row.
func (t *transaction) remove(r row) {
	t.own = append(t.own, change{table: r.table(), key: r.key()})
}

// epochRow reads the row that fences; nil if there is none.
func (t *transaction) epochRow() *epochRow {
	if r, ok := t.seen(tableEpoch, epochKey); ok {
		e, _ := r.(*epochRow)
		return e
	}
	return t.epoch
}

// application reads an application by its id.
func (t *transaction) application(id int32) (*applicationRow, error) {
	key := (&applicationRow{id: id}).key()
	r, ok := t.seen(tableApplications, key)
	if !ok {
		var err error
		if r, err = t.from.row(tableApplications, key); err != nil {
			return nil, err
		}
	}
	a, _ := r.(*applicationRow)
	return a, nil
}

// applicationNamed reads an application by its name.
func (t *transaction) applicationNamed(name string) (*applicationRow, error) {
	name = trimBlanks(name)
	found, err := t.from.applicationsNamed(name)
	for _, a := range found {
		if _, changed := t.seen(tableApplications, a.key()); !changed {
			return a, nil
		}
	}
	var latest *applicationRow
	t.each(tableApplications, func(r row) {
		if a := r.(*applicationRow); foldKey(a.name) == foldKey(name) {
			latest = a
		}
	})
	return latest, err
}

// each visits the rows of a table that the group and the call have put.
func (t *transaction) each(tb table, visit func(r row)) {
	for k, r := range t.group {
		if k.table == tb && r != nil && !t.owns(k) {
			visit(r)
		}
	}
	for i, c := range t.own {
		last := !slices.ContainsFunc(t.own[i+1:], func(l change) bool { return l.table == tb && l.key == c.key })
		if c.table == tb && c.row != nil && last {
			visit(c.row)
		}
	}
}

func (t *transaction) owns(k rowKey) bool {
	return slices.ContainsFunc(t.own, func(c change) bool { return c.table == k.table && c.key == k.key })
}

// tombstoned tells whether the session has a tombstone of that operation.
func (t *transaction) tombstoned(id argument, op operation) (bool, error) {
	if !id.ok || op == "" {
		return false, nil
	}
	key := tombstoneKey(id.s, op)
	r, ok := t.seen(tableTombstones, key)
	if !ok {
		var err error
		if r, err = t.from.row(tableTombstones, key); err != nil {
			return false, err
		}
	}
	return r != nil, nil
}

// removals reads what is remembered of the session's removals.
func (t *transaction) removals(id argument) (all []*tombstoneRow, err error) {
	if !id.ok {
		return nil, nil
	}
	found, err := t.from.tombstonesOfSession(id.s)
	for _, r := range found {
		if _, changed := t.seen(tableTombstones, r.key()); !changed {
			all = append(all, r)
		}
	}
	t.each(tableTombstones, func(r row) {
		if s := r.(*tombstoneRow); foldKey(s.id) == foldKey(id.s) {
			all = append(all, s)
		}
	})
	return all, err
}

// fate is what the tombstones of a session say of an operation that was first sent
// at some time.
type fate struct {
	removed bool // the session was removed since
	done    bool // a session that was removed remembered the operation
	unknown bool // one that was removed since has forgotten operations since
	notDone bool // one that was there then and was removed since has forgotten nothing since

	buried []datetime // when those that were removed had been made
}

// removedOf is: one that was removed had been made at @waited.
func (f *fate) removedOf(waited argument) bool {
	return waited.ok && slices.Contains(f.buried, waited.date())
}

// sameTick is: one that was removed had been made just now, as Created tells.
func (f *fate) sameTick(t *transaction) bool { return slices.Contains(f.buried, t.now) }

// removedOf asks the tombstones.
func (t *transaction) removedOf(id, waited argument) (bool, error) {
	if !waited.ok {
		return false, nil
	}
	f, err := t.fateOf(id, argument{}, argument{})
	return f.removedOf(waited), err
}

// fateOf asks the tombstones.
func (t *transaction) fateOf(id, since, op argument) (f fate, err error) {
	all, err := t.removals(id)
	for _, r := range all {
		f.done, f.buried = f.done || r.remembers(op), append(f.buried, r.created)
		if since.ok && r.removed >= since.date2() {
			f.removed = true
			overrun := !r.forgotten.null() && r.forgotten >= since.date2()
			f.unknown = f.unknown || overrun
			f.notDone = f.notDone || !overrun && r.created.before(since)
		}
	}
	return f, err
}
