package doctor

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/config"
)

// The attributes that doctor advises for a web.config are valid for ASP.NET and config.ParseWebConfig.
func TestAdvice_Attributes(t *testing.T) {
	for name, setup := range map[string]func(*Setup){
		"no retry":                                  func(s *Setup) { s.DotNet = true },
		"a retry of 60 seconds":                     func(s *Setup) { s.DotNet, s.RetryInterval = true, time.Minute },
		"a short timeout of a State Server":         func(s *Setup) { s.StateNetworkTimeout = 10 * time.Second },
		"a hold window with a fraction of a second": func(s *Setup) { s.StateNetworkTimeout, s.HoldWindow = 10*time.Second, 30*time.Second+time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			f := healthy()
			setup(&f.Setup)
			advised := 0
			for _, finding := range Diagnose(f).Findings {
				attribute := finding.Command
				if finding.Check != "client-timeouts" || finding.Level == OK || attribute == "" {
					continue
				}
				advised++
				s, err := config.ParseWebConfig([]byte(`<sessionState mode="InProc" `+attribute+`/>`), "", func(string) ([]byte, error) { return nil, os.ErrNotExist })
				switch {
				case err != nil:
					t.Errorf("%s: %v", attribute, err)
				case strings.HasPrefix(attribute, "sqlConnectionRetryInterval") && s.SQLConnectionRetry%time.Minute == 0:
					t.Errorf("%s: ASP.NET does not retry", attribute)
				case strings.HasPrefix(attribute, "stateNetworkTimeout") && s.StateNetworkTimeout < f.Setup.HoldWindow+5*time.Second:
					t.Errorf("%s: is shorter than the longest answer", attribute)
				}
			}
			if advised == 0 {
				t.Error("got no advice")
			}
		})
	}
}
