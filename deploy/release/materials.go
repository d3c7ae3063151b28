package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"maps"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// licenceLine matches a line of cmd/licensecheck: licence, use, module, version.
var licenceLine = regexp.MustCompile(`(?m)^(\S.*?) {2,}(?:linked|tests and tools) +(\S+) \S+$`)

// licences parses the output of cmd/licensecheck, and returns the licence of each module.
func licences(lines string) map[string]string {
	found := map[string]string{}
	for _, m := range licenceLine.FindAllStringSubmatch(lines, -1) {
		found[m[2]] = m[1]
	}
	return found
}

// materials returns the list of the modules that are linked into a program, as CycloneDX JSON. It reads them from the
// program.
func (b *bundle) materials(program string) ([]byte, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	list, err := b.list(info, sum)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true)
	err = encoder.EncodeVersion(list, cdx.SpecVersion1_6)
	return out.Bytes(), err
}

// list returns the list of a build. Its serial number is computed from the program's checksum, so that the same program
// gets the same list.
func (b *bundle) list(info *debug.BuildInfo, sum [sha256.Size]byte) (*cdx.BOM, error) {
	main := component(cdx.ComponentTypeApplication, info.Main.Path, info.Main.Version)
	main.Licenses = licenceChoice("Apache-2.0")
	main.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: fmt.Sprintf("%x", sum)}}
	std := component(cdx.ComponentTypeLibrary, "std", strings.TrimPrefix(info.GoVersion, "go"))
	std.Licenses = licenceChoice("BSD-3-Clause")
	parts := []cdx.Component{std}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		name, ok := b.licence[dep.Path]
		if !ok {
			return nil, fmt.Errorf("the output of cmd/licensecheck has no licence for %s", dep.Path)
		}
		c := component(cdx.ComponentTypeLibrary, dep.Path, dep.Version)
		c.Licenses = licenceChoice(name)
		c.Properties = &[]cdx.Property{{Name: "go.sum", Value: dep.Sum}}
		parts = append(parts, c)
	}
	refs := make([]string, len(parts))
	for i := range parts {
		refs[i] = parts[i].BOMRef
	}
	bom := cdx.NewBOM()
	bom.SerialNumber = serialNumber(sum)
	bom.Metadata = &cdx.Metadata{Timestamp: b.time.UTC().Format(time.RFC3339), Component: &main}
	bom.Components = &parts
	bom.Dependencies = &[]cdx.Dependency{{Ref: main.BOMRef, Dependencies: &refs}}
	return bom, nil
}

// component returns the entry of a Go module.
func component(kind cdx.ComponentType, path, version string) cdx.Component {
	url := "pkg:golang/" + strings.ToLower(path) + "@" + strings.ReplaceAll(version, "+", "%2B")
	return cdx.Component{Type: kind, BOMRef: url, Name: path, Version: version, PackageURL: url}
}

// licenceChoice returns a licence as an SPDX expression. If there are several, all of them apply.
func licenceChoice(name string) *cdx.Licenses {
	if all := strings.Split(name, " and "); len(all) > 1 {
		return &cdx.Licenses{{Expression: strings.Join(all, " AND ")}}
	}
	return &cdx.Licenses{{License: &cdx.License{ID: name}}}
}

// serialNumber returns a UUID (version 8, RFC 9562) made from a checksum.
func serialNumber(sum [sha256.Size]byte) string {
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
