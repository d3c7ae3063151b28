package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// Found holds the facts that one server shows about itself, the database, and its role in
// mirroring or a group.
type Found struct {
	On      Side   `json:"on"`
	Address string `json:"address"`
	Error   string `json:"error,omitempty"` // why the server could not be asked; then the other fields are empty

	ServerName string `json:"server_name"`
	Version    string `json:"version"`
	Edition    string `json:"edition"`
	Collation  string `json:"collation"`
	Sysadmin   bool   `json:"sysadmin"` // the login is a sysadmin
	Groups     bool   `json:"groups"`   // availability groups are enabled
	Linux      bool   `json:"linux"`

	Database  *FoundDatabase  `json:"database,omitempty"`  // nil: no such database
	Mirroring *FoundMirroring `json:"mirroring,omitempty"` // nil: not mirrored, or this login may not see it
	Group     *FoundGroup     `json:"group,omitempty"`     // nil: in no group
	Endpoint  *FoundEndpoint  `json:"endpoint,omitempty"`  // nil: no endpoint

	// Unread has the errors of the parts that LookPartly could not read, because a right or a view is missing. The fields of
	// such a part mean nothing.
	Unread map[Part]error `json:"-"`
}

// Part names the facts that one query reads.
type Part string

// The parts.
const (
	PartServer    Part = "what the server is"
	PartEndpoint  Part = "the endpoint"
	PartDatabase  Part = "the database's row"
	PartMirroring Part = "the mirroring session"
	PartFiles     Part = "the database's files"
	PartGroup     Part = "the availability group"
)

// FoundDatabase is a row of sys.databases.
type FoundDatabase struct {
	State      string   `json:"state"`
	Recovery   string   `json:"recovery"`
	Access     string   `json:"access"`
	ReadOnly   bool     `json:"read_only"`
	AutoClose  bool     `json:"auto_close"`
	Opens      bool     `json:"opens"` // HAS_DBACCESS, and ONLINE
	LogWaits   string   `json:"log_waits"`
	Logical    []string `json:"logical_names"` // of its files: data, then log
	FileStream bool     `json:"filestream"`
}

// FoundMirroring is a row of sys.database_mirroring.
type FoundMirroring struct {
	Role         string `json:"role"`
	State        string `json:"state"`
	Safety       string `json:"safety"`
	Partner      string `json:"partner"`
	Instance     string `json:"partner_instance"`
	Sequence     int64  `json:"role_sequence"`
	Witness      string `json:"witness"`
	WitnessState string `json:"witness_state"`
	FailoverLSN  string `json:"failover_lsn"`
	EndOfLog     string `json:"end_of_log_lsn"`
}

// FoundGroup is the group as this replica sees it.
type FoundGroup struct {
	Name          string         `json:"name"`         // empty: the login may not see it
	Lacks         string         `json:"lacks"`        // the right that the login lacks to see the whole group; empty: no right is known to be missing
	Cluster       string         `json:"cluster_type"` // NONE, WSFC or EXTERNAL
	Role          string         `json:"role"`
	Operational   string         `json:"operational_state"`
	Connected     string         `json:"connected_state"` // on a secondary DISCONNECTED means that it is not connected to its primary
	Sequence      int64          `json:"sequence_number"`
	State         string         `json:"state"` // of the database here
	Suspended     bool           `json:"suspended"`
	SuspendReason string         `json:"suspend_reason"`
	Hardened      string         `json:"last_hardened_lsn"`
	EndOfLog      string         `json:"end_of_log_lsn"`
	Replicas      []FoundReplica `json:"replicas"`
}

// FoundReplica is one replica in a group.
type FoundReplica struct {
	Server    string `json:"server"`
	Endpoint  string `json:"endpoint"`
	Mode      string `json:"availability_mode"`
	Failover  string `json:"failover_mode"`
	Role      string `json:"role"`
	Connected string `json:"connected_state"`
}

