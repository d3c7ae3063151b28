package embedded

import (
	"flag"
	"os/exec"
	"testing"

	"os"
)

// texts has the pairs of this package's tests run the texts of the procedures, and not their twins.
var texts = flag.Bool("embedded.texts", false, "pairs of tests run procedures as their texts say")

// TestTexts runs what is tested of the procedures, by calls with arguments that no store makes, on their texts too: in a process
// of its own.
func TestTexts(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, "-embedded.texts", "-test.run", "^(TestExtended_.*|TestSweep_.*|TestStock_.*|TestFullDisk|TestCommit_.*)$", "-test.count=1").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
