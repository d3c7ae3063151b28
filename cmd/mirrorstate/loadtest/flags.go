package loadtest

import (
	"time"

	"github.com/spf13/pflag"
)

// Add adds the flags. passwordHint ends the help of --connection-string: it says where to put the password.
func (f *Flags) Add(v *pflag.FlagSet, passwordHint string) {
	v.StringArrayVar(&f.Targets, "target", nil, "`URL` of the session API to load; repeat it for a fleet on one pair (default: a pair and a server of its own)")
	v.StringVar(&f.Admin, "admin", "", "`URL` of the operators' listener of a target: it causes the failovers and reports the events")
	v.StringVar(&f.ConnectionString, "connection-string", "", "start a server on this pair and load it: an ADO.NET string `S` with data source and failover partner"+passwordHint)
	v.Float64Var(&f.Rate, "rate", 500, "requests started per second, for each --via; 0: as many as the clients can send")
	v.IntVar(&f.Clients, "clients", 200, "largest number of requests under way, for each --via")
	v.DurationVar(&f.Duration, "duration", time.Minute, "how long to measure")
	v.DurationVar(&f.Warmup, "warmup", 2*time.Second, "how long the load runs before measuring begins")
	v.StringVar(&f.Failovers, "failover", "", "failovers and their times, such as `manual@15s,crash@30s`: manual, force, crash, freeze, isolate, partition, sever; or none (default: without a target, one of each kind that its own pair supports)")
	v.StringVar(&f.Vias, "via", "", "ways to compare, such as `http,driver`: http, driver, direct, statement")
	v.StringVar(&f.Mix, "mix", "web", "the workload: web, read-mostly or cart, or weights such as `lock=60,read=35,touch=5`, and renew")
	v.StringVar(&f.Size, "size", "", "bytes of an item, such as `512..8192` (default: the workload's)")
	v.IntVar(&f.Sessions, "sessions", 0, "number of sessions (default: the workload's)")
	v.DurationVar(&f.Think, "think", -1, "time between taking a lock and writing (default: the workload's)")
	v.DurationVar(&f.Timeout, "timeout", 40*time.Second, "how long a client waits for an answer; a quarter of it for a lock")
	v.StringVar(&f.Tolerate, "tolerate", "", "findings that do not make it exit with 1, such as `failed=3,unread`: failed, lost, granted, resurrected, ghost, damaged, unread, refused")
	v.DurationVar(&f.Limits.MaxStall, "max-stall", 0, "longest wait of a request in a failover; a longer one fails the run (default no limit)")
	v.DurationVar(&f.Limits.MaxP99, "max-p99", 0, "largest p99 latency outside failovers; a larger one fails the run (default no limit)")
	v.Uint64Var(&f.Seed, "seed", 1, "seed of the random numbers")
	v.Lookup("think").DefValue = "0s" // pflag prints no default for the zero value
}
