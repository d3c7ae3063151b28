// Package webconfig writes the <sessionState> and <machineKey> elements for a .NET application on the same sessions.
package webconfig

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/config"
)

// Options is what elements are wanted.
type Options struct {
	Mode         string // sqlserver or stateserver
	StateServer  string // HOST[:PORT] as the web servers see it; empty: this machine's name, port 42424
	App          string // the alias of the application whose time-out is taken
	Compression  bool   // the application is to compress its items
	ShowPassword bool   // it is not masked
}

// Elements makes them. random is where the machine key comes from.
func (o Options) Elements(cfg config.Config, random io.Reader) (*Elements, error) {
	app, ok := cfg.Apps[o.App]
	if !ok {
		return nil, misuse.Errorf("--app %q is no alias of the configuration", o.App)
	}
	el := &Elements{}
	if err := el.carryOver(cfg.Pair.WebConfig, cfg.Pair.WebConfigLocation); err != nil {
		return nil, err
	}
	var err error
	switch o.Mode {
	case "sqlserver":
		err = el.sqlServer(cfg, o.ShowPassword)
	case "stateserver":
		err = el.stateServer(cfg, o.StateServer)
	default:
		err = misuse.Errorf("--mode %q is neither sqlserver nor stateserver", o.Mode)
	}
	if err != nil {
		return nil, err
	}
	el.session("timeout", fmt.Sprint(app.Timeout))
	if o.Compression || el.compressed {
		el.session("compressionEnabled", "true")
		el.note("compressionEnabled must be the same on every web server. Others read the items through raw deflate: mirrorstate passes them on as they are.")
	}
	return el, el.newMachineKey(random)
}

// Elements are the two elements, with what is to be known of them.
type Elements struct {
	Session  attributes `json:"session_state"`
	Key      attributes `json:"machine_key"`
	Masked   bool       `json:"password_masked"`
	Notes    []string   `json:"notes"`
	KeyNotes []string   `json:"machine_key_notes"`

	carried    attributes // from the web.config that was read
	compressed bool
}

func (el *Elements) session(name, value string) {
	el.Session = append(el.Session, attribute{name, value})
}

func (el *Elements) note(text string) { el.Notes = append(el.Notes, text) }

// carryOver takes from a web.config what a change of the mode should not change.
func (el *Elements) carryOver(path, location string) error {
	if path == "" {
		return nil
	}
	s, err := config.ReadWebConfig(path, location)
	if err != nil {
		return err
	}
	for _, a := range (attributes{{"cookieName", s.CookieName}, {"cookieless", s.Cookieless}}) {
		if a.value != "" {
			el.carried = append(el.carried, a)
		}
	}
	el.compressed = s.CompressionEnabled
	return nil
}

// sqlServer is for an application that uses the servers itself.
func (el *Elements) sqlServer(cfg config.Config, showPassword bool) error {
	pair, configured := cfg.Partners()
	if !configured {
		return misuse.NoPair()
	}
	pair = el.forSystemData(pair)
	el.Masked = !showPassword && !pair.Servers[0].Password.IsZero()
	if el.Masked {
		pair.Servers[0].Password = config.NewSecret("********")
		el.note("The password is masked. Run this again with the flag show-password, or write it in.")
	}
	el.Session = append(attributes{{"mode", config.ModeSQLServer}}, el.carried...)
	el.session("allowCustomSqlDatabase", "true")
	el.session("sqlConnectionString", pair.ConnectionString().Reveal())
	el.session("sqlCommandTimeout", "30")
	el.session("sqlConnectionRetryInterval", fmt.Sprint(retryInterval(cfg.Pair.Hold.Window)))
	el.note("The application uses the two SQL Servers itself, beside mirrorstate, on the same sessions. In a failover it waits and retries as ASP.NET does it: a request may fail.")
	el.note("allowCustomSqlDatabase is needed for ASPState too: SqlClient wants an initial catalog beside a failover partner, and ASP.NET refuses one without it.")
	el.note("sqlConnectionRetryInterval is in seconds, and must be no multiple of 60: ASP.NET looks at what is left of a minute only, and would not retry.")
	return nil
}