// FoundEndpoint is a server's endpoint for mirroring. There is at most one.
type FoundEndpoint struct {
	Name           string `json:"name"`
	Role           string `json:"role"`
	State          string `json:"state"`
	Authentication string `json:"authentication"`
	Port           int    `json:"port"`
	Certificate    string `json:"certificate"` // the certificate's name; empty: Windows accounts
}

// The queries. Each value comes as text; see Row.
const (
	queryServer = `SELECT @@SERVERNAME AS server_name, CONVERT(nvarchar(128), SERVERPROPERTY(N'ProductVersion')) AS version, ` +
		`CONVERT(nvarchar(128), SERVERPROPERTY(N'Edition')) AS edition, CONVERT(nvarchar(128), SERVERPROPERTY(N'Collation')) AS collation, ` +
		`CONVERT(int, SERVERPROPERTY(N'IsHadrEnabled')) AS hadr, IS_SRVROLEMEMBER(N'sysadmin') AS sysadmin, @@VERSION AS banner`

	queryDatabase = `SELECT d.state_desc, d.recovery_model_desc, d.user_access_desc, d.is_read_only, d.is_auto_close_on, d.log_reuse_wait_desc, ` +
		`HAS_DBACCESS(d.name) AS access, CONVERT(nvarchar(36), d.replica_id) AS replica_id, CONVERT(nvarchar(36), m.mirroring_guid) AS mirroring_guid, ` +
		`m.mirroring_role_desc, m.mirroring_state_desc, m.mirroring_role_sequence, m.mirroring_safety_level_desc, m.mirroring_partner_name, ` +
		`m.mirroring_partner_instance, m.mirroring_witness_name, m.mirroring_witness_state_desc, ` +
		`CONVERT(nvarchar(30), m.mirroring_failover_lsn) AS failover_lsn, CONVERT(nvarchar(30), m.mirroring_end_of_log_lsn) AS end_of_log ` +
		`FROM sys.databases d LEFT JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = %N`

	// Used when sys.database_mirroring can't be read, or lacks a column, as in other engines.
	queryDatabaseAlone = `SELECT d.state_desc, d.recovery_model_desc, d.user_access_desc, d.is_read_only, d.is_auto_close_on, d.log_reuse_wait_desc, ` +
		`HAS_DBACCESS(d.name) AS access FROM sys.databases d WHERE d.name = %N`

	queryFiles = `SELECT f.name, f.type FROM sys.master_files f WHERE f.database_id = DB_ID(%N) ORDER BY f.type, f.file_id`

	queryEndpoint = `SELECT e.name, e.role_desc, e.state_desc, e.connection_auth_desc, t.port, c.name AS certificate ` +
		`FROM sys.database_mirroring_endpoints e LEFT JOIN sys.tcp_endpoints t ON t.endpoint_id = e.endpoint_id ` +
		`LEFT JOIN sys.certificates c ON c.certificate_id = e.certificate_id`

	// Each %s is a column that exists since SQL Server 2017. The sys.dm_hadr_ views require VIEW SERVER STATE; without it the
	// query is refused (300, 297). The sys.availability_ views require VIEW ANY DEFINITION; without it they have no rows, so
	// they are outer-joined.
	queryGroup = `SELECT g.name AS group_name, %s AS cluster, %s AS sequence_number, r.replica_server_name, r.endpoint_url, ` +
		`r.availability_mode_desc, r.failover_mode_desc, s.is_local, s.role_desc, s.operational_state_desc, s.connected_state_desc, ` +
		`l.synchronization_state_desc, l.is_suspended, l.suspend_reason_desc, CONVERT(nvarchar(30), l.last_hardened_lsn) AS hardened, ` +
		`CONVERT(nvarchar(30), l.end_of_log_lsn) AS end_of_log ` +
		`FROM sys.databases d LEFT JOIN sys.dm_hadr_availability_replica_states o ON o.replica_id = d.replica_id ` +
		`LEFT JOIN sys.availability_replicas m ON m.replica_id = d.replica_id ` +
		`LEFT JOIN sys.availability_groups g ON g.group_id = COALESCE(o.group_id, m.group_id) ` +
		`LEFT JOIN sys.availability_replicas r ON r.group_id = g.group_id ` +
		`LEFT JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = o.group_id AND (r.replica_id IS NULL OR s.replica_id = r.replica_id) ` +
		`LEFT JOIN sys.dm_hadr_database_replica_states l ON l.replica_id = s.replica_id AND l.group_database_id = d.group_database_id ` +
		`WHERE d.name = %N`

	// Their replacements before 2017, when every group had a Windows cluster.
	clusterType, clusterBefore2017     = "g.cluster_type_desc", "N'wsfc'"
	sequenceNumber, sequenceBefore2017 = "g.sequence_number", "CONVERT(bigint, NULL)"

	viewAnyDefinition = "VIEW ANY DEFINITION"
)

