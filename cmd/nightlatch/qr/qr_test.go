package qr

import (
	"bytes"
	"strings"
	"testing"

	"github.com/boombuler/barcode/qr"
)

// conf is as long as the .conf of a device is, with a long endpoint.
var conf = "[Interface]\nPrivateKey = " + strings.Repeat("A", 43) + "=\nAddress = 10.88.0.254/32, fd12:3456:789a::fe/128\nDNS = 10.88.0.1, fd12:3456:789a::1\nMTU = 1280\n\n" +
	"[Peer]\nPublicKey = " + strings.Repeat("B", 43) + "=\nPresharedKey = " + strings.Repeat("C", 43) + "=\nAllowedIPs = 0.0.0.0/0, ::/0\n" +
	"Endpoint = a-long-name-at-home.dynamic.example.net:51820\nPersistentKeepalive = 25\n"

// bitmap reads what was drawn as a camera would: true is dark.
func bitmap(t *testing.T, drawn string) [][]bool {
	t.Helper()
	var out [][]bool
	for line := range strings.Lines(drawn) {
		var top, bottom []bool
		for _, r := range strings.TrimSuffix(line, "\n") {
			switch r {
			case ' ':
				top, bottom = append(top, true), append(bottom, true)
			case '▀':
				top, bottom = append(top, false), append(bottom, true)
			case '▄':
				top, bottom = append(top, true), append(bottom, false)
			case '█':
				top, bottom = append(top, false), append(bottom, false)
			default:
				t.Fatalf("%q is no part of a code", r)
			}
		}
		out = append(out, top, bottom)
	}
	return out
}

func TestPrint(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		level qr.ErrorCorrectionLevel
	}{
		"short":      {"hello", qr.M},
		"an own key": {strings.Replace(conf, strings.Repeat("A", 43)+"=", "-", 1), qr.M},
		"a device":   {conf, qr.L}, // M would need 81 columns
	} {
		text := c.text
		var b bytes.Buffer
		if err := Print(&b, text, false); err != nil {
			t.Fatal(name, err)
		}
		m := bitmap(t, b.String())
		width := len(m[0])
		if width > columns {
			t.Errorf("%s: %d columns", name, width)
		}
		size := width - 2*quiet
		if (size-17)%4 != 0 { // ISO/IEC 18004 §5.3.1: 17 + 4 × version modules
			t.Fatalf("%s: a code has no %d modules", name, size)
		}
		want, err := qr.Encode(text, c.level, qr.Unicode)
		if err != nil || want.Bounds().Dx() != size {
			t.Fatalf("%s: %v, want %d modules, drawn are %d", name, err, want.Bounds().Dx(), size)
		}
		for y := range size {
			for x := range size {
				if r, _, _, _ := want.At(x, y).RGBA(); (r == 0) != m[y+quiet][x+quiet] {
					t.Fatalf("%s: module %d,%d is drawn wrong", name, x, y)
				}
			}
		}
		for i := range width { // the quiet zone is light on every side
			for _, dark := range []bool{m[0][i], m[1][i], m[size+quiet][i], m[i][0], m[i][1], m[i][size+quiet]} {
				if dark {
					t.Fatalf("%s: the border is dark at %d", name, i)
				}
			}
		}
	}
}

// TestFinders looks for the three squares by which a camera finds the code.
func TestFinders(t *testing.T) {
	var b bytes.Buffer
	if err := Print(&b, conf, false); err != nil {
		t.Fatal(err)
	}
	m := bitmap(t, b.String())
	size := len(m[0]) - 2*quiet
	for _, at := range [][2]int{{0, 0}, {size - 7, 0}, {0, size - 7}} {
		for y := range 7 {
			for x := range 7 {
				ring := min(x, y, 6-x, 6-y) // dark border, light ring, dark heart
				if want := ring != 1; m[at[1]+y+quiet][at[0]+x+quiet] != want {
					t.Fatalf("finder at %v is wrong at %d,%d", at, x, y)
				}
			}
		}
	}
}

func TestColour(t *testing.T) {
	var plain, colour bytes.Buffer
	Print(&plain, "hello", false)
	Print(&colour, "hello", true)
	bare := strings.NewReplacer("\x1b[40;97m", "", "\x1b[0m", "").Replace(colour.String())
	if bare != plain.String() || colour.Len() == plain.Len() {
		t.Error("colour changes more than colour")
	}
}

func TestTooLong(t *testing.T) {
	var b bytes.Buffer
	if err := Print(&b, strings.Repeat("x", 4000), false); err == nil || b.Len() > 0 {
		t.Errorf("%v, %d bytes drawn", err, b.Len())
	}
}
