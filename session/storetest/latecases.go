package storetest

import "github.com/mirrorstate/mirrorstate/session"

// lateCases are all mutations, each with its possible answers and with what can happen to the session between the
// answer and the late attempt.
var lateCases = []lateCase{
	{name: "a put that made the session, removed by .NET since",
		prepare: func(s *scene) mutation { return s.putting(unconditional) },
		since:   netRemoves, needs: []need{beside}, netRemoves: true},
	{name: "a put that made the session, removed since",
		prepare: func(s *scene) mutation { return s.putting(unconditional) },
		since:   func(s *scene) { s.remove(noLock) }},
	{name: "a put that made the session, removed and made again since",
		prepare: func(s *scene) mutation { return s.putting(unconditional) },
		since:   func(s *scene) { s.remove(noLock); s.create() }},
	{name: "a put that made the session, removed by .NET and made again since",
		prepare: func(s *scene) mutation { return s.putting(unconditional) },
		since:   func(s *scene) { netRemoves(s); s.create() }, needs: []need{beside}, netRemoves: true},
	{name: "a put that made the session, removed and made again by .NET since",
		prepare: func(s *scene) mutation { return s.putting(unconditional) },
		since:   func(s *scene) { s.remove(noLock); netMakes(s) }, needs: []need{beside}},
	{name: "a put over a session, overwritten since",
		prepare: func(s *scene) mutation { s.old(); return s.putting(unconditional) },
		since:   func(s *scene) { s.create() }},
	{name: "a put over a session that has forgotten it since",
		prepare: func(s *scene) mutation { s.old(); return s.putting(unconditional) },
		since:   func(s *scene) { s.forget() }, forgotten: true},
	{name: "a put over a session, removed by .NET since",
		prepare: func(s *scene) mutation { s.old(); return s.putting(unconditional) },
		since:   netRemoves, needs: []need{beside}, netRemoves: true},
	{name: "a put that met a lock, which was released since",
		prepare: heldByAnother(func(s *scene) mutation { return s.putting(unconditional) }), want: session.ErrLocked,
		since: func(s *scene) { s.update(s.other, blob(20)) }},
	{name: "a put that met a lock, whose holder removed the session since",
		prepare: heldByAnother(func(s *scene) mutation { return s.putting(unconditional) }), want: session.ErrLocked,
		since: func(s *scene) { s.remove(s.other) }},
	{name: "a put that met .NET's lock, whose holder removed the session since",
		prepare: func(s *scene) mutation { s.old(); netTakesLock(s); return s.putting(unconditional) }, want: session.ErrLocked,
		since: netRemoves, needs: []need{beside}},
	{name: "a create that found a session, removed by .NET since",
		prepare: func(s *scene) mutation { s.old(); return s.putting(session.Condition{OnlyCreate: true}) }, want: session.ErrPrecondition,
		since: netRemoves, needs: []need{beside}},
	{name: "a create that found a session, removed since",
		prepare: func(s *scene) mutation { s.old(); return s.putting(session.Condition{OnlyCreate: true}) }, want: session.ErrPrecondition,
		since: func(s *scene) { s.remove(noLock) }},
	{name: "a create, removed by .NET since",
		prepare: func(s *scene) mutation { return s.putting(session.Condition{OnlyCreate: true}) },
		since:   netRemoves, needs: []need{beside}, netRemoves: true},
	{name: "a put with a tag, overwritten since",
		prepare: func(s *scene) mutation { return s.putting(session.Condition{Match: s.fresh().Tag}) },
		since:   func(s *scene) { s.create() }},
	{name: "a put with a tag, removed and made again since",
		prepare: func(s *scene) mutation { return s.putting(session.Condition{Match: s.fresh().Tag}) },
		since:   func(s *scene) { s.remove(noLock); s.create() }},
	{name: "a put with the tag of a locked version, whose lock is abandoned since",
		prepare: heldByAnother(func(s *scene) mutation {
			sess, err := s.peek()
			s.noError("peek", err)
			return s.putting(session.Condition{Match: sess.Tag})
		}), want: session.ErrLocked, since: func(s *scene) { s.abandon() }, needs: []need{aged}},
	{name: "a put with another version's tag",
		prepare: func(s *scene) mutation {
			old := s.fresh().Tag
			s.create()
			return s.putting(session.Condition{Match: old})
		}, want: session.ErrPrecondition, since: func(s *scene) { s.create() }},
	{name: "an update that keeps the lock, and five more since",
		prepare: heldByUs(func(s *scene) mutation { return s.updating(s.own, true) }),
		since: func(s *scene) {
			for range 5 {
				s.keep(s.own, blob(20))
			}
		}, forgotten: true},
	{name: "an update that keeps the lock, and one more since",
		prepare: heldByUs(func(s *scene) mutation { return s.updating(s.own, true) }),
		since:   func(s *scene) { s.keep(s.own, blob(20)) }},
	{name: "an update, and another's since",
		prepare: heldByUs(func(s *scene) mutation { return s.updating(s.own, false) }),
		since:   func(s *scene) { _, lock := s.acquire(); s.update(lock, blob(20)) }},
	{name: "an update that was forgotten since",
		prepare: heldByUs(func(s *scene) mutation { return s.updating(s.own, false) }),
		since:   func(s *scene) { s.forget() }},
	{name: "an update, removed since",
		prepare: heldByUs(func(s *scene) mutation { return s.updating(s.own, false) }),
		since:   func(s *scene) { s.remove(noLock) }},
	{name: "an update with a lock that was lost, while another holds it",
		prepare: heldByUs(func(s *scene) mutation {
			s.release(s.own)
			_, s.other = s.acquire()
			return s.updating(s.own, false)
		}), want: session.ErrLockLost, since: func(s *scene) { s.update(s.other, blob(20)) }},
	{name: "a release, and another's lock since",
		prepare: heldByUs(func(s *scene) mutation { return s.releasing(s.own) }),
		since:   func(s *scene) { s.acquire() }},
	{name: "a release that was forgotten since, and another's lock",
		prepare: heldByUs(func(s *scene) mutation { return s.releasing(s.own) }),
		since:   func(s *scene) { s.forget(); s.acquire() }},
	{name: "a removal of what was not there, made since",
		prepare: func(s *scene) mutation { return s.removing(noLock) },
		since:   func(s *scene) { s.create() }},
	{name: "a removal of what was not there, made by .NET since",
		prepare: func(s *scene) mutation { return s.removing(noLock) },
		since:   netMakes, needs: []need{beside}},
	{name: "a removal, made again since",
		prepare: func(s *scene) mutation { s.old(); return s.removing(noLock) },
		since:   func(s *scene) { s.create() }},
	{name: "a removal, made again by .NET since",
		prepare: func(s *scene) mutation { s.old(); return s.removing(noLock) },
		since:   netMakes, needs: []need{beside}},
	{name: "a removal with a lock, made again since",
		prepare: heldByUs(func(s *scene) mutation { return s.removing(s.own) }),
		since:   func(s *scene) { s.create() }},
	{name: "a removal that met a lock, which was released since",
		prepare: heldByAnother(func(s *scene) mutation { return s.removing(noLock) }), want: session.ErrLocked,
		since: func(s *scene) { s.update(s.other, blob(20)) }},
	{name: "a removal that met .NET's lock, which was released since",
		prepare: func(s *scene) mutation { s.old(); netTakesLock(s); return s.removing(noLock) }, want: session.ErrLocked,
		since: netStores, needs: []need{beside}},
	{name: "a removal past a lock, made again since",
		prepare: heldByAnother(func(s *scene) mutation { return s.breakingLock() }),
		since:   func(s *scene) { s.create() }},
	{name: "a removal past a lock, made again and locked since",
		prepare: heldByAnother(func(s *scene) mutation { return s.breakingLock() }),
		since:   func(s *scene) { s.create(); s.acquire() }},
	{name: "a removal past a lock of what was not there, made and locked since",
		prepare: func(s *scene) mutation { return s.breakingLock() },
		since:   func(s *scene) { s.create(); s.acquire() }},
	{name: "an acquire, removed and made again since",
		prepare: func(s *scene) mutation { s.old(); return s.acquiring(&s.own) },
		since:   func(s *scene) { s.remove(s.own); s.create() }},
	{name: "an acquire, removed by .NET and made again since",
		prepare: func(s *scene) mutation { s.old(); return s.acquiring(&s.own) },
		since:   func(s *scene) { netRemoves(s); s.create() }, needs: []need{beside}, netRemoves: true},
	{name: "an acquire, released since",
		prepare: func(s *scene) mutation { s.old(); return s.acquiring(&s.own) },
		since:   func(s *scene) { s.update(s.own, blob(20)) }},
	{name: "an acquire, released and forgotten since",
		prepare: func(s *scene) mutation { s.old(); return s.acquiring(&s.own) },
		since:   func(s *scene) { s.update(s.own, blob(20)); s.forget() }, forgotten: true},
	{name: "an acquire whose lock is held still",
		prepare: func(s *scene) mutation { s.old(); return s.acquiring(&s.own) },
		since:   func(s *scene) { s.keep(s.own, blob(20)) }},
	{name: "an acquire that met a lock, which was released since",
		prepare: heldByAnother(func(s *scene) mutation { return s.acquiring(&s.own) }), want: session.ErrLocked,
		since: func(s *scene) { s.update(s.other, blob(20)) }},
	{name: "an acquire that met .NET's lock, which was released since",
		prepare: func(s *scene) mutation { s.old(); netTakesLock(s); return s.acquiring(&s.own) }, want: session.ErrLocked,
		since: netStores, needs: []need{beside}},
	{name: "an acquire that made the session, removed since",
		prepare: func(s *scene) mutation { return s.making(&s.own) },
		since:   func(s *scene) { s.remove(s.own) }},
	{name: "an acquire that made the session, removed past its lock since",
		prepare: func(s *scene) mutation { return s.making(&s.own) },
		since:   func(s *scene) { s.noError("remove", s.Store.Remove(s.ctx, s.ref, noLock, past())) }},
	{name: "an acquire that made the session, removed and made again since",
		prepare: func(s *scene) mutation { return s.making(&s.own) },
		since:   func(s *scene) { s.remove(s.own); s.create() }},
	{name: "an acquire that made the session, removed by .NET since",
		prepare: func(s *scene) mutation { return s.making(&s.own) },
		since:   netRemoves, needs: []need{beside}, netRemoves: true},
	{name: "an acquire that made the session, removed and made again by .NET since",
		prepare: func(s *scene) mutation { return s.making(&s.own) },
		since:   func(s *scene) { s.remove(s.own); netMakes(s) }, needs: []need{beside}},
	{name: "an acquire that made the session, stored and forgotten since",
		prepare: func(s *scene) mutation { return s.making(&s.own) },
		since:   func(s *scene) { s.update(s.own, blob(20)); s.forget() }, forgotten: true},
	{name: "an acquire that would make the session and met a lock, whose holder removed the session since",
		prepare: heldByAnother(func(s *scene) mutation { return s.making(&s.own) }), want: session.ErrLocked,
		since: func(s *scene) { s.remove(s.other) }},
	{name: "an acquire that made an expired session anew, and another's lock since",
		prepare: func(s *scene) mutation { s.old(); s.age(over); return s.making(&s.own) },
		since:   func(s *scene) { s.update(s.own, blob(20)); s.acquire() }, needs: []need{aged}},
	{name: "a touch with a timeout, and another's since", touches: true,
		prepare: func(s *scene) mutation { s.old(); return s.touching(35) },
		since:   func(s *scene) { s.noError("touch", s.touching(45)(s.ctx, session.Operation{})) }},
	{name: "a touch with a timeout, and an acquire with one since", touches: true,
		prepare: func(s *scene) mutation { s.old(); return s.touching(35) },
		since:   func(s *scene) { timeoutVerbs["acquire"](s, session.Operation{Timeout: 45}) }},
	{name: "a touch with a timeout, removed and made again since", touches: true,
		prepare: func(s *scene) mutation { s.old(); return s.touching(35) },
		since:   func(s *scene) { s.remove(noLock); s.create() }},
	{name: "a touch with a timeout, removed and made again by .NET since", touches: true,
		prepare: func(s *scene) mutation { s.old(); return s.touching(35) },
		since:   func(s *scene) { s.remove(noLock); netMakes(s) }, needs: []need{beside}},
	{name: "an acquire of what was not there, made since",
		prepare: func(s *scene) mutation { return s.acquiring(&s.own) }, want: session.ErrNotFound,
		since: func(s *scene) { s.create() }},
	{name: "an acquire of what was not there, made by .NET since",
		prepare: func(s *scene) mutation { return s.acquiring(&s.own) }, want: session.ErrNotFound,
		since: netMakes, needs: []need{beside}},
}

