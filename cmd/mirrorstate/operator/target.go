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
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
)

// Target is what an operators' command connects to: the operators' listener of a running server, or the pair itself if
// a flag asks for that.
type Target struct {
	Admin      string
	Configured bool // connect to the configured pair
	PairFlags
	credential.Files
}

// Direct reports whether the command connects to the pair itself.
func (t *Target) Direct() bool { return t.Configured || t.PairFlags.Direct() }

// adminTimeout bounds one request to the operators' listener. A failover is answered when it is complete.
const adminTimeout = 90 * time.Second

// Add adds the flags.
func (t *Target) Add(flags *pflag.FlagSet) {
	flags.StringVar(&t.Admin, "admin", "", AdminUsage)
	flags.BoolVar(&t.Configured, "direct", false, "connect to the configured pair itself, not to a running server")
	t.PairFlags.Add(flags, "connect to the pair itself")
	t.Files.Add(flags)
}

// AdminUsage is the help of --admin.
const AdminUsage = "`URL` of a running server's operators' listener (default: admin.listen of the configuration)"

// AdminAt returns the URL of the operators' listener, and the TLS settings for it. flag is the value of --admin, roots
// those of --ca-file, or nil. With --admin the listener is authenticated by roots, or by the system's. Without it the
// URL comes from the configuration; then, without --ca-file, the listener must have exactly the configured certificate,
// whatever name is in it.
func AdminAt(load Load, flag string, roots *tls.Config) (url string, known *tls.Config, err error) {
	if flag != "" {
		return flag, roots, nil
	}
	cfg, err := load()
	if err != nil {
		return "", nil, err
	}
	host, port, err := net.SplitHostPort(cfg.Admin.Listen)
	if err != nil {
		return "", nil, usage.Errorf("admin.listen: %w; or pass --admin URL", err)
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

// notAdmin returns the error for a --admin that is no URL.
func notAdmin(err error) error {
	return usage.Errorf("--admin: %w; the operators' listener is http://127.0.0.1:8081 unless admin.listen sets another address", err)
}

// Status returns the current status of the pair.
func (t *Target) Status(ctx context.Context, load Load) (server.PairStatus, error) {
	e, done, err := t.executor(ctx, load, observeOnly)
	if err != nil {
		return server.PairStatus{}, err
	}
	defer done()
	return e.Status(ctx)
}

// Do carries out a verb, and returns the status of the pair after it.
func (t *Target) Do(ctx context.Context, load Load, v Verb) (server.PairStatus, error) {
	e, done, err := t.executor(ctx, load)
	if err != nil {
		return server.PairStatus{}, err
	}
	defer done()
	return e.Do(ctx, v)
}

// executor returns the executor of the target; done closes it. change applies to the pair's configuration if the
// command connects to the pair itself.
func (t *Target) executor(ctx context.Context, load Load, change ...func(*partner.Config)) (e executor, done func(), err error) {
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

// client returns a client of the operators' listener.
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

// Store returns the sessions of the target; done closes it.
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

// Application returns the application of --app, which is an alias of the configuration or a name. For a running server
// an alias is not replaced, because that server has aliases of its own.
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
		return nil, usage.Of(err)
	}
	a := session.Application{Name: name, LockTimeout: lockTimeout}.WithDefaults()
	return &a, nil
}

// adminClient carries out verbs by the operators' listener of a running server.
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

// pairOf decodes the pair's status from the answer of the operators' listener.
func pairOf(text json.RawMessage, err error) (st server.PairStatus, _ error) {
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal(text, &st); err != nil {
		return st, fmt.Errorf("not an answer of mirrorstate: %w", err)
	}
	return st, nil
}
