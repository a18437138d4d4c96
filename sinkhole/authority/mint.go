package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	// leafLife keeps a leaf far below the 30 days that a stolen one may hurt
	// at most.
	leafLife = 14 * 24 * time.Hour

	// leafFresh is the life a cached leaf must have left to be shown again.
	leafFresh = 24 * time.Hour

	// maxLeafs bounds the cache: a leaf is about 2 KiB, and signing another
	// one takes a fraction of a millisecond.
	maxLeafs = 1024
)

// Mint signs leafs for sunk names with the owner's authority and remembers
// them. One key serves all leafs: it lives as long as the process, in memory
// alone. It is safe for concurrent use.
type Mint struct {
	ca  *CA
	key *ecdsa.PrivateKey
	now func() time.Time

	mu    sync.Mutex
	leafs map[string]*tls.Certificate
}

// NewMint begins to sign with an authority; now is the clock of the leafs.
func NewMint(ca *CA, now func() time.Time) (*Mint, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return &Mint{ca: ca, key: key, now: now, leafs: map[string]*tls.Certificate{}}, nil
}

// Leaf gives a certificate for one name in lower case. Whether the name is one
// that is being sunk is decided before.
func (m *Mint) Leaf(name string) (*tls.Certificate, error) {
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.leafs[name]; c != nil && now.Add(leafFresh).Before(c.Leaf.NotAfter) && now.After(c.Leaf.NotBefore) {
		return c, nil
	}
	c, err := m.sign(name, now)
	if err != nil {
		return nil, err
	}
	if len(m.leafs) >= maxLeafs {
		for old := range m.leafs { // any one: it can be signed again
			delete(m.leafs, old)
			break
		}
	}
	m.leafs[name] = c
	return c, nil
}

// Size is how many leafs are remembered.
func (m *Mint) Size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.leafs)
}

// CA is the authority that signs.
func (m *Mint) CA() *CA { return m.ca }

func (m *Mint) sign(name string, now time.Time) (*tls.Certificate, error) {
	if !hostName(name) {
		return nil, fmt.Errorf("%q is not a host name", name)
	}
	if !m.ca.May(name) {
		return nil, errors.New("our certificate authority was made for other domains")
	}
	if now.After(m.ca.cert.NotAfter) {
		return nil, errors.New("our certificate authority has expired")
	}
	end := now.Add(leafLife)
	if m.ca.cert.NotAfter.Before(end) {
		end = m.ca.cert.NotAfter
	}
	template := &x509.Certificate{ // the serial is random (x509.CreateCertificate)
		DNSNames:              []string{name}, // and no subject: RFC 9525 §2 reads the SAN alone
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              end,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, m.ca.cert, m.key.Public(), m.ca.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: m.key, Leaf: leaf}, nil
}

// hostName tells whether a name can stand in a certificate: LDH labels and
// the underscore that vendors use, at least two of them, no wildcard.
func hostName(name string) bool {
	if len(name) > 253 || !strings.Contains(name, ".") {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}
