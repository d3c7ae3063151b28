package operate

import (
	"fmt"
	"strings"
	"testing"
)

// recordedPair returns the facts about two partners of a mirroring session. a is the principal. Only a sysadmin sees the mirror's columns.
func recordedPair(sysadmin bool) [2]*Found {
	seen := [2]*Found{}
	for i, role := range []string{"PRINCIPAL", "MIRROR"} {
		side := []Side{A, B}[i]
		seen[i] = &Found{On: side, Address: "sql" + string(side), ServerName: "SQL" + strings.ToUpper(string(side)), Version: "15.0.2000.5", Edition: "Enterprise Edition (64-bit)",
			Collation: "Latin1_General_CI_AS", Sysadmin: sysadmin, Endpoint: &FoundEndpoint{Name: "Mirroring", Role: "ALL", State: "STARTED", Port: 5022},
			Database: &FoundDatabase{State: map[bool]string{true: "ONLINE", false: "RESTORING"}[i == 0], Recovery: "FULL", Access: "MULTI_USER", Opens: i == 0}}
		if i == 0 || sysadmin {
			seen[i].Mirroring = &FoundMirroring{Role: role, State: "SYNCHRONIZED", Safety: "FULL", Sequence: 3, EndOfLog: "41000000030400001"}
		}
	}
	return seen
}

// recordedAlone returns the facts about two servers that are not a pair. Server a has the database.
func recordedAlone() [2]*Found {
	seen := recordedPair(true)
	seen[0].Mirroring, seen[1].Mirroring, seen[1].Database = nil, nil, nil
	seen[0].Endpoint, seen[1].Endpoint = nil, nil
	return seen
}

func gone(side Side) *Found {
	return &Found{On: side, Address: "sql" + string(side), Error: "connection refused"}
}

