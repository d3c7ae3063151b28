package aspstate

import "time"

// WaitForCleanups waits for the locks that are being given back.
func (s *Store) WaitForCleanups() { s.cleanups.Wait() }

// BeginCall is a live call that is under way until end.
func (s *Store) BeginCall() (end func()) {
	began := s.live.begin()
	return func() { s.live.end(began) }
}

// AgentJobText counts SQL Agent's jobs.
const AgentJobText = agentJobText

// AgeSecret has the fleet's secret have been read d earlier.
func (s *Store) AgeSecret(d time.Duration) {
	aged := *s.secret.held.Load()
	aged.at = aged.at.Add(-d)
	s.secret.held.Store(&aged)
}

// WaitForSecret waits for the secret that is being read beside the calls.
func (s *Store) WaitForSecret() { s.secret.readers.Wait() }
