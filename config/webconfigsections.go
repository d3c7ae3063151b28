package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// section is a configuration section, with the <location> around it.
type section struct {
	*element
	location string // the path of the <location>; empty: there is none
	apart    bool   // child applications do not inherit the section
}

// main reports whether a section applies to the application itself.
func (s section) main() bool { return s.location == "" || s.location == "." }

// in reports whether a section belongs to a location. Case and slashes at the ends are ignored.
func (s section) in(location string) bool {
	return strings.EqualFold(strings.Trim(s.location, "/"), strings.Trim(location, "/"))
}

// webReader reads the sections of a web.config.
type webReader struct {
	top  []*element
	open func(name string) ([]byte, error) // reads a file that configSource names
}

// find returns the sections with this name in the places where ASP.NET looks: below parent, in
// <configuration> or in one of its <location> elements. A file may also contain only the section.
func (w webReader) find(parent, name string) []section {
	var found []section
	var look func(all []*element, inside string, within section)
	look = func(all []*element, inside string, within section) {
		for _, e := range all {
			switch {
			case e.name == name && (inside == parent || inside == ""):
				found = append(found, section{e, within.location, within.apart})
			case e.name == "configuration" && inside == "", e.name == "system.web" && (inside == "configuration" || inside == ""):
				look(e.below, e.name, within)
			case e.name == "location" && inside == "configuration":
				apart := strings.EqualFold(e.attribute("inheritInChildApplications"), "false")
				look(e.below, "configuration", section{location: strings.TrimSpace(e.attribute("path")), apart: apart})
			}
		}
	}
	look(w.top, "", section{})
	return found
}

// sessionState returns the <sessionState> of a location, with the attributes that it inherits from the application's own.
// Without a location it returns the application's own, or the only one.
func (w webReader) sessionState(location string) (section, error) {
	all := w.find("system.web", "sessionState")
	var own, chosen []section
	for _, s := range all {
		if s.main() {
			own = append(own, s)
		}
		if location != "" && s.in(location) {
			chosen = append(chosen, s)
		}
	}
	switch {
	case len(all) == 0:
		return section{}, errors.New("there is no <sessionState> in <system.web>, so the application keeps its sessions InProc, in the web server's memory")
	case location == "" && len(own) == 0:
		chosen = all
	case location == "" || location == ".":
		chosen = own
	}
	if len(own) > 1 {
		chosen = own
	}
	switch {
	case len(chosen) == 0:
		return section{}, fmt.Errorf("there is no <sessionState> in the chosen <location>; %s", locationsOf(all))
	case len(chosen) > 1 && (chosen[0].main() || chosen[0].in(chosen[1].location)):
		return section{}, fmt.Errorf("there is more than one <sessionState>, at lines %d and %d; make a file with only the right one", chosen[0].line, chosen[1].line)
	case len(chosen) > 1:
		return section{}, fmt.Errorf("<sessionState> is in more than one <location>; choose one with --location or pair.web_config_location; %s", locationsOf(all))
	}
	s, err := w.follow(chosen[0])
	if err != nil || s.main() || len(own) == 0 || own[0].apart {
		return s, err
	}
	above, err := w.follow(own[0])
	if err != nil {
		return s, err
	}
	return s.inherit(above), nil
}

// locationsOf lists the locations of sections.
func locationsOf(all []section) string {
	var names []string
	for _, s := range all {
		name := s.location
		if s.main() {
			name = "."
		}
		names = append(names, fmt.Sprintf("%q (line %d)", name, s.line))
	}
	return "the file has one in " + strings.Join(names, ", ")
}

// inherit adds to a section the attributes of the one above that it does not set, and its child elements.
func (s section) inherit(above section) section {
	e := *s.element
	e.attributes = slices.Clone(e.attributes)
	for _, a := range above.attributes {
		if _, set := s.lookUp(a.Name.Local); !set {
			e.attributes = append(e.attributes, a)
		}
	}
	e.below = append(slices.Clone(above.below), e.below...)
	return section{&e, s.location, s.apart}
}

// follow returns a section, from the file that configSource names if there is one.
func (w webReader) follow(s section) (section, error) {
	if s.attribute("configProtectionProvider") != "" {
		return s, s.bad("<%s> is encrypted for its web server; decrypt it there with aspnet_regiis -pdf, or set the pair with pair.connection_string", s.name)
	}
	file := s.attribute("configSource")
	if file == "" {
		return s, nil
	}
	file = strings.ReplaceAll(file, `\`, "/")
	text, err := w.open(file)
	if err != nil {
		return s, s.bad("configSource of <%s>: its file can't be read: %w; it must be in the folder of this file, or below", s.name, err)
	}
	top, err := readXML(file, text)
	switch {
	case err != nil:
		return s, err
	case len(top) != 1 || top[0].name != s.name:
		return s, s.bad("configSource of <%s>: its file must contain only this element", s.name)
	case top[0].attribute("configSource") != "":
		return s, s.bad("configSource of <%s>: its file has a configSource too, which is not supported", s.name)
	}
	return w.follow(section{top[0], s.location, s.apart})
}

// connectionString returns the <add> element of the connection string that a section in location names; nil: there is none.
// A <connectionStrings> that can't be read is an error only if it could contain the string.
func (w webReader) connectionString(name, location string) (found *element, err error) {
	all := slices.DeleteFunc(w.find("configuration", "connectionStrings"), func(s section) bool { return !s.main() && !s.in(location) })
	slices.SortStableFunc(all, func(a, b section) int { // the application's own first, because those of a location override them
		switch {
		case a.main() == b.main():
			return 0
		case a.main():
			return -1
		}
		return 1
	})
	for _, s := range all {
		s, unread := w.follow(s)
		if unread != nil {
			found, err = nil, unread
			continue
		}
		for _, e := range s.below {
			named := strings.EqualFold(e.attribute("name"), name)
			switch {
			case e.name == "add" && named:
				found, err = e, nil
			case e.name == "clear", e.name == "remove" && named:
				found, err = nil, nil
			}
		}
	}
	return found, err
}
