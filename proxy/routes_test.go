package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// bothRouters returns the routers of both listeners, with all their routes.
func bothRouters(t *testing.T) (api, admin chi.Routes) {
	t.Helper()
	a, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil)})
	if err != nil {
		t.Fatal(err)
	}
	h, err := proxy.NewAdmin(proxy.AdminConfig{API: a, Pair: &pair{}, Faults: &breakable{}, Events: endedEvents{}, Metrics: http.NotFoundHandler(), Local: true})
	if err != nil {
		t.Fatal(err)
	}
	return a.Routes(), h.(chi.Routes)
}

// servedBy returns the routes of a router, as "GET /path".
func servedBy(t *testing.T, r chi.Routes) []string {
	t.Helper()
	var all []string
	err := chi.Walk(r, func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		all = append(all, method+" "+path)
		return nil
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d routes, %v", len(all), err)
	}
	return all
}

// The index of the operators' listener has a line for each route, including those of the session API.
func TestAdmin_IndexNamesAllThatIsServed(t *testing.T) {
	_, admin := bothRouters(t)
	s := administerBehind(t, &pair{}, proxy.Config{}, proxy.AdminConfig{Local: true, Metrics: http.NotFoundHandler()})
	index := string(s.want(200, "GET", "/", "").body)
	for _, served := range servedBy(t, admin) {
		method, path, _ := strings.Cut(served, " ")
		if method == http.MethodHead {
			continue // the same handler as GET
		}
		if line := fmt.Sprintf("\n%-4s %s ", method, strings.TrimSuffix(path, "*")); !strings.Contains(index, line) {
			t.Errorf("the index lacks %q:\n%s", line, index)
		}
	}
}

// The routes of the session API are those in openapi.yaml.
func TestContract_HasEveryRoute(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			described[method+" "+path] = true
		}
	}
	api, _ := bothRouters(t)
	served := map[string]bool{}
	for _, r := range servedBy(t, api) {
		served[r] = true
		if r != "HEAD /openapi.yaml" && !described[r] { // openapi.yaml need not describe the HEAD of the contract itself
			t.Errorf("openapi.yaml does not describe %s", r)
		}
	}
	for r := range described {
		if !served[r] {
			t.Errorf("%s is described and not served", r)
		}
	}
}
