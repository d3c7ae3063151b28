package aspstate

import (
	"slices"

	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

// ProxyRights returns the rights that a proxy needs in the database, each a permission and an object, such as EXECUTE
// and dbo.TempGetStateItem3. mirrorstate install grants them to InstallRole. extended includes those on the
// extension.
func ProxyRights(extended bool) (rights [][2]string) {
	scripts := []string{"role-stock.sql"}
	if extended {
		scripts = append(scripts, "role-extension.sql")
	}
	for _, name := range scripts {
		for _, b := range schema.Install(name) {
			for _, g := range grantLine.FindAllStringSubmatch(b.Text, -1) {
				rights = append(rights, [2]string{g[1], g[2]})
			}
		}
	}
	return rights
}

// ExtensionColumns returns the columns that the extension adds to ASPStateTempSessions.
func ExtensionColumns() []string { return slices.Clone(extensionColumns) }
