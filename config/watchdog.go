package config

import (
	"net/url"
	"strings"
	"time"
)

// Watchdog says whether, when and how surely this server forces service on the
// mirror. It acts only where SQL Server has no witness of its own.
type Watchdog struct {
	// Enabled turns it on. Default false.
	Enabled bool `yaml:"enabled"`
	// DryRun decides and reports, and forces nothing. Default false.
	DryRun bool `yaml:"dry_run"`
	// After is how long the principal must be gone, for this server and for every
	// observer. Default 10s. A shorter time forces service for a pause of the network.
	After time.Duration `yaml:"after"`
	// CoolDown is the least time between two forced services. Default 10m.
	CoolDown time.Duration `yaml:"cool_down"`
	// Observers are the operators' listeners of the other servers on the same pair,
	// such as http://10.0.0.2:8081. All must have missed the principal; one that can't be
	// asked is a reason not to force. None: AllowDataLoss is needed.
	Observers []string `yaml:"observers"`
	// KeyFile holds the key, with the right to observe, that the observers want. One line.
	KeyFile string `yaml:"key_file"`
	// CAFile holds the roots of the observers' certificates, in PEM. Default: the system's.
	CAFile string `yaml:"ca_file"`
	// Shared says that others, such as .NET's own provider, write to the database
	// past the servers listed. Default false. AllowDataLoss is needed then.
	Shared bool `yaml:"shared"`
	// AllowDataLoss lets it force service where acknowledged writes may be lost.
	// Default false.
	AllowDataLoss bool `yaml:"allow_data_loss"`
}

// validate tells what is wrong through bad.
func (w Watchdog) validate(bad func(wrong bool, key, format string, args ...any)) {
	const key = "pair.watchdog"
	bad(w.After < time.Second || w.After > time.Hour, key+".after", "%v is not between 1s and 1h", w.After)
	bad(w.CoolDown < w.After, key+".cool_down", "%v is shorter than after, %v", w.CoolDown, w.After)
	for _, o := range w.Observers {
		u, err := url.Parse(o)
		bad(err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "",
			key+".observers", "%q is not the URL of an operators' listener, such as http://10.0.0.2:8081", o)
	}
}
