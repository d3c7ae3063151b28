package logins

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// The rules for a peer whose logins fail. A peer is an address, of IPv6 its /64. A right password is never delayed, and
// never forgives: whoever has one login might guess at another.
const (
	FreeFailures   = 3                      // so many wrong ones cost nothing: a typing error, a pool's first try
	firstDelay     = 100 * time.Millisecond // doubled with each more
	LongestDelay   = 3 * time.Second        // below any client's login timeout
	ForgetFailures = time.Minute            // after so long without another

	// So many answers of one peer, and of all, are put off at a time. Further logins of a peer beyond the first number are
	// refused without a look at the password, so that many connections guess no faster than few; not those
	// of this machine, where honest clients have the same address.
	MaxDelayed      = 8
	maxDelayedInAll = 256

	MaxPeers     = 1024
	RefusalEvery = 10 * time.Second // a log line a peer
)

// failingPeer is what is kept of one.
type failingPeer struct {
	failures int       // in a row, as far as they are not forgotten
	last     time.Time // of them
	delayed  int       // answers that are put off now
	told     time.Time // when it was last in the log
	untold   int64     // failures since
}

// FailedLogins slows down whoever guesses at passwords.
type FailedLogins struct {
	mu      sync.Mutex
	Peers   map[netip.Addr]*failingPeer
	Delayed int // in all
}

// PeerOf is the peer of an address; false: it has none that is slowed down (a pipe's).
func PeerOf(a net.Addr) (netip.Addr, bool) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	ip, ok := netip.AddrFromSlice(tcp.IP)
	if ip = ip.Unmap(); !ok || ip.Is4() || ip.IsLoopback() {
		return ip, ok
	}
	network, err := ip.WithZone("").Prefix(64)
	return network.Addr(), err == nil
}

// Unlooked reports whether the peer's login is refused without a look at its password.
func (f *FailedLogins) Unlooked(a net.Addr) bool {
	peer, ok := PeerOf(a)
	if !ok || peer.IsLoopback() {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.Peers[peer]
	return p != nil && p.delayed >= MaxDelayed
}

// Failed notes a failure, writes it into the log, and returns when it may be answered.
func (f *FailedLogins) Failed(ctx context.Context, log *slog.Logger, a net.Addr, user string) {
	peer, ok := PeerOf(a)
	if !ok {
		log.Warn("login failed", "user", clipped(user), "peer", a)
		return
	}
	f.mu.Lock()
	p := f.noteLocked(peer, time.Now())
	p.untold++
	times := int64(0)
	if time.Since(p.told) >= RefusalEvery {
		times, p.untold, p.told = p.untold, 0, time.Now()
	}
	delay := delayAfter(p.failures)
	if delay > 0 && p.delayed < MaxDelayed && f.Delayed < maxDelayedInAll {
		p.delayed++
		f.Delayed++
	} else {
		delay = 0
	}
	f.mu.Unlock()
	if times > 0 {
		log.Warn("login failed", "user", clipped(user), "peer", peer, "times", times)
	}
	if delay == 0 {
		return
	}
	t := time.NewTimer(delay)
	select {
	case <-t.C:
	case <-ctx.Done():
		t.Stop()
	}
	f.mu.Lock()
	p.delayed--
	f.Delayed--
	f.mu.Unlock()
}

// noteLocked counts a failure of the peer. The caller holds mu.
func (f *FailedLogins) noteLocked(peer netip.Addr, now time.Time) *failingPeer {
	p := f.Peers[peer]
	if p == nil {
		f.makeRoomLocked(now)
		p = &failingPeer{}
		f.Peers[peer] = p
	}
	if now.Sub(p.last) >= ForgetFailures {
		p.failures = 0
	}
	p.failures++
	p.last = now
	return p
}

// makeRoomLocked forgets peers: those that have been quiet, and if that is not enough the one that has been for longest.
// The caller holds mu.
func (f *FailedLogins) makeRoomLocked(now time.Time) {
	if f.Peers == nil {
		f.Peers = map[netip.Addr]*failingPeer{}
	}
	if len(f.Peers) < MaxPeers {
		return
	}
	var quietest netip.Addr
	for at, p := range f.Peers {
		switch {
		case p.delayed > 0:
		case now.Sub(p.last) >= ForgetFailures:
			delete(f.Peers, at)
		case !quietest.IsValid() || p.last.Before(f.Peers[quietest].last):
			quietest = at
		}
	}
	if len(f.Peers) >= MaxPeers {
		delete(f.Peers, quietest)
	}
}

// delayAfter is how long the answer to the n-th failure in a row is put off.
func delayAfter(n int) time.Duration {
	if n <= FreeFailures {
		return 0
	}
	return min(firstDelay<<min(n-FreeFailures-1, 10), LongestDelay)
}

// clipped is a name that a stranger chose, short enough for a log.
func clipped(name string) string {
	const most = 128
	if len(name) > most {
		return name[:most] + "…"
	}
	return name
}
