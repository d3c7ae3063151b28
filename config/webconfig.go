package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The modes of <sessionState> in which sessions leave the process.
const (
	ModeSQLServer   = "SQLServer"
	ModeStateServer = "StateServer"
)

// SessionState is the <sessionState> element of a .NET application.
// Source: System.Web.Configuration.SessionStateSection.
type SessionState struct {
	Line                  int    // of the element
	Mode                  string // Off, InProc, StateServer, SQLServer or Custom
	SQLConnectionString   Secret // with the initial catalog that ASP.NET adds
	StateConnectionString string // tcpip=HOST:PORT
	Timeout               int    // minutes; 0: not said, which is 20
	CookieName            string
	Cookieless            string
	CompressionEnabled    bool
	AllowCustomDatabase   bool // allowCustomSqlDatabase
	HostingIdentity       bool // useHostingIdentity
	PartitionResolver     string

	// The waits; 0: not said. Infinite is -1.
	SQLCommandTimeout   time.Duration
	SQLConnectionRetry  time.Duration // sqlConnectionRetryInterval
	StateNetworkTimeout time.Duration
}

// maxWebConfig is more than IIS reads (250 KB), and bounds what is kept in memory.
const maxWebConfig = 1 << 20

// ReadWebConfig reads the <sessionState> of a web.config, and the files it names with configSource. A
// file that holds the element alone will do. Errors name the line, and never
// repeat a value, which might be the password.
func ReadWebConfig(path string) (SessionState, error) {
	text, err := readBounded(path)
	if err != nil {
		return SessionState{}, fmt.Errorf("read the web.config: %w", err)
	}
	s, err := ParseWebConfig(text, func(name string) ([]byte, error) {
		root, err := os.OpenRoot(filepath.Dir(path))
		if err != nil {
			return nil, reason(err)
		}
		defer root.Close()
		f, err := root.Open(filepath.FromSlash(name)) // and nothing outside, as for ASP.NET
		if err != nil {
			return nil, reason(err)
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, maxWebConfig))
	})
	if err != nil {
		return SessionState{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxWebConfig))
}

// ParseWebConfig reads the text of a web.config. open gives the file that configSource names.
func ParseWebConfig(text []byte, open func(name string) ([]byte, error)) (SessionState, error) {
	top, err := readXML(text)
	if err != nil {
		return SessionState{}, err
	}
	section, err := sessionStateOf(top)
	if err != nil {
		return SessionState{}, err
	}
	if section, err = section.follow(open); err != nil {
		return SessionState{}, err
	}
	s, err := section.read()
	if err != nil {
		return SessionState{}, err
	}
	named, err := connectionStringsOf(top, section.location, open)
	if err != nil {
		return SessionState{}, err
	}
	if err := s.lookUp(named); err != nil {
		return SessionState{}, err
	}
	return s, nil
}

// read takes the attributes.
func (e *element) read() (s SessionState, err error) {
	s = SessionState{Line: e.line, Mode: "InProc", HostingIdentity: true}
	for _, a := range e.attributes {
		if !slices.Contains(sessionStateAttributes, a.Name.Local) {
			return s, fmt.Errorf("line %d: <sessionState> has an attribute that ASP.NET does not know%s", e.line, didYouMean(a.Name.Local, sessionStateAttributes))
		}
		if err := s.take(a.Name.Local, strings.TrimSpace(a.Value)); err != nil {
			return s, fmt.Errorf("line %d: %s %w", e.line, a.Name.Local, err)
		}
	}
	return s, nil
}

// take reads one attribute.
func (s *SessionState) take(name, value string) (err error) {
	switch name {
	case "mode":
		s.Mode, err = oneOf(value, "Off", "InProc", ModeStateServer, ModeSQLServer, "Custom")
	case "sqlConnectionString":
		s.SQLConnectionString = NewSecret(value)
	case "stateConnectionString":
		s.StateConnectionString = value
	case "timeout":
		s.Timeout, err = readMinutes(value)
	case "cookieName":
		s.CookieName = value
	case "cookieless":
		s.Cookieless, err = oneOf(value, "true", "false", "UseCookies", "UseUri", "AutoDetect", "UseDeviceProfile")
	case "compressionEnabled":
		s.CompressionEnabled, err = readAttributeBool(value)
	case "allowCustomSqlDatabase":
		s.AllowCustomDatabase, err = readAttributeBool(value)
	case "useHostingIdentity":
		s.HostingIdentity, err = readAttributeBool(value)
	case "partitionResolverType":
		s.PartitionResolver = value
	case "sqlCommandTimeout":
		s.SQLCommandTimeout, err = readSeconds(value)
	case "sqlConnectionRetryInterval":
		s.SQLConnectionRetry, err = readSeconds(value)
	case "stateNetworkTimeout":
		s.StateNetworkTimeout, err = readSeconds(value)
	case "regenerateExpiredSessionId":
		_, err = readAttributeBool(value)
	}
	return err
}

