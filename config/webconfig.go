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

// The modes of <sessionState> that store sessions outside the process.
const (
	ModeSQLServer   = "SQLServer"
	ModeCustom      = "Custom" // only SqlSessionStateProviderAsync with the tables of ASPState is supported
	ModeStateServer = "StateServer"
)

// SessionState is the <sessionState> element of a .NET application.
// Source: System.Web.Configuration.SessionStateSection.
type SessionState struct {
	File                  string // the file with the element; from ParseWebConfig the name in configSource, empty for the web.config itself
	Line                  int    // the line of the element
	Mode                  string // Off, InProc, StateServer, SQLServer or Custom
	SQLConnectionString   Secret // with the initial catalog that ASP.NET adds; empty: none is used
	StringFile            string // the file with the connection string, as in File
	StringLine            int    // the line of its element
	StateConnectionString string // tcpip=HOST:PORT
	Timeout               int    // minutes; 0: not set, which means 20
	CookieName            string
	Cookieless            string
	CompressionEnabled    bool
	AllowCustomDatabase   bool // allowCustomSqlDatabase
	HostingIdentity       bool // useHostingIdentity
	PartitionResolver     string
	CustomProvider        string // the name of one of the <providers>, for Custom

	// The timeouts; 0: not set. Infinite is -1.
	SQLCommandTimeout   time.Duration
	SQLConnectionRetry  time.Duration // sqlConnectionRetryInterval
	StateNetworkTimeout time.Duration

	otherTables string // Custom: why its provider's sessions are not in the tables of ASPState
}

// maxWebConfig is the maximum size of a file in bytes. It is more than IIS reads (250 KB).
const maxWebConfig = 1 << 20

// ReadWebConfig reads the <sessionState> of a web.config, and of the files in configSource those that it
// needs. location is the path of a <location>; empty: the application's own <sessionState>, or the only one. The
// file may also contain only the element. Errors name file and line. They repeat no value, which might be the password,
// except the path of a location.
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
		root, err := os.OpenRoot(filepath.Dir(path)) // files outside the folder are refused, as by ASP.NET
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

// openAnyCase opens a file below root by a name with slashes. It ignores case, as Windows does, where
// the name was written. A file with exactly this name is preferred.
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

// ParseWebConfig is ReadWebConfig for the text of a web.config. open reads a file that configSource names.
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

// read reads the attributes.
func (e *element) read() (s SessionState, err error) {
	s = SessionState{File: e.file, Line: e.line, Mode: "InProc", HostingIdentity: true}
	for _, a := range e.attributes {
		if !slices.Contains(sessionStateAttributes, a.Name.Local) {
			return s, e.bad("<sessionState> has an unknown attribute%s", didYouMean(a.Name.Local, sessionStateAttributes))
		}
		if err := s.take(a.Name.Local, strings.TrimSpace(a.Value)); err != nil {
			return s, e.bad("%s %w", a.Name.Local, err)
		}
	}
	return s, nil
}

// take stores one attribute.
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

// sessionStateAttributes are all attributes of ASP.NET.
var sessionStateAttributes = []string{
	"mode", "sqlConnectionString", "stateConnectionString", "timeout", "cookieName", "cookieless", "compressionEnabled", "allowCustomSqlDatabase",
	"useHostingIdentity", "partitionResolverType", "sqlCommandTimeout", "sqlConnectionRetryInterval", "stateNetworkTimeout", "regenerateExpiredSessionId",
	"customProvider", "sessionIDManagerType", "cookieSameSite", "configSource", "lockAttributes", "lockAllAttributesExcept", "lockElements",
	"lockAllElementsExcept", "lockItem",
}

// oneOf returns the word that equals value. It ignores case; ASP.NET does not.
func oneOf(value string, words ...string) (string, error) {
	for _, w := range words {
		if strings.EqualFold(value, w) {
			return w, nil
		}
	}
	return "", errors.New("must be one of " + strings.Join(words, ", "))
}

