//go:build !unix

package secretfile

import "io/fs"

// accessOf cannot tell: access is a list on Windows, and modes are made up.
func accessOf(fs.FileInfo) (access, bool) { return access{}, false }

// thisProcess is nobody that accessOf would be compared with.
func thisProcess() process { return process{} }