// Look asks one server for its facts. If it could not be asked, Found.Error says why.
func Look(ctx context.Context, on Side, addr string, s Server, database string) *Found {
	return look(ctx, on, addr, s, database, false)
}

// LookPartly is Look for callers that accept incomplete facts. If the server refuses a query, its error is in Found.Unread, and
// the next query is sent. Found.Error is set only if the server stops answering.
func LookPartly(ctx context.Context, on Side, addr string, s Server, database string) *Found {
	return look(ctx, on, addr, s, database, true)
}

func look(ctx context.Context, on Side, addr string, s Server, database string, past bool) *Found {
	f := &Found{On: on, Address: addr}
	if s == nil {
		f.Error = "not asked"
		return f
	}
	if past {
		f.Unread = map[Part]error{}
	}
	if err := f.read(ctx, s, database); err != nil {
		*f = Found{On: on, Address: addr, Error: strings.Join(strings.Fields(err.Error()), " ")}
	}
	return f
}

// refused returns the error of a query. In LookPartly, if the server refused the query, it records the error in Unread and
// returns nil.
func (f *Found) refused(part Part, err error) error {
	if n := numbered(nil); f.Unread == nil || !errors.As(err, &n) {
		return err
	}
	f.Unread[part] = err
	return nil
}

func (f *Found) read(ctx context.Context, s Server, database string) error {
	if err := f.readServer(ctx, s); err != nil {
		return err
	}
	if err := f.readEndpoint(ctx, s); err != nil {
		return fmt.Errorf("read the endpoint: %w", err)
	}
	inGroup, err := f.readDatabase(ctx, s, database)
	if err != nil || f.Database == nil {
		return err
	}
	if err := f.refused(PartFiles, f.readFiles(ctx, s, database)); err != nil {
		return fmt.Errorf("read the database's files: %w", err)
	}
	if !inGroup {
		return nil
	}
	return f.refused(PartGroup, f.readGroup(ctx, s, database))
}

func (f *Found) readServer(ctx context.Context, s Server) error {
	rows, err := s.Query(ctx, queryServer)
	if err != nil {
		return f.refused(PartServer, err)
	}
	if len(rows) != 1 {
		return errors.New("the server returned no row about itself")
	}
	r := rows[0]
	f.ServerName, f.Version, f.Edition, f.Collation = r["server_name"], r["version"], r["edition"], r["collation"]
	f.Sysadmin, f.Groups, f.Linux = r["sysadmin"] == "1", r["hadr"] == "1", strings.Contains(r["banner"], "Linux")
	return nil
}

func (f *Found) readEndpoint(ctx context.Context, s Server) error {
	rows, err := s.Query(ctx, queryEndpoint)
	for _, r := range rows {
		port, _ := strconv.Atoi(r["port"])
		f.Endpoint = &FoundEndpoint{Name: r["name"], Role: r["role_desc"], State: r["state_desc"], Authentication: r["connection_auth_desc"],
			Port: port, Certificate: r["certificate"]}
	}
	return f.refused(PartEndpoint, err)
}

