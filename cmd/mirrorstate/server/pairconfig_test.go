package server

import (
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
)

// The pair gets every budget of the configuration.
func TestPairConfig_Budgets(t *testing.T) {
	variables := map[string]string{"MIRRORSTATE_PAIR_A_ADDRESS": "a", "MIRRORSTATE_PAIR_B_ADDRESS": "b", "MIRRORSTATE_PAIR_USER": "u", "MIRRORSTATE_PAIR_PASSWORD": "p"}
	for key, d := range map[string]string{"dial": "4s", "login": "6s", "probe": "2s", "slow_probe": "20s", "attempt": "8s", "admin": "40s"} {
		variables[config.Variable("pair.budgets."+key)] = d
	}
	cfg, err := config.Load("", func(key string) (string, bool) { v, ok := variables[key]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	pc, err := PairConfig(cfg, nil, "", NewLogger(t.Output(), false))
	if err != nil {
		t.Fatal(err)
	}
	want := partner.Budgets{Dial: 4 * time.Second, Login: 6 * time.Second, Probe: 2 * time.Second, SlowProbe: 20 * time.Second, Attempt: 8 * time.Second, Admin: 40 * time.Second}
	if pc.Budgets != want {
		t.Errorf("got %+v, want %+v", pc.Budgets, want)
	}
	if d := cfg.Drain.Timeout; d != 46*time.Second {
		t.Errorf("drain.timeout is %s, want the hold window and two attempts", d)
	}
}
