package embeddedtest_test

import (
	"os"
	"strings"
	"testing"
)

// docs/embedded.md must show the test that runs here.
func TestDocs_showTheShop(t *testing.T) {
	code, err := os.ReadFile("shop_test.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../../docs/embedded.md")
	if err != nil {
		t.Fatal(err)
	}
	if shown := strings.Replace(string(code), "package embeddedtest_test", "package shop", 1); !strings.Contains(string(page), "```go\n"+shown+"```") {
		t.Error("docs/embedded.md does not show shop_test.go")
	}
}
