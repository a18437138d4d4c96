// Package authority is the owner's own certificate authority: making, keeping
// and showing it, and signing short-lived leafs with it. Who may have a leaf is
// decided by the sinkhole, not here.
package authority

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	certFile = "ca.crt"
	keyFile  = "ca.key"

	// caLife is how long the owner's certificate authority is good for: long
	// enough that phones need not be visited every year, short enough that
	// a forgotten one ends by itself.
	caLife = 5 * 365 * 24 * time.Hour

	// clockSkew backdates certificates, for phones whose clock is behind.
	clockSkew = 24 * time.Hour

	maxPEM = 64 << 10 // a CA file is below 1 KiB; anything large is another file
)

// CA is the owner's own certificate authority, which lets the sinkhole read
// HTTPS from devices that were told to trust it. It is immutable and safe for
// concurrent use.
//
// Its certificate constrains what it may sign (RFC 5280 §4.2.1.10): no
// addresses, and where the owner said so only names below certain domains. A
// list of every name that may ever be sunk is not in it: each list update would
// ask the owner to visit every phone again. And RFC 5280 §6.1 leaves it to the
// verifier whether constraints in a trust anchor count at all: Go's does, by
// test; Android builds its trust anchors without them. The limits that always hold are these: it
// may sign no further authority (path length 0), only TLS servers (extended key
// usage), its key never leaves the folder, and the sinkhole signs nothing but
// short-lived leafs for names that are being sunk.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Options shape a new authority.
type Options struct {
	Only []string  // domains; when any is given nothing outside them may be signed
	Now  time.Time // when it is made
}

// Create makes a new authority and keeps it in dir as ca.crt and ca.key. The
// folder is made with mode 0700, the key with 0600. An authority that is there
// already is never overwritten: the error is then fs.ErrExist. A failure
// leaves neither file behind.
func Create(dir string, o Options) (*CA, error) {
	for i, name := range o.Only {
		o.Only[i] = strings.ToLower(strings.Trim(name, "."))
		if !hostName(o.Only[i]) {
			return nil, fmt.Errorf("ca: %q is not a domain; write one like example.com", name)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	if err := private(dir); err != nil {
		return nil, err
	}
	for _, name := range []string{keyFile, certFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return nil, fmt.Errorf("ca: %s is there already: %w", filepath.Join(dir, name), fs.ErrExist)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("ca: %w", err)
		}
	}
	ca, err := generate(o)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := writeNew(dir, keyFile, key); err != nil {
		return nil, err
	}
	if err := writeNew(dir, certFile, ca.PEM()); err != nil {
		os.Remove(filepath.Join(dir, keyFile))
		return nil, err
	}
	return ca, nil
}

// generate makes key and self-signed certificate. The name carries a random
// number, so that two gateways can be told apart in a phone's settings, and
// nothing of the machine or its owner.
func generate(o Options) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	id := make([]byte, 4)
	rand.Read(id) // never fails (crypto/rand)
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "nightlatch " + hex.EncodeToString(id), Organization: []string{"nightlatch"}},
		NotBefore:             o.Now.Add(-clockSkew),
		NotAfter:              o.Now.Add(caLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},

		PermittedDNSDomains:         o.Only,
		ExcludedIPRanges:            everyAddress(),
		PermittedDNSDomainsCritical: true, // RFC 5280 §4.2.1.10
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &CA{cert, key}, nil
}

// everyAddress is all of IPv4 and IPv6: names alone may be signed.
func everyAddress() []*net.IPNet {
	return []*net.IPNet{
		{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)},
		{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)},
	}
}

