package server

import (
	"fmt"
	"log/slog"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/proxy"
)

// Files that a server opens beside connections. Counted with both schemas, on Linux.
const (
	ownFiles      = 16  // standard streams, the runtime's files, listeners, the file of the accepted principal, probes of both partners
	embeddedFiles = 38  // the embedded pair's databases and listeners, and its ends of the probes
	spareShare    = 20  // one file in 20 is reserved for files that are open briefly: keys, traces, operators' consoles
	spareMost     = 100 // the largest reserve
)

// The fewest connections that a server needs.
const (
	leastSQL   = 2
	leastAPI   = 4
	leastAdmin = 2
)

// maxSQL is the number of connections to one SQL Server, unless files are short.
const maxSQL = 64

// operatorsConnections is the largest number of connections to the operators' listener.
const operatorsConnections = 1000

// fileLimits are the largest numbers of connections of each kind that this process may have. The database gets its
// share of the files first, because no request is answered without it. The operators' listener is next; clients get the
// rest. A listener at its limit closes an idle connection, or the new one. So the process never reaches the limit of
// files, where it could open nothing at all.
type fileLimits struct {
	sql        int // to one SQL Server
	api, admin int // to each listener
}

// shareFiles divides the files that this process may open among the kinds of connections. files is 0 if the number is
// not known. embedded means that the pair runs in this process: then a connection to a SQL Server takes two files.
func shareFiles(files int, cfg config.Limits, embedded bool) (fileLimits, error) {
	l := fileLimits{sql: maxSQL, api: cfg.Connections, admin: min(cfg.Connections, operatorsConnections)}
	if files == 0 {
		return l, nil
	}
	taken, each := ownFiles, 1
	if embedded {
		taken, each = ownFiles+embeddedFiles, 2
	}
	each *= 2 // during a failover there are connections to both partners
	left := files - taken - min(files/spareShare, spareMost)
	l.sql = min(max(left/2/each, leastSQL), maxSQL)
	left -= l.sql * each
	l.admin = min(l.admin, max(left/4, leastAdmin))
	left -= l.admin
	l.api = min(l.api, left)
	if l.api < min(leastAPI, cfg.Connections) {
		least := taken + leastSQL*each + leastAdmin + leastAPI
		return l, fmt.Errorf("this process may open %d files, but the server needs at least %d: raise LimitNOFILE (systemd) or ulimit -n", files, least+least/spareShare)
	}
	return l, nil
}

// warn logs a warning if files are short.
func (l fileLimits) warn(files int, cfg config.Limits, logger *slog.Logger) {
	if l.api < cfg.Connections || l.sql < maxSQL {
		logger.Warn("the limit of open files is too low: fewer connections are accepted; raise LimitNOFILE (systemd) or ulimit -n",
			"files", files, "limits.connections", cfg.Connections, "taken", l.api, "operators", l.admin, "to SQL Server", l.sql)
	}
}

// pair sets the largest number of connections to each SQL Server.
func (l fileLimits) pair(pc *partner.Config) { pc.MaxConns = l.sql }

// serverLimits returns the limits of each listener.
func (l fileLimits) serverLimits(cfg config.Limits) (api, admin proxy.ServerLimits) {
	api = proxy.ServerLimits{
		Connections: l.api, UnauthenticatedPerAddress: cfg.UnauthenticatedPerAddress, HeaderBytes: int(cfg.HeaderBytes),
		HeaderTimeout: cfg.HeaderTimeout, BodyTimeout: cfg.BodyTimeout, IdleTimeout: cfg.IdleTimeout,
	}
	admin = api
	admin.Connections = l.admin
	return api, admin
}
