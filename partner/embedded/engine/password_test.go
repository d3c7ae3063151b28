package engine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded/logins"
	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

func TestPassword_known(t *testing.T) {
	hash := logins.NewPasswordHash("secret")
	k := &logins.KnownPasswords{}
	for _, c := range []struct {
		password string
		want     bool
	}{{"secret", true}, {"secret", true}, {"Secret", false}, {"", false}, {"secret", true}} {
		if fits, err := k.Fit(nil, c.password, hash); fits != c.want || err != nil {
			t.Errorf("%q: %v, %v", c.password, fits, err)
		}
	}
	k.Two <- struct{}{}
	k.Two <- struct{}{}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if fits, err := k.Fit(nil, "secret", hash); !fits || err != nil {
		t.Errorf("a cached password waits for a computation: %v", err)
	}
	if fits, err := k.Fit(ctx.Done(), "other", hash); fits || err == nil {
		t.Error("a third password was computed at the same time")
	}
	for _, bad := range []string{"", "AB", hash[:len(hash)-2], "FF" + hash[2:], hash[:4] + "FFFFFFFF" + hash[12:]} {
		if _, err := logins.ImportedHash("0x" + bad); err == nil {
			t.Errorf("HASHED accepts %q", bad)
		}
	}
}

func TestPrepared_bytesOfAll(t *testing.T) {
	p := &Partner{}
	one := preparedText{text: string(make([]byte, maxPreparedBytes))}
	var sessions []*session
	for range maxPreparedInAll / maxPreparedBytes {
		s := &session{p: p}
		if _, err := s.keepPrepared(one); err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, s)
	}
	late := &session{p: p}
	if _, err := late.keepPrepared(preparedText{text: "x"}); err == nil {
		t.Error("more bytes than the limit of all sessions")
	}
	sessions[0].forgetAllPrepared()
	handle, err := late.keepPrepared(preparedText{text: "x"})
	if err != nil {
		t.Errorf("after one session has ended: %v", err)
	}
	late.forgetPrepared(handle)
	for _, s := range sessions {
		s.forgetAllPrepared()
	}
	if n := p.preparedBytes.Load(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

// An idle connection keeps no large query prepared, and never more than a fixed number.
func TestAdhoc_bytes(t *testing.T) {
	pair, err := Open(mirror.Options{Schema: schema.Script(), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer pair.Close()
	s := pair.Partner("a").Find(mirror.DatabaseName).Store
	ask := func(bytes int) (size int) {
		t.Helper()
		err := s.ReadAdhoc(func(r *storage.Reader) error {
			size = r.Size // as the query before left it
			_, err := r.Query("SELECT 1 -- " + strings.Repeat("x", bytes))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return size
	}
	ask(1 << 20)
	if size := ask(1000); size != 0 {
		t.Errorf("%d bytes were kept for a query of 1 MiB", size)
	}
	for i := range 300 {
		if size := ask(1000 + i); size > storage.MaxAdhocBytes {
			t.Fatalf("%d bytes are kept", size)
		}
	}
}

// A pool that opens many connections at once computes the hash of its password at most twice.
func TestPassword_aPoolAtOnce(t *testing.T) {
	hash := logins.NewPasswordHash("secret")
	k := &logins.KnownPasswords{}
	ended := make(chan error, 64)
	for range cap(ended) {
		go func() {
			fits, err := k.Fit(nil, "secret", hash)
			if err == nil && !fits {
				err = errors.New("it does not fit")
			}
			ended <- err
		}()
	}
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if n := k.Computed.Load(); n > 2 {
		t.Errorf("%d hashes were computed", n)
	}
}