// Load reads the authority that Create kept in dir. The error is
// fs.ErrNotExist when there is none; every other error says which file is
// wrong, how, and what to do. An authority that has expired loads: it can be
// shown and removed, and the sinkhole signs nothing with it.
func Load(dir string) (*CA, error) {
	certPath, keyPath := filepath.Join(dir, certFile), filepath.Join(dir, keyFile)
	certPEM, certErr := readSmall(certPath)
	keyPEM, keyErr := readSmall(keyPath)
	certGone, keyGone := errors.Is(certErr, fs.ErrNotExist), errors.Is(keyErr, fs.ErrNotExist)
	switch {
	case certGone && keyGone:
		return nil, fmt.Errorf("ca: none in %s: %w", dir, fs.ErrNotExist)
	case certGone:
		return nil, fmt.Errorf("ca: %s is there but %s is missing; remove the key to make a new authority", keyPath, certPath)
	case keyGone:
		return nil, fmt.Errorf("ca: %s is there but %s is missing; restore it, or remove the certificate to make a new authority", certPath, keyPath)
	case certErr != nil:
		return nil, fmt.Errorf("ca: %w", certErr)
	case keyErr != nil:
		return nil, fmt.Errorf("ca: %w", keyErr)
	}
	if err := private(keyPath); err != nil {
		return nil, err
	}
	cert, err := parseCert(certPEM)
	if err != nil {
		return nil, fmt.Errorf("ca: %s: %w", certPath, err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("ca: %s: %w", keyPath, err)
	}
	if pub, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || !pub.Equal(key.Public()) {
		return nil, fmt.Errorf("ca: %s does not belong to %s; restore the pair from one backup", keyPath, certPath)
	}
	return &CA{cert, key}, nil
}

// Remove deletes the authority in dir, the key first. The phones that trust
// it must forget it by their own settings. fs.ErrNotExist when there is none.
func Remove(dir string) error {
	found := false
	for _, name := range []string{keyFile, certFile} {
		switch err := os.Remove(filepath.Join(dir, name)); {
		case err == nil:
			found = true
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("ca: %w", err)
		}
	}
	if !found {
		return fmt.Errorf("ca: none in %s: %w", dir, fs.ErrNotExist)
	}
	return nil
}

// PEM is the certificate, without the key, in the form that Android and
// desktops install. The caller may keep the bytes.
func (c *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})
}

// DER is the certificate, without the key, in binary form.
func (c *CA) DER() []byte { return bytes.Clone(c.cert.Raw) }

// Name is the name under which phones list the authority.
func (c *CA) Name() string { return c.cert.Subject.CommonName }

// Fingerprint is the SHA-256 of the certificate in lower-case hex, to compare
// with what a phone shows.
func (c *CA) Fingerprint() string {
	sum := sha256.Sum256(c.cert.Raw)
	return hex.EncodeToString(sum[:])
}

// NotBefore is when the authority begins to be good, a day before it was made.
func (c *CA) NotBefore() time.Time { return c.cert.NotBefore }

// NotAfter is when the authority expires.
func (c *CA) NotAfter() time.Time { return c.cert.NotAfter }

// Only are the domains outside which nothing may be signed; none: any name.
func (c *CA) Only() []string { return slices.Clone(c.cert.PermittedDNSDomains) }

// May tells whether the authority's own constraints let it sign for a name.
func (c *CA) May(name string) bool {
	only := c.cert.PermittedDNSDomains
	return len(only) == 0 || slices.ContainsFunc(only, func(d string) bool {
		return name == d || strings.HasSuffix(name, "."+d)
	})
}

func parseCert(b []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("not a PEM certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	if !cert.IsCA || !cert.BasicConstraintsValid {
		return nil, errors.New("not the certificate of an authority")
	}
	return cert, nil
}

func parseKey(b []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("not a PEM private key")
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := any.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a %T, not an ECDSA key", any)
	}
	return key, nil
}

// private refuses a file or folder that others may read: whoever has the key
// can pretend to be any server to the phones that trust it.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" { // Windows has no such bits
		want := "600"
		if info.IsDir() {
			want = "700"
		}
		return fmt.Errorf("ca: %s is open to others (mode %04o); run: chmod %s %s", path, mode, want, path)
	}
	return nil
}

func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxPEM {
		return nil, fmt.Errorf("%s: not a certificate or key file", path)
	}
	return os.ReadFile(path)
}

// writeNew puts a file in place complete or not at all, and never over
// another: the bytes are on disk under a temporary name before a hard link,
// which fails when the name is taken, gives them their own.
func writeNew(dir, name string, data []byte) (err error) {
	f, err := os.CreateTemp(dir, "."+name+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	path := filepath.Join(dir, name)
	if err = os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		err = exclusive(path, data) // FAT, some Android storage: no hard links
	}
	if err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	return nil
}

// exclusive writes a file that must not exist yet, for file systems without
// hard links. A failure removes it again.
func exclusive(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(path)
	}
	return err
}
