package loadtest

// The ways to the sessions.
const (
	viaHTTP      = "http"
	viaDriver    = "driver"
	viaDirect    = "direct"
	viaStatement = "statement"
)

// vias are all there are, in the order in which they are shown.
var vias = []string{viaHTTP, viaDriver, viaDirect, viaStatement}
