package conformance

import "strings"

// Case is what a client sends over one connection and what has to come of it.
//
// The proxy under test adds no fields of its own to requests (X-Forwarded-For
// and the like), so what a server receives is compared byte by byte.
type Case struct {
	Name    string
	Section string // of RFC 9112, or of the RFC it names
	Send    string
	// Server is what the server receives, message by message, and answers.
	// Empty: it must not receive anything.
	Server []Step
	// Partial says that the server may receive the beginning of a message
	// whose end is refused.
	Partial bool
	// Reply is all that the client receives. If it is empty, only Status is
	// compared, with that of the last response.
	Reply  string
	Status int
	// Closed says that the proxy then ends the connection. Otherwise another
	// request has to be forwarded over it as it is.
	Closed bool
}

// Step is one message as the server receives it, and its answer.
type Step struct {
	Receive string
	Answer  string // default: OK
	Close   bool   // the server closes the connection then
}

// OK is the server's answer unless a case says otherwise.
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nok"

// date stands in answers, since a proxy adds the field where it is missing.
const date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

// refused is a request that gets no further than the proxy.
func refused(name, section string, status int, send string) Case {
	return Case{Name: name, Section: section, Send: send, Status: status, Closed: true}
}

// broken is a request whose body goes wrong after its beginning may have been
// forwarded.
func broken(name, section string, status int, send string) Case {
	return Case{Name: name, Section: section, Send: send, Partial: true, Status: status, Closed: true}
}

// asIs is a request that is forwarded as it came.
func asIs(name, section, send string) Case {
	return Case{Name: name, Section: section, Send: send, Server: []Step{{Receive: send}}, Reply: OK}
}

// changed is a request that is forwarded in another form.
func changed(name, section, send, receive string) Case {
	return Case{Name: name, Section: section, Send: send, Server: []Step{{Receive: receive}}, Reply: OK}
}

// get is the request to which the cases about responses belong.
const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// answered is a response that is forwarded as it came.
func answered(name, section, answer string) Case {
	return translated(name, section, answer, answer)
}

// translated is a response that is forwarded in another form.
func translated(name, section, answer, reply string) Case {
	return Case{Name: name, Section: section, Send: get, Server: []Step{{Receive: get, Answer: answer}}, Reply: reply}
}

// bad is a response that the client must not see.
func bad(name, section, answer string) Case {
	return Case{Name: name, Section: section, Send: get, Server: []Step{{Receive: get, Answer: answer, Close: true}}, Status: 502}
}

// lines joins lines with CR LF and ends the head.
func lines(s ...string) string { return strings.Join(s, "\r\n") + "\r\n\r\n" }

// Cases is the whole list.
func Cases() []Case {
	var all []Case
	for _, list := range [][]Case{startLines, targets, hosts, fields, lengths, codings, bodies, connections, responses} {
		all = append(all, list...)
	}
	return all
}
