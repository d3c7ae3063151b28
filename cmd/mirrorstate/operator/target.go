package operator

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/spf13/pflag"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
)

// Target is what an operator's command speaks to: a running server's operators'
// listener, or the pair itself if a flag says which.
type Target struct {
	Admin      string
	Configured bool // the pair that the configuration names
	PairFlags
	credential.Files
}

// Direct says whether the pair itself is meant.
func (t *Target) Direct() bool { return t.Configured || t.PairFlags.Direct() }

// adminTimeout bounds one request to the operators' listener; a failover answers when it is done.
const adminTimeout = 90 * time.Second

// Add adds the flags.
func (t *Target) Add(flags *pflag.FlagSet) {
	flags.StringVar(&t.Admin, "admin", "", AdminUsage)
	flags.BoolVar(&t.Configured, "direct", false, "reach the pair of the configuration itself, and ask no running server")
	t.PairFlags.Add(flags, "reach the pair itself")
	t.Files.Add(flags)
}

// AdminUsage is the help of --admin.
const AdminUsage = "operators' listener of a running server, a `URL` (default: admin.listen of the configuration)"

// AdminAt is where the operators' listener is asked, and how it is known there: where --admin says, by
// the roots of --ca-file or the system's; or else where the configuration has it listen, and without
// --ca-file by the configured certificate itself, whatever name stands in it.
func AdminAt(load Load, said string, roots *tls.Config) (url string, known *tls.Config, err error) {
	if said != "" {
		return said, roots, nil
	}
	cfg, err := load()
	if err != nil {
		return "", nil, err
	}
	host, port, err := net.SplitHostPort(cfg.Admin.Listen)
	if err != nil {
		return "", nil, misuse.Errorf("admin.listen: %w; or say --admin URL", err)
	}
	address := net.JoinHostPort(server.DialHost(host), port)
	if !cfg.Admin.TLS.On() {
		return "http://" + address, roots, nil
	}
	if roots == nil {
		roots = credential.Pinned(cfg.Admin.TLS.CertificateFile)
	}
	return "https://" + address, roots, nil
}

// notAdmin says what --admin must be.
func notAdmin(err error) error {
	return misuse.Errorf("--admin: %w; the operators' listener is http://127.0.0.1:8081 unless admin.listen says otherwise", err)
}

// Operator gives who carries out verbs on the pair; done ends it. change is for a pair that is reached itself.
func (t *Target) Operator(ctx context.Context, load Load, change ...func(*partner.Config)) (op Operator, done func(), err error) {
	if t.Direct() {
		st, err := openDirect(ctx, load, t.PairFlags, change...)
		if err != nil {
			return nil, nil, err
		}
		return directPair{st}, st.Close, nil
	}
	c, err := t.client(load)
	if err != nil {
		return nil, nil, err
	}
	return adminClient{c}, func() { c.Close() }, nil
}

// client speaks to the operators' listener.
func (t *Target) client(load Load) (*client.Client, error) {
	var cfg client.Config
	if err := t.Files.FromCaller(&cfg); err != nil {
		return nil, err
	}
	var err error
	if cfg.URL, cfg.TLS, err = AdminAt(load, t.Admin, cfg.TLS); err != nil {
		return nil, err
	}
	c, err := client.New(cfg)
	if err != nil {
		return nil, notAdmin(err)
	}
	return c, nil
}

// Store gives the sessions; done ends it.
func (t *Target) Store(ctx context.Context, load Load) (st Sessions, done func(), err error) {
	if t.Direct() {
		direct, err := openDirect(ctx, load, t.PairFlags)
		if err != nil {
			return nil, nil, err
		}
		return direct.Store, direct.Close, nil
	}
	c, err := t.client(load)
	if err != nil {
		return nil, nil, err
	}
	return c, func() { c.Close() }, nil
}

// Application is what --app says: an alias of the configuration, or a name. A
// running server knows its own aliases, so for one an alias stays as it is.
func (t *Target) Application(load Load, app string) (*session.Application, error) {
	cfg, err := load(t.Settings()...)
	if err != nil {
		return nil, err
	}
	name, lockTimeout := app, time.Duration(0)
	if known, ok := cfg.Apps[app]; ok && t.Direct() {
		name, lockTimeout = known.Name, known.LockTimeout
	}
	if name, err = session.ParseApplicationName(name); err != nil {
		return nil, misuse.Of(err)
	}
	a := session.Application{Name: name, LockTimeout: lockTimeout}.WithDefaults()
	return &a, nil
}

// adminClient speaks to an operators' listener.
type adminClient struct{ *client.Client }

func (a adminClient) Status(ctx context.Context) (server.PairStatus, error) {
	return pairOf(a.Pair(ctx))
}

func (a adminClient) Do(ctx context.Context, v Verb) (server.PairStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	switch v.Name {
	case "failover":
		return pairOf(a.Failover(ctx))
	case "force":
		return pairOf(a.ForceService(ctx, v.AllowDataLoss))
	case "suspend":
		return pairOf(a.Suspend(ctx))
	case "accept":
		return pairOf(a.Accept(ctx, v.Partner, v.Reason))
	}
	return pairOf(a.Resume(ctx))
}

// pairOf reads the pair's state from the listener's answer.
func pairOf(text json.RawMessage, err error) (st server.PairStatus, _ error) {
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal(text, &st); err != nil {
		return st, fmt.Errorf("the answer is not mirrorstate's: %w", err)
	}
	return st, nil
}