// heldByUs creates the session and takes its lock as s.own.
func heldByUs(then func(s *scene) mutation) func(s *scene) mutation {
	return func(s *scene) mutation {
		s.old()
		_, s.own = s.acquire()
		return then(s)
	}
}

// heldByAnother creates the session and takes its lock as s.other.
func heldByAnother(then func(s *scene) mutation) func(s *scene) mutation {
	return func(s *scene) mutation {
		s.old()
		_, s.other = s.acquire()
		return then(s)
	}
}

// fresh creates the session and reads it.
func (s *scene) fresh() session.Session {
	s.Helper()
	s.old()
	return s.get()
}

// old creates a session that is older than what is done to it from now on.
func (s *scene) old() {
	s.Helper()
	s.create()
	if s.Older != nil {
		s.Older(s.T, s.ref)
	}
}

// netKey is the session's key as .NET writes it.
func (s *scene) netKey() (NetClient, string) {
	s.Helper()
	net := s.Net(s.T)
	id, err := net.AppID(s.ctx, s.ref.App.Name)
	s.noError("AppID", err)
	return net, s.ref.ID.Key(id)
}

// netMakes has .NET create the session.
func netMakes(s *scene) {
	s.Helper()
	net, key := s.netKey()
	s.noError(".NET's insert", net.InsertShort(s.ctx, key, blob(20), 20))
}

// netTakesLock has .NET take the lock.
func netTakesLock(s *scene) {
	s.Helper()
	net, key := s.netKey()
	item, err := net.GetItemExclusive3(s.ctx, key)
	s.noError(".NET's lock", err)
	s.netCookie = item.LockCookie
}

// netStores has .NET store and release under the lock that netTakesLock took.
func netStores(s *scene) {
	s.Helper()
	net, key := s.netKey()
	s.noError(".NET's update", net.UpdateShortNullLong(s.ctx, key, blob(20), 20, s.netCookie))
}

// netRemoves has .NET remove the session, whoever holds its lock: it uses the cookie that it reads.
func netRemoves(s *scene) {
	s.Helper()
	net, key := s.netKey()
	item, err := net.GetItemExclusive3(s.ctx, key)
	s.noError(".NET's read", err)
	s.noError(".NET's removal", net.Remove(s.ctx, key, item.LockCookie))
	s.gone()
}