// sessionStateAttributes are all that ASP.NET knows.
var sessionStateAttributes = []string{
	"mode", "sqlConnectionString", "stateConnectionString", "timeout", "cookieName", "cookieless", "compressionEnabled", "allowCustomSqlDatabase",
	"useHostingIdentity", "partitionResolverType", "sqlCommandTimeout", "sqlConnectionRetryInterval", "stateNetworkTimeout", "regenerateExpiredSessionId",
	"customProvider", "sessionIDManagerType", "cookieSameSite", "configSource", "lockAttributes", "lockAllAttributesExcept", "lockElements",
	"lockAllElementsExcept", "lockItem",
}

// oneOf gives the word as it is written, whatever case it came in. ASP.NET wants the case right.
func oneOf(value string, words ...string) (string, error) {
	for _, w := range words {
		if strings.EqualFold(value, w) {
			return w, nil
		}
	}
	return "", errors.New("is none of " + strings.Join(words, ", "))
}

func readAttributeBool(value string) (bool, error) {
	switch {
	case strings.EqualFold(value, "true"):
		return true, nil
	case strings.EqualFold(value, "false"):
		return false, nil
	}
	return false, errors.New("is neither true nor false")
}

// readMinutes reads the timeout, which ASP.NET takes in whole minutes.
func readMinutes(value string) (int, error) {
	if value == "Infinite" {
		return 0, errors.New("is Infinite; a session that never ends can't be kept here, give minutes from 1 to 525600")
	}
	return readNumber(value, 1, 525600)
}

// readSeconds reads whole seconds, or Infinite, which is -1.
func readSeconds(value string) (time.Duration, error) {
	if value == "Infinite" {
		return -1, nil
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return 0, errors.New("is not a whole number of seconds, such as 30")
	}
	return time.Duration(n) * time.Second, nil
}

// lookUp replaces the name of a connection string by the string, as ASP.NET does, and adds the
// database that ASP.NET adds.
func (s *SessionState) lookUp(named map[string]Secret) error {
	if s.Mode == ModeStateServer {
		if text, ok := named[strings.ToLower(s.StateConnectionString)]; ok && !text.IsZero() {
			s.StateConnectionString = text.Reveal()
		}
		if s.StateConnectionString != "" && !strings.HasPrefix(s.StateConnectionString, "tcpip=") {
			return fmt.Errorf("line %d: stateConnectionString is not tcpip=HOST:PORT, and names no entry of <connectionStrings>", s.Line)
		}
	}
	if s.Mode != ModeSQLServer {
		return nil
	}
	text := s.SQLConnectionString.Reveal()
	if found, ok := named[strings.ToLower(text)]; ok && !found.IsZero() {
		text = found.Reveal()
	}
	switch {
	case text == "":
		return fmt.Errorf("line %d: sqlConnectionString is missing; ASP.NET would go to localhost, which has no failover partner", s.Line)
	case strings.HasPrefix(strings.ToLower(text), "registry:"):
		return fmt.Errorf("line %d: sqlConnectionString stands in the registry of the web server; copy it from there into pair.connection_string", s.Line)
	case !strings.Contains(text, "="):
		return fmt.Errorf("line %d: sqlConnectionString is the name of a connection string that does not stand in <connectionStrings> of this file", s.Line)
	}
	return s.addDatabase(text)
}

// addDatabase adds the initial catalog, or refuses one that ASP.NET refuses.
func (s *SessionState) addDatabase(text string) error {
	all, err := splitConnectionString(text)
	if err != nil {
		return fmt.Errorf("line %d: sqlConnectionString: %w", s.Line, err)
	}
	database := ""
	for _, a := range all {
		if keywords[a.keyword] == "initial catalog" {
			database = a.value
		}
	}
	switch {
	case database == "":
		text += ";Initial Catalog=ASPState"
	case !s.AllowCustomDatabase:
		return fmt.Errorf(`line %d: sqlConnectionString names a database, which ASP.NET refuses without allowCustomSqlDatabase="true"; add that attribute`, s.Line)
	}
	s.SQLConnectionString = NewSecret(text)
	return nil
}

// noPair says why there is no pair to be had from it.
func (s *SessionState) noPair() string {
	const instead = `; give the pair with pair.connection_string, or have the application use mode="SQLServer"`
	switch s.Mode {
	case "Custom":
		return "mode Custom: a provider of the application's own keeps the sessions, and only it knows where" + instead
	case "Off":
		return "mode Off: the application has no sessions" + instead
	}
	return "mode InProc, the default: the sessions are in the memory of the web server" + instead
}

// notes are what an operator should know of it.
func (s *SessionState) notes() []string {
	var notes []string
	add := func(is bool, text string) {
		if is {
			notes = append(notes, text)
		}
	}
	add(s.CompressionEnabled, "compressionEnabled: items are stored compressed, and passed on as they are; whoever reads them must know")
	add(s.PartitionResolver != "", "partitionResolverType: the application asks code of its own for the connection string, and does not use the one read here")
	add(!s.HostingIdentity, "useHostingIdentity is false: the application may log in as its own users, each of whom needs a login on both partners")
	add(s.SQLConnectionRetry > 0 && s.SQLConnectionRetry%time.Minute == 0,
		"sqlConnectionRetryInterval is a multiple of 60 seconds, for which ASP.NET does not retry at all (it looks at what is left of a minute only); write 59")
	return notes
}
