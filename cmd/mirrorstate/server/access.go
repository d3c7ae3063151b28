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

// guards are who is let in, and the listeners' certificates: what can change while a server
// runs. nil ones are not configured.
type access struct {
	keys       *keyring.Keys
	api, admin *proxy.Certificates
}

// openAccess reads what is configured.
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

// openKeys reads the keys; nil: none are configured.
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

// rename has keys and the API find the next configuration's applications by their aliases: both or
// neither, for a key to an alias must open what that alias is.
func (a *access) rename(next config.Config, api *proxy.API) error {
	apps := applications(next)
	names, err := proxy.Names(apps) // refuses what SetApps would
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

// applications are the configured ones, as the domain has them.
func applications(cfg config.Config) map[string]session.Application {
	apps := make(map[string]session.Application, len(cfg.Apps))
	for alias, app := range cfg.Apps {
		apps[alias] = session.Application{Name: app.Name, Timeout: app.Timeout, LockTimeout: app.LockTimeout, MaxItem: int(app.MaxSize)}
	}
	return apps
}

// reloadCertificates reads their files again. What can't be read stays as it was.
func (a *access) reloadCertificates() error {
	var errs []error
	for _, c := range []*proxy.Certificates{a.api, a.admin} {
		if c != nil {
			errs = append(errs, c.Reload())
		}
	}
	return errors.Join(errs...)
}

// watch has the stack look after the files.
func (a *access) watch(st *Storage) {
	parts := map[string]func(context.Context) error{}
	if a.keys != nil {
		parts["the look after the keys"] = a.keys.Run
	}
	if a.api != nil {
		parts["the look after the API's certificate"] = a.api.Run
	}
	if a.admin != nil {
		parts["the look after the operators' certificate"] = a.admin.Run
	}
	for what, part := range parts {
		st.stopWatching = append(st.stopWatching, st.run(what, part))
	}
}

// check refuses a listener that strangers could reach, unless that is meant, and warns of
// one that shows secrets to the network.
func (a *access) check(cfg config.Config, api, admin net.Addr, logger *slog.Logger) error {
	switch {
	case cfg.Auth.Insecure:
	case !isLoopback(api) && a.keys == nil:
		return fmt.Errorf("api.listen: %s can be reached from other machines, and whoever reaches it would have every session: make keys with mirrorstate key new and name "+
			"their file with auth.keys_file, listen on 127.0.0.1, or say --insecure if something else keeps strangers out", api)
	case !isLoopback(admin) && !a.operators():
		return fmt.Errorf("admin.listen: %s can be reached from other machines, and no key opens it: make one with mirrorstate key new NAME --operator, in auth.keys_file, "+
			"listen on 127.0.0.1, or say --insecure if something else keeps strangers out", admin)
	}
	for _, l := range []struct {
		key  string
		addr net.Addr
		tls  *proxy.Certificates
	}{{"api", api, a.api}, {"admin", admin, a.admin}} {
		if !isLoopback(l.addr) && l.tls == nil {
			logger.Warn("keys and sessions cross the network in the clear, unless something before this server encrypts; name a certificate", "listener", l.addr, "key", l.key+".tls.certificate_file")
		}
	}
	return nil
}

// operators says whether a key opens the operators' listener.
func (a *access) operators() bool { return a.keys != nil && a.keys.Ring().Operators() }

// tlsOf is how to speak with clients; nil: in the clear.
func tlsOf(c *proxy.Certificates) *tls.Config {
	if c == nil {
		return nil
	}
	return c.TLS()
}

// isLoopback says whether only this machine reaches an address.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
