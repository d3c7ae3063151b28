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

// accessOf is what a file says of itself.
func accessOf(info fs.FileInfo) (access, bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return access{}, false
	}
	return access{mode: info.Mode(), uid: int(s.Uid), gid: int(s.Gid)}, true
}

// thisProcess is who we are.
func thisProcess() process {
	groups, _ := os.Getgroups() // none beside the effective one, then
	return process{uid: os.Geteuid(), groups: append(groups, os.Getegid()), name: nameOf}
}

// nameOf is the name of a user or group, or its number where it has none here.
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
