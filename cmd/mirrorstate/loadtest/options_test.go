package loadtest

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/load"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/report"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/via"
)

// defaultFlags are the flags without arguments on the command line.
func defaultFlags() Flags {
	return Flags{Rate: 500, Clients: 64, Duration: time.Minute, Warmup: 2 * time.Second, Timeout: 40 * time.Second, Think: -1, Seed: 1}
}

func TestFlags_Refused(t *testing.T) {
	const target = "http://127.0.0.1:8080"
	for _, tt := range []struct {
		name string
		say  func(*Flags)
		want string // part of the error
	}{
		{"a negative rate", func(f *Flags) { f.Rate = -1 }, "--rate -1 must be 0 to 50000 requests a second"},
		{"a rate that is not a number", func(f *Flags) { f.Rate = math.NaN() }, "--rate NaN must be"},
		{"a rate that is too high", func(f *Flags) { f.Rate = 1e9 }, "0 to 50000"},
		{"a rate without a request in the run", func(f *Flags) { f.Rate = 0.001 }, "starts no request within 1m0s"},
		{"no clients", func(f *Flags) { f.Clients = 0 }, "--clients 0 must be 1 to"},
		{"no duration", func(f *Flags) { f.Duration = 0 }, "--duration 0s must be 1s to 24h"},
		{"a negative warm-up", func(f *Flags) { f.Warmup = -1 }, "--warmup"},
		{"no timeout", func(f *Flags) { f.Timeout = 0 }, "--timeout 0s"},
		{"a negative number of sessions", func(f *Flags) { f.Sessions = -3 }, "--sessions -3"},
		{"a think time after which locks are abandoned", func(f *Flags) { f.Think = 2 * time.Minute }, "--think 2m0s"},
		{"an unknown mix", func(f *Flags) { f.Mix = "shop" }, "must be web, read-mostly or cart"},
		{"an unknown visit in a mix", func(f *Flags) { f.Mix = "lock=1,write=2" }, `--mix "write" must be web`},
		{"a weight that is not a number", func(f *Flags) { f.Mix = "lock=many" }, "the weight must be a number from 0 to 1000000, such as lock=60"},
		{"a visit named twice", func(f *Flags) { f.Mix = "lock=1,lock=2" }, "names lock twice"},
		{"a mix with only zero weights", func(f *Flags) { f.Mix = "lock=0" }, "at least one weight must be above 0"},
		{"a size with the larger number first", func(f *Flags) { f.Size = "8192..512" }, "the smaller size must come first"},
		{"a size that is too small", func(f *Flags) { f.Size = "1..512" }, "must be 64 to"},
		{"a size that is not a number", func(f *Flags) { f.Size = "big" }, "such as 512..8192"},
		{"an unknown via", func(f *Flags) { f.Vias = "http,odbc" }, `--via "odbc" is not one of http, driver, direct, statement`},
		{"a via named twice", func(f *Flags) { f.Vias = "http,http" }, "names http twice"},
		{"an unknown failover", func(f *Flags) { f.Failovers = "explode@3s" }, "is not one of manual, force, crash"},
		{"a failover without a time", func(f *Flags) { f.Failovers = "manual" }, "such as manual@15s"},
		{"a failover after the end", func(f *Flags) { f.Failovers = "manual@70s" }, "is not before the end of the run"},
		{"failovers that overlap", func(f *Flags) { f.Failovers = "crash@10s,manual@12s" }, "set 18s or later"},
		{"a target that is not a URL", func(f *Flags) { f.Targets = []string{"here"} }, `--target "here" must be the URL`},
		{"admin without a target", func(f *Flags) { f.Admin = target }, "--admin applies to a --target only"},
		{"a failover without admin", func(f *Flags) { f.Targets, f.Failovers = []string{target}, "manual@3s" }, "--failover needs --admin, the URL"},
		{"vias with a target", func(f *Flags) { f.Targets, f.Vias = []string{target}, "http,driver" }, "--connection-string"},
		{"a target and a connection string", func(f *Flags) { f.Targets, f.ConnectionString = []string{target}, "x" }, "exclude each other"},
		{"a connection string without a failover partner", func(f *Flags) { f.ConnectionString = "data source=a" }, "failover partner is missing"},
		{"an unknown tolerance", func(f *Flags) { f.Tolerate = "everything" }, "is not one of failed, lost"},
		{"a tolerance that is not a number", func(f *Flags) { f.Tolerate = "failed=some" }, "such as failed=3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := defaultFlags()
			tt.say(&f)
			_, err := f.Options()
			if _, ok := errors.AsType[*UsageError](err); !ok || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want a misuse with %q in it", err, tt.want)
			}
		})
	}
}