func readAttributeBool(value string) (bool, error) {
	switch {
	case strings.EqualFold(value, "true"):
		return true, nil
	case strings.EqualFold(value, "false"):
		return false, nil
	}
	return false, errors.New("must be true or false")
}

// readMinutes parses the timeout, which is in whole minutes.
func readMinutes(value string) (int, error) {
	if value == "Infinite" {
		return 0, errors.New("is Infinite; sessions that never expire are not supported, set 1 to 525600 minutes")
	}
	return readNumber(value, 1, 525600)
}

// readSeconds parses whole seconds, or Infinite, which is -1.
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

// lookUp replaces the name of a connection string by the string, as ASP.NET does. It ignores attributes that the mode does
// not use.
func (s *SessionState) lookUp(w webReader, at section) error {
	if s.Mode != ModeSQLServer {
		s.SQLConnectionString = Secret{} // templates of web.config contain a connection string that is not used
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

// lookUpState finds the State Server. With a partition resolver ASP.NET ignores the string.
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
		return at.bad("stateConnectionString must be tcpip=HOST:PORT, or the name of an entry in <connectionStrings>")
	}
	return nil
}

// lookUpSQL finds the SQL Servers, and adds the database that ASP.NET adds.
func (s *SessionState) lookUpSQL(w webReader, at section) error {
	text := s.SQLConnectionString.Reveal()
	switch {
	case text == "" && s.PartitionResolver != "":
		return nil // code of the application names the servers
	case text == "":
		return at.bad("sqlConnectionString is missing; ASP.NET would use localhost, which has no failover partner")
	case strings.HasPrefix(strings.ToLower(text), "registry:"):
		return at.bad("sqlConnectionString is in the registry of the web server; copy it to pair.connection_string")
	}
	from := at.element
	if !strings.Contains(text, "=") {
		found, err := w.connectionString(text, at.location)
		switch {
		case err != nil:
			return err
		case found == nil || found.attribute("connectionString") == "":
			return at.bad("sqlConnectionString is the name of a connection string that is not in <connectionStrings> of this file")
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

// databaseOf returns the database that a connection string names.
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

// namesNone returns why the application names no SQL Server although it stores its sessions outside its process. Empty:
// the application names a SQL Server, or stores its sessions in its process.
func (s *SessionState) namesNone() string {
	switch {
	case s.Mode == ModeStateServer:
		return "mode StateServer names no SQL Server"
	case s.Mode == ModeSQLServer && s.SQLConnectionString.IsZero():
		return "partitionResolverType: code of the application names the SQL Servers"
	}
	return ""
}

// noPair returns why the element names no pair.
func (s *SessionState) noPair() string {
	const instead = `; set the pair with pair.connection_string, or configure the application for mode="SQLServer"`
	switch s.Mode {
	case ModeCustom:
		return "mode Custom: " + s.otherTables + instead
	case "Off":
		return "mode Off: the application has no sessions" + instead
	}
	return "mode InProc, the default: the sessions are in the memory of the web server" + instead
}

// notes returns warnings for the operator.
func (s *SessionState) notes() []string {
	var notes []string
	add := func(is bool, text string) {
		if is {
			notes = append(notes, text)
		}
	}
	add(s.Mode == ModeCustom && !s.SQLConnectionString.IsZero(), "mode Custom: SqlSessionStateProviderAsync gives its sessions an application id that ASP.NET's own provider does not use; "+
		"mirrorstate stores and expires them, but does not find them by the application's name")
	add(s.CompressionEnabled, "compressionEnabled: items are stored compressed and not decompressed here; programs that read them must decompress them")
	add(s.PartitionResolver != "", "partitionResolverType: the application gets the connection string from its own code, and does not use the one read here")
	add(!s.HostingIdentity, "useHostingIdentity is false: the application may log in as its users, each of whom needs a login on both partners")
	add(s.SQLConnectionRetry > 0 && s.SQLConnectionRetry%time.Minute == 0,
		"sqlConnectionRetryInterval is a multiple of 60 seconds: ASP.NET reads only the seconds part, which is 0, and does not retry; write 59")
	return notes
}
