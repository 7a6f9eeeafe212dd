package certs

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
)

// index lists certificates by their names in lower case, wildcards as they are
// written. Certificates of one name keep their order.
func index(certificates []*tls.Certificate) map[string][]*tls.Certificate {
	names := make(map[string][]*tls.Certificate)
	for _, c := range certificates {
		for _, name := range namesOf(c.Leaf) {
			names[name] = append(names[name], c)
		}
	}
	return names
}

// namesOf gives the DNS names of a certificate. Some private ones have but a
// common name, which clients of theirs may still take.
func namesOf(leaf *x509.Certificate) []string {
	names := leaf.DNSNames
	if len(names) == 0 && leaf.Subject.CommonName != "" {
		names = []string{leaf.Subject.CommonName}
	}
	lower := make([]string, len(names))
	for i, name := range names {
		lower[i] = normal(name)
	}
	return lower
}

// normal brings a host name into the form in which names are compared.
func normal(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// byName gives the certificate for the name that the client asks for, or nil. A
// wildcard stands for one label (RFC 6125 section 6.4.3) and comes second to
// the name itself.
func (f *files) byName(hello *tls.ClientHelloInfo) *tls.Certificate {
	name := normal(hello.ServerName)
	if name == "" {
		return nil
	}
	if found := f.names[name]; len(found) > 0 {
		return supported(found, hello)
	}
	if _, rest, ok := strings.Cut(name, "."); ok {
		if found := f.names["*."+rest]; len(found) > 0 {
			return supported(found, hello)
		}
	}
	return nil
}

// first gives the first certificate, or another of its first name that the
// client can do more with.
func (f *files) first(hello *tls.ClientHelloInfo) *tls.Certificate {
	c := f.certificates[0]
	if names := namesOf(c.Leaf); len(names) > 0 {
		return supported(f.names[names[0]], hello)
	}
	return c
}

// supported gives the first certificate whose kind of key the client supports.
// If none is, the handshake fails with a better error than ours would be.
func supported(certificates []*tls.Certificate, hello *tls.ClientHelloInfo) *tls.Certificate {
	if len(certificates) == 1 {
		return certificates[0]
	}
	h := *hello
	h.ServerName = "" // the names have been looked at
	for _, c := range certificates {
		if h.SupportsCertificate(c) == nil {
			return c
		}
	}
	return certificates[0]
}
