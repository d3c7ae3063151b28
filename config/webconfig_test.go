package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/config"
)

// noFile is the folder of a web.config without other files.
func noFile(string) ([]byte, error) { return nil, os.ErrNotExist }

func TestParseWebConfig(t *testing.T) {
	const want = "data source=SQL1;failover partner=SQL2;initial catalog=ASPState;user id=web;password=p&<4>"
	const inXML = "data source=SQL1;failover partner=SQL2;initial catalog=ASPState;user id=web;password=p&amp;&lt;4&gt;"
	const element = `<sessionState mode="SQLServer" allowCustomSqlDatabase="true" sqlConnectionString="` + inXML + `" />`
	files := map[string]string{
		"config/session.config": element, "names.config": `<connectionStrings><add name="State" connectionString="` + inXML + `"/></connectionStrings>`,
	}
	open := func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, os.ErrNotExist
	}
	for name, text := range map[string]string{
		"a whole file":                                    `<?xml version="1.0" encoding="utf-8"?><configuration><appSettings/><system.web><compilation debug="false"/>` + element + `</system.web></configuration>`,
		"the element alone":                               element,
		"with a byte order mark":                          "\xef\xbb\xbf" + element,
		"in UTF-16":                                       "\xff\xfe" + utf16le(`<?xml version="1.0" encoding="utf-16"?>`+element),
		"in ISO-8859-1":                                   `<?xml version="1.0" encoding="iso-8859-1"?><!-- M` + "\xfc" + `nchen -->` + element,
		"the section alone":                               "<system.web>\n" + element + "\n</system.web>",
		"an element in a namespace":                       `<configuration xmlns="http://schemas.microsoft.com/.NetConfiguration/v2.0"><system.web>` + element + `</system.web></configuration>`,
		"in a location with the path .":                   `<configuration><location path="." inheritInChildApplications="false"><system.web>` + element + `</system.web></location></configuration>`,
		"in the location of an application":               `<configuration><location path="shop"><system.web>` + element + `</system.web></location></configuration>`,
		"beside the location of another application":      `<configuration><location path="shop"><system.web><sessionState mode="Off"/></system.web></location><system.web>` + element + `</system.web></configuration>`,
		"a session state in another section is ignored":   `<configuration><custom><sessionState mode="Off"/></custom><system.web>` + element + `</system.web></configuration>`,
		"in another file":                                 `<configuration><system.web><sessionState configSource="config\session.config"/></system.web></configuration>`,
		"the name of a connection string":                 `<configuration><connectionStrings><clear/><add name="state" connectionString="` + inXML + `"/></connectionStrings><system.web><sessionState mode="SQLServer" allowCustomSqlDatabase="true" sqlConnectionString="State"/></system.web></configuration>`,
		"the name of a connection string in another file": `<configuration><connectionStrings configSource="names.config"/><system.web><sessionState mode="SQLServer" allowCustomSqlDatabase="true" sqlConnectionString="State"/></system.web></configuration>`,
		"with attributes of a transformation":             strings.Replace(element, "mode=", `xmlns:xdt="http://schemas.microsoft.com/XML-Document-Transform" xdt:Transform="Replace" mode=`, 1),
		"mode in another case":                            strings.Replace(element, `"SQLServer"`, `"SqlServer"`, 1),
		"with comments and line ends":                     "<!-- <sessionState mode=\"Off\"/> -->\n" + strings.NewReplacer(`" `, "\"\n\t", ";", ";\r\n\t\t").Replace(element[:80]) + element[80:],
		"after a machineKey element":                      `<machineKey validationKey="0"/>` + element,
	} {
		t.Run(name, func(t *testing.T) {
			s, err := config.ParseWebConfig([]byte(text), "", open)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(strings.Fields(s.SQLConnectionString.Reveal()), " ")
			if s.Mode != config.ModeSQLServer || !s.AllowCustomDatabase || got != want {
				t.Errorf("mode %s, custom database %v, string %q, want %q", s.Mode, s.AllowCustomDatabase, got, want)
			}
		})
	}
}

