package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"github.com/mirrorstate/mirrorstate/session"
)

// access holds the keys of callers and the certificates of both listeners. Both can change while the server runs. A nil
// field is not configured.
type access struct {
	keys       *keyring.Keys
	api, admin *proxy.Certificates
}

// openAccess reads the configured keys and certificates.
func openAccess(cfg config.Config, logger *slog.Logger) (a *access, err error) {
	a = &access{}
	names, err := proxy.Names(applications(cfg))
	if err != nil {
		return nil, err
	}
	if a.keys, err = openKeys(cfg, names, logger); err != nil {
		return nil, fmt.Errorf("auth.keys_file: %w", err)
	}
	for _, l := range []struct {
		key string
		tls config.TLS
		to  **proxy.Certificates
	}{{"api.tls", cfg.API.TLS, &a.api}, {"admin.tls", cfg.Admin.TLS, &a.admin}} {
		if !l.tls.On() {
			continue
		}
		files := proxy.CertificateFiles{Certificate: l.tls.CertificateFile, Key: l.tls.KeyFile, ClientCA: l.tls.ClientCAFile}
		if *l.to, err = proxy.OpenCertificates(files, logger.With("listener", l.key)); err != nil {
			return nil, fmt.Errorf("%s: %w", l.key, err)
		}
	}
	return a, nil
}

// openKeys reads the file of keys. It returns nil if none is configured.
func openKeys(cfg config.Config, names func(app string) (name string, err error), logger *slog.Logger) (*keyring.Keys, error) {
	if cfg.Auth.KeysFile == "" {
		return nil, nil
	}
	burst := cfg.Limits.Burst
	if burst == 0 {
		burst = 2 * cfg.Limits.Rate
	}
	return keyring.Open(keyring.Options{
		Path: cfg.Auth.KeysFile, Resolve: names, Rate: float64(cfg.Limits.Rate), Burst: burst, Logger: logger,
	})
}

// rename applies the applications of a new configuration to the keys and to the API. It applies them to both or to
// neither: a key for an alias must give access to the application with that alias.
func (a *access) rename(next config.Config, api *proxy.API) error {
	apps := applications(next)
	names, err := proxy.Names(apps) // refuses everything that SetApps refuses
	if err != nil {
		return err
	}
	if a.keys != nil {
		if err := a.keys.Rename(names); err != nil {
			return err
		}
	}
	return api.SetApps(apps, next.AppsOpen)
}

// applications returns the configured applications as values of package session.
func applications(cfg config.Config) map[string]session.Application {
	apps := make(map[string]session.Application, len(cfg.Apps))
	for alias, app := range cfg.Apps {
		apps[alias] = session.Application{Name: app.Name, Timeout: app.Timeout, LockTimeout: app.LockTimeout, MaxItem: int(app.MaxSize)}
	}
	return apps
}

// reloadCertificates reads the certificate files again. A certificate whose files can't be read stays in use.
func (a *access) reloadCertificates() error {
	var errs []error
	for _, c := range []*proxy.Certificates{a.api, a.admin} {
		if c != nil {
			errs = append(errs, c.Reload())
		}
	}
	return errors.Join(errs...)
}

// watch starts one part of st for each file, which reads it again when it has changed.
func (a *access) watch(st *Storage) {
	parts := map[string]func(context.Context) error{}
	if a.keys != nil {
		parts["watching the file of keys"] = a.keys.Run
	}
	if a.api != nil {
		parts["watching the API's certificate"] = a.api.Run
	}
	if a.admin != nil {
		parts["watching the operators' certificate"] = a.admin.Run
	}
	for what, part := range parts {
		st.stopWatching = append(st.stopWatching, st.run(what, part))
	}
}

// check refuses a listener that other machines reach without authentication, unless auth.insecure allows it. It logs a
// warning for a listener without TLS that other machines reach.
func (a *access) check(cfg config.Config, api, admin net.Addr, logger *slog.Logger) error {
	switch {
	case cfg.Auth.Insecure:
	case !isLoopback(api) && a.keys == nil:
		return fmt.Errorf("api.listen: other machines can reach %s, and any caller would have access to every session: create keys with mirrorstate key new and set "+
			"auth.keys_file to their file, listen on 127.0.0.1, or pass --insecure if something else controls access", api)
	case !isLoopback(admin) && !a.operators():
		return fmt.Errorf("admin.listen: other machines can reach %s, and no key has access to it: create one with mirrorstate key new NAME --operator, in auth.keys_file, "+
			"listen on 127.0.0.1, or pass --insecure if something else controls access", admin)
	}
	for _, l := range []struct {
		key  string
		addr net.Addr
		tls  *proxy.Certificates
	}{{"api", api, a.api}, {"admin", admin, a.admin}} {
		if !isLoopback(l.addr) && l.tls == nil {
			logger.Warn("keys and sessions are not encrypted on the network, unless a TLS proxy is in front of this server; configure a certificate", "listener", l.addr, "key", l.key+".tls.certificate_file")
		}
	}
	return nil
}

// operators reports whether any key has access to the operators' listener.
func (a *access) operators() bool { return a.keys != nil && a.keys.Ring().Operators() }

// tlsOf returns the TLS settings of a listener; nil for a listener without TLS.
func tlsOf(c *proxy.Certificates) *tls.Config {
	if c == nil {
		return nil
	}
	return c.TLS()
}

// isLoopback reports whether only this machine can reach an address.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
