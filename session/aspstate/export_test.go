package aspstate

// WaitForCleanups waits for the locks that are being given back.
func (s *Store) WaitForCleanups() { s.cleanups.Wait() }

// BeginCall is a live call that is under way until end.
func (s *Store) BeginCall() (end func()) {
	began := s.live.begin()
	return func() { s.live.end(began) }
}

// AgentJobText counts SQL Agent's jobs.
const AgentJobText = agentJobText
