package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/telemetry"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
	"github.com/mirrorstate/mirrorstate/textfile"
)

// embeddedFlags choose the embedded pair's place and addresses.
type embeddedFlags struct {
	dir, addrA, addrB string
	witness           string
	partnerTimeout    time.Duration
	expose            bool
	empty             bool // only of the command embedded
}

func (f *embeddedFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dir, "data", "", "`DIR` of the embedded pair's data, and of what is remembered of any pair (default: mirrorstate in the user's state directory)")
	cmd.Flags().StringVar(&f.addrA, "partner-a", "127.0.0.1:14331", "TDS `ADDR` of embedded partner a; port 0 picks one")
	cmd.Flags().StringVar(&f.addrB, "partner-b", "127.0.0.1:14332", "TDS `ADDR` of embedded partner b; port 0 picks one")
	cmd.Flags().BoolVar(&f.expose, "expose-partners", false, "let other machines reach the embedded partners: whoever has their password is sysadmin there")
	cmd.Flags().StringVar(&f.witness, "witness", "on", "`on|off`: whether the embedded pair has a witness, and fails over by itself")
	cmd.Flags().DurationVar(&f.partnerTimeout, "partner-timeout", 5*time.Second, "after what silence an embedded partner counts as gone; at least 5s")
}

// open opens the embedded pair.
func (f *embeddedFlags) open(logger *slog.Logger) (*embedded.Pair, error) {
	switch {
	case f.witness != "on" && f.witness != "off":
		return nil, misuse("--witness %q is neither on nor off", f.witness)
	case f.partnerTimeout < 5*time.Second:
		return nil, misuse("--partner-timeout %v is below SQL Server's minimum of 5s", f.partnerTimeout)
	}
	dir, err := dataDir(f.dir, "mirrorstate")
	if err != nil {
		return nil, err
	}
	o := embedded.Options{
		Dir: dir, AddrA: f.addrA, AddrB: f.addrB, PartnerTimeout: f.partnerTimeout, Witness: f.witness == "on", Empty: f.empty, Expose: f.expose,
		Password: textfile.Variable(os.Getenv("MIRRORSTATE_EMBEDDED_PASSWORD")), Logger: logger,
	}
	if !f.empty {
		o.Schema = schema.Script()
	}
	servers, err := embedded.Open(o)
	if err != nil {
		return nil, err
	}
	for _, e := range servers.Exposed() {
		logger.Warn("the embedded pair's data is exposed", "note", e.Error())
	}
	return servers, nil
}

// dataDir is the folder given, or the one of that name in the user's state directory
// (XDG_STATE_HOME, else ~/.local/state).
func dataDir(dir, name string) (string, error) {
	if dir != "" {
		return filepath.Abs(dir)
	}
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, name), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no data folder: %w; name one with --data", err)
	}
	return filepath.Join(home, ".local", "state", name), nil
}

// memoryDir is where the accepted principal of a configured pair is remembered: the
// data folder, or one of its own in the user's state directory, because the
// embedded pair's must hold nothing else. A folder that nobody asked for and that can't
// be had is not needed: then nothing is remembered.
func (f *embeddedFlags) memoryDir(logger *slog.Logger) (string, error) {
	dir, err := dataDir(f.dir, "mirrorstate-memory")
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	switch {
	case err == nil:
		return dir, nil
	case f.dir == "":
		logger.Warn("the accepted principal is not remembered over a restart; name a folder with --data", "error", err)
		return "", nil
	}
	return "", fmt.Errorf("make the data folder: %w; choose another one with --data", err)
}

// openServers opens the embedded pair if no other is configured, and gives the folder
// in which the accepted principal is remembered.
func openServers(cfg config.Config, flags *embeddedFlags, logger *slog.Logger) (servers *embedded.Pair, dir string, err error) {
	if _, configured := cfg.Partners(); configured {
		dir, err = flags.memoryDir(logger)
		return nil, dir, err
	}
	if dir, err = dataDir(flags.dir, "mirrorstate"); err != nil {
		return nil, "", err
	}
	servers, err = flags.open(logger)
	return servers, dir, err
}

func newServe(s *settings) *cobra.Command {
	var (
		api, admin string
		insecure   bool
		pair       pairFlags
		flags      embeddedFlags
	)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the session-state server",
		Long: "Runs the server: the session API, and the operators' listener beside it.\n" +
			"Where neither the configuration nor a flag names a pair it brings up an embedded mirrored one, with a\n" +
			"witness: when the principal is lost, the mirror takes over by itself. With --witness off only\n" +
			"an operator, or pair.watchdog of the configuration, forces service there.",
		Example: "  mirrorstate serve\n  mirrorstate serve --witness off\n  mirrorstate serve --config /etc/mirrorstate/mirrorstate.yaml --api 0.0.0.0:8080\n" +
			"  mirrorstate serve --web-config /srv/shop/web.config",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			said := pair.said()
			if api != "" {
				said = append(said, config.Flag("--api", "api.listen", api))
			}
			if admin != "" {
				said = append(said, config.Flag("--admin", "admin.listen", admin))
			}
			if s.verbose {
				said = append(said, config.Flag("--verbose", "log.level", "debug"))
			}
			if insecure {
				said = append(said, config.Flag("--insecure", "auth.insecure", "true"))
			}
			load := func() (config.Config, error) { return loadConfig(s, said...) }
			cfg, err := load()
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, &flags, newLogs(cmd.ErrOrStderr(), cfg.Log), cmd.OutOrStdout(), load)
		},
	}
	cmd.Flags().StringVar(&api, "api", "", "`ADDR` of the session API (default 127.0.0.1:8080)")
	cmd.Flags().StringVar(&admin, "admin", "", "`ADDR` of the operators' listener (default 127.0.0.1:8081)")
	cmd.Flags().BoolVar(&insecure, "insecure", false, "let other machines reach listeners that have no authentication")
	pair.add(cmd.Flags(), "the pair")
	flags.add(cmd)
	return cmd
}

