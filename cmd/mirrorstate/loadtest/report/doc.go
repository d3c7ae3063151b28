// Package report writes the report of a load test as text, as JSON and as an HTML page. It determines the reasons why a
// run fails.
//
// The caller makes a [Report] with [New], adds the vias, and calls Finish and Evaluate. The shape of the JSON is a
// contract. Text and page have the same contents as the JSON. The page needs no other files; its charts are SVG.
//
// The package measures nothing: its numbers come from package measure. A report keeps the recorders
// of all vias, and so their memory.
package report
