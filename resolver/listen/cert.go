package listen

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certEvery is how often the files are looked at.
const certEvery = 10 * time.Second

// Certificate is a certificate with its key, in two PEM files that others
// renew. It is read again when they change; while they cannot be read, the last
// good one goes on being used. It is safe for concurrent use.
type Certificate struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	now     *tls.Certificate
	stamp   [2]stamp
	checked time.Time
}

type stamp struct {
	changed time.Time
	size    int64
}

// LoadCertificate reads the pair. The error says which file is wrong.
func LoadCertificate(cert, key string, log *slog.Logger) (*Certificate, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Certificate{cert: cert, key: key, log: log, checked: time.Now()}
	c.stamp = c.stamps()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("listen: certificate %s with key %s: %w", cert, key, err)
	}
	c.now = &pair
	return c, nil
}

func (c *Certificate) stamps() (out [2]stamp) {
	for i, name := range []string{c.cert, c.key} {
		if info, err := os.Stat(name); err == nil {
			out[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return out
}

// Get is for tls.Config.GetCertificate.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) < certEvery {
		return c.now, nil
	}
	c.checked = time.Now()
	if at := c.stamps(); at != c.stamp {
		pair, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil { // often written half, or only one of the two: it is tried again
			c.log.Warn("listen: the certificate has changed and cannot be read; the one before stays", "file", c.cert, "err", err)
			return c.now, nil
		}
		c.now, c.stamp = &pair, at
		c.log.Info("listen: new certificate", "file", c.cert)
	}
	return c.now, nil
}
