package hostnet

import (
	"path/filepath"
	"strings"
)

// tableName is the name of our nftables tables, and the TUN interface's alias.
func tableName(tag string) string { return "braid-" + tag }

// validTag tells whether the tag can stand in names of files and tables.
func validTag(tag string) bool {
	if tag == "" || len(tag) > 32 {
		return false
	}
	for _, c := range tag {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// validSetting tells whether the name is that of a setting of the network, and
// of no other file.
func validSetting(name string) bool {
	return strings.HasPrefix(name, "net/") && filepath.IsLocal(name) && filepath.Clean(name) == name
}

// CloseTimeout is the setting of how many seconds the kernel keeps a connection
// without any subflow.
const CloseTimeout = "net/mptcp/close_timeout"

// managerType is the setting of who manages paths: "0" is the kernel, as its
// endpoints and limits say, "1" a program such as mptcpd, which does not heed
// them.
const managerType = "net/mptcp/pm_type"

// Settings are named by their paths: an interface's name may hold a dot.
func sysctl4(dev, setting string) string { return "net/ipv4/conf/" + dev + "/" + setting }
func sysctl6(dev, setting string) string { return "net/ipv6/conf/" + dev + "/" + setting }

func parseSysctl6(name string) (dev, setting string, ok bool) {
	rest, ok := strings.CutPrefix(name, "net/ipv6/conf/")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, "/")
}
