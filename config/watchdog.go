package config

import (
	"net/url"
	"strings"
	"time"
)

// Watchdog configures whether and when this server forces service on the
// mirror. The watchdog acts only if the pair has no witness.
type Watchdog struct {
	// Enabled switches the watchdog on. Default false.
	Enabled bool `yaml:"enabled"`
	// DryRun makes the watchdog decide and report, but never force service. Default false.
	DryRun bool `yaml:"dry_run"`
	// After is how long the principal must be gone, for this server and for every
	// observer. Default 10s. With a short time a brief network failure can force service.
	After time.Duration `yaml:"after"`
	// CoolDown is the minimum time between two forced failovers. Default 10m.
	CoolDown time.Duration `yaml:"cool_down"`
	// Observers are the operators' listeners of the other servers on the same pair,
	// such as http://10.0.0.2:8081. Service is forced only if all of them answer and all see that
	// the principal is gone. Without observers AllowDataLoss is required.
	Observers []string `yaml:"observers"`
	// KeyFile holds the key for the observers, with the right observe. One line.
	KeyFile string `yaml:"key_file"`
	// CAFile holds the root certificates for the observers, in PEM. Default: the system's.
	CAFile string `yaml:"ca_file"`
	// Shared says that other programs, such as .NET's provider, write to the database
	// without the listed servers. Default false. If true, AllowDataLoss is required.
	Shared bool `yaml:"shared"`
	// AllowDataLoss allows to force service even if acknowledged writes may be lost.
	// Default false.
	AllowDataLoss bool `yaml:"allow_data_loss"`
}

// validate reports invalid values to bad.
func (w Watchdog) validate(bad func(wrong bool, key, format string, args ...any)) {
	const key = "pair.watchdog"
	bad(w.After < time.Second || w.After > time.Hour, key+".after", "%v is not between 1s and 1h", w.After)
	bad(w.CoolDown < w.After, key+".cool_down", "%v is shorter than after (%v)", w.CoolDown, w.After)
	for _, o := range w.Observers {
		u, err := url.Parse(o)
		bad(err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "",
			key+".observers", "%q is not the URL of an operators' listener, such as http://10.0.0.2:8081", o)
	}
}
