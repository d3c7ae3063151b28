package config_test

import (
	"crypto/tls"
	"strings"
	"testing"
)

// The certificate of a server, also in a file, may have a negative serial number.
func TestLoad_NegativeSerial(t *testing.T) {
	own := file(t, t.TempDir(), "server.pem", negativeSerial)
	if _, err := load(t, "pair: {a: {address: a}, b: {address: b}, user: u, password: p, certificate_file: "+own+"}", nil); err != nil {
		t.Error(err)
	}
}

// tls_min is passed to the driver, and an old version causes a note for the operator.
func TestLoad_TLSMin(t *testing.T) {
	const pair = "pair: {a: {address: a}, b: {address: b, tls_min: '1.3'}, user: u, password: p"
	c, err := load(t, pair+", tls_min: '1.0'}", nil)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := c.Partners()
	for i, want := range []uint16{tls.VersionTLS10, tls.VersionTLS13} {
		if got := takenByDriver(t, p, i).TLSConfig.MinVersion; got != want {
			t.Errorf("partner %d: the driver's oldest version is %x, want %x", i, got, want)
		}
	}
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "TLS 1.0 is accepted from partner a") {
		t.Errorf("notes %q", c.Notes)
	}
	if _, err := load(t, pair+", tls_min: '1.4'}", nil); err == nil || !strings.Contains(err.Error(), `pair.tls_min: "1.4" must be 1.0, 1.1, 1.2 or 1.3`) {
		t.Errorf("got %v", err)
	}
}
