package server

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
)

// memoryFile is where a pair's accepted principal is remembered: a file of its
// own for each pair, so that another connection string does not meet this one's
// memory, and the same one written the other way round does. An empty dir gives none.
func memoryFile(dir, database string, servers ...config.Address) string {
	if dir == "" {
		return ""
	}
	name := func(spell func(config.Address) string) string {
		var both []string
		for _, a := range servers {
			both = append(both, strings.ToLower(spell(a)))
		}
		slices.Sort(both)
		id := sha256.Sum256([]byte(strings.Join(both, "\n") + "\n" + strings.ToLower(database)))
		return filepath.Join(dir, "accepted-"+hex.EncodeToString(id[:8])+".json")
	}
	// Earlier versions took the addresses as they were written: what they remember goes on being used.
	if before := name(config.Address.String); fileExists(before) {
		return before
	}
	return name(func(a config.Address) string { return a.Canonical().String() })
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// PairConfig says how the pair is reached, and where the accepted principal is remembered.
func PairConfig(cfg config.Config, servers *embedded.Pair, memory string, logger *slog.Logger) (pc partner.Config, err error) {
	pc = partner.Config{
		Database: "ASPState",
		Hold:     partner.HoldConfig{Window: cfg.Pair.Hold.Window, Size: cfg.Pair.Hold.Size, Bytes: int64(cfg.Pair.Hold.Bytes)},
		Budgets: partner.Budgets{
			Dial: cfg.Pair.Budgets.Dial, Login: cfg.Pair.Budgets.Login, Probe: cfg.Pair.Budgets.Probe, SlowProbe: cfg.Pair.Budgets.SlowProbe,
			Attempt: cfg.Pair.Budgets.Attempt, Admin: cfg.Pair.Budgets.Admin,
		},
		Exposed: cfg.Pair.Exposed,
		Watchdog: partner.WatchdogConfig{
			Enabled: cfg.Pair.Watchdog.Enabled, DryRun: cfg.Pair.Watchdog.DryRun, After: cfg.Pair.Watchdog.After, CoolDown: cfg.Pair.Watchdog.CoolDown,
			Shared: cfg.Pair.Watchdog.Shared, AllowDataLoss: cfg.Pair.Watchdog.AllowDataLoss,
		},
		Logger: logger,
	}
	if servers != nil {
		pc.Topology = "embedded"
		for i, name := range []partner.Name{partner.A, partner.B} {
			p := servers.Partner(string(name))
			pc.Partners[i] = partner.PartnerConfig{Name: name, Address: p.Addr(), ConnectionString: p.ConnectionString("ASPState")}
		}
		if memory != "" {
			pc.Memory = filepath.Join(memory, "accepted.json")
		}
		return pc, nil
	}
	both, configured := cfg.Partners()
	if !configured {
		return pc, misuse.NoPair()
	}
	pc.Database = both.Database
	a, b := both.Servers[0].Address, both.Servers[1].Address
	for i, address := range []config.Address{a, b} {
		dsn, err := driverSettings(both, i)
		if err != nil {
			return pc, err
		}
		pc.Partners[i] = partner.PartnerConfig{Name: []partner.Name{partner.A, partner.B}[i], DSN: dsn}
		if address.Instance != "" && address.Port == 0 {
			pc.Partners[i].Address = address.String() // its port is not known before it is looked up
		}
	}
	pc.Memory = memoryFile(memory, both.Database, a, b)
	return pc, nil
}
