package netns

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Counters are the kernel's protocol counters by their names in nstat, such as
// "MPTcpExtMPJoinAckRx" or "TcpRetransSegs".
type Counters map[string]int64

// Counters reads the counters of the namespace.
func (n *NS) Counters() Counters {
	n.t.Helper()
	c := make(Counters)
	for _, file := range []string{"snmp", "netstat"} {
		var b []byte
		var err error
		// thread-self: /proc/net is the namespace of the process's first thread.
		n.Do(func() { b, err = os.ReadFile("/proc/thread-self/net/" + file) })
		n.must(err, "read %s", file)
		n.must(c.parse(b), "read %s", file)
	}
	return c
}

// parse reads pairs of lines: names after a prefix, then their values.
func (c Counters) parse(b []byte) error {
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		names := strings.Fields(s.Text())
		if !s.Scan() {
			return fmt.Errorf("%q has no line of values", names)
		}
		values := strings.Fields(s.Text())
		if len(names) == 0 || len(names) != len(values) || names[0] != values[0] {
			return fmt.Errorf("names %q do not fit values %q", names, values)
		}
		prefix := strings.TrimSuffix(names[0], ":")
		for i := 1; i < len(names); i++ {
			v, err := strconv.ParseInt(values[i], 10, 64)
			if err != nil {
				return fmt.Errorf("%s%s: %w", prefix, names[i], err)
			}
			c[prefix+names[i]] = v
		}
	}
	return s.Err()
}

// Since gives the growth of every counter that changed after old was read.
func (c Counters) Since(old Counters) Counters {
	d := make(Counters)
	for name, v := range c {
		if v != old[name] {
			d[name] = v - old[name]
		}
	}
	return d
}

// With keeps the counters whose name begins with prefix.
func (c Counters) With(prefix string) Counters {
	d := make(Counters)
	for name, v := range c {
		if strings.HasPrefix(name, prefix) {
			d[name] = v
		}
	}
	return d
}
