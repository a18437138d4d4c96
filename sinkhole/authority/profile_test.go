package authority

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMobileConfig(t *testing.T) {
	ca, err := Create(filepath.Join(t.TempDir(), "ca"), Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	p := ca.MobileConfig()
	if !bytes.Equal(p, ca.MobileConfig()) {
		t.Error("not the same each time")
	}
	var data, last string
	types := map[string]bool{}
	d := xml.NewDecoder(bytes.NewReader(p))
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		text, ok := tok.(xml.CharData)
		s := strings.TrimSpace(string(text))
		if !ok || s == "" {
			continue
		}
		switch {
		case last == "PayloadContent":
			data = s
		case last == "PayloadType":
			types[s] = true
		case last == "PayloadUUID" && len(s) != 36:
			t.Errorf("uuid %q", s)
		}
		last = s
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(data), ""))
	if err != nil || !bytes.Equal(der, ca.DER()) {
		t.Errorf("the certificate is not in it: %v", err)
	}
	if !types["Configuration"] || !types["com.apple.security.root"] || bytes.Contains(p, []byte("PRIVATE")) {
		t.Errorf("%v", types)
	}
	if got := ca.FingerprintPairs(); len(got) != 95 || strings.ReplaceAll(strings.ToLower(got), ":", "") != ca.Fingerprint() {
		t.Errorf("%s", got)
	}
}
