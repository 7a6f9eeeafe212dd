package config

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// validator looks for what the types alone do not rule out.
type validator struct {
	cfg     *Config
	decoded Errors // what is known to be wrong already
	errs    Errors
}

// validate gives the mistakes of a decoded file, decoded being those that were
// found on the way.
func (c *Config) validate(decoded Errors) Errors {
	v := &validator{cfg: c, decoded: decoded}
	v.listeners()
	for i, r := range c.Routes {
		v.route(r, index("routes", i))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		v.pool(c.Pools[name], join("pools", name))
	}
	for _, name := range slices.Sorted(maps.Keys(c.TCPProfiles)) {
		v.tcpProfile(c.TCPProfiles[name], join("tcp_profiles", name))
	}
	for _, name := range slices.Sorted(maps.Keys(c.OneConnect)) {
		v.oneConnect(c.OneConnect[name], join("oneconnect", name))
	}
	v.limits()
	v.rest()
	return v.errs
}

// errorf reports a mistake at path, unless something there is wrong already.
func (v *validator) errorf(path, format string, args ...any) {
	for _, e := range v.decoded {
		if e.Path == path || strings.HasPrefix(e.Path, path+".") || strings.HasPrefix(e.Path, path+"[") {
			return
		}
	}
	v.errs = append(v.errs, Error{v.cfg.At(path), path, fmt.Sprintf(format, args...)})
}

// refer checks that a name refers to something; what is the kind of thing.
func refer[T any](v *validator, path, what, name string, to map[string]T) {
	if _, ok := to[name]; !ok {
		v.errorf(path, "there is no %s %s; %s", what, quote(name), suggest(name, slices.Collect(maps.Keys(to))))
	}
}

// atLeast checks the lower bound of a number.
func atLeast[T ~int | ~int64](v *validator, path string, got, least T) {
	if got < least {
		v.errorf(path, "must be at least %v", least)
	}
}

func (v *validator) limits() {
	l := v.cfg.Limits
	atLeast(v, "limits.header_size", l.HeaderSize, 1<<10)
	if l.HeaderSize > 1<<20 {
		v.errorf("limits.header_size", "must be at most 1MiB")
	}
	atLeast(v, "limits.header_fields", l.HeaderFields, 1)
	atLeast(v, "limits.target_size", l.TargetSize, 64)
	if l.TargetSize > l.HeaderSize {
		v.errorf("limits.target_size", "is larger than header_size, of which it is a part")
	}
	atLeast(v, "limits.http2_streams", l.HTTP2Streams, 1)
	atLeast(v, "limits.http2_resets", l.HTTP2Resets, 1)
}

func (v *validator) rest() {
	c := v.cfg
	for i, name := range c.Network.Interfaces {
		if name == "" || len(name) > 15 {
			v.errorf(index("network.interfaces", i), "%s is not the name of an interface", quote(name))
		}
	}
	if c.Forwarded.Via != "" && !isToken(c.Forwarded.Via) {
		v.errorf("forwarded.via", "%s is not a name that may stand in Via", quote(c.Forwarded.Via))
	}
	v.adminAddress("admin.address", c.Admin.Address)
	v.adminAddress("metrics.address", c.Metrics.Address)
	if !strings.HasPrefix(c.Metrics.Path, "/") {
		v.errorf("metrics.path", "has to begin with /")
	} else if strings.ContainsFunc(c.Metrics.Path, func(r rune) bool { return !strings.ContainsRune(metricsPathChars, r) }) {
		v.errorf("metrics.path", "%s is not a plain path of letters, digits and -._~/", quote(c.Metrics.Path))
	}
	for path, output := range map[string]string{"log.output": c.Log.Output, "log.access.output": c.Log.Access.Output} {
		if output == "" {
			v.errorf(path, "wants stderr, stdout or a file")
		}
	}
}

// adminAddress checks the address of a server for the administrator.
func (v *validator) adminAddress(path string, a *Address) {
	switch {
	case a == nil:
	case a.Network.Multipath():
		v.errorf(path, "is for plain TCP; write %s", quote("tcp@"+a.HostPort()))
	case a.Network == NetworkFD:
		v.errorf(path, "cannot be a socket that was passed")
	}
}

func (v *validator) tcpProfile(p *TCPProfile, path string) {
	if p.KeepAlive > 0 {
		atLeast(v, path+".keepalive", p.KeepAlive, second)
		atLeast(v, path+".keepalive_interval", p.KeepAliveInterval, second)
		atLeast(v, path+".keepalive_count", p.KeepAliveCount, 1)
	}
	if name := p.CongestionControl; name != "" && !isToken(name) {
		v.errorf(path+".congestion_control", "%s is not a name", quote(name))
	}
	for key, size := range map[string]Size{"receive_buffer": p.ReceiveBuffer, "send_buffer": p.SendBuffer} {
		if size != 0 {
			atLeast(v, path+"."+key, size, 4<<10)
		}
		if size > 1<<30 {
			v.errorf(path+"."+key, "must be at most 1GiB")
		}
	}
	if p.MaxSubflows > 255 {
		v.errorf(path+".max_subflows", "must be at most 255")
	}
}

func (v *validator) oneConnect(o *OneConnect, path string) {
	if o.SourceMask6 > 128 {
		v.errorf(path+".source_mask6", "must be at most 128")
	}
}

// statuses checks a list of status codes that must not be empty.
func (v *validator) statuses(path string, list []StatusRange) {
	if len(list) == 0 {
		v.errorf(path, "wants one status code at least")
	}
}

// fields checks header fields with their values.
func (v *validator) fields(path string, fields map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		at := join(path, name)
		if !isToken(name) {
			v.errorf(at, "%s is not the name of a header field", quote(name))
		}
		if !isFieldValue(fields[name]) {
			v.errorf(at, "%s cannot be the value of a header field", quote(fields[name]))
		}
		if framing[http.CanonicalHeaderKey(name)] {
			v.errorf(at, "the proxy itself takes care of %s", http.CanonicalHeaderKey(name))
		}
	}
}

// framing are the fields on which the meaning of a message or of its connection
// hangs; to edit them would be request smuggling.
var framing = map[string]bool{
	"Connection": true, "Content-Length": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true,
	"Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

// metricsPathChars are those that stand for themselves in a path everywhere.
const metricsPathChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/"
