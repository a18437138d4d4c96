package authority

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCAFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home", "ca")
	if _, err := Load(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	now := time.Now()
	made, err := Create(dir, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"": 0o700, keyFile: 0o600, certFile: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want && runtime.GOOS != "windows" {
			t.Errorf("%s: mode %o, want %o", name, got, want)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("files left: %v", left)
	}
	loaded, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Fingerprint() != made.Fingerprint() || !strings.HasPrefix(loaded.Name(), "nightlatch ") || string(loaded.DER()) != string(made.cert.Raw) {
		t.Error("another one was loaded")
	}
	c := loaded.cert
	if !c.IsCA || !c.MaxPathLenZero || c.KeyUsage != x509.KeyUsageCertSign || c.NotBefore.After(now) || c.SerialNumber.BitLen() < 64 ||
		loaded.NotAfter().Sub(now) > 6*365*24*time.Hour {
		t.Errorf("certificate %+v", c)
	}
	host, _ := os.Hostname()
	if host != "" && strings.Contains(c.Subject.String(), host) {
		t.Error("the name tells the host")
	}
	if _, err := Create(dir, Options{Now: now}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created twice: %v", err)
	}
	if again, err := Load(dir); err != nil || again.Fingerprint() != made.Fingerprint() {
		t.Error("overwritten")
	}
	if err := Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := Remove(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed twice: %v", err)
	}
}

func TestCABroken(t *testing.T) {
	other := t.TempDir()
	if err := os.Chmod(other, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(other, Options{Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	put := func(name, text string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
	}
	from := func(name string) string { b, _ := os.ReadFile(filepath.Join(other, name)); return string(b) }
	for _, tt := range []struct {
		name   string
		damage func(dir string) error
		want   string
	}{
		{"no key", func(d string) error { return os.Remove(filepath.Join(d, keyFile)) }, "ca.key is missing"},
		{"no certificate", func(d string) error { return os.Remove(filepath.Join(d, certFile)) }, "ca.crt is missing"},
		{"empty key", put(keyFile, ""), "ca.key: not a PEM private key"},
		{"empty certificate", put(certFile, ""), "ca.crt: not a PEM certificate"},
		{"swapped", put(keyFile, from(certFile)), "ca.key: not a PEM private key"},
		{"foreign key", put(keyFile, from(keyFile)), "does not belong to"},
		{"garbage", put(certFile, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "ca.crt: x509"},
		{"huge", put(certFile, strings.Repeat("x", maxPEM+1)), "not a certificate or key file"},
		{"open key", func(d string) error { return os.Chmod(filepath.Join(d, keyFile), 0o644) }, "chmod 600"},
	} {
		dir := filepath.Join(t.TempDir(), "ca")
		if _, err := Create(dir, Options{Now: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if err := tt.damage(dir); err != nil {
			t.Fatal(err)
		}
		_, err := Load(dir)
		if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	open := t.TempDir()
	os.Chmod(open, 0o755)
	if _, err := Create(open, Options{Now: time.Now()}); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("a folder open to others: %v", err)
	}
}

func TestLeafsAreCachedAndRenewed(t *testing.T) {
	ca, err := generate(Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	m, err := NewMint(ca, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	a, _ := m.Leaf("tracking.miui.com")
	if b, _ := m.Leaf("tracking.miui.com"); a != b {
		t.Error("not cached")
	}
	now = now.Add(leafLife - leafFresh + time.Minute)
	b, err := m.Leaf("tracking.miui.com")
	if err != nil || a == b {
		t.Error("not renewed")
	}
	for i := range maxLeafs + 10 {
		if _, err := m.Leaf(string(rune('a'+i%26)) + strings.Repeat("x", i%60) + "." + "tracking.miui.com"); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.leafs) > maxLeafs {
		t.Errorf("%d leafs", len(m.leafs))
	}
	now = ca.NotAfter().Add(-time.Hour)
	if c, err := m.Leaf("last.example"); err != nil || c.Leaf.NotAfter.After(ca.NotAfter()) {
		t.Errorf("leaf outlives its authority: %v", err)
	}
	now = ca.NotAfter().Add(time.Hour)
	if _, err := m.Leaf("late.example"); err == nil {
		t.Error("an expired authority signs")
	}
	for _, bad := range []string{"", "a", "*.b.example", "a b.example", "a..example", "x\x00.example", strings.Repeat("a", 64) + ".example", "10.0.0.1\n"} {
		if _, err := m.sign(bad, time.Now()); err == nil {
			t.Errorf("%q was signed", bad)
		}
	}
}

// TestOnly: an authority made for some domains signs for no others, and who
// looks at its constraints does not believe it about them.
func TestOnly(t *testing.T) {
	ca, err := Create(filepath.Join(t.TempDir(), "ca"), Options{Only: []string{"Miui.com.", "xiaomi.net"}, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewMint(ca, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.PEM())
	leaf, err := m.Leaf("sa.api.miui.com")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "sa.api.miui.com"}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"bank.example", "notmiui.com", "miui.com.example"} {
		if _, err := m.Leaf(name); err == nil {
			t.Errorf("%s was signed", name)
		}
	}
	if got := ca.Only(); !slices.Equal(got, []string{"miui.com", "xiaomi.net"}) {
		t.Errorf("only %q", got)
	}
	// The same key with nobody to hold it back: the certificate itself says no.
	for _, forged := range []*x509.Certificate{{DNSNames: []string{"bank.example"}}, {IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}} {
		forged.SerialNumber, forged.NotBefore, forged.NotAfter = big.NewInt(7), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, forged, ca.cert, m.key.Public(), ca.key)
		if err != nil {
			t.Fatal(err)
		}
		c, _ := x509.ParseCertificate(der)
		if _, err := c.Verify(x509.VerifyOptions{Roots: roots}); err == nil || !strings.Contains(err.Error(), "constraint") && !strings.Contains(err.Error(), "permitted") && !strings.Contains(err.Error(), "excluded") {
			t.Errorf("%v %v: %v", forged.DNSNames, forged.IPAddresses, err)
		}
	}
	for _, bad := range []string{"", "com", "*.miui.com", "a b.com", "1.2.3.4/8"} {
		if _, err := Create(filepath.Join(t.TempDir(), "ca"), Options{Only: []string{bad}, Now: time.Now()}); err == nil {
			t.Errorf("%q is taken for a domain", bad)
		}
	}
}
