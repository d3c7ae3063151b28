package config_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/config"
)

// sqlPair is a connection string with two servers, as in a web.config.
const sqlPair = `data source=SQL1;failover partner=SQL2;initial catalog=State;user id=web;password=` + marker

// around returns a whole file with a <sessionState> and other sections.
func around(state, beside string) string {
	return "<configuration>" + beside + "\n<system.web>" + state + "</system.web></configuration>"
}

// Only values that the mode uses are resolved: others may be encrypted, missing or wrong.
func TestParseWebConfig_OnlyWhatIsNeeded(t *testing.T) {
	const encrypted = `<connectionStrings configProtectionProvider="Rsa"><EncryptedData/></connectionStrings>`
	const missing = `<connectionStrings configSource="absent.config"/>`
	const literal = `<sessionState mode="SQLServer" allowCustomSqlDatabase="true" sqlConnectionString="` + sqlPair + `"/>`
	const named = `<sessionState mode="SQLServer" allowCustomSqlDatabase="true" sqlConnectionString="S"/>`
	const state = `<sessionState mode="StateServer" stateConnectionString="tcpip=10.0.0.1:42424"/>`
	const add = `<add name="s" connectionString="` + sqlPair + `"/>`
	for name, tc := range map[string]struct{ text, mode, want string }{
		"encrypted strings beside a literal one":                     {around(literal, encrypted), "SQLServer", sqlPair},
		"a missing file beside a literal one":                        {around(literal, missing), "SQLServer", sqlPair},
		"encrypted strings, StateServer":                             {around(state, encrypted), "StateServer", ""},
		"a missing file, StateServer":                                {around(state, missing), "StateServer", ""},
		"encrypted strings, InProc":                                  {around(`<sessionState mode="InProc" sqlConnectionString="S"/>`, encrypted), "InProc", ""},
		"a missing file, Off":                                        {around(`<sessionState mode="Off"/>`, missing), "Off", ""},
		"the application's own provider":                             {around(`<sessionState mode="Custom" customProvider="x"/>`, encrypted), "Custom", ""},
		"the name is in the location's own section":                  {`<configuration>` + encrypted + `<location path="shop"><connectionStrings>` + add + `</connectionStrings><system.web>` + named + `</system.web></location></configuration>`, "SQLServer", sqlPair},
		"an encrypted section that is cleared":                       {`<configuration>` + encrypted + `<connectionStrings><clear/>` + add + `</connectionStrings><system.web>` + named + `</system.web></configuration>`, "SQLServer", sqlPair},
		"a partition resolver without a connection string":           {around(`<sessionState mode="SQLServer" partitionResolverType="Shop.Resolver"/>`, encrypted), "SQLServer", ""},
		"a partition resolver with an invalid stateConnectionString": {around(`<sessionState mode="StateServer" partitionResolverType="Shop.Resolver" stateConnectionString="x"/>`, encrypted), "StateServer", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := config.ParseWebConfig([]byte(tc.text), "", noFile)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.SQLConnectionString.Reveal(); s.Mode != tc.mode || got != tc.want {
				t.Errorf("mode %s, string %q; want %s, %q", s.Mode, got, tc.mode, tc.want)
			}
		})
	}
}

// Microsoft's provider for mode Custom stores its sessions in the tables of ASPState if its repositoryType is FrameworkCompat.
func TestParseWebConfig_AsyncProvider(t *testing.T) {
	const stored = `<connectionStrings><add name="State" connectionString="` + sqlPair + `"/></connectionStrings>`
	provider := func(settings string) string {
		return around(`<sessionState mode="Custom" customProvider="Async" cookieless="false"><providers><clear/>`+
			`<add name="async" type="Microsoft.AspNet.SessionState.SqlSessionStateProviderAsync, Microsoft.AspNet.SessionState.SqlSessionStateProviderAsync, Version=2.0.0.0" `+settings+`/>`+
			`</providers></sessionState>`, stored)
	}
	for name, tc := range map[string]struct{ text, want, says string }{
		"compatible":                    {provider(`connectionStringName="state" repositoryType="FrameworkCompat"`), sqlPair, ""},
		"compatible, unsaid":            {provider(`connectionStringName="State"`), sqlPair, ""},
		"version 1.1, compatible":       {provider(`connectionStringName="State" UseInMemoryTable="false" MaxRetryNumber="10"`), sqlPair, ""},
		"the table of ASPState by name": {provider(`connectionStringName="State" sessionTableName="ASPStateTempSessions"`), sqlPair, ""},
		"the provider's own table":      {provider(`connectionStringName="State" repositoryType="SqlServer"`), "", "in its own table"},
		"a table in memory":             {provider(`connectionStringName="State" useInMemoryTable="true"`), "", "in its own table"},
		"another table":                 {provider(`connectionStringName="State" sessionTableName="Mine"`), "", "sessionTableName is not ASPStateTempSessions"},
		"another provider":              {strings.Replace(provider(`connectionStringName="State"`), "Microsoft.AspNet.SessionState.Sql", "Shop.", 1), "", "the application uses its own provider"},
		"no such provider":              {strings.Replace(provider(`connectionStringName="State"`), `name="async"`, `name="other"`, 1), "", "customProvider is not the name of one of the <providers>"},
		"no name":                       {provider(``), "", "line 2: connectionStringName is missing"},
		"the name of a connection string that does not exist": {provider(`connectionStringName="` + marker + `"`), "", "line 2: connectionStringName is the name of a connection string that is not in <connectionStrings>"},
		"a connection string without a database":              {strings.Replace(provider(`connectionStringName="State"`), "initial catalog=State;", "", 1), "", "line 1: the connection string names no database"},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t, t.TempDir(), "web.config", tc.text)
			c, err := load(t, "", nil, config.Flag("--web-config", "pair.web_config", path))
			if tc.says != "" {
				if !mistaken(err, tc.says) || strings.Contains(err.Error(), marker) {
					t.Errorf("got %v, want %q", err, tc.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p, _ := c.Partners()
			if a := p.Servers[0]; a.Address.Host != "SQL1" || p.Database != "State" || a.Password.Reveal() != marker {
				t.Errorf("got %+v", p)
			}
			if !strings.Contains(strings.Join(c.Notes, "\n"), "does not find them by the application's name") {
				t.Errorf("notes %q", c.Notes)
			}
		})
	}
}

