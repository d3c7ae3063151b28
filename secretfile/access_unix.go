//go:build unix

package secretfile

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// accessOf returns the mode and the owners in info; false: info does not have them.
func accessOf(info fs.FileInfo) (access, bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return access{}, false
	}
	return access{mode: info.Mode(), uid: int(s.Uid), gid: int(s.Gid)}, true
}

// thisProcess returns the user and the groups of this process.
func thisProcess() process {
	groups, _ := os.Getgroups() // after an error only the effective group counts
	return process{uid: os.Geteuid(), groups: append(groups, os.Getegid()), name: nameOf}
}

// nameOf returns the name of a user or group, or its number if this machine knows no name for it.
func nameOf(kind string, id int) string {
	text := strconv.Itoa(id)
	if kind == "group" {
		if g, err := user.LookupGroupId(text); err == nil {
			return fmt.Sprintf("%s (%d)", g.Name, id)
		}
		return text
	}
	if u, err := user.LookupId(text); err == nil {
		return u.Username
	}
	return text
}
