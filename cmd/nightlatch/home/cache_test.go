package home

import (
	"os"
	"testing"

	"nightlatch/policy"
)

// TestKeepCache: where answers are kept, and that what was kept is gone when
// nothing is to be.
func TestKeepCache(t *testing.T) {
	h := household(t, nil)
	head := "tunnel: {endpoint: \"127.0.0.1:51820\", network6: \"fd00:88::/64\"}\n"
	s := load(t, h)
	file, err := s.CacheFile()
	if err != nil || file == "" {
		t.Fatal(file, err)
	}
	if err := os.WriteFile(file, []byte("names"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, h, map[string]string{"nightlatch.yaml": head + "dns: {keep_cache: false}\n"})
	if s, err = s.Again(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time nothing is there
		if f, err := s.CacheFile(); err != nil || f != "" {
			t.Error(f, err)
		}
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Error("what was kept is still there:", err)
	}
}

// TestECH: the wish reaches the policy, key by key like all of them.
func TestECH(t *testing.T) {
	h := household(t, nil)
	head := "tunnel: {endpoint: \"127.0.0.1:51820\", network6: \"fd00:88::/64\"}\n"
	write(t, h, map[string]string{"nightlatch.yaml": head + "policy: {ech: strip}\ndevices: {anna: {ech: keep}}\n"})
	p, err := load(t, h).Policy()
	if err != nil {
		t.Fatal(err)
	}
	for device, want := range map[string]bool{"anna": false, "ben": true} {
		if got := p.StripsECH(policy.Device{Name: device}); got != want {
			t.Errorf("%s: %v", device, got)
		}
	}
}
