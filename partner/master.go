package partner

import (
	"context"
	"database/sql"
	"fmt"
)

// Shown is the partner's address as it may be shown: host:port, or what the configuration says.
func (pc PartnerConfig) Shown() string {
	cfg := Config{Database: "master"}.withDefaults()
	_, _ = newServer(&cfg, &pc) // fills it in; what can't be read is reported where it is used
	return pc.Address
}

// InMaster runs f on a connection of its own in one server's master, whatever the server's role is,
// or whether there is a pair at all. Logging in takes the login budget at most; the connection ends
// with f, and is cut when ctx ends.
func InMaster(ctx context.Context, pc PartnerConfig, f func(*sql.Conn) error) error {
	cfg := Config{Database: "master"}.withDefaults()
	s, err := newServer(&cfg, &pc)
	if err != nil {
		return fmt.Errorf("partner %s: %w", pc.Name, err)
	}
	return s.inMaster(ctx, f)
}
