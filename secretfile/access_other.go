//go:build !unix

package secretfile

import "io/fs"

// accessOf reports false: Windows controls access by a list (ACL), and Go only simulates the mode.
func accessOf(fs.FileInfo) (access, bool) { return access{}, false }

// thisProcess returns the zero process: accessOf returns nothing to compare it with.
func thisProcess() process { return process{} }