// readDatabase reads the database's row, its role in mirroring, and whether it is in a group. If the row may not be read,
// Database is set but empty.
func (f *Found) readDatabase(ctx context.Context, s Server, database string) (inGroup bool, err error) {
	rows, err := s.Query(ctx, fill(queryDatabase, database))
	if err != nil {
		if err := f.refused(PartMirroring, err); err != nil {
			return false, err
		}
		if rows, err = s.Query(ctx, fill(queryDatabaseAlone, database)); err != nil {
			f.Database = &FoundDatabase{}
			return false, f.refused(PartDatabase, err)
		}
	}
	if len(rows) == 0 {
		return false, nil
	}
	r := rows[0]
	f.Database = &FoundDatabase{State: r["state_desc"], Recovery: r["recovery_model_desc"], Access: r["user_access_desc"],
		ReadOnly: r["is_read_only"] == "1", AutoClose: r["is_auto_close_on"] == "1", LogWaits: r["log_reuse_wait_desc"],
		Opens: r["access"] == "1" && r["state_desc"] == "ONLINE"}
	f.takeMirroring(r)
	return r["replica_id"] != "", nil
}

func (f *Found) takeMirroring(r Row) {
	if r["mirroring_guid"] == "" {
		return
	}
	n, _ := strconv.ParseInt(r["mirroring_role_sequence"], 10, 64)
	f.Mirroring = &FoundMirroring{Role: r["mirroring_role_desc"], State: r["mirroring_state_desc"], Safety: r["mirroring_safety_level_desc"],
		Partner: r["mirroring_partner_name"], Instance: r["mirroring_partner_instance"], Sequence: n,
		Witness: r["mirroring_witness_name"], WitnessState: r["mirroring_witness_state_desc"], FailoverLSN: r["failover_lsn"], EndOfLog: r["end_of_log"]}
}

func (f *Found) readFiles(ctx context.Context, s Server, database string) error {
	rows, err := s.Query(ctx, fill(queryFiles, database))
	for _, r := range rows {
		if r["type"] == "2" {
			f.Database.FileStream = true
			continue
		}
		f.Database.Logical = append(f.Database.Logical, r["name"])
	}
	return err
}

func (f *Found) readGroup(ctx context.Context, s Server, database string) error {
	cluster, sequence := clusterType, sequenceNumber
	if f.major() < 14 {
		cluster, sequence = clusterBefore2017, sequenceBefore2017
	}
	rows, err := s.Query(ctx, fill(queryGroup, cluster, sequence, database))
	if err != nil || len(rows) == 0 {
		// The database is in a group, even if nothing else may be seen.
		f.Group = &FoundGroup{}
		if n := numbered(nil); errors.As(err, &n) && (n.SQLErrorNumber() == 297 || n.SQLErrorNumber() == 300) {
			f.Group.Lacks = viewServerState
			return nil
		}
		return err
	}
	g := &FoundGroup{Name: rows[0]["group_name"], Cluster: strings.ToUpper(rows[0]["cluster"])}
	if g.Name == "" {
		g.Lacks, g.Cluster = viewAnyDefinition, ""
	}
	g.Sequence, _ = strconv.ParseInt(rows[0]["sequence_number"], 10, 64)
	for _, r := range rows {
		if r["replica_server_name"] != "" {
			g.Replicas = append(g.Replicas, FoundReplica{Server: r["replica_server_name"], Endpoint: r["endpoint_url"], Mode: r["availability_mode_desc"],
				Failover: r["failover_mode_desc"], Role: r["role_desc"], Connected: r["connected_state_desc"]})
		}
		if r["is_local"] == "1" {
			g.Role, g.Operational, g.Connected, g.State = r["role_desc"], r["operational_state_desc"], r["connected_state_desc"], r["synchronization_state_desc"]
			g.Suspended, g.SuspendReason = r["is_suspended"] == "1", r["suspend_reason_desc"]
			g.Hardened, g.EndOfLog = r["hardened"], r["end_of_log"]
		}
	}
	f.Group = g
	return nil
}

