package server

import (
	"context"
	"os"
	"sync"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/telemetry"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/proxy"
)

// reloader applies a new configuration to one part of the server. It is called whenever the configuration was read
// again, even if no key has changed: files that the configuration names may have changed.
type reloader struct {
	part   string
	reload func(config.Config) error
}

// reloading applies new configurations to a running server.
type reloading struct {
	load    func() (config.Config, error) // reads the configuration again
	current config.Config                 // the configuration applied last
	parts   []reloader
	notify  notifier
	logs    Logs
	counts  *telemetry.Reloads
}

// run reads the configuration again at each signal, until ctx ends.
func (r *reloading) run(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			r.notify.reloading()
			r.reload()
			r.notify.ready("serving")
		}
	}
}

// reload reads the configuration and applies it. A configuration with a mistake is not applied at all.
func (r *reloading) reload() {
	next, err := r.load()
	if err != nil {
		r.counts.Refused()
		r.logs.Error("configuration not applied; the previous configuration stays in use", "error", err)
		return
	}
	changes := r.current.Diff(&next)
	ok := true
	for _, p := range r.parts {
		if err := p.reload(next); err != nil {
			ok = false
			r.logs.Error("part of the configuration not applied; the previous configuration stays in use for it", "part", p.part, "error", err)
		}
	}
	for _, note := range next.Notes {
		r.logs.Warn("about the configuration", "note", note)
	}
	restart := 0
	for _, c := range changes {
		effect := "now"
		if c.Restart {
			effect = "after a restart"
			restart++
		}
		r.logs.Warn("configuration changed", "key", c.Key, "from", c.From, "to", c.To, "effect", effect)
	}
	r.logs.Info("configuration read again", "changes", len(changes), "need_restart", restart)
	if !ok {
		r.counts.Refused()
		return
	}
	r.counts.Taken()
	r.current.TakeOver(next)
}

// startReloading starts a goroutine that reads and applies the configuration at each value of o.Reload. It does nothing
// if o.Load is nil. stop ends the goroutine and waits for it.
func (l *lifecycle) startReloading(ctx context.Context, cfg config.Config, o Options, counts *telemetry.Reloads, st *Storage, api *proxy.API, a *access) (stop func()) {
	if o.Load == nil {
		return func() {}
	}
	r := &reloading{load: o.Load, current: cfg, notify: l.notify, logs: l.logs, counts: counts, parts: []reloader{
		{"keys and apps", func(next config.Config) error { return a.rename(next, api) }},
		{"certificates", func(config.Config) error { return a.reloadCertificates() }},
		{"log", func(next config.Config) error { l.logs.Level.Set(next.Log.SlogLevel()); return nil }},
		{"drain", func(next config.Config) error { l.pause.Store(int64(next.Drain.Pause)); return nil }},
		{"sweep", func(next config.Config) error {
			st.sweeping.sweeper.Reconfigure(sweepConfig(next.Sweep))
			st.sweep(next.Sweep.Enabled)
			return nil
		}},
	}}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { r.run(ctx, o.Reload) })
	return func() {
		cancel()
		running.Wait()
	}
}
