package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/load"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/via"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
)

// Environment is the environment of a load test.
type Environment struct {
	// Program is the command line of this program that calls [RunChild].
	Program []string
	// Config is the path of a configuration file for the server that the load test starts. Empty:
	// none.
	Config string
	// Verbose shows the logs of the children.
	Verbose bool
	// Version is the version of this program, for the report.
	Version string
	// Progress gets messages about the progress. Terminal says that it is a terminal.
	Progress io.Writer
	Terminal bool
}

// viaLoad is the load on one via.
type viaLoad struct {
	name string
	engine
	recorder *measure.Recorder
}

// system is the system under test: pair, servers and loads. Call close once.
type system struct {
	vias      []*viaLoad
	operator  *measure.Operator  // makes the failovers; nil: no operators' listener is known
	watchers  []*measure.Watcher // watchers of the pair and of the proxy
	proxy     *measure.Watcher   // the watcher of the proxy, which can hold calls; nil: none
	servers   bool               // the events come from the database servers themselves
	external  bool               // the load test has not started the pair, so it removes its sessions at the end
	processes []process

	children []*child
	clients  []*client.Client
}

// process is a process whose resources are measured.
type process struct {
	name string
	pid  int
}

// openSystem starts or connects to all parts of the system under test.
func openSystem(ctx context.Context, o *Options, env *Environment) (*system, error) {
	s := &system{processes: []process{{"generator", os.Getpid()}}}
	open := s.openOwn
	if len(o.Targets) > 0 {
		open = s.openTargets
	}
	if err := open(ctx, o, env); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// close ends the children, the last one first, because each child uses earlier ones.
func (s *system) close() error {
	var errs []error
	for _, c := range s.clients {
		c.Close()
	}
	for _, c := range slices.Backward(s.children) {
		errs = append(errs, c.stop())
	}
	return errors.Join(errs...)
}

// openTargets connects to servers that run already.
func (s *system) openTargets(ctx context.Context, o *Options, _ *Environment) error {
	s.external = true
	var members []session.Store
	for _, target := range o.Targets {
		c, err := via.NewHTTP(target, o.Client, o.Clients, o.Timeout)
		if err != nil {
			return usage("--target: %v", err)
		}
		s.clients = append(s.clients, c)
		if err := checkTarget(ctx, c, target); err != nil {
			return err
		}
		members = append(members, c)
	}
	s.load(o, measure.ViaHTTP, &via.Fleet{Members: members})
	if o.Admin == "" {
		return nil
	}
	return s.watchTarget(ctx, o.Admin, o.Client)
}

// watchTarget watches the operators' listener of a target.
func (s *system) watchTarget(ctx context.Context, admin string, as client.Config) error {
	c, err := s.client(admin, as)
	if err != nil {
		return usage("--admin: %v", err)
	}
	w := measure.NewWatcher(c, true)
	state, err := w.State(ctx)
	if err != nil {
		return fmt.Errorf("--admin %s is not the operators' listener of a running mirrorstate: %v", admin, err)
	}
	s.watchers, s.proxy, s.operator, s.servers = []*measure.Watcher{w}, w, &w.Operator, state.Embedded != nil
	return nil
}

func (s *system) client(url string, as client.Config) (*client.Client, error) {
	c, err := client.New(client.Config{URL: url, Key: as.Key, TLS: as.TLS})
	if err == nil {
		s.clients = append(s.clients, c)
	}
	return c, err
}

// load adds a load on a store, in this process.
func (s *system) load(o *Options, name string, store session.Store) {
	r := measure.NewRecorder(o.Duration)
	s.vias = append(s.vias, &viaLoad{name, load.New(o.task(name), store, r.Add), r})
}

// openOwn starts the pair, unless there is a connection string, and the server of each via.
func (s *system) openOwn(ctx context.Context, o *Options, env *Environment) error {
	connection := o.ConnectionString
	if connection == "" {
		pair, err := s.start(ctx, env, Spec{Role: rolePair, Witness: !needsNoWitness(o.Failovers)})
		if err != nil {
			return err
		}
		if err := s.watch(pair.Ready.Admin, false); err != nil {
			return err
		}
		connection, s.servers = pair.Ready.Connection, true
	}
	s.external = o.ConnectionString != ""
	for _, name := range o.Vias {
		if err := s.openVia(ctx, o, env, name, connection); err != nil {
			return err
		}
	}
	if s.operator == nil { // only a proxy can make failovers on a pair that the load test has not started
		_, err := s.openProxy(ctx, env, connection)
		return err
	}
	return nil
}

// start starts a child.
func (s *system) start(ctx context.Context, env *Environment, spec Spec) (*child, error) {
	spec.Verbose = env.Verbose
	c, err := startChild(ctx, env.Program, spec, env.Progress)
	if err != nil {
		return nil, err
	}
	s.children = append(s.children, c)
	s.processes = append(s.processes, process{spec.Role, c.cmd.Process.Pid})
	return c, nil
}

// watch watches the operators' listener of a child. The first one makes the failovers.
func (s *system) watch(admin string, polls bool) error {
	c, err := s.client(admin, client.Config{})
	if err != nil {
		return err
	}
	w := measure.NewWatcher(c, polls)
	s.watchers = append(s.watchers, w)
	if polls {
		s.proxy = w
	}
	if s.operator == nil {
		s.operator = &w.Operator
	}
	return nil
}

// openProxy starts a mirrorstate server.
func (s *system) openProxy(ctx context.Context, env *Environment, connection string) (*child, error) {
	c, err := s.start(ctx, env, Spec{Role: measure.ViaHTTP, Connection: connection, Config: env.Config})
	if err != nil {
		return nil, err
	}
	return c, s.watch(c.Ready.Admin, true)
}

// openVia starts the server of one via and adds its load.
func (s *system) openVia(ctx context.Context, o *Options, env *Environment, name, connection string) error {
	task := o.task(name)
	switch name {
	case measure.ViaHTTP:
		c, err := s.openProxy(ctx, env, connection)
		if err != nil {
			return err
		}
		store, err := via.NewHTTP(c.Ready.API, client.Config{}, o.Clients, o.Timeout)
		if err != nil {
			return err
		}
		s.clients = append(s.clients, store)
		s.load(o, name, store)
		return nil
	case measure.ViaDriver:
		dsn, err := driverString(connection)
		if err != nil {
			return err
		}
		c, err := s.start(ctx, env, Spec{Role: name, Connection: dsn, App: task.App, Clients: o.Clients})
		if err != nil {
			return err
		}
		s.load(o, name, via.NewDriver(c.Ready.API, o.Clients))
		return nil
	}
	return s.openInChild(ctx, o, env, name, connection)
}

// openInChild adds a load that runs in a child, because the via's store is a library.
func (s *system) openInChild(ctx context.Context, o *Options, env *Environment, name, connection string) (err error) {
	if name == measure.ViaStatement {
		if connection, err = driverString(connection); err != nil {
			return err
		}
	}
	c, err := s.start(ctx, env, Spec{Role: name, Connection: connection, Task: o.task(name)})
	if err != nil {
		return err
	}
	r := measure.NewRecorder(o.Duration)
	s.vias = append(s.vias, &viaLoad{name, newRemoteLoad(c, r.Add), r})
	return nil
}

// driverString returns an ADO.NET string in the driver's own form, with its own failover partner.
func driverString(connection string) (string, error) {
	both, err := config.ParsePair(connection)
	if err != nil {
		return "", err
	}
	mirror := both.Servers[1].Address
	dsn := both.DriverString(0).Reveal() + ";database=" + both.Database + ";failoverpartner=" + mirror.Host
	if mirror.Port != 0 {
		dsn += ";failoverport=" + strconv.Itoa(mirror.Port)
	}
	return dsn, nil
}