func TestParseWebConfig_Attributes(t *testing.T) {
	s, err := config.ParseWebConfig([]byte(`
<sessionState mode="SQLServer" sqlConnectionString="data source=SQL1;failover partner=SQL2;user id=web;password=p4ss"
  timeout="45" cookieName="shop" cookieless="UseCookies" compressionEnabled="True" useHostingIdentity="false" sqlCommandTimeout="20"
  sqlConnectionRetryInterval="60" stateNetworkTimeout="Infinite" partitionResolverType="Shop.Resolver" regenerateExpiredSessionId="false" cookieSameSite="Lax"/>`), "", noFile)
	if err != nil {
		t.Fatal(err)
	}
	want := config.SessionState{
		Line: 2, StringLine: 2, Mode: "SQLServer", Timeout: 45, CookieName: "shop", Cookieless: "UseCookies", CompressionEnabled: true, PartitionResolver: "Shop.Resolver",
		SQLCommandTimeout: 20 * time.Second, SQLConnectionRetry: time.Minute, StateNetworkTimeout: -1,
		SQLConnectionString: config.NewSecret("data source=SQL1;failover partner=SQL2;user id=web;password=p4ss;Initial Catalog=ASPState"),
	}
	if s != want {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
}

func TestParseWebConfig_Refuses(t *testing.T) {
	files := map[string]string{"open.config": "<other/>", "next.config": `<sessionState configSource="open.config"/>`}
	open := func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, errors.New("no such file or directory")
	}
	const sql = `mode="SQLServer" sqlConnectionString="data source=a;failover partner=b;user id=u;password=` + marker
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":                          {"", "there is no <sessionState> in <system.web>, so the application keeps its sessions InProc"},
		"no session state element":         {"<configuration><system.web/></configuration>", "there is no <sessionState> in <system.web>"},
		"text that is not XML":             {"data source=a;password=" + marker, "there is no <sessionState>"},
		"an ampersand":                     {"<sessionState\n" + sql + "&" + marker + `"/>`, "line 2: this is not well-formed XML; in a value & is written &amp;"},
		"a quote within a value":           {`<sessionState ` + sql + `"` + marker + `"/>`, "line 1: this is not well-formed XML"},
		"an element that is not closed":    {"<configuration>\n<system.web>", "line 2: this is not well-formed XML"},
		"another encoding":                 {`<?xml version="1.0" encoding="koi8-r"?><sessionState/>`, "the encoding must be UTF-8, UTF-16, US-ASCII, ISO-8859-1 or Windows-1252; save the file as UTF-8"},
		"an odd number of bytes in UTF-16": {"\xff\xfe<", "the encoding must be"},
		"two session state elements":       {"<configuration><system.web><sessionState/>\n<sessionState/></system.web></configuration>", "there is more than one <sessionState>, at lines 1 and 2"},
		"two applications":                 {`<configuration><location path="a"><system.web><sessionState/></system.web></location><location path="b"><system.web><sessionState/></system.web></location></configuration>`, "is in more than one <location>; choose one with --location or pair.web_config_location; the file has one in \"a\" (line 1), \"b\" (line 1)"},
		"an unknown mode":                  {`<sessionState mode="Oracle"/>`, "line 1: mode must be one of Off, InProc, StateServer, SQLServer, Custom"},
		"a misspelled attribute":           {`<sessionState mode="SQLServer" sqlConectionString="` + marker + `"/>`, "line 1: <sessionState> has an unknown attribute; did you mean sqlConnectionString?"},
		"a timeout of 0":                   {`<sessionState timeout="0"/>`, "line 1: timeout is not a number from 1 to 525600"},
		"an infinite timeout":              {`<sessionState timeout="Infinite"/>`, "line 1: timeout is Infinite; sessions that never expire are not supported"},
		"an invalid boolean":               {`<sessionState compressionEnabled="yes"/>`, "line 1: compressionEnabled must be true or false"},
		"an invalid number of seconds":     {`<sessionState sqlCommandTimeout="00:00:30"/>`, "line 1: sqlCommandTimeout is not a whole number of seconds"},
		"an unknown value of cookieless":   {`<sessionState cookieless="maybe"/>`, "line 1: cookieless must be one of"},
		"no string":                        {`<sessionState mode="SQLServer"/>`, "line 1: sqlConnectionString is missing; ASP.NET would use localhost, which has no failover partner"},
		"the name of a connection string that does not exist": {`<sessionState mode="SQLServer" sqlConnectionString="` + marker + `"/>`, "line 1: sqlConnectionString is the name of a connection string that is not in <connectionStrings> of this file"},
		"the name of a removed connection string":             {`<configuration><connectionStrings><add name="s" connectionString="` + marker + `=x"/><remove name="s"/></connectionStrings><system.web><sessionState mode="SQLServer" sqlConnectionString="s"/></system.web></configuration>`, "is not in <connectionStrings>"},
		"a connection string in the registry":                 {`<sessionState mode="SQLServer" sqlConnectionString="registry:HKLM\Software\Shop\State,sql"/>`, "line 1: sqlConnectionString is in the registry of the web server"},
		"a database without allowCustomSqlDatabase":           {`<sessionState ` + sql + `;database=State"/>`, `line 1: sqlConnectionString names a database, which ASP.NET refuses without allowCustomSqlDatabase="true"`},
		"an invalid connection string":                        {`<sessionState ` + sql + `;x"/>`, `line 1: connection string: part 5, at character`},
		"a file that does not exist":                          {`<sessionState configSource="..\absent.config"/>`, "line 1: configSource of <sessionState>: its file can't be read: no such file or directory; it must be in the folder of this file, or below"},
		"a file with another element":                         {`<sessionState configSource="open.config"/>`, "its file must contain only this element"},
		"a file that names another file":                      {`<sessionState configSource="next.config"/>`, "line 1: configSource of <sessionState>: its file has a configSource too"},
		"an encrypted section":                                {`<sessionState configProtectionProvider="DataProtectionConfigurationProvider"><EncryptedData/></sessionState>`, "line 1: <sessionState> is encrypted for its web server; decrypt it there with aspnet_regiis -pdf"},
		"encrypted strings":                                   {`<configuration><connectionStrings configProtectionProvider="Rsa"/><system.web><sessionState mode="SQLServer" sqlConnectionString="s"/></system.web></configuration>`, "line 1: <connectionStrings> is encrypted for its web server"},
		"an invalid stateConnectionString":                    {`<sessionState mode="StateServer" stateConnectionString="10.0.0.1:42424"/>`, "line 1: stateConnectionString must be tcpip=HOST:PORT"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.ParseWebConfig([]byte(tc.text), "", open)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v\nwant one line with %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), marker) {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}

