package balance

import "time"

// How a server's idle timeout is learned from connections that it closed while
// they were idle. One such connection says little: servers close them as well
// when they are restarted or short of memory. Several in a row that had been
// idle equally long are a timeout.
const (
	earlySamples = 3
	earlySpread  = 500 * time.Millisecond // they count as equal within this, or within a tenth
	earlyLeast   = 100 * time.Millisecond // less is no timeout: the server does not keep connections
	earlyApart   = 50 * time.Millisecond  // those closed within this of each other count once: a restart closes all
	// unlearnAfter is when the limit is tried at twice its length again.
	unlearnAfter = 10 * time.Minute
)

// idleLearner knows how long a server keeps idle connections. It belongs to a
// server and its lock.
type idleLearner struct {
	limit   time.Duration // 0: nothing learned
	since   time.Duration
	samples [earlySamples]time.Duration
	n       int           // samples used
	last    time.Duration // when the last one came
}

// closedEarly takes note of a connection that the server closed after it had
// been idle for so long.
func (l *idleLearner) closedEarly(now, idle time.Duration) {
	apart := l.last == 0 || now-l.last >= earlyApart
	l.last = now
	if idle < earlyLeast || !apart {
		return
	}
	if l.n == earlySamples {
		copy(l.samples[:], l.samples[1:])
		l.n--
	}
	l.samples[l.n] = idle
	l.n++
	if l.n < earlySamples {
		return
	}
	least, most := l.samples[0], l.samples[0]
	for _, s := range l.samples[1:] {
		least, most = min(least, s), max(most, s)
	}
	if most-least <= max(earlySpread, least/10) {
		l.limit, l.since, l.n = below(least), now, 0
	}
}

// current gives the limit, or 0 when none is known. A limit that has held for
// long is doubled, so that one that was learned wrongly does not stay.
func (l *idleLearner) current(now time.Duration) time.Duration {
	if l.limit == 0 || now-l.since < unlearnAfter {
		return l.limit
	}
	l.limit, l.since = 2*l.limit, now
	if l.limit > time.Hour {
		l.limit = 0
	}
	return l.limit
}

// below gives a time that is safely shorter than a server's timeout: by a tenth
// and by a second, but never by more than half.
func below(timeout time.Duration) time.Duration {
	return timeout - max(timeout/10, min(time.Second, timeout/2))
}

// ParseKeepAlive reads the value of a Keep-Alive header field, such as
// "timeout=5, max=100" (RFC 2068 section 19.7.1.1), for Conn.KeepAlive. What is
// not given is 0; a timeout of 0 comes out as the shortest there is. Anything
// else is passed over.
func ParseKeepAlive[T ~string | ~[]byte](value T) (timeout time.Duration, requests int) {
	for i := 0; i < len(value); {
		for i < len(value) && (value[i] == ' ' || value[i] == '\t' || value[i] == ',') {
			i++
		}
		name := i
		for i < len(value) && value[i] != '=' && value[i] != ',' {
			i++
		}
		nameEnd := i
		if i == len(value) || value[i] == ',' {
			continue
		}
		n, next, valid := parseNumber(value, i+1)
		i = next
		if !valid {
			continue
		}
		switch {
		case equalFold(value[name:nameEnd], "timeout"):
			timeout = max(time.Duration(n)*time.Second, 1)
		case equalFold(value[name:nameEnd], "max"):
			requests = n
		}
	}
	return timeout, requests
}

// parseNumber reads digits, in quotes or not, up to the next comma.
func parseNumber[T ~string | ~[]byte](s T, i int) (n, next int, ok bool) {
	valid := true
	for ; i < len(s) && s[i] != ','; i++ {
		switch d := s[i]; {
		case d >= '0' && d <= '9':
			ok = true
			n = min(n*10+int(d-'0'), 1<<30)
		case d != '"' && d != ' ' && d != '\t':
			valid = false
		}
	}
	return n, i, ok && valid
}

// equalFold compares name, with blanks around it, to a word in lower case.
func equalFold[T ~string | ~[]byte](name T, word string) bool {
	for len(name) > 0 && (name[len(name)-1] == ' ' || name[len(name)-1] == '\t') {
		name = name[:len(name)-1]
	}
	if len(name) != len(word) {
		return false
	}
	for i := range len(word) {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}
