// Package webconfig writes the <sessionState> and <machineKey> elements for a .NET application that shares the
// sessions.
package webconfig

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/config"
)

// Options say which elements to write.
type Options struct {
	Mode         string // sqlserver or stateserver
	StateServer  string // HOST[:PORT] by which the web servers reach mirrorstate; empty: this machine's name, port 42424
	App          string // the alias of the application whose timeout is used
	Compression  bool   // the application compresses its items
	ShowPassword bool   // the password is not masked
}

// Elements returns the elements. It reads the machine key from random.
func (o Options) Elements(cfg config.Config, random io.Reader) (*Elements, error) {
	app, ok := cfg.Apps[o.App]
	if !ok {
		return nil, usage.Errorf("--app %q is not an alias of the configuration", o.App)
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
		err = usage.Errorf("--mode must be sqlserver or stateserver, not %q", o.Mode)
	}
	if err != nil {
		return nil, err
	}
	el.session("timeout", fmt.Sprint(app.Timeout))
	if o.Compression || el.compressed {
		el.session("compressionEnabled", "true")
		el.note("compressionEnabled must be the same on every web server. Other clients must decompress the items (raw deflate): mirrorstate does not change them.")
	}
	return el, el.newMachineKey(random)
}

// Elements are the two elements, with notes for the administrator.
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

// carryOver keeps the attributes of an existing web.config that do not depend on the mode.
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

// sqlServer writes the <sessionState> of an application that connects to the SQL Servers itself.
func (el *Elements) sqlServer(cfg config.Config, showPassword bool) error {
	pair, configured := cfg.Partners()
	if !configured {
		return usage.NoPair()
	}
	pair = el.forSystemData(pair)
	el.Masked = !showPassword && !pair.Servers[0].Password.IsZero()
	if el.Masked {
		pair.Servers[0].Password = config.NewSecret("********")
		el.note("The password is masked. Run this again with the flag show-password, or insert the password.")
	}
	el.Session = append(attributes{{"mode", config.ModeSQLServer}}, el.carried...)
	el.session("allowCustomSqlDatabase", "true")
	el.session("sqlConnectionString", pair.ConnectionString().Reveal())
	el.session("sqlCommandTimeout", "30")
	el.session("sqlConnectionRetryInterval", fmt.Sprint(retryInterval(cfg.Pair.Hold.Window)))
	el.note("The application connects to the two SQL Servers itself and shares the sessions with mirrorstate. In a failover it waits and retries as ASP.NET does: a request may fail.")
	el.note("allowCustomSqlDatabase is needed for ASPState too: SqlClient requires an initial catalog with a failover partner, and ASP.NET refuses one without this attribute.")
	el.note("sqlConnectionRetryInterval is in seconds and must not be a multiple of 60: ASP.NET uses only the seconds of the interval, not its minutes, and would not retry.")
	return nil
}

// retryInterval returns for how many seconds ASP.NET retries: as long as the hold window, but never a multiple of 60.
func retryInterval(window time.Duration) int {
	seconds := max(1, wholeSeconds(window))
	if seconds%60 == 0 {
		seconds++
	}
	return seconds
}

func wholeSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// forSystemData removes the settings that .NET Framework's SqlClient does not support, and adds a note for each.
func (el *Elements) forSystemData(p config.Partners) config.Partners {
	a, b := &p.Servers[0], &p.Servers[1]
	if a.User != b.User || a.Password != b.Password || a.Authentication != b.Authentication || a.Encrypt != b.Encrypt {
		el.note("SqlClient uses one login for both servers: this is the login of partner a.")
	}
	if a.Authentication != "sql" {
		a.Password = config.Secret{}
		el.note("The application logs in with the Windows account of its application pool, which needs a login on both servers.")
	}
	if a.Encrypt == "strict" {
		el.note("The configuration says encrypt: strict (TDS 8), which .NET Framework's SqlClient does not support: this is Encrypt=True instead.")
		a.Encrypt = "true"
	}
	if a.HostNameInCertificate != "" || a.CAFile != "" || a.CertificateFile != "" {
		el.note("SqlClient has no setting for a certificate: the certificates of both servers must have the servers' names, and the web server's certificate store must trust them.")
	}
	if a.Encrypt != "true" {
		a.Encrypt, a.TrustServerCertificate = "false", nil
	}
	a.HostNameInCertificate, a.CertificateFile, a.SPN, b.SPN = "", "", "", ""
	return p
}

// statePort is the default port of a State Server.
const statePort = "42424"

// stateMargin is by how much stateNetworkTimeout exceeds the hold window.
const stateMargin = 10 * time.Second

// stateServer writes the <sessionState> of an application that connects to mirrorstate.
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
		return usage.Errorf("--state-server must be HOST or HOST:PORT of mirrorstate")
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
	el.note(fmt.Sprintf("stateNetworkTimeout is longer than the hold window, %v: the web server must not give up a request that is held.", cfg.Pair.Hold.Window))
	if timeout >= 110 {
		el.note("stateNetworkTimeout is not shorter than executionTimeout of <httpRuntime>, by default 110 seconds: raise executionTimeout too.")
	}
	return nil
}

// newMachineKey sets new keys, as long as HMACSHA256 (64 bytes) and AES (32 bytes) can use.
// Source: System.Web.Configuration.MachineKeySection.
func (el *Elements) newMachineKey(random io.Reader) error {
	var keys [64 + 32]byte
	if _, err := io.ReadFull(random, keys[:]); err != nil {
		return fmt.Errorf("create the machine keys: %w", err)
	}
	el.Key = attributes{
		{"validationKey", fmt.Sprintf("%X", keys[:64])}, {"decryptionKey", fmt.Sprintf("%X", keys[64:])},
		{"validation", "HMACSHA256"}, {"decryption", "AES"}, {"compatibilityMode", "Framework45"},
	}
	el.KeyNotes = []string{
		"This key is new. Every web server of the farm needs the same key, because each must read the view state and the forms-authentication tickets of the others.",
		"The key is a secret. It needs .NET Framework 4.5. View state and tickets that were made with another key become invalid.",
	}
	return nil
}
