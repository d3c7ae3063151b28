package doctor

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/config"
)

// NewSetup returns the part of the configuration that doctor compares with the servers. how has the flags that name the
// pair.
func NewSetup(cfg config.Config, both config.Partners, how string) (Setup, error) {
	d := Setup{
		How:              how,
		Notes:            cfg.Notes,
		HoldWindow:       cfg.Pair.Hold.Window,
		SweepEnabled:     cfg.Sweep.Enabled,
		MaxClockSkew:     cfg.Sweep.MaxClockSkew,
		AgentJob:         cfg.Sweep.AgentJob,
		WatchdogEnabled:  cfg.Pair.Watchdog.Enabled,
		WatchdogNoGuards: len(cfg.Pair.Watchdog.Observers) == 0 && !cfg.Pair.Watchdog.AllowDataLoss,
	}
	for i, server := range both.Servers {
		d.Host[i], d.Instance[i] = server.Address.Host, strings.ToUpper(server.Address.Instance)
		d.Port[i], d.Encrypt[i] = server.Address.Port, server.Encrypt
		d.Trusting[i] = server.TrustServerCertificate != nil && *server.TrustServerCertificate
	}
	for _, alias := range slices.Sorted(maps.Keys(cfg.Apps)) {
		d.Applications = append(d.Applications, cfg.Apps[alias].Name)
	}
	if cfg.Pair.WebConfig == "" {
		return d, nil
	}
	web, err := config.ReadWebConfig(cfg.Pair.WebConfig, cfg.Pair.WebConfigLocation)
	if err != nil {
		return d, err
	}
	switch web.Mode {
	case config.ModeStateServer:
		if d.StateNetworkTimeout = web.StateNetworkTimeout; d.StateNetworkTimeout == 0 {
			d.StateNetworkTimeout = 10 * time.Second // ASP.NET's default
		}
	case config.ModeSQLServer:
		d.DotNet, d.RetryInterval = true, web.SQLConnectionRetry
	}
	return d, nil
}
