package proxy

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
)

// minSecret is the least bytes of a secret that keeps operation ids unguessable.
const minSecret = 16

// secrets are what operation ids, tags and handles are made with.
type secrets struct {
	fleet func(ctx context.Context) ([]byte, error) // Config.FleetSecret
	own   []byte                                    // of this process, for operation ids where the fleet has none
	known atomic.Pointer[sealer]                    // of the secret that fleet gave last
}

func newSecrets(fleet func(ctx context.Context) ([]byte, error)) *secrets {
	own := make([]byte, 32)
	rand.Read(own) // never fails; see crypto/rand
	if fleet == nil {
		fleet = func(context.Context) ([]byte, error) { return own, nil }
	}
	return &secrets{fleet: fleet, own: own}
}

// get is the fleet's secret, nil where it has none.
func (s *secrets) get(ctx context.Context) ([]byte, error) {
	secret, err := s.fleet(ctx)
	if err == nil && secret != nil && len(secret) < minSecret {
		err = fmt.Errorf("the fleet's secret has %d bytes, fewer than %d", len(secret), minSecret)
	}
	return secret, err
}

// operations is the secret that makes operation ids and the ids of keyed creates. It is never public.
func (s *secrets) operations(ctx context.Context) ([]byte, error) {
	secret, err := s.get(ctx)
	if err == nil && secret == nil {
		secret = s.own
	}
	return secret, err
}

// sealer is the sealer of the fleet's secret as it is now.
func (s *secrets) sealer(ctx context.Context) (*sealer, error) {
	secret, err := s.get(ctx)
	if err != nil {
		return nil, err
	}
	if k := s.known.Load(); k != nil && k.public == (secret == nil) && bytes.Equal(k.secret, secret) {
		return k, nil
	}
	k, err := newSealer(secret)
	if err != nil {
		return nil, fmt.Errorf("make keys of the fleet's secret: %w", err)
	}
	s.known.Store(k)
	return k, nil
}
