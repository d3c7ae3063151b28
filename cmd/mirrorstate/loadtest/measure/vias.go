package measure

// The vias: the ways in which a load can reach the sessions.
const (
	ViaHTTP      = "http"      // mirrorstate's API
	ViaDriver    = "driver"    // a handler of its own over go-mssqldb
	ViaDirect    = "direct"    // mirrorstate's store without HTTP
	ViaStatement = "statement" // the procedures, called through go-mssqldb
)

// Vias lists all vias in the order of the reports.
var Vias = []string{ViaHTTP, ViaDriver, ViaDirect, ViaStatement}
