package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// asProgram makes the test binary the program, so that a test can kill it.
const asProgram = "MIRRORSTATE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asBare) != "" {
		runBare()
	}
	if os.Getenv(asFlood) != "" {
		runFlood()
	}
	if os.Getenv(asProgram) != "" {
		main()
	}
	testscript.Main(leakChecked{m}, map[string]func(){"mirrorstate": main})
}

// leakChecked fails the run if a goroutine is still running at the end.
type leakChecked struct{ m *testing.M }

// Run implements testscript.TestingM.
func (l leakChecked) Run() int {
	code := l.m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			return 1
		}
	}
	return code
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}
