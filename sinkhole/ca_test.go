package sinkhole

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestCAFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home", "ca")
	if _, err := LoadCA(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	now := time.Now()
	made, err := CreateCA(dir, now)
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
	loaded, err := LoadCA(dir)
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
	if _, err := CreateCA(dir, now); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created twice: %v", err)
	}
	if again, err := LoadCA(dir); err != nil || again.Fingerprint() != made.Fingerprint() {
		t.Error("overwritten")
	}
	if err := RemoveCA(dir); err != nil {
		t.Fatal(err)
	}
	if err := RemoveCA(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed twice: %v", err)
	}
}

func TestCABroken(t *testing.T) {
	other := t.TempDir()
	if err := os.Chmod(other, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateCA(other, time.Now()); err != nil {
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
		if _, err := CreateCA(dir, time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := tt.damage(dir); err != nil {
			t.Fatal(err)
		}
		_, err := LoadCA(dir)
		if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	open := t.TempDir()
	os.Chmod(open, 0o755)
	if _, err := CreateCA(open, time.Now()); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("a folder open to others: %v", err)
	}
}
