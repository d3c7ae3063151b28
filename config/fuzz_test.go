package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/config"
)

// FuzzParsePair checks that no error contains the password, whatever is before and after it. An accepted
// string has two servers, the driver parses it as intended, and parsing ConnectionString gives
// the same pair.
func FuzzParsePair(f *testing.F) {
	f.Add("data source=a;failover partner=b;user id=u;password=", ";network=dbmssocn")
	f.Add("server=tcp:a,1;failoverpartner=b\\i;uid=u;pwd='", "''x'")
	f.Add("encrypt=\"", "\";data source=a")
	f.Fuzz(func(t *testing.T, before, after string) {
		p, err := config.ParsePair(before + marker + after)
		if err != nil {
			if text := err.Error(); !strings.Contains(text, "the file has one in") && strings.Contains(strings.ToLower(text), strings.ToLower(marker)) || strings.Contains(text, "\n") { // the error may contain the paths of locations
				t.Fatalf("the error shows the password, or has several lines: %s", text)
			}
			return
		}
		for i, s := range p.Servers {
			if s.Address.Host == "" || s.User == "" && s.Authentication == "sql" {
				t.Fatalf("accepted without a server or a login: %+v", p)
			}
			takenByDriver(t, p, i)
		}
		if p.Servers[0].Authentication != "sql" {
			return // .NET has no keyword for it
		}
		again, err := config.ParsePair(p.ConnectionString().Reveal())
		if err != nil || !samePair(again, p) {
			t.Fatalf("written as %q it is read as %+v, %v; want %+v", p.ConnectionString().Reveal(), again, err, p)
		}
	})
}

// FuzzParseWebConfig checks that no error contains what may be the password.
func FuzzParseWebConfig(f *testing.F) {
	f.Add(`<configuration><system.web><sessionState mode="SQLServer" allowCustomSqlDatabase="true" sqlConnectionString="data source=a;failover partner=b;initial catalog=x;user id=u;password=`, `"/></system.web></configuration>`)
	f.Add(`<sessionState mode="SQLServer" sqlConnectionString="password="`, `" timeout="5"/>`)
	f.Add("<connectionStrings><add name='s' connectionString='&", ";'/></connectionStrings>")
	f.Fuzz(func(t *testing.T, before, after string) {
		s, err := config.ParseWebConfig([]byte(before+marker+after), "", func(string) ([]byte, error) { return nil, errors.New("no file") })
		if err != nil {
			if text := err.Error(); !strings.Contains(text, "the file has one in") && strings.Contains(strings.ToLower(text), strings.ToLower(marker)) || strings.Contains(text, "\n") {
				t.Fatalf("the error shows the password, or has several lines: %s", text)
			}
			return
		}
		if s.Mode == config.ModeSQLServer && s.SQLConnectionString.IsZero() && s.PartitionResolver == "" || s.Timeout < 0 || s.Timeout > 525600 {
			t.Fatalf("accepted: %+v", s)
		}
		if _, err := config.ParsePair(s.SQLConnectionString.Reveal()); err != nil && strings.Contains(strings.ToLower(err.Error()), strings.ToLower(marker)) {
			t.Fatalf("the error shows the password: %v", err)
		}
	})
}

// FuzzLoad checks the same for a configuration file.
func FuzzLoad(f *testing.F) {
	f.Add("pair: {a: {address: a}, b: {address: b}, user: u, password: ", "}")
	f.Add("pair:\n  password: |\n    ", "\n  user: [")
	f.Add("pair: {password: \"", "}")
	f.Fuzz(func(t *testing.T, before, after string) {
		_, err := load(t, "pair:\n  password: "+marker+"\n"+before, nil)
		if err != nil && (strings.Contains(err.Error(), marker) || strings.Contains(err.Error(), "\n")) {
			t.Fatalf("the error shows the password, or has several lines: %v", err)
		}
		_, _ = load(t, before+marker+after, nil)
	})
}
