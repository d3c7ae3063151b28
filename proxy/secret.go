package proxy

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
)

// minSecret is the least length in bytes of a secret that makes operation ids unguessable.
const minSecret = 16

// secrets has the secrets from which operation ids, tags and handles are made.
type secrets struct {
	fleet func(ctx context.Context) ([]byte, error) // Config.FleetSecret
	own   []byte                                    // this process's secret, for operation ids if the fleet has no secret
	known atomic.Pointer[sealer]                    // the sealer of the secret that fleet returned last
}

func newSecrets(fleet func(ctx context.Context) ([]byte, error)) *secrets {
	own := make([]byte, 32)
	rand.Read(own) // never fails; see crypto/rand
	if fleet == nil {
		fleet = func(context.Context) ([]byte, error) { return own, nil }
	}
	return &secrets{fleet: fleet, own: own}
}

// get returns the fleet's secret, or nil if it has none.
func (s *secrets) get(ctx context.Context) ([]byte, error) {
	secret, err := s.fleet(ctx)
	if err == nil && secret != nil && len(secret) < minSecret {
		err = fmt.Errorf("the fleet's secret has %d bytes, fewer than %d", len(secret), minSecret)
	}
	return secret, err
}

// operations returns the secret from which operation ids and the ids of keyed creates are made. It is never public.
func (s *secrets) operations(ctx context.Context) ([]byte, error) {
	secret, err := s.get(ctx)
	if err == nil && secret == nil {
		secret = s.own
	}
	return secret, err
}

// sealer returns the sealer of the fleet's current secret.
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
		return nil, fmt.Errorf("derive keys from the fleet's secret: %w", err)
	}
	s.known.Store(k)
	return k, nil
}
