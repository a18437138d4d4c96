package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nightlatch/decoder"
	"nightlatch/journal"
	"nightlatch/tunnel/phone"
)

type foundIn = decoder.Finding

// vector is one payload of the shared manifest.
type vector struct {
	ID       string `json:"id"`
	File     string `json:"file"`
	MustFind []struct {
		Kind  string `json:"kind"`
		Value string `json:"value"`
	} `json:"must_find"`
}

// loadVectors gives the payloads that are HTTP requests, and the known values
// that were planted in them.
func loadVectors(t *testing.T) (requests []vector, known string) {
	t.Helper()
	folder := filepath.Dir(vectors)
	text, err := os.ReadFile(filepath.Join(folder, "manifest.json"))
	if err != nil {
		t.Skip("the shared payload vectors are not here: ", err)
	}
	var m struct {
		Vectors []vector `json:"vectors"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	for _, v := range m.Vectors {
		if strings.HasSuffix(v.File, ".http") {
			v.File = filepath.Join(folder, v.File)
			requests = append(requests, v)
		}
	}
	text, err = os.ReadFile(filepath.Join(folder, "known_values.json"))
	if err != nil {
		t.Fatal(err)
	}
	return requests, string(text)
}

// TestVectors sends every payload the way a phone does: through the tunnel to
// the sunk name it is for. What the decoder finds in the bytes alone must
// stand in the capture that the journal is told of.
func TestVectors(t *testing.T) {
	all, known := loadVectors(t)
	h := newHouse(t, func(dir string) {
		if err := os.WriteFile(filepath.Join(dir, "known.yaml"), []byte(known), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	values, err := decoder.ParseKnown([]byte(known))
	if err != nil {
		t.Fatal(err)
	}
	alone, err := decoder.New(decoder.Options{Known: values})
	if err != nil {
		t.Fatal(err)
	}
	p := h.connect("phone")
	items := 0
	for _, v := range all {
		raw, err := os.ReadFile(v.File)
		if err != nil {
			t.Fatal(err)
		}
		name := v.ID + ".tracking.miui.com"
		h.sendRaw(p, name, raw)
		got := await(h, v.ID, func(c journal.Capture) bool { return c.Name == name })
		direct := alone.Decode(raw)
		for _, m := range v.MustFind {
			has := func(f foundIn) bool { return f.Kind == m.Kind && f.Value == m.Value && f.Confidence >= decoder.Likely }
			if !slices.ContainsFunc(direct.Findings, has) {
				continue // the decoder's own tests say why
			}
			items++
			if !slices.ContainsFunc(got.Result.Findings, has) {
				t.Errorf("%s: %s %q is found in the bytes, but not in the capture", v.ID, m.Kind, m.Value)
			}
		}
	}
	if items < 100 {
		t.Errorf("only %d items of %d payloads were looked for", items, len(all))
	}
	t.Logf("%d items of %d payloads went from the phone to the journal", items, len(all))
	for _, n := range h.net.Dialled() {
		t.Errorf("something left the gateway: %s", n)
	}
}

// sendRaw sends bytes as they are to the sunk name and reads the answer.
func (h *house) sendRaw(p *phone.Phone, name string, raw []byte) {
	h.t.Helper()
	addrs, err := p.Resolver().LookupNetIP(h.ctx, "ip4", name)
	if err != nil {
		h.t.Fatal(name, err)
	}
	c, err := p.DialContext(h.ctx, "tcp", netip.AddrPortFrom(addrs[0].Unmap(), 80).String())
	if err != nil {
		h.t.Fatal(name, err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	go func() { // a server may answer before it has read all
		c.Write(raw)
		if half, ok := c.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		}
	}()
	_, err = io.Copy(io.Discard, c)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		h.t.Errorf("%s: no answer within %s", name, patience)
	}
}
