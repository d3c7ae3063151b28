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

// Environment is where a load test runs.
type Environment struct {
	// Program is the command line that makes this program a child: it calls [RunChild].
	Program []string
	// Config is a configuration file for the server it brings up. Empty: none.
	Config string
	// Verbose shows what the children have to say.
	Verbose bool
	// Version is of the program.
	Version string
	// Progress is told how it goes, Terminal that it can be written over.
	Progress io.Writer
	Terminal bool
}

// viaLoad is one way to the sessions, under load.
type viaLoad struct {
	name string
	engine
	recorder *measure.Recorder
}

// system is all that the load stands on. Close it, once.
type system struct {
	vias      []*viaLoad
	operator  *measure.Operator  // nil: nobody to ask for failovers
	watchers  []*measure.Watcher // of the pair, and of the proxy on it
	proxy     *measure.Watcher   // that of them which has calls to hold; nil: none
	servers   bool               // the servers tell what they do
	external  bool               // what is left behind is somebody else's
	processes []process

	children []*child
	clients  []*client.Client
}

// process is one whose cost is told.
type process struct {
	name string
	pid  int
}

// openSystem brings up what is not there, and connects to what is.
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

// close ends the children, last one first, for they stand on each other.
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

// openTargets is for servers that run already.
func (s *system) openTargets(ctx context.Context, o *Options, _ *Environment) error {
	s.external = true
	var members []session.Store
	for _, target := range o.Targets {
		c, err := via.NewHTTP(target, o.Client, o.Clients, o.Timeout)
		if err != nil {
			return usage("--target: %v", err)
		}
		s.clients = append(s.clients, c)
		if err := look(ctx, c, target); err != nil {
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

// watchTarget follows a target's operators' listener.
func (s *system) watchTarget(ctx context.Context, admin string, as client.Config) error {
	c, err := s.client(admin, as)
	if err != nil {
		return usage("--admin: %v", err)
	}
	w := measure.NewWatcher(c, true)
	state, err := w.State(ctx)
	if err != nil {
		return fmt.Errorf("--admin %s is not the operators' listener of a mirrorstate that runs: %v", admin, err)
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

// load puts a store under load, in this process.
func (s *system) load(o *Options, name string, store session.Store) {
	r := measure.NewRecorder(o.Duration)
	s.vias = append(s.vias, &viaLoad{name, load.NewLoad(o.task(name), store, r.Add), r})
}

// openOwn starts the pair, if it is not somebody's, and the server of each via.
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
	if s.operator == nil { // of a pair that is somebody's, only a proxy can ask
		_, err := s.openProxy(ctx, env, connection)
		return err
	}
	return nil
}

// start starts a child in a role.
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

// watch follows an operators' listener of one of the children. The first one is asked for failovers.
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

// openProxy starts mirrorstate itself.
func (s *system) openProxy(ctx context.Context, env *Environment, connection string) (*child, error) {
	c, err := s.start(ctx, env, Spec{Role: measure.ViaHTTP, Connection: connection, Config: env.Config})
	if err != nil {
		return nil, err
	}
	return c, s.watch(c.Ready.Admin, true)
}

// openVia starts the server of one via, and puts it under load.
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
	return s.openInside(ctx, o, env, name, connection)
}

// openInside is for the vias whose server is a library: the load runs in their process.
func (s *system) openInside(ctx context.Context, o *Options, env *Environment, name, connection string) (err error) {
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

// driverString is an ADO.NET string in the driver's words, with its own failover partner.
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