// TestNewPlan_Recognises checks the plan or refusal for the facts about two servers.
func TestNewPlan_Recognises(t *testing.T) {
	change := func(seen [2]*Found, f func(a, b *Found)) [2]*Found {
		f(seen[0], seen[1])
		return seen
	}
	for _, c := range []struct {
		name, verb string
		seen       [2]*Found
		more       func(*Options)
		topology   string
		principal  Side
		refusal    string
	}{
		{"mirroring", Failover, recordedPair(true), nil, Mirroring, A, ""},
		{"mirroring whose mirror shows NULLs", Failover, recordedPair(false), nil, Mirroring, A, ""},
		{"the principal is b", Suspend, change(recordedPair(true), func(a, b *Found) {
			a.Mirroring.Role, b.Mirroring.Role = "MIRROR", "PRINCIPAL"
		}), nil, Mirroring, B, ""},
		{"a group", Failover, recordedGroup(t), nil, Group, A, ""},
		{"NULLs and a partner that does not answer prove nothing", Failover, [2]*Found{gone(A), recordedPair(false)[1]}, nil, "", "", "1431"},
		{"not a pair", Failover, recordedAlone(), nil, "", "", "1416"},
		{"both principals", Failover, change(recordedPair(true), func(a, b *Found) { b.Mirroring.Role = "PRINCIPAL" }), nil, "", "", "both servers claim to be the principal"},
		{"both primaries", Force, change(recordedGroup(t), func(a, b *Found) { b.Group.Role = "PRIMARY" }), nil, "", "", "1455"},
		{"the wrong topology in the options", Failover, recordedPair(true), func(o *Options) { o.Topology = Group }, "", "", "the servers show mirroring"},
		{"a group with Pacemaker", Failover, change(recordedGroup(t), func(a, b *Found) { a.Group.Cluster, b.Group.Cluster = "EXTERNAL", "EXTERNAL" }), nil, "", "", "Pacemaker"},
		{"a group that the login may not see", Failover, change(recordedGroup(t), func(a, b *Found) { a.Group, b.Group = &FoundGroup{}, &FoundGroup{} }), nil, "", "", "(300)"},
		{"failover without the mirror", Failover, [2]*Found{recordedPair(true)[0], gone(B)}, nil, "", "", "1447"},
		{"failover without the principal", Failover, [2]*Found{gone(A), recordedPair(true)[1]}, nil, "", "", "1447"},
		{"force while the principal runs", Force, recordedPair(true), func(o *Options) { o.AllowDataLoss = true }, "", "", "1455"},
		{"force without permission", Force, [2]*Found{gone(A), recordedPair(true)[1]}, nil, "", "", "may lose acknowledged writes: the principal can't be asked for the end of its log"},
		{"force with permission", Force, [2]*Found{gone(A), recordedPair(true)[1]}, func(o *Options) { o.AllowDataLoss = true }, Mirroring, A, ""},
		{"force in a group", Force, [2]*Found{gone(A), recordedGroup(t)[1]}, func(o *Options) { o.AllowDataLoss = true }, Group, A, ""},
		{"force without possible data loss", Force, change(recordedPair(true), closed("41000000030400001", "41000000030400001")), nil, Mirroring, A, ""},
		{"force while the principal's log is longer", Force, change(recordedPair(true), closed("41000000030400002", "41000000030400001")), nil, "", "", "the principal's log is longer"},
		{"a log sequence number with fewer digits is lower", Force, change(recordedPair(true), closed("100000000000000000", "99999999999999999")), nil, "", "", "the principal's log is longer"},
		{"setup of two servers", Setup, recordedAlone(), nil, Mirroring, A, ""},
		{"setup on Linux", Setup, change(recordedAlone(), func(a, b *Found) { a.Linux, b.Linux, a.Groups, b.Groups = true, true, true, true }), nil, Group, A, ""},
		{"mirroring on Linux", Setup, change(recordedAlone(), func(a, b *Found) { a.Linux = true }), func(o *Options) { o.Topology = Mirroring }, "", "", "1463"},
		{"setup of a pair", Setup, recordedPair(true), nil, "", "", "1405"},
		{"setup of a group", Setup, recordedGroup(t), nil, "", "", "availability group already"},
		{"setup while b does not answer", Setup, [2]*Found{recordedAlone()[0], gone(B)}, nil, "", "", "1447"},
		{"setup without sysadmin", Setup, change(recordedAlone(), func(a, b *Found) { b.Sysadmin = false }), nil, "", "", "262"},
		{"setup with different versions", Setup, change(recordedAlone(), func(a, b *Found) { b.Version = "16.0.1" }), nil, "", "", "the versions differ"},
		{"setup with different editions", Setup, change(recordedAlone(), func(a, b *Found) { b.Edition = "Standard Edition" }), nil, "", "", "the editions differ"},
		{"setup with different collations", Setup, change(recordedAlone(), func(a, b *Found) { b.Collation = "X" }), nil, "", "", "the collations differ"},
		{"setup of a server with itself", Setup, change(recordedAlone(), func(a, b *Found) { b.ServerName = a.ServerName }), nil, "", "", "1452"},
		{"setup with a database on the mirror", Setup, change(recordedAlone(), func(a, b *Found) { b.Database = &FoundDatabase{State: "SUSPECT"} }), nil, "", "", "1464"},
		{"setup with an open database on both", Setup, change(recordedAlone(), func(a, b *Found) { b.Database = a.Database }), nil, "", "", "both servers have an open database"},
		{"setup without a database", Setup, change(recordedAlone(), func(a, b *Found) { a.Database = nil }), nil, "", "", "911"},
		{"setup with FILESTREAM", Setup, change(recordedAlone(), func(a, b *Found) { a.Database.FileStream = true }), nil, "", "", "FILESTREAM"},
		{"an existing endpoint with Windows accounts", Setup, change(recordedAlone(), func(a, b *Found) { b.Endpoint = &FoundEndpoint{Name: "M", Authentication: "NEGOTIATE"} }), nil, "", "", "endpoint M on b authenticates by Windows accounts"},
		{"an existing endpoint with certificates, and accounts", Setup, change(recordedAlone(), func(a, b *Found) { b.Endpoint = &FoundEndpoint{Name: "M", Certificate: "c"} }),
			func(o *Options) { o.Accounts = [3]string{`D\a`, `D\b`} }, "", "", "authenticates by certificate c"},
		{"a group before SQL Server 2017", Setup, change(recordedAlone(), func(a, b *Found) { a.Version, b.Version = "13.0", "13.0" }), func(o *Options) { o.Topology = Group }, "", "", "before 2017"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Options{Database: "ASPState", Endpoint: [2]string{"sqla:5022", "sqlb:5022"}}
			if c.more != nil {
				c.more(&o)
			}
			p, err := NewPlan(c.verb, o, c.seen)
			if c.refusal != "" {
				if _, ok := err.(*Refusal); !ok || !strings.Contains(err.Error(), c.refusal) {
					t.Fatalf("%v, want a refusal with %q", err, c.refusal)
				}
				return
			}
			if err != nil || p.Topology != c.topology || p.Principal != c.principal || len(p.Steps) == 0 {
				t.Errorf("%+v, %v, want %s with principal %s", p, err, c.topology, c.principal)
			}
		})
	}
}

