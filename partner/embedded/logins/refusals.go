package logins

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// The limits for a peer whose logins fail. A peer is an IPv4 address or an IPv6 /64. A correct password is never
// delayed, and does not reset the count, because the owner of one login might guess the password of another.
const (
	FreeFailures   = 3                      // failures without a delay, for example typing errors
	firstDelay     = 100 * time.Millisecond // doubled with each further failure
	LongestDelay   = 3 * time.Second        // less than any client's login timeout
	ForgetFailures = time.Minute            // the count is reset after this time without another failure

	// The limits of delayed answers at a time, of one peer and in total. Above the limit of a peer, its further logins
	// are refused without a check of the password. So many connections guess no faster than a few. This does not apply
	// to peers on this machine, where honest clients have the same address.
	MaxDelayed      = 8
	maxDelayedInAll = 256

	MaxPeers     = 1024
	RefusalEvery = 10 * time.Second // interval between two log lines about a peer
)

// failingPeer is the state of one peer.
type failingPeer struct {
	failures int       // consecutive failures since the last reset
	last     time.Time // time of the last failure
	delayed  int       // answers that are being delayed
	logged   time.Time // time of its last log line
	unlogged int64     // failures since that log line
}

// FailedLogins slows down clients that guess passwords.
type FailedLogins struct {
	mu      sync.Mutex
	Peers   map[netip.Addr]*failingPeer
	Delayed int // delayed answers in total
}

// PeerOf returns the peer of an address; false: the address has no peer that is slowed down (a pipe's address).
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

// AtLimit reports whether the peer's login is refused without a check of its password.
func (f *FailedLogins) AtLimit(a net.Addr) bool {
	peer, ok := PeerOf(a)
	if !ok || peer.IsLoopback() {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.Peers[peer]
	return p != nil && p.delayed >= MaxDelayed
}

// Failed counts and logs a failure, and returns when it may be answered.
func (f *FailedLogins) Failed(ctx context.Context, log *slog.Logger, a net.Addr, user string) {
	peer, ok := PeerOf(a)
	if !ok {
		log.Warn("login failed", "user", clipped(user), "peer", a)
		return
	}
	f.mu.Lock()
	p := f.noteLocked(peer, time.Now())
	p.unlogged++
	times := int64(0)
	if time.Since(p.logged) >= RefusalEvery {
		times, p.unlogged, p.logged = p.unlogged, 0, time.Now()
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

// makeRoomLocked removes the peers whose count is reset; if none is, it removes the one with the oldest failure. The
// caller holds mu.
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

// delayAfter returns the delay of the answer to the n-th consecutive failure.
func delayAfter(n int) time.Duration {
	if n <= FreeFailures {
		return 0
	}
	return min(firstDelay<<min(n-FreeFailures-1, 10), LongestDelay)
}

// clipped returns a client's user name, shortened for the log.
func clipped(name string) string {
	const most = 128
	if len(name) > most {
		return name[:most] + "…"
	}
	return name
}