// retryInterval is for how many seconds ASP.NET shall retry: as long as calls are held here.
func retryInterval(window time.Duration) int {
	seconds := max(1, wholeSeconds(window))
	if seconds%60 == 0 {
		seconds++
	}
	return seconds
}

func wholeSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// forSystemData leaves out what .NET Framework's SqlClient does not know, and says so.
func (el *Elements) forSystemData(p config.Partners) config.Partners {
	a, b := &p.Servers[0], &p.Servers[1]
	if a.User != b.User || a.Password != b.Password || a.Authentication != b.Authentication || a.Encrypt != b.Encrypt {
		el.note("SqlClient has one login for both servers: that of partner a is written here.")
	}
	if a.Authentication != "sql" {
		a.Password = config.Secret{}
		el.note("The application logs in with its own Windows account (that of its application pool), which needs a login on both servers.")
	}
	if a.Encrypt == "strict" {
		el.note("Encryption is strict (TDS 8) here, which .NET Framework's SqlClient does not know: Encrypt=True is written.")
		a.Encrypt = "true"
	}
	if a.HostNameInCertificate != "" || a.CAFile != "" || a.CertificateFile != "" {
		el.note("SqlClient can't be told of a certificate: those of both servers must be for their names, and trusted by the web server's own store.")
	}
	if a.Encrypt != "true" {
		a.Encrypt, a.TrustServerCertificate = "false", nil
	}
	a.HostNameInCertificate, a.CertificateFile, a.SPN, b.SPN = "", "", "", ""
	return p
}

// statePort is where ASP.NET expects a State Server.
const statePort = "42424"

// stateMargin is by how much an application must be more patient than mirrorstate.
const stateMargin = 10 * time.Second

// stateServer is for an application that uses mirrorstate.
func (el *Elements) stateServer(cfg config.Config, address string) error {
	if address == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("find this machine's name: %w; give it with --state-server", err)
		}
		address = host
	}
	a, err := config.ParseAddress(address)
	if err != nil || a.Instance != "" {
		return misuse.Errorf("--state-server: give HOST or HOST:PORT of mirrorstate")
	}
	host, port := a.Host, statePort
	if a.Port != 0 {
		port = fmt.Sprint(a.Port)
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	timeout := wholeSeconds(cfg.Pair.Hold.Window + stateMargin)
	el.Session = append(attributes{{"mode", config.ModeStateServer}}, el.carried...)
	el.session("stateConnectionString", "tcpip="+host+":"+port)
	el.session("stateNetworkTimeout", fmt.Sprint(timeout))
	el.note("NOT YET: mirrorstate's State Server listener is not built. Until it is, nothing answers at this address, and an application with this element has no sessions.")
	el.note(fmt.Sprintf("stateNetworkTimeout is longer than the hold window, %v: a request that is held must not be given up by the web server.", cfg.Pair.Hold.Window))
	if timeout >= 110 {
		el.note("It is not shorter than the executionTimeout of <httpRuntime>, 110 seconds by default; raise that too.")
	}
	return nil
}

// newMachineKey makes the keys: as many bytes as HMACSHA256 (64) and AES (32) make use of.
// Source: System.Web.Configuration.MachineKeySection.
func (el *Elements) newMachineKey(random io.Reader) error {
	var keys [64 + 32]byte
	if _, err := io.ReadFull(random, keys[:]); err != nil {
		return fmt.Errorf("make the keys: %w", err)
	}
	el.Key = attributes{
		{"validationKey", fmt.Sprintf("%X", keys[:64])}, {"decryptionKey", fmt.Sprintf("%X", keys[64:])},
		{"validation", "HMACSHA256"}, {"decryption", "AES"}, {"compatibilityMode", "Framework45"},
	}
	el.KeyNotes = []string{
		"Made just now. Every web server of the farm needs this same one: what one of them signs and encrypts, view state and tickets of forms authentication, another must read.",
		"It is a secret. It needs .NET Framework 4.5. View state and tickets made with another key are void from then on.",
	}
	return nil
}
