// Package certs makes the TLS of listeners and pools out of their
// configuration: certificates from files, which are read again when they
// change, or from an authority by ACME (RFC 8555). It also reads the ClientHello
// of connections that are passed on as they are.
//
// # Limitations
//
// OCSP responses are not stapled, and Encrypted ClientHello is not offered: of a
// client that uses it PeekHello sees the outer name. Certificates are found by
// DNS names, not by addresses, since SNI carries none (RFC 6066 section 3).
package certs