// A configuration that names a web.config gets from it the pair, and the
// timeout of the default application.
func TestLoad_WebConfig(t *testing.T) {
	dir := t.TempDir()
	sql := file(t, dir, "web.config", `<configuration><system.web><sessionState mode="SQLServer" allowCustomSqlDatabase="true" compressionEnabled="true" timeout="45" sqlConnectionRetryInterval="120"
 sqlConnectionString="data source=SQL1;failover partner=SQL2;initial catalog=State;user id=web;password=`+marker+`"/></system.web></configuration>`)
	windows := file(t, dir, "windows.config", `<sessionState mode="SQLServer" sqlConnectionString="data source=SQL1;failover partner=SQL2;Integrated Security=SSPI"/>`)
	state := file(t, dir, "state.config", `<sessionState mode="StateServer" stateConnectionString="tcpip=10.0.0.1:42424" timeout="7"/>`)
	inProc := file(t, dir, "inproc.config", "\n"+`<sessionState mode="InProc"/>`)
	bad := file(t, dir, "bad.config", `<sessionState mode="SQLServer" sqlConnectionString="data source=SQL1;user id=web;password=`+marker+`"/>`)
	for name, tc := range map[string]struct {
		yaml    string
		flag    string
		want    string // servers, database, user; or the error
		timeout int
		note    string
	}{
		"by a flag":                                                {"", sql, "SQL1 SQL2 State web", 45, "compressionEnabled: items are stored compressed"},
		"by the configuration file":                                {"pair: {web_config: " + sql + "}", "", "SQL1 SQL2 State web", 45, "ASP.NET reads only the seconds part, which is 0, and does not retry"},
		"a timeout in the configuration file":                      {"apps: {default: {name: /x, timeout: 9}}", sql, "SQL1 SQL2 State web", 9, ""},
		"an application with another name":                         {"apps: {shop: {name: /x}}", sql, "SQL1 SQL2 State web", 0, ""},
		"a Windows account, and a login in the configuration file": {"pair: {web_config: " + windows + ", user: other, password: p4ss}", "", "SQL1 SQL2 ASPState other", 20, ""},
		"State Server, and a pair in the configuration file":       {"pair: {web_config: " + state + ", a: {address: a}, b: {address: b}, user: u, password: p}", "", "a b ASPState u", 7, ""},
		"State Server without a pair":                              {"", state, "--web-config: pair.web_config: mode StateServer names no SQL Server; set the pair too", 0, ""},
		"Windows alone":                                            {"", windows, "--web-config: pair.authentication: integrated security is the Windows account of the process", 0, ""},
		"InProc":                                                   {"", inProc, "inproc.config: line 2: mode InProc, the default: the sessions are in the memory of the web server; set the pair with", 0, ""},
		"a connection string without a failover partner":           {"", bad, "bad.config: line 1: connection string: failover partner is missing", 0, ""},
		"twice":                      {"pair: {web_config: " + sql + ", connection_string: data source=a}", "", "the pair is set twice, here and with pair.web_config", 0, ""},
		"a file that does not exist": {"", filepath.Join(dir, "absent"), "--web-config: pair.web_config: read the web.config: open", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var flags []config.Setting
			if tc.flag != "" {
				flags = append(flags, config.Flag("--web-config", "pair.web_config", tc.flag))
			}
			c, err := load(t, tc.yaml, nil, flags...)
			if err != nil {
				if !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), marker) {
					t.Errorf("got %v\nwant %q", err, tc.want)
				}
				return
			}
			p, _ := c.Partners()
			if got := strings.Join([]string{p.Servers[0].Address.Host, p.Servers[1].Address.Host, p.Database, p.Servers[0].User}, " "); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if c.Apps["default"].Timeout != tc.timeout {
				t.Errorf("the default application's timeout is %d, want %d", c.Apps["default"].Timeout, tc.timeout)
			}
			if !strings.Contains(strings.Join(c.Notes, "\n"), tc.note) {
				t.Errorf("notes %q, want %q in them", c.Notes, tc.note)
			}
		})
	}
}

// configSource may name only files in the folder of the web.config, as in ASP.NET.
func TestReadWebConfig_ConfigSource(t *testing.T) {
	dir := t.TempDir()
	below := filepath.Join(dir, "site", "config")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	const element = `<sessionState mode="InProc" timeout="33"/>`
	file(t, below, "session.config", element)
	file(t, dir, "outside.config", element)
	inside := file(t, filepath.Join(dir, "site"), "web.config", `<configuration><system.web><sessionState configSource="config\session.config"/></system.web></configuration>`)
	if s, err := config.ReadWebConfig(inside, ""); err != nil || s.Timeout != 33 {
		t.Errorf("got %+v, %v", s, err)
	}
	outside := file(t, filepath.Join(dir, "site"), "web2.config", `<configuration><system.web><sessionState configSource="..\outside.config"/></system.web></configuration>`)
	if _, err := config.ReadWebConfig(outside, ""); err == nil || !strings.Contains(err.Error(), "it must be in the folder of this file, or below") {
		t.Errorf("got %v", err)
	}
}

// utf16le encodes ASCII as UTF-16.
func utf16le(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(s[i])
		b.WriteByte(0)
	}
	return b.String()
}
