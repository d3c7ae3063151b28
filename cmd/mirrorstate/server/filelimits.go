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

// fileLimits is how many connections of each kind this process may have: files are shared
// out to the database first, for without it nobody is served, then to the operators, and
// the rest is for clients. A listener that has no more closes idle connections, or the
// new one; it never runs into the limit of files, where nothing can be opened at all.
type fileLimits struct {
	sql        int // to one server
	api, admin int // of each listener
}

// allot shares out so many files; 0: nobody knows how many there are. embedded says that
// the pair is in this process, so that a connection to a server is two files.
func shareFiles(files int, cfg config.Limits, embedded bool) (fileLimits, error) {
	l := fileLimits{sql: maxSQL, api: cfg.Connections, admin: min(cfg.Connections, operatorsConnections)}
	if files == 0 {
		return l, nil
	}
	taken, each := ownFiles, 1
	if embedded {
		taken, each = ownFiles+embeddedFiles, 2
	}
	each *= 2 // for a moment in a failover there are those to both partners
	left := files - taken - min(files/spareShare, spareMost)
	l.sql = min(max(left/2/each, leastSQL), maxSQL)
	left -= l.sql * each
	l.admin = min(l.admin, max(left/4, leastAdmin))
	left -= l.admin
	l.api = min(l.api, left)
	if l.api < min(leastAPI, cfg.Connections) {
		least := taken + leastSQL*each + leastAdmin + leastAPI
		return l, fmt.Errorf("this process may open %d files, and serving takes at least %d: raise LimitNOFILE, or ulimit -n", files, least+least/spareShare)
	}
	return l, nil
}

// tell warns if files are short.
func (l fileLimits) warn(files int, cfg config.Limits, logger *slog.Logger) {
	if l.api < cfg.Connections || l.sql < maxSQL {
		logger.Warn("this process may not open as many files: fewer connections are taken; raise LimitNOFILE, or ulimit -n",
			"files", files, "limits.connections", cfg.Connections, "taken", l.api, "operators", l.admin, "to SQL Server", l.sql)
	}
}

// pair bounds the connections to the servers.
func (l fileLimits) pair(pc *partner.Config) { pc.MaxConns = l.sql }

// serverLimits are those of each listener.
func (l fileLimits) serverLimits(cfg config.Limits) (api, admin proxy.ServerLimits) {
	api = proxy.ServerLimits{
		Connections: l.api, UnauthenticatedPerAddress: cfg.UnauthenticatedPerAddress, HeaderBytes: int(cfg.HeaderBytes),
		HeaderTimeout: cfg.HeaderTimeout, BodyTimeout: cfg.BodyTimeout, IdleTimeout: cfg.IdleTimeout,
	}
	admin = api
	admin.Connections = l.admin
	return api, admin
}
