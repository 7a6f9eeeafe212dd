package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
)

// checkFiles looks at the files a Config refers to, which a reload should not
// find broken.
func (c *Config) checkFiles() Errors {
	v := &validator{cfg: c}
	for i, l := range c.Listeners {
		if l.TLS == nil {
			continue
		}
		path := index("listeners", i) + ".tls"
		for j := range l.TLS.Certificates {
			v.certificate(&l.TLS.Certificates[j], index(path+".certificates", j))
		}
		v.authorities(l.TLS.ClientCA, path+".client_ca")
		if l.TLS.ACME != nil {
			v.authorities(l.TLS.ACME.CA, path+".acme.ca")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		p, path := c.Pools[name], join("pools", name)
		if p.File != nil && p.File.Path != "" {
			v.readable(p.File.Path, path+".file")
		}
		if p.TLS == nil {
			continue
		}
		if p.TLS.Certificate != nil {
			v.certificate(p.TLS.Certificate, path+".tls.certificate")
		}
		v.authorities(p.TLS.CA, path+".tls.ca")
	}
	return v.errs
}

// readable gives the content of a file.
func (v *validator) readable(f File, path string) ([]byte, bool) {
	text, err := os.ReadFile(string(f))
	if err != nil {
		if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		v.errorf(path, "%s: %v", f, err)
		return nil, false
	}
	return text, true
}

// certificate checks that a certificate can be read and fits its key.
func (v *validator) certificate(c *Certificate, path string) {
	if c.Cert == "" {
		return
	}
	cert, ok := v.readable(c.Cert, path+".cert")
	if !ok {
		return
	}
	key := cert
	keyPath := path + ".cert"
	if c.Key != "" {
		keyPath = path + ".key"
		if key, ok = v.readable(c.Key, keyPath); !ok {
			return
		}
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		v.errorf(keyPath, "%v", err)
	}
}

// authorities checks that a file holds certificates.
func (v *validator) authorities(f File, path string) {
	if f == "" {
		return
	}
	text, ok := v.readable(f, path)
	if !ok {
		return
	}
	found := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			v.errorf(path, "%s: %v", f, err)
			return
		}
		found++
	}
	if found == 0 {
		what := "no certificate in it"
		if !bytes.Contains(text, []byte("-----BEGIN")) {
			what = "not a PEM file"
		}
		v.errorf(path, "%s: %s", f, what)
	}
}
