package operate

import "slices"

// The statements that let the servers connect to each other: each has an endpoint, and
// a login for the other. Forms: "Set up a mirroring endpoint", with Windows accounts
// and with certificates.
const (
	formMasterKey    = `CREATE MASTER KEY ENCRYPTION BY PASSWORD = '%s'`
	formCertificate  = `CREATE CERTIFICATE %[ WITH SUBJECT = %', EXPIRY_DATE = '20391231'`
	formImported     = `CREATE CERTIFICATE %[ AUTHORIZATION %[ FROM BINARY = %s`
	formByCert       = `CREATE ENDPOINT %[ STATE = STARTED AS TCP (LISTENER_PORT = %s, LISTENER_IP = ALL) FOR DATABASE_MIRRORING (AUTHENTICATION = CERTIFICATE %[, ENCRYPTION = REQUIRED ALGORITHM AES, ROLE = %s)`
	formByAccount    = `CREATE ENDPOINT %[ STATE = STARTED AS TCP (LISTENER_PORT = %s, LISTENER_IP = ALL) FOR DATABASE_MIRRORING (AUTHENTICATION = WINDOWS NEGOTIATE, ENCRYPTION = REQUIRED ALGORITHM AES, ROLE = %s)`
	formLogin        = `CREATE LOGIN %[ WITH PASSWORD = '%s'`
	formWindowsLogin = `CREATE LOGIN %[ FROM WINDOWS`
	formUser         = `CREATE USER %[ FOR LOGIN %[`
	formGrant        = `GRANT CONNECT ON ENDPOINT::%[ TO %[`

	queryKey         = `SELECT 1 AS yes FROM sys.symmetric_keys WHERE name = N'##MS_DatabaseMasterKey##'`
	queryCertificate = `SELECT 1 AS yes FROM sys.certificates WHERE name = %N`
	queryAnyEndpoint = `SELECT 1 AS yes FROM sys.database_mirroring_endpoints`
	queryGoodEnd     = `SELECT 1 AS yes FROM sys.database_mirroring_endpoints e JOIN sys.tcp_endpoints t ON t.endpoint_id = e.endpoint_id ` +
		`WHERE e.state_desc = N'STARTED' AND e.role_desc IN (%s) AND t.port = %s`
	queryPrincipal = `SELECT 1 AS yes FROM sys.server_principals WHERE name = %N`
	queryUser      = `SELECT 1 AS yes FROM sys.database_principals WHERE name = %N`
	// CERT_ID is not used: no page says whether it accepts a name with a dot or colon unquoted.
	queryEncoded = `SELECT CONVERT(varchar(max), CERTENCODED(c.certificate_id), 1) AS certificate FROM sys.certificates c WHERE c.name = %N`
)

// secretKey and secretLogin name the passwords. Run generates them; for a script a person chooses them.
const (
	secretKey   = "MasterKeyPassword"
	secretLogin = "EndpointLoginPassword"
)

// end is what the other servers need to know about a server's endpoint.
type end struct {
	side        Side
	address     string // host:port of its endpoint
	account     string // its service account; empty: it uses a certificate
	endpoint    string // the endpoint's name
	certificate string // the name of its certificate, the same on every server
	there       bool   // the server already has an endpoint
}

// variable returns the name of the variable with its certificate.
func (e end) variable() string { return "CertificateOf_" + string(e.side) }

// ends returns the servers that must connect to each other, the principal first.
func (s *situation) ends() []end {
	name := "Mirroring"
	if s.plan.Topology == Group {
		name = "Hadr_endpoint"
	}
	var all []end
	for _, side := range []Side{s.p, s.m} {
		i := side.index()
		e := end{side: side, address: s.o.Endpoint[i], account: s.o.Accounts[i], endpoint: name, certificate: "mirrorstate " + s.o.Endpoint[i]}
		if f := s.seen[i].Endpoint; f != nil {
			e.endpoint, e.there = f.Name, true
			if f.Certificate != "" {
				e.certificate = f.Certificate
			}
		}
		all = append(all, e)
	}
	if s.o.Witness != "" && s.plan.Topology == Mirroring {
		all = append(all, end{side: Witness, address: s.o.Witness, account: s.o.Accounts[2], endpoint: name, certificate: "mirrorstate " + s.o.Witness})
	}
	return all
}

