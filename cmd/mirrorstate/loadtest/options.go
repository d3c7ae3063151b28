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

// UsageError is a call of the program that can't be meant; it says what would be right.
type UsageError struct{ text string }

// Error implements error.
func (e *UsageError) Error() string { return e.text }

// usage says what is wrong with the call.
func usage(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// Flags are the words of the command line. The zero values of Size, Sessions and Think
// (negative: none given) leave the choice to the preset.
type Flags struct {
	Targets          []string      // session APIs' URLs
	Admin            string        // the operators' listener's URL
	Client           client.Config // the key that targets are shown, and how they are known
	ConnectionString string        // an ADO.NET string that names both partners
	Rate             float64
	Clients          int
	Duration, Warmup time.Duration
	Failovers        string // such as manual@15s,crash@30s
	Vias             string // such as http,driver
	Mix              string // a preset, or such as lock=60,read=35,touch=5
	Size             string // such as 512..8192
	Sessions         int
	Think, Timeout   time.Duration
	Tolerate         string // such as failed=3,unread
	Limits           report.Limits
	Seed             uint64
}

// Options say what load there shall be, on what. They come from [Flags.Options].
type Options struct {
	// Targets are session APIs, each call goes to one in turn. None: an own stage.
	Targets []string
	// Admin is the operators' listener of one of the targets; it may be empty.
	Admin string
	// Client has the key that both are shown, and how they are known.
	Client client.Config
	// ConnectionString is of the pair that the own stage stands on. Empty: an embedded one.
	ConnectionString string

	// Rate is how many requests a second shall start, of each via. 0: as many as the
	// clients can make, one after the other.
	Rate float64
	// Clients bound how many requests of each via are under way.
	Clients int
	// Duration is how long is measured, Warmup how long the load runs before.
	Duration, Warmup time.Duration
	// Failovers are in the order of their times.
	Failovers []Planned
	// Vias are the ways that are compared; http where none is named.
	Vias []string
	// Compared says that vias were named.
	Compared bool

	// Workload is what the clients do.
	load.Workload
	// Timeout is how long a client waits for one answer.
	Timeout time.Duration
	// Tolerate is what does not make the run a failure.
	Tolerate report.Tolerance
	// Limits make the run a failure where they are not kept.
	Limits report.Limits
	// Seed chooses the random numbers.
	Seed uint64
}

// The limits of what can be asked for.
const (
	maxRate     = 50_000
	maxClients  = 10_000
	maxSessions = 1_000_000
	maxItem     = 4 << 20
	maxThink    = 100 * time.Second // a lock is abandoned after 110 s
	maxDuration = 24 * time.Hour
	maxWarmup   = 10 * time.Minute
)

// Options checks the words against what there is and each other. The error is a *[UsageError].
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

// checkNumbers refuses what can't be done.
func (o *Options) checkNumbers() error {
	for _, c := range []struct {
		bad  bool
		text string
	}{
		{math.IsNaN(o.Rate) || o.Rate < 0 || o.Rate > maxRate,
			fmt.Sprintf("--rate %v: give requests a second, up to %d; 0 is as many as possible", o.Rate, maxRate)},
		{o.Duration < time.Second || o.Duration > maxDuration, fmt.Sprintf("--duration %v: give 1s to 24h", o.Duration)},
		{o.Warmup < 0 || o.Warmup > maxWarmup, fmt.Sprintf("--warmup %v: give 0s to 10m", o.Warmup)},
		{o.Clients < 1 || o.Clients > maxClients, fmt.Sprintf("--clients %d: give 1 to %d", o.Clients, maxClients)},
		{o.Timeout < time.Second || o.Timeout > time.Hour, fmt.Sprintf("--timeout %v: give 1s to 1h; 40s lets a failover of 30s pass", o.Timeout)},
		{o.Sessions < 1 || o.Sessions > maxSessions, fmt.Sprintf("--sessions %d: give 1 to %d", o.Sessions, maxSessions)},
		{o.Think < 0 || o.Think > maxThink, fmt.Sprintf("--think %v: give 0s to %v, for locks that are older are abandoned", o.Think, maxThink)},
	} {
		if c.bad {
			return usage("%s", c.text)
		}
	}
	if o.Rate > 0 && o.Rate*o.Duration.Seconds() < 1 {
		return usage("--rate %v: no request would start within %v; give a higher rate, or a longer --duration", o.Rate, o.Duration)
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

// checkTargets checks who is loaded.
func (o *Options) checkTargets() error {
	for _, target := range o.Targets {
		if !isURL(target) {
			return usage("--target %q: give the URL of a session API, such as http://127.0.0.1:8080", target)
		}
	}
	onlyHTTP := slices.Equal(o.Vias, []string{measure.ViaHTTP})
	switch {
	case o.Admin != "" && !isURL(o.Admin):
		return usage("--admin %q: give the URL of an operators' listener, such as http://127.0.0.1:8081", o.Admin)
	case o.Admin != "" && len(o.Targets) == 0:
		return usage("--admin is the operators' listener of a --target; without one the load test brings up its own")
	case o.ConnectionString != "" && len(o.Targets) > 0:
		return usage("--target and --connection-string exclude each other: a target has its own pair")
	case len(o.Targets) > 0 && !onlyHTTP:
		return usage("--via compares ways to one pair, whose connection string it needs: replace --target by --connection-string, or leave both out")
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

// checkLimits refuses limits that mean nothing.
func checkLimits(l report.Limits) error {
	for flag, limit := range map[string]time.Duration{"--max-stall": l.MaxStall, "--max-p99": l.MaxP99} {
		if limit < 0 {
			return usage("%s %v: give a time such as 1s, or 0 for no limit", flag, limit)
		}
	}
	return nil
}

// task is the load of one via.
func (o *Options) task(via string) load.Task {
	return load.Task{
		App: appName(via), Workload: o.Workload, Rate: o.Rate, Clients: o.Clients,
		Duration: o.Duration, Warmup: o.Warmup, Timeout: o.Timeout, Seed: o.Seed,
	}
}

// offered is the load of the options.
func (o *Options) offered() report.Offered {
	return report.Offered{
		Rate: o.Rate, Clients: o.Clients, Preset: o.Preset, Mix: o.Mix.String(), Size: o.Size.String(), Sessions: o.Sessions,
		ThinkMS: measure.Milliseconds(o.Think), TimeoutMS: measure.Milliseconds(o.Timeout), WarmupS: measure.Seconds(o.Warmup), DurationS: measure.Seconds(o.Duration), Seed: o.Seed,
	}
}
