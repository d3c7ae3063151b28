package server

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
)

// memoryFile returns the path of the file that keeps a pair's accepted principal. Each pair has its own file; the order
// of the servers does not matter. memoryFile returns "" if dir is empty.
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
	// Earlier versions used the addresses as they were written. A file of theirs stays in use.
	if before := name(config.Address.String); fileExists(before) {
		return before
	}
	return name(func(a config.Address) string { return a.Canonical().String() })
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// PairConfig returns the configuration of the pair: the embedded servers if servers is not nil, else the configured
// ones. memory is the folder that keeps the accepted principal; with "" it is not kept.
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
		return pc, usage.NoPair()
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
			pc.Partners[i].Address = address.String() // the driver looks up the port of a named instance later
		}
	}
	pc.Memory = memoryFile(memory, both.Database, a, b)
	return pc, nil
}
