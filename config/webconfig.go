package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The modes of <sessionState> in which sessions leave the process.
const (
	ModeSQLServer   = "SQLServer"
	ModeCustom      = "Custom" // only SqlSessionStateProviderAsync on the tables of ASPState is known
	ModeStateServer = "StateServer"
)

// SessionState is the <sessionState> element of a .NET application.
// Source: System.Web.Configuration.SessionStateSection.
type SessionState struct {
	File                  string // with the element; of ParseWebConfig as configSource names it, and empty for the web.config itself
	Line                  int    // of the element
	Mode                  string // Off, InProc, StateServer, SQLServer or Custom
	SQLConnectionString   Secret // with the initial catalog that ASP.NET adds; empty: none is used
	StringFile            string // where the connection string stands, as File
	StringLine            int    // and its element's line there
	StateConnectionString string // tcpip=HOST:PORT
	Timeout               int    // minutes; 0: not said, which is 20
	CookieName            string
	Cookieless            string
	CompressionEnabled    bool
	AllowCustomDatabase   bool // allowCustomSqlDatabase
	HostingIdentity       bool // useHostingIdentity
	PartitionResolver     string
	CustomProvider        string // the name of one of the <providers>, for Custom

	// The waits; 0: not said. Infinite is -1.
	SQLCommandTimeout   time.Duration
	SQLConnectionRetry  time.Duration // sqlConnectionRetryInterval
	StateNetworkTimeout time.Duration

	otherTables string // Custom: why its provider's sessions are not those of ASPState
}

// maxWebConfig is more than IIS reads (250 KB), and bounds what is kept in memory.
const maxWebConfig = 1 << 20

// ReadWebConfig reads the <sessionState> of a web.config, and the files it names with configSource as far as they
// are needed. location is the path of the <location> that is meant; empty: the application's own, or the only one. A
// file that holds the element alone will do. Errors name file and line, and repeat no value but a location's path: it might be the password.
func ReadWebConfig(path, location string) (SessionState, error) {
	text, err := readBounded(path)
	if err != nil {
		return SessionState{}, fmt.Errorf("read the web.config: %w", err)
	}
	full := func(file string) string {
		if file == "" {
			return path
		}
		return filepath.Join(filepath.Dir(path), filepath.FromSlash(file))
	}
	s, err := ParseWebConfig(text, location, func(name string) ([]byte, error) {
		root, err := os.OpenRoot(filepath.Dir(path)) // and nothing outside, as for ASP.NET
		if err != nil {
			return nil, reason(err)
		}
		defer root.Close()
		f, err := openAnyCase(root, name)
		if err != nil {
			return nil, reason(err)
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, maxWebConfig))
	})
	if err != nil {
		file := ""
		if at, ok := errors.AsType[*placed](err); ok {
			file, err = at.file, at.err
		}
		return SessionState{}, fmt.Errorf("%s: %w", full(file), err)
	}
	s.File, s.StringFile = full(s.File), full(s.StringFile)
	return s, nil
}

// openAnyCase opens a file below root by a name with slashes, whatever the case of its letters: on Windows, where
// the name was written, it does not count. The name as it is written wins.
func openAnyCase(root *os.Root, name string) (*os.File, error) {
	f, err := root.Open(filepath.FromSlash(name))
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	at := "."
	for part := range strings.SplitSeq(path.Clean(name), "/") {
		entries, readErr := fs.ReadDir(root.FS(), at)
		i := slices.IndexFunc(entries, func(e fs.DirEntry) bool { return strings.EqualFold(e.Name(), part) })
		if readErr != nil || i < 0 {
			return nil, err
		}
		at = path.Join(at, entries[i].Name())
	}
	return root.Open(filepath.FromSlash(at))
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxWebConfig))
}

// ParseWebConfig reads the text of a web.config, as ReadWebConfig does. open gives the file that configSource names.
func ParseWebConfig(text []byte, location string, open func(name string) ([]byte, error)) (SessionState, error) {
	top, err := readXML("", text)
	if err != nil {
		return SessionState{}, err
	}
	w := webReader{top, open}
	section, err := w.sessionState(location)
	if err != nil {
		return SessionState{}, err
	}
	s, err := section.read()
	if err != nil {
		return SessionState{}, err
	}
	if err := s.lookUp(w, section); err != nil {
		return SessionState{}, err
	}
	return s, nil
}

// read takes the attributes.
func (e *element) read() (s SessionState, err error) {
	s = SessionState{File: e.file, Line: e.line, Mode: "InProc", HostingIdentity: true}
	for _, a := range e.attributes {
		if !slices.Contains(sessionStateAttributes, a.Name.Local) {
			return s, e.bad("<sessionState> has an attribute that ASP.NET does not know%s", didYouMean(a.Name.Local, sessionStateAttributes))
		}
		if err := s.take(a.Name.Local, strings.TrimSpace(a.Value)); err != nil {
			return s, e.bad("%s %w", a.Name.Local, err)
		}
	}
	return s, nil
}

