//go:build !unix

package keyring

import (
	"io/fs"
	"os"
)

// copyModeAndOwner does nothing: the new file has the access that its folder gives it.
func copyModeAndOwner(*os.File, fs.FileInfo) error { return nil }
