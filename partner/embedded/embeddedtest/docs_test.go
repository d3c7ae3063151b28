package embeddedtest_test

import (
	"os"
	"strings"
	"testing"
)

// The test that docs/embedded.md shows is the one that runs here.
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
		t.Error("docs/embedded.md shows another test than shop_test.go")
	}
}