// take reads one attribute.
func (s *SessionState) take(name, value string) (err error) {
	switch name {
	case "mode":
		s.Mode, err = oneOf(value, "Off", "InProc", ModeStateServer, ModeSQLServer, ModeCustom)
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
	case "customProvider":
		s.CustomProvider = value
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

// lookUp replaces the name of a connection string by the string, as ASP.NET does. Only what the mode uses is looked at.
func (s *SessionState) lookUp(w webReader, at section) error {
	if s.Mode != ModeSQLServer {
		s.SQLConnectionString = Secret{} // a template leaves one behind
	}
	switch s.Mode {
	case ModeStateServer:
		return s.lookUpState(w, at)
	case ModeSQLServer:
		return s.lookUpSQL(w, at)
	case ModeCustom:
		return s.lookUpProvider(w, at)
	}
	return nil
}

// lookUpState finds the State Server. Where a resolver names it, ASP.NET does not look at the string.
func (s *SessionState) lookUpState(w webReader, at section) error {
	if s.PartitionResolver != "" || s.StateConnectionString == "" || strings.HasPrefix(s.StateConnectionString, "tcpip=") {
		return nil
	}
	found, err := w.connectionString(s.StateConnectionString, at.location)
	if err != nil {
		return err
	}
	if found != nil {
		s.StateConnectionString = found.attribute("connectionString")
	}
	if !strings.HasPrefix(s.StateConnectionString, "tcpip=") {
		return at.bad("stateConnectionString is not tcpip=HOST:PORT, and names no entry of <connectionStrings>")
	}
	return nil
}

// lookUpSQL finds the SQL Servers, and adds the database that ASP.NET adds.
func (s *SessionState) lookUpSQL(w webReader, at section) error {
	text := s.SQLConnectionString.Reveal()
	switch {
	case text == "" && s.PartitionResolver != "":
		return nil // code of the application names them
	case text == "":
		return at.bad("sqlConnectionString is missing; ASP.NET would go to localhost, which has no failover partner")
	case strings.HasPrefix(strings.ToLower(text), "registry:"):
		return at.bad("sqlConnectionString stands in the registry of the web server; copy it from there into pair.connection_string")
	}
	from := at.element
	if !strings.Contains(text, "=") {
		found, err := w.connectionString(text, at.location)
		switch {
		case err != nil:
			return err
		case found == nil || found.attribute("connectionString") == "":
			return at.bad("sqlConnectionString is the name of a connection string that does not stand in <connectionStrings> of this file")
		}
		from, text = found, found.attribute("connectionString")
	}
	s.StringFile, s.StringLine = from.file, from.line
	database, err := databaseOf(from, text)
	switch {
	case err != nil:
		return err
	case database == "":
		text += ";Initial Catalog=ASPState"
	case !s.AllowCustomDatabase:
		return at.bad(`sqlConnectionString names a database, which ASP.NET refuses without allowCustomSqlDatabase="true"; add that attribute`)
	}
	s.SQLConnectionString = NewSecret(text)
	return nil
}

// databaseOf gives the database that a connection string names.
func databaseOf(from *element, text string) (database string, err error) {
	all, err := splitConnectionString(text)
	if err != nil {
		return "", from.bad("connection string: %w", err)
	}
	for _, a := range all {
		if keywords[a.keyword] == "initial catalog" {
			database = a.value
		}
	}
	return database, nil
}

// namesNone says why an application that keeps its sessions outside its process names no SQL Server; empty: it does, or keeps them inside.
func (s *SessionState) namesNone() string {
	switch {
	case s.Mode == ModeStateServer:
		return "mode StateServer names no SQL Server"
	case s.Mode == ModeSQLServer && s.SQLConnectionString.IsZero():
		return "partitionResolverType: code of the application names the SQL Servers"
	}
	return ""
}

// noPair says why there is no pair to be had from it.
func (s *SessionState) noPair() string {
	const instead = `; give the pair with pair.connection_string, or have the application use mode="SQLServer"`
	switch s.Mode {
	case ModeCustom:
		return "mode Custom: " + s.otherTables + instead
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
	add(s.Mode == ModeCustom && !s.SQLConnectionString.IsZero(), "mode Custom: SqlSessionStateProviderAsync gives its sessions an application id that ASP.NET's own provider does not use; "+
		"mirrorstate keeps and expires them, and does not find them by the application's name")
	add(s.CompressionEnabled, "compressionEnabled: items are stored compressed, and passed on as they are; whoever reads them must know")
	add(s.PartitionResolver != "", "partitionResolverType: the application asks code of its own for the connection string, and does not use the one read here")
	add(!s.HostingIdentity, "useHostingIdentity is false: the application may log in as its own users, each of whom needs a login on both partners")
	add(s.SQLConnectionRetry > 0 && s.SQLConnectionRetry%time.Minute == 0,
		"sqlConnectionRetryInterval is a multiple of 60 seconds, for which ASP.NET does not retry at all (it looks at what is left of a minute only); write 59")
	return notes
}