func TestFlags_Options(t *testing.T) {
	f := defaultFlags()
	o, err := f.Options()
	if err != nil {
		t.Fatal(err)
	}
	if o.Preset != "web" || o.Sessions != 1000 || o.Size != (load.Range{Min: 512, Max: 8192}) || o.Think != 5*time.Millisecond {
		t.Errorf("the default workload is %+v", o.Workload)
	}
	if !slices.Equal(o.Failovers, demonstration) {
		t.Errorf("without a target there are the failovers %v, want one of each kind", o.Failovers)
	}
	f.Mix, f.Size, f.Sessions, f.Think, f.Failovers, f.Tolerate = "lock=60, read=35,touch=5", "1KiB", 7, 0, "crash@30s,manual@15s", "failed=3,unread"
	o, err = f.Options()
	if err != nil {
		t.Fatal(err)
	}
	if got := o.Mix.String(); got != "lock=60,read=35,touch=5" || o.Preset != "" {
		t.Errorf("the mix is %s of preset %q", got, o.Preset)
	}
	if o.Mix.Requests() != 1.6 {
		t.Errorf("a visit has %v requests, want 60 %% of 2 and 40 %% of 1", o.Mix.Requests())
	}
	if o.Size != (load.Range{Min: 1024, Max: 1024}) || o.Sessions != 7 || o.Think != 0 {
		t.Errorf("the workload is %+v", o.Workload)
	}
	if want := []Planned{{measure.KindManual, 15 * time.Second}, {measure.KindCrash, 30 * time.Second}}; !slices.Equal(o.Failovers, want) {
		t.Errorf("the failovers are %v, want %v", o.Failovers, want)
	}
	if o.Tolerate[report.FindingFailed] != 3 || o.Tolerate[report.FindingUnread] != math.MaxInt64 || o.Tolerate[report.FindingLost] != 0 {
		t.Errorf("tolerated is %v", o.Tolerate)
	}
}

// Without --failover the load test makes no failovers on a pair that it has not started.
func TestFlags_NoFailovers(t *testing.T) {
	for name, say := range map[string]func(*Flags){
		"a target":                   func(f *Flags) { f.Targets, f.Admin = []string{"http://a:1"}, "http://a:2" },
		"another pair":               func(f *Flags) { f.ConnectionString = "data source=a;failover partner=b;user id=u;password=p" },
		"a comparison":               func(f *Flags) { f.Vias = "http,driver" },
		"full speed":                 func(f *Flags) { f.Rate = 0 },
		"none":                       func(f *Flags) { f.Failovers = "none" },
		"a run that is too short":    func(f *Flags) { f.Duration = 4 * time.Second },
		"a run with --failover none": func(f *Flags) { f.Failovers, f.Mix = "none", "cart" },
	} {
		f := defaultFlags()
		say(&f)
		if o, err := f.Options(); err != nil || len(o.Failovers) != 0 {
			t.Errorf("%s: failovers %v, %v", name, o.Failovers, err)
		}
	}
}

func TestRange_AcrossTheColumns(t *testing.T) {
	f := defaultFlags()
	o, err := f.Options()
	if err != nil {
		t.Fatal(err)
	}
	if o.Size.Min > via.MaxShort || o.Size.Max <= via.MaxShort {
		t.Errorf("items of %v bytes use one of the two columns only", o.Size)
	}
}
