package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
)

// pairFlags say which pair is meant, over what the configuration says.
type pairFlags struct {
	connectionString, webConfig, location string
}

// passwordApart says where a password is given: everybody on the machine can read a command line.
const passwordApart = "; without the password, which everybody could read here: put it into MIRRORSTATE_PAIR_PASSWORD, or its file into MIRRORSTATE_PAIR_PASSWORD_FILE"

// add adds the flags; what they are good for stands before the rest.
func (f *pairFlags) add(flags credential.FlagSet, what string) {
	flags.StringVar(&f.connectionString, "connection-string", "", what+": an ADO.NET string `S` with data source and failover partner"+passwordApart)
	flags.StringVar(&f.webConfig, "web-config", "", what+" of a .NET application: the `FILE` with its <sessionState>")
	flags.StringVar(&f.location, "location", "", "the `PATH` of the <location> that is meant, where that file has several")
}

// direct says whether one was given.
func (f *pairFlags) direct() bool { return f.connectionString != "" || f.webConfig != "" }

// said is what the flags say, for the configuration.
func (f *pairFlags) said() (said []config.Setting) {
	for _, flag := range []config.Setting{
		config.Flag("--connection-string", "pair.connection_string", f.connectionString), config.Flag("--web-config", "pair.web_config", f.webConfig),
		config.Flag("--location", "pair.web_config_location", f.location),
	} {
		if flag.Values[0] != "" {
			said = append(said, flag)
		}
	}
	return said
}

// loadConfig reads the configuration. What a flag of this call can't mean is a misuse.
func loadConfig(s *settings, flags ...config.Setting) (config.Config, error) {
	cfg, err := config.Load(s.configFile, os.LookupEnv, flags...)
	if err == nil {
		err = config.CheckEnvironment(os.Environ())
	}
	if wrong, ok := errors.AsType[config.Mistakes](err); ok && wrong.ByFlag() {
		err = misuse.Of(err)
	}
	return cfg, err
}

// target is what an operator's command speaks to: a running server's operators'
// listener, or the pair itself if a flag says which.
type target struct {
	admin  string
	itself bool // the pair that the configuration names
	pairFlags
	credential.Files
}

// direct says whether the pair itself is meant.
func (t *target) direct() bool { return t.itself || t.pairFlags.direct() }

// adminTimeout bounds one request to the operators' listener; a failover answers when it is done.
const adminTimeout = 90 * time.Second

func (t *target) add(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&t.admin, "admin", "", adminUsage)
	cmd.PersistentFlags().BoolVar(&t.itself, "direct", false, "reach the pair of the configuration itself, and ask no running server")
	t.pairFlags.add(cmd.PersistentFlags(), "reach the pair itself")
	t.Files.Add(cmd.PersistentFlags())
}

// adminUsage is the help of --admin.
const adminUsage = "operators' listener of a running server, a `URL` (default: admin.listen of the configuration)"

// adminAt is where the operators' listener is asked, and how it is known there: where --admin says, by
// the roots of --ca-file or the system's; or else where the configuration has it listen, and without
// --ca-file by the configured certificate itself, whatever name stands in it.
func adminAt(s *settings, said string, roots *tls.Config) (url string, known *tls.Config, err error) {
	if said != "" {
		return said, roots, nil
	}
	cfg, err := loadConfig(s)
	if err != nil {
		return "", nil, err
	}
	host, port, err := net.SplitHostPort(cfg.Admin.Listen)
	if err != nil {
		return "", nil, misuse.Errorf("admin.listen: %w; or say --admin URL", err)
	}
	address := net.JoinHostPort(server.Reachable(host), port)
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

// operator gives who carries out verbs on the pair; done ends it. change is for a pair that is reached itself.
func (t *target) operator(ctx context.Context, s *settings, change ...func(*partner.Config)) (op operator, done func(), err error) {
	if t.direct() {
		st, err := openDirect(ctx, s, t.pairFlags, change...)
		if err != nil {
			return nil, nil, err
		}
		return directPair{st}, st.Close, nil
	}
	c, err := t.client(s)
	if err != nil {
		return nil, nil, err
	}
	return adminClient{c}, func() { c.Close() }, nil
}

// client speaks to the operators' listener.
func (t *target) client(s *settings) (*client.Client, error) {
	var cfg client.Config
	if err := t.Files.FromCaller(&cfg); err != nil {
		return nil, err
	}
	var err error
	if cfg.URL, cfg.TLS, err = adminAt(s, t.admin, cfg.TLS); err != nil {
		return nil, err
	}
	c, err := client.New(cfg)
	if err != nil {
		return nil, notAdmin(err)
	}
	return c, nil
}

// sessions is a store that can list.
type sessions interface {
	session.Store
	session.Lister
}

// store gives the sessions; done ends it.
func (t *target) store(ctx context.Context, s *settings) (st sessions, done func(), err error) {
	if t.direct() {
		direct, err := openDirect(ctx, s, t.pairFlags)
		if err != nil {
			return nil, nil, err
		}
		return direct.Store, direct.Close, nil
	}
	c, err := t.client(s)
	if err != nil {
		return nil, nil, err
	}
	return c, func() { c.Close() }, nil
}

// application is what --app says: an alias of the configuration, or a name. A
// running server knows its own aliases, so for one an alias stays as it is.
func (t *target) application(s *settings, app string) (*session.Application, error) {
	cfg, err := loadConfig(s, t.said()...)
	if err != nil {
		return nil, err
	}
	name, lockTimeout := app, time.Duration(0)
	if known, ok := cfg.Apps[app]; ok && t.direct() {
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

func (a adminClient) status(ctx context.Context) (server.PairStatus, error) {
	return pairOf(a.Pair(ctx))
}

func (a adminClient) do(ctx context.Context, v pairVerb) (server.PairStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	switch v.name {
	case "failover":
		return pairOf(a.Failover(ctx))
	case "force":
		return pairOf(a.ForceService(ctx, v.allowDataLoss))
	case "suspend":
		return pairOf(a.Suspend(ctx))
	case "accept":
		return pairOf(a.Accept(ctx, v.partner, v.reason))
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
