package operate

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "update the golden files")

// dryRuns returns the plans whose scripts are golden files, by the names of the files.
func dryRuns() map[string]func() (*Plan, error) {
	all := map[string]func() (*Plan, error){}
	for _, topology := range []string{Mirroring, Group} {
		for _, verb := range append([]string{Status}, Verbs...) {
			all[topology+"-"+verb] = func() (*Plan, error) {
				return DryRun(verb, Options{Database: "ASPState", Topology: topology, Endpoint: [2]string{"sql1.example.com:5022", "sql2.example.com:5022"}, Logins: []string{"aspstate"}})
			}
		}
	}
	all["mirroring-setup-witness-share"] = func() (*Plan, error) {
		return DryRun(Setup, Options{Database: "ASPState", Endpoint: [2]string{"sql1.example.com:5022", "sql2.example.com:5022"}, Witness: "sql3.example.com:5022",
			Share: `\\files\mirror`, MirrorData: `E:\data`, Tables: []string{"ASPStateTempSessions", "ASPStateTempApplications"}})
	}
	all["mirroring-setup-windows"] = func() (*Plan, error) {
		return DryRun(Setup, Options{Database: "ASPState", Principal: B, Endpoint: [2]string{"sql1:5022", "sql2:5023"}, Witness: "sql3:5022",
			Accounts: [3]string{`CORP\svc-a`, `CORP\svc-b`, `CORP\svc-w`}, Safety: "OFF"})
	}
	all["mirroring-remove-recover"] = func() (*Plan, error) {
		return DryRun(Remove, Options{Database: "ASPState", Endpoint: [2]string{"sql1:5022", "sql2:5022"}, Copy: CopyRecover})
	}
	all["mirroring-remove-drop"] = func() (*Plan, error) {
		return DryRun(Remove, Options{Database: "ASPState", Endpoint: [2]string{"sql1:5022", "sql2:5022"}, Copy: CopyDrop})
	}
	all["mirroring-setup-strange-names"] = func() (*Plan, error) {
		return DryRun(Setup, Options{Database: `O'Brien's [shop]`, Endpoint: [2]string{"sql1:5022", "sql2:5022"}, Logins: []string{`it's [me]`}})
	}
	return all
}

// TestScripts_Golden compares every script with its golden file. After an intended change run go test ./partner/operate -update,
// and read the difference.
func TestScripts_Golden(t *testing.T) {
	for file, plan := range dryRuns() {
		t.Run(file, func(t *testing.T) {
			p, err := plan()
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			for _, s := range p.Scripts() {
				fmt.Fprintln(&got, s.Titled())
			}
			path := filepath.Join("testdata", file+".sql")
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%s differs from the script:\n%s", path, got.Bytes())
			}
		})
	}
}
