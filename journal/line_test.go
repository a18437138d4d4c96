package journal

import (
	"encoding/json"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nightlatch/blocklists"
	"nightlatch/decoder"
	"nightlatch/policy"
)

// local writes the first column: lines show the reader's time.
func local(at time.Time) string { return at.Local().Format(time.TimeOnly) }

func TestLine(t *testing.T) {
	hostile := blockedQuery()
	hostile.Name, hostile.Device, hostile.Through = "a\x1b[2Jb\n\u202eevil", "phone\r", ""
	capture := sampleCapture()
	capture.Path, capture.Repeats = "/track", 0
	capture.Result.Findings = append(capture.Result.Findings, capture.Result.Findings[1])
	refused := Capture{Time: day(10, 4), Device: "redmi", Name: "x.example", Scheme: "tls", TLS: &TLS{Outcome: "refused our certificate"}}
	icmp := Flow{Time: day(10, 2), Device: "redmi", Proto: "icmp", Dst: netip.MustParseAddrPort("192.0.2.1:0")}
	allowed := sampleQuery()
	allowed.Verdict.Rule = blocklists.Rule{List: "mine", Line: 3, Allow: true}
	missing := sampleQuery()
	missing.RCode = "NXDOMAIN"
	for _, c := range []struct {
		e    Event
		want string
	}{
		{sampleQuery(), "  redmi         ask   A       www.example.org                               pass"},
		{missing, "  redmi         ask   A       www.example.org                               pass  NXDOMAIN"},
		{allowed, "  redmi         ask   A       www.example.org                               pass  mine:3 (allowed)"},
		{blockedQuery(), "  redmi         ask   AAAA    tracking.miui.com (alias of cname.tracking.example)  sink  xiaomi:12"},
		{hostile, `  phone\r       ask   AAAA    a\x1b[2Jb\n\u202eevil                         sink  xiaomi:12`},
		{sampleFlow(), "  tablet        flow  tcp     www.example.org:443 (up 1.5 kB, down 200 kB)  pass  connection reset"},
		{deniedFlow(), "  redmi         flow  tcp     [2001:4860:4860::8888]:853                    deny  DNS over TLS"},
		{icmp, "  redmi         flow  icmp    192.0.2.1                                     pass"},
		{capture, "  redmi         got   https   POST tracking.miui.com/track 2.1 kB           leak  android_id, url x2"},
		{refused, "  redmi         got   tls     x.example                                     refused our certificate"},
		{sampleNotice(), "  redmi         note  warn    blocklists: list xiaomi could not be read; the old one stays"},
	} {
		at := reflect.ValueOf(c.e).FieldByName("Time").Interface().(time.Time)
		if got := Line(c.e); got != local(at)+c.want {
			t.Errorf("line\n%s\nwant\n%s", got, local(at)+c.want)
		}
	}
}

// TestStoredPrintsAsLive: what `log` prints is what `up` printed.
func TestStoredPrintsAsLive(t *testing.T) {
	j := start(t, func(o *Options) { o.Mask = true })
	live, cancel := j.Subscribe(100)
	defer cancel()
	put(t, j, all()...)
	stored, err := j.Events(t.Context(), Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range slices.Backward(stored) {
		l := <-live
		if a, b := Line(l), Line(s.Event); a != b {
			t.Errorf("live   %s\nstored %s", a, b)
		}
		a, b := decoded(t, l), decoded(t, s.Event)
		if id, ok := b["id"].(float64); !ok || int64(id) != s.ID {
			t.Errorf("stored id %v, want %d", b["id"], s.ID)
		}
		delete(b, "id")
		if !reflect.DeepEqual(a, b) {
			t.Errorf("live   %v\nstored %v", a, b)
		}
	}
}

func decoded(t *testing.T, e Event) map[string]any {
	t.Helper()
	text, err := JSON(e)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

func TestJSONKeys(t *testing.T) {
	for _, c := range []struct {
		e    Event
		want string
	}{
		{blockedQuery(), "answers device kind name network rcode server through time took_us type verdict"},
		{sampleFlow(), "device down_bytes dst error exact kind known name proto src sure time took_us up_bytes verdict"},
		{sampleCapture(), "content_type device dst findings flags kind layers method name path repeats scheme size_bytes time tls user_agent verdict"},
		{sampleNotice(), "device kind level room text time"},
	} {
		if got := strings.Join(slices.Sorted(maps.Keys(decoded(t, c.e))), " "); got != c.want {
			t.Errorf("keys %s, want %s", got, c.want)
		}
	}
	text, err := JSON(sampleCapture())
	if err != nil || strings.Contains(string(text), "raw") || strings.Contains(string(text), "Sample") {
		t.Errorf("%s %v", text, err)
	}
	if _, err := JSON(nil); err == nil {
		t.Error("nil is no event")
	}
}

func TestLiveIsMaskedWhenAsked(t *testing.T) {
	for _, mask := range []bool{true, false} {
		j := start(t, func(o *Options) { o.Mask = mask; o.KeepSamples = true })
		live, cancel := j.Subscribe(1)
		j.Record(sampleCapture())
		c := (<-live).(Capture)
		cancel()
		text, err := JSON(c)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(text), secretID); got == mask {
			t.Errorf("mask %v: %s", mask, text)
		}
		if mask && (c.Sample != nil || c.Result.Layers[1].Data != nil) {
			t.Error("the payload went to live readers")
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("tracking.miui.com", "redmi", "A", "xiaomi", 3)
	f.Add("\x1b]0;owned\a", "\u202e", "\r\n", "\u009b31m", -1)
	f.Add("a\x00b\xff", "", "🙂", "\\", 1<<31)
	f.Fuzz(func(t *testing.T, name, device, typ, list string, n int) {
		v := policy.Verdict{Action: policy.Action(n), Rule: blocklists.Rule{List: list, Line: n}, Reason: typ}
		for _, e := range []Event{
			Query{Device: device, Name: name, Type: typ, Verdict: v, RCode: list, Through: list},
			Flow{Device: device, Name: name, Proto: typ, Verdict: v, Err: list, Up: int64(n)},
			Capture{Device: device, Name: name, Scheme: typ, Path: list, Method: typ, Size: int64(n),
				TLS: &TLS{SNI: name, Outcome: list}, Result: decoder.Result{Findings: []decoder.Finding{{Kind: name, Value: name}}}},
			Notice{Device: device, Text: name, Room: list, Level: Level(n)},
		} {
			line := Line(e)
			for _, r := range line {
				if !strconv.IsPrint(r) {
					t.Fatalf("%U in %q", r, line)
				}
			}
			text, err := JSON(e)
			if err != nil || !json.Valid(text) {
				t.Fatalf("%s: %v", text, err)
			}
			for _, r := range string(text) {
				if !strconv.IsPrint(r) {
					t.Fatalf("%U in %s", r, text)
				}
			}
		}
	})
}
