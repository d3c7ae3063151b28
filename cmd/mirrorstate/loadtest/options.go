package loadtest

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/load"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/report"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// UsageError is an error in the command line. Its text says what to change.
type UsageError struct{ text string }

// Error implements error.
func (e *UsageError) Error() string { return e.text }

// usage returns a UsageError.
func usage(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// Flags are the flags of the command line. An empty Size, 0 Sessions or a negative Think stands for
// the workload's own value.
type Flags struct {
	Targets          []string      // URLs of session APIs
	Admin            string        // URL of the operators' listener
	Client           client.Config // the key and the TLS configuration for both
	ConnectionString string        // an ADO.NET string with both partners
	Rate             float64       // requests per second, for each via; 0: as many as possible
	Clients          int           // how many requests may be under way, for each via
	Duration, Warmup time.Duration // how long is measured, and how long the load runs before that
	Failovers        string        // for example manual@15s,crash@30s
	Vias             string        // for example http,driver
	Mix              string        // a workload's name, or weights such as lock=60,read=35,touch=5
	Size             string        // for example 512..8192, in bytes
	Sessions         int           // number of sessions of each via
	Think, Timeout   time.Duration // time between acquiring a lock and the update; how long a client waits for an answer
	Tolerate         string        // for example failed=3,unread
	Limits           report.Limits // bounds for latencies
	Seed             uint64        // selects the random numbers
}

// Options are the checked options of a load test. [Flags.Options] returns them.
type Options struct {
	// Targets are the URLs of session APIs. The calls go to them in turn. Empty: the load test
	// starts a server.
	Targets []string
	// Admin is the URL of the operators' listener of a target. Empty: none.
	Admin string
	// Client has the key and the TLS configuration for targets and Admin.
	Client client.Config
	// ConnectionString is the pair of the server that the load test starts, as an ADO.NET string.
	// Empty: an embedded pair.
	ConnectionString string

	// Rate is how many requests start per second, for each via. 0: as many as possible.
	Rate float64
	// Clients is how many requests may be under way, for each via.
	Clients int
	// Duration is how long the run is measured. Warmup is how long the load runs before that.
	Duration, Warmup time.Duration
	// Failovers are the planned failovers, ordered by time.
	Failovers []Planned
	// Vias are the vias to compare, or http alone.
	Vias []string
	// Compared is true if vias were named.
	Compared bool

	// Workload says what the clients do.
	load.Workload
	// Timeout is how long a client waits for one answer.
	Timeout time.Duration
	// Tolerate says which findings do not make the run fail.
	Tolerate report.Tolerance
	// Limits are bounds for latencies. A run that exceeds one fails.
	Limits report.Limits
	// Seed selects the random numbers.
	Seed uint64
}

// The bounds of the options.
const (
	maxRate     = 50_000
	maxClients  = 10_000
	maxSessions = 1_000_000
	maxItem     = 4 << 20
	maxThink    = 100 * time.Second // a lock is abandoned after 110 s
	maxDuration = 24 * time.Hour
	maxWarmup   = 10 * time.Minute
)

// Options checks the flags, each by itself and all together. The error is a *[UsageError].
func (f *Flags) Options() (Options, error) {
	o := Options{
		Targets: f.Targets, Admin: f.Admin, Client: f.Client, ConnectionString: f.ConnectionString,
		Rate: f.Rate, Clients: f.Clients, Duration: f.Duration, Warmup: f.Warmup, Timeout: f.Timeout, Seed: f.Seed,
	}
	var err error
	if o.Workload, err = f.workload(); err != nil {
		return o, err
	}
	if err := o.checkNumbers(); err != nil {
		return o, err
	}
	if o.Vias, err = parseVias(f.Vias); err != nil {
		return o, err
	}
	o.Compared = f.Vias != ""
	if err := o.checkTargets(); err != nil {
		return o, err
	}
	if o.Tolerate, err = report.ParseTolerance(f.Tolerate); err != nil {
		return o, usage("%v", err)
	}
	o.Limits = f.Limits
	if err := checkLimits(o.Limits); err != nil {
		return o, err
	}
	o.Failovers, err = o.plan(f.Failovers)
	return o, err
}

// checkNumbers checks the ranges of the numbers.
func (o *Options) checkNumbers() error {
	for _, c := range []struct {
		bad  bool
		text string
	}{
		{math.IsNaN(o.Rate) || o.Rate < 0 || o.Rate > maxRate,
			fmt.Sprintf("--rate %v must be 0 to %d requests a second; 0 means as many as possible", o.Rate, maxRate)},
		{o.Duration < time.Second || o.Duration > maxDuration, fmt.Sprintf("--duration %v must be 1s to 24h", o.Duration)},
		{o.Warmup < 0 || o.Warmup > maxWarmup, fmt.Sprintf("--warmup %v must be 0s to 10m", o.Warmup)},
		{o.Clients < 1 || o.Clients > maxClients, fmt.Sprintf("--clients %d must be 1 to %d", o.Clients, maxClients)},
		{o.Timeout < time.Second || o.Timeout > time.Hour, fmt.Sprintf("--timeout %v must be 1s to 1h; with 40s a client outlasts a failover of 30s", o.Timeout)},
		{o.Sessions < 1 || o.Sessions > maxSessions, fmt.Sprintf("--sessions %d must be 1 to %d", o.Sessions, maxSessions)},
		{o.Think < 0 || o.Think > maxThink, fmt.Sprintf("--think %v must be 0s to %v: a lock that is held longer is abandoned", o.Think, maxThink)},
	} {
		if c.bad {
			return usage("%s", c.text)
		}
	}
	if o.Rate > 0 && o.Rate*o.Duration.Seconds() < 1 {
		return usage("--rate %v starts no request within %v; set a higher rate or a longer --duration", o.Rate, o.Duration)
	}
	return nil
}

func parseVias(s string) ([]string, error) {
	if s == "" {
		return []string{measure.ViaHTTP}, nil
	}
	var list []string
	for name := range strings.SplitSeq(s, ",") {
		name = strings.TrimSpace(name)
		switch {
		case !slices.Contains(measure.Vias, name):
			return nil, usage("--via %q is not one of %s", name, strings.Join(measure.Vias, ", "))
		case slices.Contains(list, name):
			return nil, usage("--via names %s twice", name)
		}
		list = append(list, name)
	}
	return list, nil
}

// checkTargets checks the options that say what is tested.
func (o *Options) checkTargets() error {
	for _, target := range o.Targets {
		if !isURL(target) {
			return usage("--target %q must be the URL of a session API, such as http://127.0.0.1:8080", target)
		}
	}
	onlyHTTP := slices.Equal(o.Vias, []string{measure.ViaHTTP})
	switch {
	case o.Admin != "" && !isURL(o.Admin):
		return usage("--admin %q must be the URL of an operators' listener, such as http://127.0.0.1:8081", o.Admin)
	case o.Admin != "" && len(o.Targets) == 0:
		return usage("--admin applies to a --target only; without a target the load test starts a server of its own")
	case o.ConnectionString != "" && len(o.Targets) > 0:
		return usage("--target and --connection-string exclude each other: a target has its own pair")
	case len(o.Targets) > 0 && !onlyHTTP:
		return usage("--via needs the pair's connection string: use --connection-string instead of --target, or neither")
	}
	if o.ConnectionString == "" {
		return nil
	}
	if _, err := config.ParsePair(o.ConnectionString); err != nil {
		return usage("--connection-string: %v", err)
	}
	return nil
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// checkLimits checks the limits.
func checkLimits(l report.Limits) error {
	for flag, limit := range map[string]time.Duration{"--max-stall": l.MaxStall, "--max-p99": l.MaxP99} {
		if limit < 0 {
			return usage("%s %v must not be negative; 0 means no limit", flag, limit)
		}
	}
	return nil
}

// task returns the task of the load on one via.
func (o *Options) task(via string) load.Task {
	return load.Task{
		App: appName(via), Workload: o.Workload, Rate: o.Rate, Clients: o.Clients,
		Duration: o.Duration, Warmup: o.Warmup, Timeout: o.Timeout, Seed: o.Seed,
	}
}

// offered returns the description of the load for the report.
func (o *Options) offered() report.Offered {
	return report.Offered{
		Rate: o.Rate, Clients: o.Clients, Preset: o.Preset, Mix: o.Mix.String(), Size: o.Size.String(), Sessions: o.Sessions,
		ThinkMS: measure.Milliseconds(o.Think), TimeoutMS: measure.Milliseconds(o.Timeout), WarmupS: measure.Seconds(o.Warmup), DurationS: measure.Seconds(o.Duration), Seed: o.Seed,
	}
}
