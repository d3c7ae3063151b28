package measure

// The ways to the sessions.
const (
	ViaHTTP      = "http"
	ViaDriver    = "driver"
	ViaDirect    = "direct"
	ViaStatement = "statement"
)

// Vias are all there are, in the order in which they are shown.
var Vias = []string{ViaHTTP, ViaDriver, ViaDirect, ViaStatement}