// A location is chosen by its path. It inherits the attributes that it does not set from the application's own section.
func TestParseWebConfig_Locations(t *testing.T) {
	const text = `<configuration><system.web><sessionState mode="SQLServer" timeout="30" cookieName="main" sqlConnectionString="data source=a;failover partner=b"/></system.web>
<location path="Default Web Site/shop"><system.web><sessionState timeout="45"/></system.web></location>
<location path="admin"><system.web><sessionState mode="InProc" cookieName="admin"/></system.web></location></configuration>`
	apart := strings.NewReplacer("<configuration><system.web>", `<configuration><location path="." inheritInChildApplications="false"><system.web>`, "</system.web>\n", "</system.web></location>\n")
	for name, tc := range map[string]struct{ text, location, want string }{
		"none":                           {text, "", "1 SQLServer 30 main"},
		"the application itself":         {text, ".", "1 SQLServer 30 main"},
		"one":                            {text, "Default Web Site/shop", "2 SQLServer 45 main"},
		"the path in another spelling":   {text, "/default web site/SHOP/", "2 SQLServer 45 main"},
		"another one":                    {text, "admin", "3 InProc 30 admin"},
		"a location without inheritance": {apart.Replace(text), "admin", "3 InProc 0 admin"},
		"a location that does not exist": {text, "blog", `there is no <sessionState> in the chosen <location>; the file has one in "." (line 1), "Default Web Site/shop" (line 2), "admin" (line 3)`},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := config.ParseWebConfig([]byte(tc.text), tc.location, noFile)
			got := strings.Join([]string{strconv.Itoa(s.Line), s.Mode, strconv.Itoa(s.Timeout), s.CookieName}, " ")
			if err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// pair.web_config_location is a key like others, and requires a web.config.
func TestLoad_WebConfigLocation(t *testing.T) {
	path := file(t, t.TempDir(), "web.config", `<configuration><location path="a"><system.web><sessionState mode="InProc"/></system.web></location>
<location path="b"><system.web><sessionState mode="SQLServer" allowCustomSqlDatabase="true" sqlConnectionString="`+sqlPair+`"/></system.web></location></configuration>`)
	c, err := load(t, "", nil, config.Flag("--web-config", "pair.web_config", path), config.Flag("--location", "pair.web_config_location", "B"))
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := c.Partners(); !ok || p.Database != "State" {
		t.Errorf("got %+v", p)
	}
	if _, err := load(t, "pair: {web_config: "+path+"}", nil); !mistaken(err, `choose one with --location or pair.web_config_location; the file has one in "a" (line 1), "b" (line 2)`) {
		t.Errorf("got %v", err)
	}
	if _, err := load(t, "pair: {web_config_location: a}", nil); !mistaken(err, "pair.web_config_location: applies to pair.web_config, which is not set") {
		t.Errorf("got %v", err)
	}
}

// The case of a file name is ignored, as on Windows, and the error for a mistake names its file.
func TestReadWebConfig_Files(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "Config"), 0o700); err != nil {
		t.Fatal(err)
	}
	main := file(t, dir, "Web.config", `<configuration><connectionStrings configSource="CONFIG\names.config"/>
<system.web><sessionState configSource="config\Session.Config"/></system.web></configuration>`)
	session := filepath.Join(dir, "config", "Session.Config")
	names := filepath.Join(dir, "CONFIG", "names.config")
	state := `<sessionState mode="SQLServer" allowCustomSqlDatabase="true" sqlConnectionString="s"/>`
	add := func(s string) string {
		return "<connectionStrings>\n<add name=\"s\" connectionString=\"" + s + "\"/></connectionStrings>"
	}
	for name, tc := range map[string]struct{ session, names, want string }{
		"valid files":                         {state, add(sqlPair), ""},
		"an invalid attribute":                {"\n" + `<sessionState mode="Oracle"/>`, add(sqlPair), session + ": line 2: mode must be one of"},
		"no XML":                              {"<sessionState\n&", add(sqlPair), session + ": line 2: this is not well-formed XML"},
		"another encoding":                    {strings.Replace(state, "mode", "cookieName=\"\xfc\" mode", 1), add(sqlPair), session + ": the encoding must be"},
		"connection strings that are not XML": {state, "<connectionStrings>", names + ": line 1: this is not well-formed XML"},
		"an invalid connection string":        {state, add("x;password=" + marker), names + ": line 2: connection string: part 1, at character 1"},
		"a connection string with one server": {state, add("data source=a;initial catalog=x;user id=u;password=" + marker), names + ": line 2: connection string: failover partner is missing"},
		"the name of a connection string that does not exist": {strings.Replace(state, `"s"`, `"t"`, 1), add(sqlPair), session + ": line 1: sqlConnectionString is the name of a connection string"},
		"no servers": {`<sessionState mode="InProc" sqlConnectionString="` + sqlPair + `"/>`, add(sqlPair), session + ": line 1: mode InProc"},
	} {
		t.Run(name, func(t *testing.T) {
			file(t, dir, filepath.Join("Config", "session.config"), tc.session)
			file(t, dir, filepath.Join("Config", "Names.config"), tc.names)
			_, err := load(t, "", nil, config.Flag("--web-config", "pair.web_config", main))
			if tc.want == "" && err != nil || tc.want != "" && (!mistaken(err, tc.want) || strings.Contains(err.Error(), marker)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// Windows-1252 has characters where ISO-8859-1 has none; .NET decodes both.
func TestParseWebConfig_Encodings(t *testing.T) {
	const head = `<?xml version="1.0" encoding="`
	for name, tc := range map[string]struct{ text, want string }{
		"Windows-1252":                     {head + "Windows-1252\"?><!-- \x85 -->" + `<sessionState cookieName="` + "\x80\xe4\x8a" + `"/>`, "€äŠ"},
		"ISO-8859-1":                       {head + "iso-8859-1\"?><!-- \x85 -->" + `<sessionState cookieName="` + "\xe4" + `"/>`, "ä"},
		"UTF-16 without a byte order mark": {utf16le(head + `utf-16"?><sessionState cookieName="a"/>`), "a"},
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := config.ParseWebConfig([]byte(tc.text), "", noFile); err != nil || s.CookieName != tc.want {
				t.Errorf("got %q, %v; want %q", s.CookieName, err, tc.want)
			}
		})
	}
	if _, err := config.ParseWebConfig([]byte("<sessionState cookieName=\"\xe4\"/>"), "", noFile); !mistaken(err, "the encoding must be UTF-8") {
		t.Errorf("a text in another encoding than it declares: got %v", err)
	}
}

// If the application's code names the servers, the pair must be set too; it then overrides the string in the web.config.
func TestLoad_PartitionResolver(t *testing.T) {
	dir := t.TempDir()
	alone := file(t, dir, "alone.config", `<sessionState mode="SQLServer" partitionResolverType="Shop.Resolver"/>`)
	with := file(t, dir, "with.config", `<sessionState mode="SQLServer" partitionResolverType="Shop.Resolver" allowCustomSqlDatabase="true" sqlConnectionString="`+sqlPair+`"/>`)
	const beside = ", a: {address: X1}, b: {address: X2}, user: u, password: p"
	for name, tc := range map[string]struct{ yaml, want string }{
		"alone":                            {"pair: {web_config: " + alone + "}", "partitionResolverType: code of the application names the SQL Servers; set the pair too"},
		"a pair in the configuration file": {"pair: {web_config: " + alone + beside + "}", "X1"},
		"a string":                         {"pair: {web_config: " + with + "}", "SQL1"},
		"a connection string, and a pair in the configuration file":      {"pair: {web_config: " + with + beside + "}", "X1"},
		"a connection string, and another one in the configuration file": {"pair: {web_config: " + with + ", connection_string: data source=X1;failover partner=X2;user id=u;password=p}", "X1"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := load(t, tc.yaml, nil)
			if err != nil {
				if !mistaken(err, tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				return
			}
			if p, _ := c.Partners(); p.Servers[0].Address.Host != tc.want {
				t.Errorf("got %q, want %q", p.Servers[0].Address.Host, tc.want)
			}
		})
	}
}
