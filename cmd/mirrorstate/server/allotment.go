package server

import (
	"fmt"
	"log/slog"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/proxy"
)

// What a server's open files are for, beside connections. Counted with both schemas, on Linux.
const (
	ownFiles      = 16 // standard streams, the runtime's, listeners, what is remembered, probes of both partners
	embeddedFiles = 38 // the embedded pair's databases, listeners, and ends of the probes
	spareShare    = 20 // one in so many is kept for what is open for a moment: keys, traces, operators' consoles
	spareMost     = 100
)

// The fewest connections that a server can work with.
const (
	leastSQL   = 2
	leastAPI   = 4
	leastAdmin = 2
)

// maxSQL is how many connections there are to a server, unless files are short.
const maxSQL = 64

// operatorsConnections bounds those of the operators' listener.
const operatorsConnections = 1000

// allotment is how many connections of each kind this process may have: files are shared
// out to the database first, for without it nobody is served, then to the operators, and
// the rest is for clients. A listener that has no more closes idle connections, or the
// new one; it never runs into the limit of files, where nothing can be opened at all.
type allotment struct {
	sql        int // to one server
	api, admin int // of each listener
}

// allot shares out so many files; 0: nobody knows how many there are. embedded says that
// the pair is in this process, so that a connection to a server is two files.
func allot(files int, cfg config.Limits, embedded bool) (allotment, error) {
	a := allotment{sql: maxSQL, api: cfg.Connections, admin: min(cfg.Connections, operatorsConnections)}
	if files == 0 {
		return a, nil
	}
	taken, each := ownFiles, 1
	if embedded {
		taken, each = ownFiles+embeddedFiles, 2
	}
	each *= 2 // for a moment in a failover there are those to both partners
	room := files - taken - min(files/spareShare, spareMost)
	a.sql = min(max(room/2/each, leastSQL), maxSQL)
	room -= a.sql * each
	a.admin = min(a.admin, max(room/4, leastAdmin))
	room -= a.admin
	a.api = min(a.api, room)
	if a.api < min(leastAPI, cfg.Connections) {
		least := taken + leastSQL*each + leastAdmin + leastAPI
		return a, fmt.Errorf("this process may open %d files, and serving takes at least %d: raise LimitNOFILE, or ulimit -n", files, least+least/spareShare)
	}
	return a, nil
}

// tell warns if files are short.
func (a allotment) tell(files int, cfg config.Limits, logger *slog.Logger) {
	if a.api < cfg.Connections || a.sql < maxSQL {
		logger.Warn("this process may not open as many files: fewer connections are taken; raise LimitNOFILE, or ulimit -n",
			"files", files, "limits.connections", cfg.Connections, "taken", a.api, "operators", a.admin, "to SQL Server", a.sql)
	}
}

// pair bounds the connections to the servers.
func (a allotment) pair(pc *partner.Config) { pc.MaxConns = a.sql }

// serverLimits are those of each listener.
func (a allotment) serverLimits(cfg config.Limits) (api, admin proxy.ServerLimits) {
	api = proxy.ServerLimits{
		Connections: a.api, UnauthenticatedPerAddress: cfg.UnauthenticatedPerAddress, HeaderBytes: int(cfg.HeaderBytes),
		HeaderTimeout: cfg.HeaderTimeout, BodyTimeout: cfg.BodyTimeout, IdleTimeout: cfg.IdleTimeout,
	}
	admin = api
	admin.Connections = a.admin
	return api, admin
}
