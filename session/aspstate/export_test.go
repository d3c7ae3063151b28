package aspstate

import "time"

// WaitForCleanups waits until no lock is being given back.
func (s *Store) WaitForCleanups() { s.cleanups.Wait() }

// BeginCall begins a live call, which ends with end.
func (s *Store) BeginCall() (end func()) {
	began := s.live.begin()
	return func() { s.live.end(began) }
}

// AgentJobText counts SQL Agent's jobs.
const AgentJobText = agentJobText

// AgeSecret makes the fleet's secret d older.
func (s *Store) AgeSecret(d time.Duration) {
	aged := *s.secret.held.Load()
	aged.at = aged.at.Add(-d)
	s.secret.held.Store(&aged)
}

// WaitForSecret waits for the reading of the secret in the background.
func (s *Store) WaitForSecret() { s.secret.readers.Wait() }