// connectEndpoints adds the steps that create the endpoints and grant the servers access to each other's.
func (s *situation) connectEndpoints() {
	all := s.ends()
	for _, e := range all {
		if e.side == Witness && !s.o.WitnessReached {
			continue
		}
		s.makeEndpoint(e)
		if e.account == "" {
			s.plan.add(Step{On: e.side, Kind: Read, Into: []string{e.variable()}, Title: "Read the public part of this server's certificate, for the other servers",
				Text: fill(queryEncoded, e.certificate), Why: "It is copied as a value, so no certificate file must be copied."})
		}
	}
	// Backward: the last server continues, and the first one, which has the database, comes last. So a script changes the
	// server as rarely as possible.
	for _, at := range slices.Backward(all) {
		if at.side == Witness && !s.o.WitnessReached {
			continue
		}
		for _, from := range all {
			// The certificate of a witness that can't be reached is unknown.
			unknown := from.side == Witness && !s.o.WitnessReached && from.account == ""
			if at.side != from.side && !unknown {
				s.grantConnect(at, from)
			}
		}
	}
}

// makeEndpoint adds the steps that create the endpoint of a server, unless it has one. A server has only one endpoint for
// mirroring; all its mirrored databases and groups share it.
func (s *situation) makeEndpoint(e end) {
	role := "ALL"
	if e.account == "" {
		s.plan.add(
			Step{On: e.side, Kind: Do, Title: "Create a master key in master, which protects the certificate's private key", Unless: queryKey,
				Text: fill(formMasterKey, variable(secretKey))},
			Step{On: e.side, Kind: Do, Title: "Create the certificate by which the other servers recognize this one", Unless: fill(queryCertificate, e.certificate),
				Text: fill(formCertificate, e.certificate, "endpoint "+e.address), Why: "Without EXPIRY_DATE it would expire after a year, and mirroring would stop."},
			Step{On: e.side, Kind: Do, Title: "Create the endpoint for the connections between the partners", Unless: queryAnyEndpoint,
				Text: fill(formByCert, e.endpoint, port(e.address), e.certificate, role),
				Why:  "A server has one endpoint of this kind. An existing one is used unchanged: a change would break the sessions of other databases."})
	} else {
		s.plan.add(Step{On: e.side, Kind: Do, Title: "Create the endpoint for the connections between the partners", Unless: queryAnyEndpoint,
			Text: fill(formByAccount, e.endpoint, port(e.address), role),
			Why:  "A server has one endpoint of this kind. An existing one is used unchanged: a change would break the sessions of other databases."})
	}
	roles := "N'PARTNER', N'ALL'"
	if e.side == Witness {
		roles = "N'WITNESS', N'ALL'"
	}
	s.plan.add(Step{On: e.side, Kind: Check, Title: "The endpoint is started, on the port that the other servers use, and with the right role",
		Text: fill(queryGoodEnd, roles, port(e.address)),
		Refusal: &Refusal{Number: 1418, Message: "the endpoint is not STARTED with ROLE ALL on port " + port(e.address),
			Advice: "start it (ALTER ENDPOINT … STATE = STARTED), or give its real port with --endpoint-" + string(e.side)}})
}

// grantConnect adds the steps that let the server from connect to the endpoint of the server at.
func (s *situation) grantConnect(at, from end) {
	if from.account != "" {
		s.plan.add(
			Step{On: at.side, Kind: Do, Title: "Create a login for the service account of " + string(from.side), Unless: fill(queryPrincipal, from.account), Text: fill(formWindowsLogin, from.account)},
			Step{On: at.side, Kind: Do, Title: "Grant it the right to connect to the endpoint", Text: fill(formGrant, at.endpoint, from.account)})
		return
	}
	who := "mirrorstate " + from.address
	s.plan.add(
		Step{On: at.side, Kind: Do, Title: "Create a login for " + string(from.side) + ", which authenticates with its certificate; nobody uses the password",
			Unless: fill(queryPrincipal, who), Text: fill(formLogin, who, variable(secretLogin))},
		Step{On: at.side, Kind: Do, Title: "Create its user in master, which owns the certificate", Unless: fill(queryUser, who), Text: fill(formUser, who, who)},
		Step{On: at.side, Kind: Do, Title: "Import the certificate of " + string(from.side), Unless: fill(queryCertificate, from.certificate),
			Text: fill(formImported, from.certificate, who, variable(from.variable()))},
		Step{On: at.side, Kind: Do, Title: "Grant it the right to connect to the endpoint", Text: fill(formGrant, at.endpoint, who)})
}
