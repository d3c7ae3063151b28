package server

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microsoft/go-mssqldb/integratedauth"
	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/mirrorstate/mirrorstate/config"
)

// slowAuth answers after the duration after.
type slowAuth struct {
	after time.Duration
	freed int
}

func (s *slowAuth) InitialBytes() ([]byte, error) {
	time.Sleep(s.after)
	return []byte("ticket"), nil
}
func (s *slowAuth) NextBytes([]byte) ([]byte, error) { return nil, nil }
func (s *slowAuth) Free()                            { s.freed++ }

func TestBoundedAuth(t *testing.T) {
	for name, after := range map[string]time.Duration{"in time": time.Second, "too late": 20 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := &slowAuth{after: after}
				b := &boundedAuth{IntegratedAuthenticator: inner, timeout: kerberosTimeout}
				begun := time.Now()
				token, err := b.InitialBytes()
				if late := after > kerberosTimeout; late != errors.Is(err, errKerberos) || late == (string(token) == "ticket") {
					t.Errorf("got %q, %v after %v", token, err, time.Since(begun))
				}
				if waited := time.Since(begun); waited > kerberosTimeout {
					t.Errorf("waited %v", waited)
				}
				b.Free()
				time.Sleep(after)
				synctest.Wait()
				if inner.freed != 1 {
					t.Errorf("freed %d times", inner.freed)
				}
			})
		})
	}
}

// The driver accepts the Kerberos settings of the configuration, and uses boundedAuth.
func TestKerberos_DriverUsesBoundedAuth(t *testing.T) {
	dir := t.TempDir()
	conf, keytab := filepath.Join(dir, "krb5.conf"), filepath.Join(dir, "web.keytab")
	for path, text := range map[string]string{conf: "[libdefaults]\n default_realm = EXAMPLE.NET\n", keytab: "\x05\x02"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	variables := map[string]string{
		"MIRRORSTATE_PAIR_CONNECTION_STRING": "data source=SQL1;failover partner=SQL2;integrated security=SSPI",
		"MIRRORSTATE_PAIR_USER":              "web", "MIRRORSTATE_PAIR_KERBEROS_CONFIG_FILE": conf, "MIRRORSTATE_PAIR_KERBEROS_KEYTAB_FILE": keytab,
	}
	cfg, err := config.Load("", func(key string) (string, bool) { v, ok := variables[key]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	pair, _ := cfg.Partners()
	for i := range pair.Servers {
		dsn, err := msdsn.Parse(pair.DriverString(i).Reveal())
		if err != nil {
			t.Fatal(err)
		}
		auth, err := integratedauth.GetIntegratedAuthenticator(dsn)
		if _, bounded := auth.(*boundedAuth); err != nil || !bounded {
			t.Errorf("partner %d: got a %T, %v", i, auth, err)
		}
	}
}
