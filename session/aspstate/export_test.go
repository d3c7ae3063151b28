package aspstate

// WaitForCleanups waits for the locks that are being given back.
func (s *Store) WaitForCleanups() { s.cleanups.Wait() }
