package embedded

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
	freeFailures   = 3                      // so many wrong ones cost nothing: a typing error, a pool's first try
	firstDelay     = 100 * time.Millisecond // doubled with each more
	longestDelay   = 3 * time.Second        // below any client's login timeout
	forgetFailures = time.Minute            // after so long without another

	// So many answers of one peer, and of all, are put off at a time. Further logins of a peer beyond the first number are
	// refused without a look at the password, so that many connections guess no faster than few; not those
	// of this machine, where honest clients have the same address.
	maxDelayed      = 8
	maxDelayedInAll = 256

	maxPeers     = 1024
	refusalEvery = 10 * time.Second // a log line a peer
)

// failingPeer is what is kept of one.
type failingPeer struct {
	failures int       // in a row, as far as they are not forgotten
	last     time.Time // of them
	delayed  int       // answers that are put off now
	told     time.Time // when it was last in the log
	untold   int64     // failures since
}

// failedLogins slows down whoever guesses at passwords.
type failedLogins struct {
	mu      sync.Mutex
	peers   map[netip.Addr]*failingPeer
	delayed int // in all
}

// peerOf is the peer of an address; false: it has none that is slowed down (a pipe's).
func peerOf(a net.Addr) (netip.Addr, bool) {
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

// unlooked reports whether the peer's login is refused without a look at its password.
func (f *failedLogins) unlooked(a net.Addr) bool {
	peer, ok := peerOf(a)
	if !ok || peer.IsLoopback() {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers[peer]
	return p != nil && p.delayed >= maxDelayed
}

// failed notes a failure, writes it into the log, and returns when it may be answered.
func (f *failedLogins) failed(ctx context.Context, log *slog.Logger, a net.Addr, user string) {
	peer, ok := peerOf(a)
	if !ok {
		log.Warn("login failed", "user", clipped(user), "peer", a)
		return
	}
	f.mu.Lock()
	p := f.noteLocked(peer, time.Now())
	p.untold++
	times := int64(0)
	if time.Since(p.told) >= refusalEvery {
		times, p.untold, p.told = p.untold, 0, time.Now()
	}
	delay := delayAfter(p.failures)
	if delay > 0 && p.delayed < maxDelayed && f.delayed < maxDelayedInAll {
		p.delayed++
		f.delayed++
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
	f.delayed--
	f.mu.Unlock()
}

// noteLocked counts a failure of the peer. The caller holds mu.
func (f *failedLogins) noteLocked(peer netip.Addr, now time.Time) *failingPeer {
	p := f.peers[peer]
	if p == nil {
		f.makeRoomLocked(now)
		p = &failingPeer{}
		f.peers[peer] = p
	}
	if now.Sub(p.last) >= forgetFailures {
		p.failures = 0
	}
	p.failures++
	p.last = now
	return p
}

// makeRoomLocked forgets peers: those that have been quiet, and if that is not enough the one that has been for longest.
// The caller holds mu.
func (f *failedLogins) makeRoomLocked(now time.Time) {
	if f.peers == nil {
		f.peers = map[netip.Addr]*failingPeer{}
	}
	if len(f.peers) < maxPeers {
		return
	}
	var quietest netip.Addr
	for at, p := range f.peers {
		switch {
		case p.delayed > 0:
		case now.Sub(p.last) >= forgetFailures:
			delete(f.peers, at)
		case !quietest.IsValid() || p.last.Before(f.peers[quietest].last):
			quietest = at
		}
	}
	if len(f.peers) >= maxPeers {
		delete(f.peers, quietest)
	}
}

// delayAfter is how long the answer to the n-th failure in a row is put off.
func delayAfter(n int) time.Duration {
	if n <= freeFailures {
		return 0
	}
	return min(firstDelay<<min(n-freeFailures-1, 10), longestDelay)
}

// clipped is a name that a stranger chose, short enough for a log.
func clipped(name string) string {
	const most = 128
	if len(name) > most {
		return name[:most] + "…"
	}
	return name
}