// serve runs until ctx ends: listeners first, for a taken port is the likeliest
// failure and should leave nothing behind. load reads the configuration again, on SIGHUP; nil: it is not read again.
func serve(ctx context.Context, cfg config.Config, flags *embeddedFlags, logs logs, out io.Writer, load func() (config.Config, error)) error {
	defer collectLess()()
	for _, note := range cfg.Notes {
		logs.Warn("about the configuration", "note", note)
	}
	_, configured := cfg.Partners()
	files := openFiles()
	room, err := allot(files, cfg.Limits, !configured)
	if err != nil {
		return err
	}
	room.tell(files, cfg.Limits, logs.Logger)
	apiListener, err := proxy.Listen(ctx, origin(&cfg, "api.listen", "--api"), cfg.API.Listen)
	if err != nil {
		return err
	}
	defer apiListener.Close()
	adminListener, err := proxy.Listen(ctx, origin(&cfg, "admin.listen", "--admin"), cfg.Admin.Listen)
	if err != nil {
		return err
	}
	defer adminListener.Close()

	guards, err := openGuards(cfg, logs.Logger)
	if err != nil {
		return err
	}
	if err := guards.check(cfg, apiListener.Addr(), adminListener.Addr(), logs.Logger); err != nil {
		return err
	}
	tracing, err := telemetry.NewTracing(ctx, os.LookupEnv, buildVersion(), databaseOf(cfg), logs.Logger)
	if err != nil {
		return err
	}
	defer closeTracing(tracing, logs)
	metrics := telemetry.NewMetrics(buildVersion(), tracing)
	servers, memory, err := openServers(cfg, flags, logs.Logger)
	if err != nil {
		return err
	}
	st, err := openStack(cfg, servers, memory, metrics.Calls, logs.Logger, room.pair)
	if err != nil {
		return err
	}
	defer st.close()
	st.sweep(cfg.Sweep.Enabled)
	st.readSecret()

	guards.watch(st)
	l := &life{notify: newNotifier(logs.Logger), logs: logs}
	l.pause.Store(int64(cfg.Drain.Pause))
	api, admin, err := handlers(cfg, st, l, guards, isLoopback(adminListener.Addr()), metrics, tracing)
	if err != nil {
		return err
	}
	defer l.reload(ctx, cfg, load, metrics.Reloads, st, api, guards)()
	greet(out, shownURL(apiListener, guards.api), shownURL(adminListener, guards.admin), guards.shown(), servers, shownAlias(cfg.Apps))
	apiRules, adminRules := faceRules(cfg, room, guards, metrics, logs)
	apiRules.OnDrain = func() { endWaits(ctx, api.StopWaiting, cfg.Drain.Timeout) }
	return l.live(ctx, st.failed, face{apiListener, l.leaving.Wrap(api), apiRules}, face{adminListener, admin, adminRules})
}

// origin says where a listener's address comes from, in words that follow the address.
func origin(cfg *config.Config, key, flag string) string {
	if from := cfg.Origin(key); from != "" {
		return "set by " + from
	}
	return "the default of " + key + " (" + flag + ")"
}

// faceRules are the rules that each listener is served by.
func faceRules(cfg config.Config, room allotment, g *guards, metrics *telemetry.Metrics, logs logs) (api, admin proxy.ServerConfig) {
	rules := proxy.ServerConfig{HoldWindow: cfg.Pair.Hold.Window, DrainTimeout: cfg.Drain.Timeout, Keys: g.keys, Logger: logs.Logger}
	api, admin = rules, rules
	admin.Health = proxy.IsHealth
	api.TLS, admin.TLS = tlsOf(g.api), tlsOf(g.admin)
	api.Limits, admin.Limits = room.serverLimits(cfg.Limits)
	listeners := telemetry.Listeners{telemetry.NewListener("api", g.api), telemetry.NewListener("admin", g.admin)}
	api.Watch, admin.Watch = listeners[0].Watch, listeners[1].Watch
	metrics.Add(listeners)
	return api, admin
}

// databaseOf is the mirrored database's name.
func databaseOf(cfg config.Config) string {
	if both, configured := cfg.Partners(); configured {
		return both.Database
	}
	return "ASPState"
}

