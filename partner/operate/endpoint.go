package operate

import "slices"

// The statements that let two servers speak to each other: an endpoint on each, and on
// each a login for the other. Forms: "Set up a mirroring endpoint", with Windows accounts
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
	// By the catalogue's row: whether CERT_ID would take a name with a point or a colon in it as it is, no page says.
	queryEncoded = `SELECT CONVERT(varchar(max), CERTENCODED(c.certificate_id), 1) AS certificate FROM sys.certificates c WHERE c.name = %N`
)

// secretKey and secretLogin are the passwords that Run makes and a person chooses.
const (
	secretKey   = "MasterKeyPassword"
	secretLogin = "EndpointLoginPassword"
)

// end is a server as the others see it.
type end struct {
	side        Side
	address     string // host:port of its endpoint
	account     string // of its service; empty: it shows a certificate
	endpoint    string // the endpoint's name
	certificate string // its own certificate's name, the same on every server
	there       bool   // it has an endpoint already
}

// variable is where its certificate travels.
func (e end) variable() string { return "CertificateOf_" + string(e.side) }

// ends are the servers that must speak to each other, the principal first.
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

// secure has each of the servers listen for the others, and let them in.
func (s *situation) secure() {
	all := s.ends()
	for _, e := range all {
		if e.side == Witness && !s.o.WitnessReached {
			continue
		}
		s.listen(e)
		if e.account == "" {
			s.plan.add(Step{On: e.side, Kind: Read, Into: []string{e.variable()}, Title: "The public part of this server's certificate, for the others",
				Text: fill(queryEncoded, e.certificate), Why: "It is carried as a value, so that no certificate file has to be."})
		}
	}
	// The last one goes on, and the first one, which has the database, comes last: so a script changes servers seldom.
	for _, at := range slices.Backward(all) {
		if at.side == Witness && !s.o.WitnessReached {
			continue
		}
		for _, from := range all {
			// The certificate of a witness that can't be reached, nobody has.
			unknown := from.side == Witness && !s.o.WitnessReached && from.account == ""
			if at.side != from.side && !unknown {
				s.letIn(at, from)
			}
		}
	}
}

// listen makes the endpoint of one server, unless it has one: there is one for each server, which all its
// mirrored databases and groups share.
func (s *situation) listen(e end) {
	role := "ALL"
	if e.account == "" {
		s.plan.add(
			Step{On: e.side, Kind: Do, Title: "A master key in master, which protects the certificate's private key", Unless: queryKey,
				Text: fill(formMasterKey, variable(secretKey))},
			Step{On: e.side, Kind: Do, Title: "The certificate that this server shows to the others", Unless: fill(queryCertificate, e.certificate),
				Text: fill(formCertificate, e.certificate, "endpoint "+e.address), Why: "Without EXPIRY_DATE it would end after a year, and mirroring with it."},
			Step{On: e.side, Kind: Do, Title: "The endpoint on which the partners speak", Unless: queryAnyEndpoint,
				Text: fill(formByCert, e.endpoint, port(e.address), e.certificate, role),
				Why:  "A server has one endpoint of this kind. One that is there is used as it is: to change it would break other databases' sessions."})
	} else {
		s.plan.add(Step{On: e.side, Kind: Do, Title: "The endpoint on which the partners speak", Unless: queryAnyEndpoint,
			Text: fill(formByAccount, e.endpoint, port(e.address), role),
			Why:  "A server has one endpoint of this kind. One that is there is used as it is: to change it would break other databases' sessions."})
	}
	roles := "N'PARTNER', N'ALL'"
	if e.side == Witness {
		roles = "N'WITNESS', N'ALL'"
	}
	s.plan.add(Step{On: e.side, Kind: Check, Title: "The endpoint is started, on the port that the others use, and may do this",
		Text: fill(queryGoodEnd, roles, port(e.address)),
		Refusal: &Refusal{Number: 1418, Message: "the endpoint is not STARTED with ROLE ALL on port " + port(e.address),
			Advice: "start it (ALTER ENDPOINT … STATE = STARTED), or give its true port with --endpoint-" + string(e.side)}})
}

// letIn has one server accept another's connections.
func (s *situation) letIn(at, from end) {
	if from.account != "" {
		s.plan.add(
			Step{On: at.side, Kind: Do, Title: "A login for the service account of " + string(from.side), Unless: fill(queryPrincipal, from.account), Text: fill(formWindowsLogin, from.account)},
			Step{On: at.side, Kind: Do, Title: "It may connect to the endpoint", Text: fill(formGrant, at.endpoint, from.account)})
		return
	}
	who := "mirrorstate " + from.address
	s.plan.add(
		Step{On: at.side, Kind: Do, Title: "A login for " + string(from.side) + ", which nobody logs in with: its certificate is its proof",
			Unless: fill(queryPrincipal, who), Text: fill(formLogin, who, variable(secretLogin))},
		Step{On: at.side, Kind: Do, Title: "Its user in master, who owns the certificate", Unless: fill(queryUser, who), Text: fill(formUser, who, who)},
		Step{On: at.side, Kind: Do, Title: "The certificate of " + string(from.side), Unless: fill(queryCertificate, from.certificate),
			Text: fill(formImported, from.certificate, who, variable(from.variable()))},
		Step{On: at.side, Kind: Do, Title: "It may connect to the endpoint", Text: fill(formGrant, at.endpoint, who)})
}