// major returns the major version; 0: unknown.
func (f *Found) major() int {
	n, _ := strconv.Atoi(strings.SplitN(f.Version, ".", 2)[0])
	return n
}

// principal reports whether the server claims to be the principal or primary.
func (f *Found) principal() bool {
	return f.Mirroring != nil && f.Mirroring.Role == "PRINCIPAL" || f.Group != nil && f.Group.Role == "PRIMARY"
}

// Lines returns the facts for people, in lines of text.
func (f *Found) Lines() []string {
	if f.Error != "" {
		return []string{fmt.Sprintf("%s (%s): can't be asked: %s", f.On, f.Address, f.Error)}
	}
	lines := []string{fmt.Sprintf("%s (%s): %s, %s, version %s, collation %s", f.On, f.Address, f.ServerName, f.Edition, f.Version, f.Collation)}
	add := func(format string, args ...any) { lines = append(lines, "   "+fmt.Sprintf(format, args...)) }
	if !f.Sysadmin {
		add("the login is not a sysadmin here: what it may not see is shown as unknown")
	}
	d := f.Database
	if d == nil {
		add("no such database")
	} else {
		add("database %s, recovery %s, %s, log waits for %s", d.State, d.Recovery, d.Access, orUnknown(d.LogWaits))
	}
	if m := f.Mirroring; m != nil {
		add("mirroring: %s, %s, safety %s, role sequence %d, partner %s", m.Role, m.State, m.Safety, m.Sequence, m.Partner)
		if m.Witness != "" {
			add("witness %s: %s", m.Witness, m.WitnessState)
		} else {
			add("no witness")
		}
	} else if d != nil && f.Group == nil {
		add("mirroring: not set up, or this login may not see it")
	}
	f.groupLines(add)
	if e := f.Endpoint; e != nil {
		add("endpoint %s, port %d: %s, role %s, %s", e.Name, e.Port, e.State, e.Role, e.authentication())
	} else {
		add("no endpoint for mirroring")
	}
	return lines
}

func (f *Found) groupLines(add func(format string, args ...any)) {
	g := f.Group
	if g == nil {
		return
	}
	if g.Name == "" && g.Role == "" {
		add("in an availability group that this login may not see (%s is missing)", cmp.Or(g.Lacks, viewServerState))
		return
	}
	name := g.Name
	if name == "" {
		name = "(name, cluster and other replicas are not shown: " + viewAnyDefinition + " is missing)"
	}
	suspended := ""
	if g.Suspended {
		suspended = ", suspended (" + orUnknown(g.SuspendReason) + ")"
	}
	add("availability group %s (cluster type %s): %s, database %s%s", name, orUnknown(g.Cluster), orUnknown(g.Role), orUnknown(g.State), suspended)
	for _, r := range g.Replicas {
		add("   replica %s: %s, %s, %s", r.Server, r.Mode, orUnknown(r.Role), orUnknown(r.Connected))
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// authentication describes how the endpoint authenticates other servers.
func (e *FoundEndpoint) authentication() string {
	if e.Certificate != "" {
		return "certificate " + e.Certificate
	}
	return "Windows accounts (" + e.Authentication + ")"
}

// inFolder returns the path of a file in a folder, with the separator of the folder's system. Without a
// folder it returns the file name, which means the instance's default backup folder.
func inFolder(folder, file string) string {
	switch {
	case folder == "":
		return file
	case strings.Contains(folder, `\`):
		return strings.TrimRight(folder, `\`) + `\` + file
	}
	return path.Join(folder, file)
}
