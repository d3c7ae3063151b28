// Package report is what a load test shows: the report as text, as JSON and as an HTML page, and the
// reasons why a run fails.
//
// The caller makes a [Report] with [New], adds the vias, and calls Finish and Evaluate. The JSON is a
// contract. Text and page say the same as the JSON. The page needs no other files; its charts are SVG.
//
// The package measures nothing: its numbers come from package measure. A report keeps the recorders
// of all vias, and so their memory.
package report
