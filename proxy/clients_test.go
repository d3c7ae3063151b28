package proxy_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/mirrorstate/mirrorstate/proxy"
)

// Generators of clients accept the contract, and the generated clients compile and work.
func TestContract_GeneratesClients(t *testing.T) {
	t.Run("Go, by oapi-codegen", func(t *testing.T) {
		dir, err := filepath.Abs("testdata/clients/go")
		if err != nil {
			t.Fatal(err)
		}
		c := clientMaker{t, t.TempDir(), dir}
		if out, err := c.try("go", "mod", "download"); err != nil {
			missing(t, "the modules of proxy/testdata/clients/go can't be had: "+out)
		}
		made := filepath.Join(c.made, "client.gen.go")
		c.do("go", "tool", "oapi-codegen", "-generate", "types,client", "-package", "client", "-o", made, contractFile(t))
		overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(dir, "client", "client.gen.go"): made}})
		if err != nil {
			t.Fatal(err)
		}
		c.write("overlay.json", overlay)
		c.do("go", "build", "-overlay", filepath.Join(c.made, "overlay.json"), "-o", filepath.Join(c.made, "client"), ".")
		c.use(filepath.Join(c.made, "client"))
	})
	t.Run("TypeScript, by openapi-typescript", func(t *testing.T) {
		for _, tool := range []string{"node", "npm"} {
			if _, err := exec.LookPath(tool); err != nil {
				missing(t, tool+" is not installed (Debian's packages nodejs and npm)")
			}
		}
		made := t.TempDir() // npm installs files beside the package's own
		c := clientMaker{t, made, made}
		for _, name := range []string{"package.json", "package-lock.json", "tsconfig.json", "main.ts"} {
			text, err := os.ReadFile(filepath.Join("testdata/clients/npm", name))
			if err != nil {
				t.Fatal(err)
			}
			c.write(name, text)
		}
		if out, err := c.try("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"); err != nil {
			missing(t, "the packages of proxy/testdata/clients/npm can't be had: "+out)
		}
		c.do("node", "node_modules/openapi-typescript/bin/cli.js", contractFile(t), "--output", "contract.d.ts")
		c.do("node", "node_modules/typescript/bin/tsc", "--project", ".")
		c.use("node", "main.js")
	})
}

// missing skips a test because this machine lacks a tool. In CI it fails the test.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip("SKIPPED, so no client was made from openapi.yaml: " + what)
}

func contractFile(t *testing.T) string {
	t.Helper()
	file, err := filepath.Abs("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// clientMaker runs a generator in dir. The generator writes to made.
type clientMaker struct {
	t         *testing.T
	made, dir string
}

func (c clientMaker) write(name string, text []byte) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.made, name), text, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c clientMaker) try(command string, args ...string) (out string, err error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Dir, cmd.WaitDelay = c.dir, 10*time.Second
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOTOOLCHAIN=local")
	text, err := cmd.CombinedOutput()
	if err != nil {
		return err.Error() + "\n" + string(text), err
	}
	return string(text), nil
}

func (c clientMaker) do(command string, args ...string) (out string) {
	c.t.Helper()
	out, err := c.try(command, args...)
	if err != nil {
		c.t.Fatalf("%s %s: %s", command, strings.Join(args, " "), out)
	}
	return out
}

// use runs the client against a server.
func (c clientMaker) use(command string, args ...string) {
	c.t.Helper()
	s := serve(c.t, proxy.Config{})
	if out := c.do(command, append(args, s.url)...); out != "as stored\n" {
		c.t.Errorf("the client says %q, want that it read what it stored", out)
	}
}

// Everything that becomes a type in a generated client has a name of its own, in every spelling of the generators.
func TestContract_NamesAreApart(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seen, parts := map[string]string{}, doc.Components
	check := func(section, name string) {
		plain := strings.ToLower(regexp.MustCompile(`[^A-Za-z0-9]`).ReplaceAllString(name, ""))
		if other, ok := seen[plain]; ok {
			t.Errorf("%s is the name of a thing in %s and in %s: generators make one type of both", name, other, section)
		}
		seen[plain] = section
	}
	for name := range parts.Schemas {
		check("schemas", name)
	}
	for name := range parts.Parameters {
		check("parameters", name)
	}
	for name := range parts.Responses {
		check("responses", name)
	}
	for name := range parts.RequestBodies {
		check("requestBodies", name)
	}
}

// A create is not documented to answer with a lock or a version conflict.
func TestContract_CreateMeetsNoSession(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	responses := doc.Paths.Value("/v1/apps/{app}/sessions").Post.Responses
	for _, status := range []string{"412", "423"} {
		if responses.Value(status) != nil {
			t.Errorf("POST …/sessions is documented to answer %s", status)
		}
	}
}

// The lock file names no host for packages, so npm uses the configured registry.
func TestContract_LockNamesNoHost(t *testing.T) {
	text, err := os.ReadFile("testdata/clients/npm/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Resolved, Integrity string }
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatal(err)
	}
	if len(lock.Packages) < 4 {
		t.Errorf("%d packages are locked", len(lock.Packages))
	}
	for name, p := range lock.Packages {
		if p.Resolved != "" {
			t.Errorf("%s is fetched from %s, and not from the configured registry", name, p.Resolved)
		}
		if name != "" && p.Integrity == "" {
			t.Errorf("%s is locked without its sum", name)
		}
	}
}