// closeTracing sends the last spans.
func closeTracing(tracing *telemetry.Tracing, logs logs) {
	if err := tracing.Close(); err != nil {
		logs.Warn("the last traces were not sent", "error", err)
	}
}

// shownURL is where a listener is asked, from this machine: [::] and 0.0.0.0 are addresses to listen on, and none to
// connect to.
func shownURL(ln net.Listener, c *proxy.Certificates) string {
	address := ln.Addr().String()
	if host, port, err := net.SplitHostPort(address); err == nil {
		address = net.JoinHostPort(reachable(host), port)
	}
	if c != nil {
		return "https://" + address
	}
	return "http://" + address
}

// reachable is an address to connect to, on this machine, for one to listen on.
func reachable(host string) string {
	switch ip := net.ParseIP(host); {
	case host == "" || ip.Equal(net.IPv4zero):
		return "127.0.0.1"
	case ip.Equal(net.IPv6unspecified):
		return "::1"
	}
	return host
}

// boundOrNone is a bound as the proxy is given it: 0 stands for its default there.
func boundOrNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// handlers makes the two faces.
func handlers(cfg config.Config, st *stack, l *life, g *guards, loopback bool, metrics *telemetry.Metrics, tracing *telemetry.Tracing) (api *proxy.API, admin http.Handler, err error) {
	limits := cfg.Limits
	pc := proxy.Config{
		Store: st.store, Apps: applications(cfg), AppsOpen: cfg.AppsOpen, BasePath: cfg.API.BasePath, HoldWindow: cfg.Pair.Hold.Window, FleetSecret: st.store.FleetSecret, Logger: l.logs.Logger,
		Keys: g.keys, Hosts: cfg.API.Hosts, Holding: st.pair.Holding,
		Limits: proxy.Limits{
			WaitersPerSession: limits.LockWaiters, WaitersInAll: limits.LockWaitersInAll,
			Places: limits.Requests, Queue: limits.Queue, QueueWait: limits.QueueWait, ItemsMemory: int64(limits.Bytes),
			NewApplications: boundOrNone(limits.NewApplications), IdempotencyKeys: boundOrNone(limits.IdempotencyKeys),
		},
	}
	if tracing != nil {
		pc.Tracer = tracing
	}
	if api, err = proxy.NewAPI(pc); err != nil {
		return nil, nil, err
	}
	view := pairView{Pair: st.pair, sweep: st.sweeping, servers: st.servers}
	metrics.Add(api, telemetry.Limits(api, g.keys), telemetry.Pair(st.pair), telemetry.Sweep(st.sweeping.sweeper.Status), telemetry.Ready(func() bool {
		ready, _ := view.Ready()
		return ready && !l.leaving.Begun()
	}))
	ac := proxy.AdminConfig{
		API: api, Pair: view, Events: eventSource{st.pair, st.servers}, Metrics: metrics.Handler(l.logs.Logger),
		Leaving: &l.leaving, Version: buildVersion(), Logger: l.logs.Logger,
		Keys: g.keys, Local: loopback || cfg.Auth.Insecure, Hosts: cfg.Admin.Hosts,
	}
	if st.servers != nil {
		ac.Faults = injector{st.servers}
		metrics.Add(telemetry.Embedded(st.servers))
	}
	admin, err = proxy.NewAdmin(ac)
	return api, admin, err
}

// shownAlias is the application in the commands to try: one that is configured.
func shownAlias(apps map[string]config.App) string {
	if _, ok := apps["default"]; ok {
		return "default"
	}
	return slices.Min(slices.Collect(maps.Keys(apps)))
}

// greet says where everything is and what to try. key is what curl needs besides.
func greet(out io.Writer, api, admin, key string, servers *embedded.Pair, alias string) {
	fmt.Fprintf(out, "mirrorstate %s\n\n", buildVersion())
	fmt.Fprintf(out, "  session API   %s\n", api)
	fmt.Fprintf(out, "  operators     %s\n", admin)
	if servers != nil {
		greetEmbedded(out, servers)
	}
	base := api + "/v1/apps/" + alias + "/sessions"
	fmt.Fprintf(out, "\nTry:\n")
	fmt.Fprintf(out, "  curl -i%s --data-binary hello %s\n", key, base)
	fmt.Fprintf(out, "  curl -s%s %s/v1/pair\n", key, admin)
	fmt.Fprintf(out, "  curl -s%s -H 'Content-Type: application/json' -d '{\"kind\":\"manual\"}' %s/v1/pair/failover\n\n", key, admin)
}

// greetEmbedded prints both connection strings; the password only once, when it was made.
func greetEmbedded(out io.Writer, servers *embedded.Pair) {
	fmt.Fprintln(out)
	for _, name := range []string{"a", "b"} {
		fmt.Fprintf(out, "  partner %s     %s\n", name, shownConnectionString(servers, name))
	}
	if !servers.FreshPassword() {
		fmt.Fprintf(out, "  password      in %s, unless MIRRORSTATE_EMBEDDED_PASSWORD gives it\n", servers.PasswordFile())
	}
}
