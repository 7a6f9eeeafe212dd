package proxy

// normalPath gives a path in the form in which routes are compared with it (RFC
// 3986 section 6.2.2): without dot segments, without escapes of characters that
// need none, and with single slashes. Servers tend to understand it so, and a
// rule about /admin/ must not be got around by writing it as /x/..//%61dmin/.
// Most paths are normal already and cost nothing.
func normalPath(path []byte) []byte {
	if isNormal(path) {
		return path
	}
	return removeDots(decodeUnreserved(path))
}

func isNormal(path []byte) bool {
	for i, c := range path {
		switch {
		case c == '%':
			return false
		case c == '/' && i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.'):
			return false
		}
	}
	return true
}

// decodeUnreserved gives a copy in which escapes of unreserved characters are
// undone, and the others written in capitals.
func decodeUnreserved(path []byte) []byte {
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c != '%' || i+2 >= len(path) {
			out = append(out, c)
			continue
		}
		hi, ok1 := unhex(path[i+1])
		lo, ok2 := unhex(path[i+2])
		if !ok1 || !ok2 {
			out = append(out, c)
			continue
		}
		i += 2
		if c = hi<<4 | lo; isUnreserved(c) {
			out = append(out, c)
		} else {
			const digits = "0123456789ABCDEF"
			out = append(out, '%', digits[hi], digits[lo])
		}
	}
	return out
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// isUnreserved says whether a character means the same with and without escape
// (RFC 3986 section 2.3).
func isUnreserved(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return c == '-' || c == '.' || c == '_' || c == '~'
}

// removeDots takes out empty and dot segments, in place (RFC 3986 section
// 5.2.4). What does not begin with a slash is no path.
func removeDots(path []byte) []byte {
	if len(path) == 0 || path[0] != '/' {
		return path
	}
	out := path[:0]
	for i := 0; i < len(path); {
		end := i + 1
		for end < len(path) && path[end] != '/' {
			end++
		}
		segment := path[i:end] // with the slash before it
		last := end == len(path)
		switch string(segment[1:]) {
		case "":
			if last {
				out = append(out, '/')
			}
		case ".":
			if last {
				out = append(out, '/')
			}
		case "..":
			out = out[:max(lastByte(out, '/'), 0)]
			if last {
				out = append(out, '/')
			}
		default:
			out = append(out, segment...)
		}
		i = end
	}
	if len(out) == 0 {
		out = append(out, '/')
	}
	return out
}
