package config

import "strings"

// asyncProvider is the type of Microsoft's provider for mode Custom, which can store its sessions in the tables of ASPState.
// Source: Microsoft.AspNet.SessionState.SqlSessionStateProviderAsync, its Initialize.
const asyncProvider = "Microsoft.AspNet.SessionState.SqlSessionStateProviderAsync"

// lookUpProvider finds the SQL Servers of Microsoft's provider, or sets otherTables to why its sessions are elsewhere.
func (s *SessionState) lookUpProvider(w webReader, at section) error {
	provider := providerOf(at, s.CustomProvider)
	if provider == nil {
		s.otherTables = "customProvider is not the name of one of the <providers>"
		return nil
	}
	if s.otherTables = provider.otherTables(); s.otherTables != "" {
		return nil
	}
	name := provider.setting("connectionStringName")
	if name == "" {
		return provider.bad("connectionStringName is missing; the provider does not start without it")
	}
	found, err := w.connectionString(name, at.location)
	switch {
	case err != nil:
		return err
	case found == nil || found.attribute("connectionString") == "":
		return provider.bad("connectionStringName is the name of a connection string that is not in <connectionStrings> of this file")
	}
	text := found.attribute("connectionString")
	database, err := databaseOf(found, text)
	switch {
	case err != nil:
		return err
	case database == "":
		return found.bad("the connection string names no database; the provider would use the login's default one: add initial catalog")
	}
	s.SQLConnectionString, s.StringFile, s.StringLine = NewSecret(text), found.file, found.line
	return nil
}

// providerOf returns the provider with this name; nil: there is none.
func providerOf(at section, name string) (found *element) {
	for _, providers := range at.below {
		if providers.name != "providers" {
			continue
		}
		for _, e := range providers.below {
			named := strings.EqualFold(e.attribute("name"), name)
			switch {
			case e.name == "add" && named:
				found = e
			case e.name == "clear", e.name == "remove" && named:
				found = nil
			}
		}
	}
	return found
}

// setting returns a provider's attribute. Case is ignored, because the provider's documentation is not consistent.
func (e *element) setting(name string) string {
	for _, a := range e.attributes {
		if strings.EqualFold(a.Name.Local, name) {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// otherTables returns why a provider's sessions are not in the tables of ASPState; empty: they are.
func (e *element) otherTables() string {
	kind, _, _ := strings.Cut(e.attribute("type"), ",")
	repository, table := e.setting("repositoryType"), e.setting("sessionTableName")
	switch {
	case strings.TrimSpace(kind) != asyncProvider:
		return "the application uses its own provider, and only the provider knows where the sessions are"
	case repository == "" && strings.EqualFold(e.setting("useInMemoryTable"), "true"), repository != "" && !strings.EqualFold(repository, "FrameworkCompat"):
		return `SqlSessionStateProviderAsync stores the sessions in its own table, and not in those of ASPState, unless repositoryType is FrameworkCompat`
	case table != "" && !strings.EqualFold(table, "ASPStateTempSessions"):
		return "sessionTableName is not ASPStateTempSessions"
	}
	return ""
}