// closed closes the principal's database, disconnects the partners and sets where their logs end.
func closed(principal, mirror string) func(a, b *Found) {
	return func(a, b *Found) {
		a.Database.Opens = false
		a.Mirroring.State, b.Mirroring.State = "DISCONNECTED", "DISCONNECTED"
		a.Mirroring.EndOfLog, b.Mirroring.EndOfLog = principal, mirror
	}
}

// An existing endpoint is used unchanged, with its name and its certificate.
func TestSetup_UsesTheEndpointThatIsThere(t *testing.T) {
	seen := recordedAlone()
	seen[1].Endpoint = &FoundEndpoint{Name: "Old", Role: "ALL", State: "STARTED", Port: 7022, Certificate: "OldCert"}
	p, err := NewPlan(Setup, Options{Database: "ASPState", Endpoint: [2]string{"sqla:5022", "sqlb:7022"}}, seen)
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprint(p.Steps)
	for _, want := range []string{"FROM sys.certificates c WHERE c.name = N'OldCert'", "CREATE CERTIFICATE [OldCert] AUTHORIZATION [mirrorstate sqlb:7022] FROM BINARY", "ON ENDPOINT::[Old] TO [mirrorstate sqla:5022]", "ON ENDPOINT::[Mirroring] TO [mirrorstate sqlb:7022]", "t.port = 7022"} {
		if !strings.Contains(all, want) {
			t.Errorf("not in the plan: %s", want)
		}
	}
	for i, s := range p.Steps {
		if s.On == B && (strings.HasPrefix(s.Text, "CREATE ENDPOINT") && s.Unless == "") {
			t.Errorf("step %d creates an endpoint without checking for one: %s", i+1, s.Text)
		}
	}
}

func TestFound_Lines(t *testing.T) {
	for _, seen := range [][2]*Found{recordedPair(true), recordedGroup(t), recordedAlone(), {gone(A), gone(B)}} {
		for _, f := range seen {
			if lines := f.Lines(); len(lines) == 0 || !strings.HasPrefix(lines[0], string(f.On)+" (") {
				t.Errorf("%q", lines)
			}
		}
	}
}

