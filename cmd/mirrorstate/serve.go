package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
)

// embeddedFlags choose the embedded pair's place and addresses.
type embeddedFlags struct {
	dir, addrA, addrB string
	witness           string
	partnerTimeout    time.Duration
	empty             bool // only of the command embedded
}

func (f *embeddedFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dir, "data", "", "`DIR` of the embedded pair's data, and of what is remembered of any pair (default: mirrorstate in the user's state directory)")
	cmd.Flags().StringVar(&f.addrA, "partner-a", "127.0.0.1:14331", "TDS `ADDR` of embedded partner a; port 0 picks one")
	cmd.Flags().StringVar(&f.addrB, "partner-b", "127.0.0.1:14332", "TDS `ADDR` of embedded partner b; port 0 picks one")
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
	return embedded.Open(embedded.Options{
		Dir: dir, AddrA: f.addrA, AddrB: f.addrB, PartnerTimeout: f.partnerTimeout, Witness: f.witness == "on", Empty: f.empty,
		Password: os.Getenv("MIRRORSTATE_EMBEDDED_PASSWORD"), Logger: logger,
	})
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
		Example: "  mirrorstate serve\n  mirrorstate serve --witness off\n  mirrorstate serve --api 0.0.0.0:8080 --data /var/lib/mirrorstate\n" +
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
			cfg, err := loadConfig(s, said...)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, &flags, newLogger(cmd.ErrOrStderr(), s.verbose), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&api, "api", "", "`ADDR` of the session API (default 127.0.0.1:8080)")
	cmd.Flags().StringVar(&admin, "admin", "", "`ADDR` of the operators' listener (default 127.0.0.1:8081)")
	pair.add(cmd.Flags(), "the pair")
	flags.add(cmd)
	return cmd
}

func newLogger(w io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// ballast is the size of a block that is allocated and never touched, so that it
// costs address space and no memory. The collector runs when the heap has doubled:
// a server whose live heap is a few megabytes would collect a hundred times a
// second under load. This bounds the garbage between two collections by as much
// again, whatever the load, where a higher GOGC would multiply a large heap.
const ballast = 16 << 20

// serve runs until ctx ends: listeners first, for a taken port is the likeliest
// failure and should leave nothing behind.
func serve(ctx context.Context, cfg config.Config, flags *embeddedFlags, logger *slog.Logger, out io.Writer) error {
	block := make([]byte, ballast)
	defer runtime.KeepAlive(block)
	for _, note := range cfg.Notes {
		logger.Warn("about the configuration", "note", note)
	}
	apiListener, err := proxy.Listen(ctx, "api.listen (--api)", cfg.API.Listen)
	if err != nil {
		return err
	}
	defer apiListener.Close()
	adminListener, err := proxy.Listen(ctx, "admin.listen (--admin)", cfg.Admin.Listen)
	if err != nil {
		return err
	}
	defer adminListener.Close()

	servers, memory, err := openServers(cfg, flags, logger)
	if err != nil {
		return err
	}
	st, err := openStack(cfg, servers, memory, logger)
	if err != nil {
		return err
	}
	defer st.close()
	if cfg.Sweep.Enabled {
		st.stopSweeping = st.run("the expiry job", st.sweeping.sweeper.Run)
	}

	api, admin, err := handlers(cfg, st, logger)
	if err != nil {
		return err
	}
	greet(out, apiListener.Addr(), adminListener.Addr(), servers, shownAlias(cfg.Apps))
	rules := proxy.ServerConfig{HoldWindow: cfg.Pair.Hold.Window, OnDrain: api.StopWaiting, Logger: logger}
	return serveHTTP(ctx, st, rules, map[net.Listener]http.Handler{apiListener: api, adminListener: admin})
}

// handlers makes the two faces.
func handlers(cfg config.Config, st *stack, logger *slog.Logger) (api *proxy.API, admin http.Handler, err error) {
	apps := make(map[string]session.Application, len(cfg.Apps))
	for alias, app := range cfg.Apps {
		apps[alias] = session.Application{Name: app.Name, Timeout: app.Timeout, LockTimeout: app.LockTimeout, MaxItem: int(app.MaxSize)}
	}
	api, err = proxy.NewAPI(proxy.Config{
		Store: st.store, Apps: apps, HoldWindow: cfg.Pair.Hold.Window, OperationKey: st.store.OperationKey, Logger: logger,
	})
	if err != nil {
		return nil, nil, err
	}
	ac := proxy.AdminConfig{
		API: api, Pair: pairView{Pair: st.pair, sweep: st.sweeping, servers: st.servers}, Events: eventSource{st.pair, st.servers}, Logger: logger,
	}
	if st.servers != nil {
		ac.Faults = injector{st.servers}
	}
	admin, err = proxy.NewAdmin(ac)
	return api, admin, err
}

// serveHTTP serves every listener until ctx ends or something fails, then drains.
func serveHTTP(ctx context.Context, st *stack, rules proxy.ServerConfig, faces map[net.Listener]http.Handler) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, len(faces))
	for ln, face := range faces {
		go func() { done <- proxy.Serve(ctx, ln, face, rules) }()
	}
	var errs []error
	left := len(faces)
	select {
	case <-ctx.Done():
		rules.Logger.Info("stopping once the requests under way are answered; another signal stops at once")
	case err := <-st.failed:
		errs = append(errs, err)
	case err := <-done:
		errs = append(errs, err)
		left--
	}
	cancel(errors.New("the server is stopping"))
	for range left {
		errs = append(errs, <-done)
	}
	return errors.Join(errs...)
}

// shownAlias is the application in the commands to try: one that is configured.
func shownAlias(apps map[string]config.App) string {
	if _, ok := apps["default"]; ok {
		return "default"
	}
	return slices.Min(slices.Collect(maps.Keys(apps)))
}

// greet says where everything is and what to try.
func greet(out io.Writer, api, admin net.Addr, servers *embedded.Pair, alias string) {
	fmt.Fprintf(out, "mirrorstate %s\n\n", buildVersion())
	fmt.Fprintf(out, "  session API   http://%s\n", api)
	fmt.Fprintf(out, "  operators     http://%s\n", admin)
	if servers != nil {
		greetEmbedded(out, servers)
	}
	base := "http://" + api.String() + "/v1/apps/" + alias + "/sessions"
	fmt.Fprintf(out, "\nTry:\n")
	fmt.Fprintf(out, "  curl -i --data-binary hello %s\n", base)
	fmt.Fprintf(out, "  curl -s http://%s/v1/pair\n", admin)
	fmt.Fprintf(out, "  curl -s -H 'Content-Type: application/json' -d '{\"kind\":\"manual\"}' http://%s/v1/pair/failover\n\n", admin)
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
