package proxy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/session"
)

// applications has the configured applications. It never changes.
type applications struct {
	open    bool                            // other applications are allowed too
	byAlias map[string]*session.Application // by the lower-cased alias
	byName  map[string]*session.Application // by the lower-cased name
	byID    map[session.AppID]string        // the lower-cased names by their application ids
}

// newApplications checks names and rules, and fills in defaults. If none is configured, every application is allowed.
func newApplications(configured map[string]session.Application, open bool) (applications, error) {
	if len(configured) == 0 {
		configured, open = map[string]session.Application{"default": {Name: DefaultApplicationName}}, true
	}
	apps := applications{
		open:    open,
		byAlias: make(map[string]*session.Application, len(configured)),
		byName:  make(map[string]*session.Application, len(configured)),
		byID:    make(map[session.AppID]string, len(configured)),
	}
	for alias, app := range configured {
		checked, err := checkApplication(app)
		if err != nil {
			return applications{}, fmt.Errorf("application %q: %w", alias, err)
		}
		if other := apps.byName[checked.Name]; other != nil && *other != checked {
			return applications{}, fmt.Errorf("application %q: another alias has the same name %s and other rules", alias, checked.Name)
		}
		lower := strings.ToLower(alias)
		if apps.byAlias[lower] != nil {
			return applications{}, fmt.Errorf("application %q: another alias differs only by case", alias)
		}
		id := session.HashApplicationName(checked.Name)
		if other, taken := apps.byID[id]; taken && other != checked.Name {
			return applications{}, fmt.Errorf("application %q: the names %s and %s have the same application id (%s), and ASPState keeps one application of each id: rename one of them", alias, min(other, checked.Name), max(other, checked.Name), id.Suffix())
		}
		apps.byID[id] = checked.Name
		apps.byAlias[lower] = &checked
		apps.byName[checked.Name] = &checked
	}
	return apps, nil
}

func checkApplication(app session.Application) (session.Application, error) {
	name, err := session.ParseApplicationName(app.Name)
	if err != nil {
		return app, err
	}
	app.Name = name
	app = app.WithDefaults()
	if app.MaxItem < 0 || app.LockTimeout < 0 {
		return app, fmt.Errorf("a limit is negative")
	}
	return app, session.ParseTimeout(app.Timeout)
}

// configured reports whether an application with that lower-cased name is configured.
func (a *applications) configured(name string) bool { return a.byName[name] != nil }

// collides reports whether the name is not configured and has the application id of a configured one.
func (a *applications) collides(name string) bool {
	other, taken := a.byID[session.HashApplicationName(name)]
	return taken && other != name
}

// find returns an application by alias or name, both without regard to case. Any other name is an application with
// the default rules. The error is an *InvalidError.
func (a *applications) find(s string) (*session.Application, error) {
	lower := strings.ToLower(s)
	if app := a.byAlias[lower]; app != nil {
		return app, nil
	}
	if app := a.byName[lower]; app != nil {
		return app, nil
	}
	name, err := session.ParseApplicationName(s)
	if err != nil {
		return nil, err
	}
	app := session.Application{Name: name}.WithDefaults()
	return &app, nil
}

// maxNamed is how many aliases a refusal names.
const maxNamed = 10

// checkConfigured returns an error if the application is not configured, unless every application is allowed. The error
// lists the configured aliases for which may returns true: those that the caller may know.
func (a *applications) checkConfigured(app *session.Application, may func(name string) bool) error {
	if a.open || a.byName[app.Name] != nil {
		return nil
	}
	var named []string
	for _, alias := range slices.Sorted(maps.Keys(a.byAlias)) {
		if may(a.byAlias[alias].Name) {
			named = append(named, alias)
		}
	}
	detail := "no such application is configured: correct its name, or add it to apps in the server's configuration (apps_open: true allows every application)"
	if more := len(named) - maxNamed; more > 0 {
		named = append(named[:maxNamed], fmt.Sprintf("%d more", more))
	}
	if len(named) > 0 {
		detail += "; configured: " + strings.Join(named, ", ")
	}
	return &problemError{kindUnknownApp, detail}
}

// Names returns a function that returns an application's lower-cased name for its alias or name, as the session API
// resolves it. A key ring needs this function. The error concerns the configured applications.
func Names(configured map[string]session.Application) (func(app string) (name string, err error), error) {
	apps, err := newApplications(configured, true)
	if err != nil {
		return nil, err
	}
	return func(app string) (string, error) {
		found, err := apps.find(app)
		if err != nil {
			return "", err
		}
		return found.Name, nil
	}, nil
}