// A login gets its server rights on the other server too, after the login was created there.
func TestSetup_CarriesRightsOnTheServer(t *testing.T) {
	seen := recordedAlone()
	_, a, _, _ := runner()
	a.query = func(q string) ([]Row, error) {
		if !strings.Contains(q, "sys.server_permissions") || !strings.Contains(q, "N'we%b'") {
			t.Errorf("asked: %s", q)
		}
		return []Row{{"permission_name": "VIEW SERVER STATE", "state_desc": "GRANT"}, {"permission_name": "VIEW ANY DATABASE", "state_desc": "DENY"},
			{"permission_name": "ALTER TRACE", "state_desc": "GRANT_WITH_GRANT_OPTION"}}, nil
	}
	o := Options{Database: "ASPState", Endpoint: [2]string{"sqla:5022", "sqlb:5022"}, Logins: []string{"we%b"}}
	rights, err := ServerRights(t.Context(), o, seen, map[Side]Server{A: a})
	if err != nil {
		t.Fatal(err)
	}
	o.Rights = rights
	p, err := NewPlan(Setup, o, seen)
	if err != nil {
		t.Fatal(err)
	}
	var last []string
	for _, s := range p.Steps[len(p.Steps)-4:] {
		last = append(last, string(s.On)+": "+s.Text)
	}
	got := strings.Join(last[1:], "\n")
	if want := "b: GRANT VIEW SERVER STATE TO [we%b]\nb: DENY VIEW ANY DATABASE TO [we%b]\nb: GRANT ALTER TRACE TO [we%b] WITH GRANT OPTION"; got != want || !strings.HasPrefix(last[0], "b: CREATE LOGIN [we%b]") {
		t.Errorf("the last steps are\n%s\nwant\n%s", strings.Join(last, "\n"), want)
	}
	a.query = func(string) ([]Row, error) {
		return []Row{{"permission_name": "X; DROP", "state_desc": "GRANT"}}, nil
	}
	if _, err := ServerRights(t.Context(), o, seen, map[Side]Server{A: a}); refusalOf(err).On != A {
		t.Errorf("a right that contains a statement: %v", err)
	}
}

// In THROW a % begins a placeholder, so it is doubled. A script with a name that is not ASCII has a byte order mark: without it
// sqlcmd would read it in the machine's code page. The rest of the script is ASCII.
func TestScripts_PercentAndNames(t *testing.T) {
	for name, marked := range map[string]bool{"50%off": false, "Größe": true} {
		p, err := DryRun(Setup, Options{Database: name, Endpoint: [2]string{"sql1:5022", "sql2:5022"}, Tables: []string{"T%d"}})
		if err != nil {
			t.Fatal(err)
		}
		some := false
		for _, s := range p.Scripts() {
			_, text, is := strings.Cut(s.Text, byteOrderMark)
			if ascii := strings.IndexFunc(s.Text, func(r rune) bool { return r > 127 }) < 0; is == ascii || is && (!marked || s.Text != byteOrderMark+text || !strings.HasPrefix(s.Titled(), byteOrderMark+"-- ====")) {
				t.Errorf("%s, part %d: marked %v, ASCII %v", name, s.Part, is, ascii)
			}
			for line := range strings.Lines(s.Text) {
				if strings.Contains(line, "THROW") && strings.Contains(line, "T%") {
					some = some || strings.Contains(line, "no table T%%d;")
				}
			}
		}
		if !some {
			t.Errorf("%s: no THROW has the table's name with its %% doubled", name)
		}
	}
}

// After the primary stopped serving, each step says how to recover, also in the script.
func TestFailover_SaysHowToRecover(t *testing.T) {
	p, err := NewPlan(Failover, Options{Database: "ASPState", Endpoint: [2]string{"sqla:5022", "sqlb:5022"}}, recordedGroup(t))
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	for i, s := range p.Steps {
		stopped = stopped || strings.HasSuffix(s.Text, " OFFLINE")
		if stopped && !strings.Contains(s.Out, "SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0)") {
			t.Errorf("step %d, %s, does not say how to recover: %q", i+1, s.Title, s.Out)
		}
	}
	if !stopped {
		t.Fatal("the primary never stops serving")
	}
	for _, s := range p.Scripts() {
		for batch := range strings.SplitSeq(s.Text, "\nGO\n") {
			if strings.Contains(batch, "SET (ROLE = SECONDARY);\nEND TRY") && !strings.Contains(batch, "PRINT N'To recover: b is the primary") {
				t.Errorf("the script does not print how to recover: %s", batch)
			}
		}
	}
}
