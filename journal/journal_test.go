package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"nightlatch/blocklists"
	"nightlatch/decoder"
	"nightlatch/policy"
)

// start opens a journal in a new folder; the test writes by Flush.
func start(t *testing.T, change ...func(*Options)) *Journal {
	t.Helper()
	o := Options{Path: filepath.Join(t.TempDir(), "journal.db"), Driver: "sqlite"}
	for _, c := range change {
		c(&o)
	}
	return open(t, o)
}

func open(t *testing.T, o Options) *Journal {
	t.Helper()
	j, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func put(t *testing.T, j *Journal, events ...Event) {
	t.Helper()
	for _, e := range events {
		j.Record(e)
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func day(h, m int) time.Time { return time.Date(2026, 11, 22, h, m, 0, 0, time.UTC) }

func xiaomi(line int) policy.Verdict {
	return policy.Verdict{Action: policy.Sink, Rule: blocklists.Rule{
		List: "xiaomi", Line: line, Text: "tracking.miui.com", Domain: "tracking.miui.com",
		Category: "analytics", Why: "usage events", Breaks: "nothing known", Source: "hagezi#299",
		Match: blocklists.Exact, Action: blocklists.ActionSink,
		Answer: netip.MustParseAddr("0.0.0.0"),
	}}
}

func sampleQuery() Query {
	return Query{
		Time: day(10, 0), Device: "redmi", Name: "www.example.org", Type: "A",
		Server: netip.MustParseAddrPort("8.8.8.8:53"), Network: "udp", RCode: "NOERROR",
		Answers: []string{"edge.example.net", "192.0.2.7", "192.0.2.8"}, Upstream: "https://dns.quad9.net/dns-query",
		Took: 12345 * time.Microsecond,
	}
}

func blockedQuery() Query {
	return Query{
		Time: day(10, 1), Device: "redmi", Name: "tracking.miui.com", Type: "AAAA",
		Server: netip.MustParseAddrPort("[2001:db8::1]:53"), Network: "tcp", Verdict: xiaomi(12),
		Through: "cname.tracking.example", RCode: "NXDOMAIN",
	}
}

func sampleFlow() Flow {
	return Flow{
		Time: day(10, 2), Device: "tablet", Proto: "tcp",
		Src: netip.MustParseAddrPort("10.9.0.2:40000"), Dst: netip.MustParseAddrPort("192.0.2.7:443"),
		Name: "www.example.org", Exact: true, Known: KnownExact, Up: 1500, Down: 200000, Took: 3 * time.Second, Err: "connection reset",
	}
}

func deniedFlow() Flow {
	return Flow{
		Time: day(10, 3), Device: "redmi", Proto: "tcp",
		Src: netip.MustParseAddrPort("[fd00::2]:40001"), Dst: netip.MustParseAddrPort("[2001:4860:4860::8888]:853"),
		Verdict: policy.Verdict{Action: policy.Deny, Reason: "DNS over TLS"},
	}
}

const secretID = "9774d56d682e549c"

func sampleCapture() Capture {
	return Capture{
		Time: day(10, 4), Device: "redmi", Name: "tracking.miui.com", Dst: netip.MustParseAddrPort("198.18.0.5:443"),
		Scheme: "https", Method: "POST", Path: "/track/v1/" + secretID + "?imei=862345678901234&v=2",
		ContentType: "application/x-www-form-urlencoded", UserAgent: "MintBrowser/3.4 (" + secretID + ")",
		TLS:  &TLS{SNI: "tracking.miui.com", ALPN: []string{"h2", "http/1.1"}, Version: "TLS 1.3", JA4: "t13d1516h2", Outcome: "read"},
		Size: 2100, Repeats: 4, Sample: []byte("data=raw " + secretID),
		Result: decoder.Result{
			Verdict: "leak", Flags: []string{"truncated"},
			Layers: []decoder.Layer{
				{Codec: "form", Path: "body/form:data", Data: []byte("secret")},
				{Codec: "base64", Path: "body/form:data/base64", Data: []byte(secretID)},
			},
			Findings: []decoder.Finding{
				{Kind: "android_id", Value: secretID, Path: "body/form:data/base64", Chain: []string{"form", "base64"}, Confidence: decoder.Likely},
				{Kind: "url", Value: "https://secret.example.org/private/page", Path: "body/form:u", Chain: []string{"form"}, Confidence: decoder.Proved},
			},
		},
	}
}

func sampleNotice() Notice {
	return Notice{Time: day(10, 5), Level: Warn, Room: "blocklists", Device: "redmi", Text: "list xiaomi could not be read; the old one stays"}
}

func all() []Event {
	return []Event{sampleQuery(), blockedQuery(), sampleFlow(), deniedFlow(), sampleCapture(), sampleNotice()}
}

func TestWhatIsWrittenComesBack(t *testing.T) {
	j := start(t)
	put(t, j, all()...)
	ctx := t.Context()

	q, err := j.Queries(ctx, Filter{})
	if err != nil || len(q) != 2 {
		t.Fatalf("queries: %v %v", q, err)
	}
	if !reflect.DeepEqual(q[1].Query, sampleQuery()) || !reflect.DeepEqual(q[0].Query, blockedQuery()) {
		t.Errorf("queries differ:\n%+v\n%+v", q[1].Query, q[0].Query)
	}
	f, err := j.Flows(ctx, Filter{})
	if err != nil || len(f) != 2 {
		t.Fatalf("flows: %v %v", f, err)
	}
	if !reflect.DeepEqual(f[1].Flow, sampleFlow()) || !reflect.DeepEqual(f[0].Flow, deniedFlow()) {
		t.Errorf("flows differ:\n%+v\n%+v", f[1].Flow, f[0].Flow)
	}
	n, err := j.Notices(ctx, Filter{})
	if err != nil || len(n) != 1 || n[0].Notice != sampleNotice() {
		t.Errorf("notices: %+v %v", n, err)
	}
	c, err := j.Captures(ctx, Filter{})
	if err != nil || len(c) != 1 {
		t.Fatalf("captures: %v %v", c, err)
	}
	checkCapture(t, c[0])
}

func checkCapture(t *testing.T, got StoredCapture) {
	t.Helper()
	want := sampleCapture()
	if got.Name != want.Name || got.Dst != want.Dst || got.Scheme != want.Scheme || got.Size != want.Size || got.Repeats != want.Repeats ||
		!reflect.DeepEqual(got.TLS, want.TLS) || !reflect.DeepEqual(got.Result.Flags, want.Result.Flags) || got.Result.Verdict != "leak" {
		t.Errorf("capture differs: %+v", got)
	}
	if got.Sample != nil {
		t.Errorf("a sample was kept: %q", got.Sample)
	}
	if len(got.Findings) != 2 || len(got.Result.Findings) != 2 || got.Findings[0].Kind != "android_id" ||
		!slices.Equal(got.Findings[0].Chain, []string{"form", "base64"}) || got.Findings[1].Confidence != "proved" {
		t.Errorf("findings: %+v", got.Findings)
	}
	if len(got.Result.Layers) != 2 || got.Result.Layers[1].Path != "body/form:data/base64" || got.Result.Layers[1].Data != nil {
		t.Errorf("layers: %+v", got.Result.Layers)
	}
	if want := decoder.Mask(want.Result.Findings[0]); got.Findings[0].Value != want {
		t.Errorf("value %q, want %q", got.Findings[0].Value, want)
	}
}

// TestSecretsAreNotInTheFile looks at the bytes on the disk.
func TestSecretsAreNotInTheFile(t *testing.T) {
	for _, samples := range []bool{false, true} {
		j := start(t, func(o *Options) { o.KeepSamples = samples })
		put(t, j, all()...)
		for _, secret := range []string{secretID, "secret.example.org/private", "862345678901234"} {
			if got := onDisk(t, j.o.Path, secret); got != (samples && secret == secretID) {
				t.Errorf("samples %v: %q on the disk: %v", samples, secret, got)
			}
		}
	}
}

// onDisk says whether the file or its log holds the text.
func onDisk(t *testing.T, path, text string) bool {
	t.Helper()
	found := false
	for _, p := range []string{path, path + "-wal"} {
		b, err := os.ReadFile(p)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		found = found || strings.Contains(string(b), text)
	}
	return found
}

func TestFilters(t *testing.T) {
	j := start(t)
	put(t, j, all()...)
	for _, c := range []struct {
		name string
		f    Filter
		want string // kinds of the events found, newest first
	}{
		{"everything", Filter{}, "notice capture flow flow query query"},
		{"device", Filter{Device: "tablet"}, "flow"},
		{"unknown device", Filter{Device: "nokia"}, ""},
		{"device is not a pattern", Filter{Device: "red"}, ""},
		{"name part", Filter{NamePart: "MIUI"}, "capture query"},
		{"uncloaked name", Filter{NamePart: "cname.tracking"}, "query"},
		{"address part", Filter{NamePart: "4860::8888"}, "flow"},
		{"no pattern either", Filter{NamePart: "%"}, ""},
		{"blocked", Filter{Blocked: true}, "capture flow query"},
		{"kind", Filter{Kind: KindFlow}, "flow flow"},
		{"unknown kind", Filter{Kind: "x"}, ""},
		{"qtype", Filter{Type: "aaaa"}, "query"},
		{"proto", Filter{Type: "TCP"}, "flow flow"},
		{"level", Filter{Type: "warn"}, "notice"},
		{"list", Filter{List: "xiaomi"}, "capture query"},
		{"unknown list", Filter{List: "samsung"}, ""},
		{"finding", Filter{Finding: "android_id"}, "capture"},
		{"unknown finding", Filter{Finding: "iban"}, ""},
		{"since", Filter{Since: day(10, 4)}, "notice capture"},
		{"until", Filter{Until: day(10, 1)}, "query"},
		{"window", Filter{Since: day(10, 1), Until: day(10, 3)}, "flow query"},
		{"empty window", Filter{Since: day(11, 1)}, ""},
		{"limit", Filter{Limit: 2}, "notice capture"},
		{"before", Filter{Before: 3}, "query query"},
		{"after", Filter{After: 5}, "notice"},
		{"several", Filter{Device: "redmi", Blocked: true, Type: "AAAA", List: "xiaomi", NamePart: "miui", Since: day(9, 0)}, "query"},
		{"injection", Filter{Device: "' OR 1=1 --", NamePart: "\") OR 1=1"}, ""},
	} {
		got, err := j.Events(t.Context(), c.f)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		kinds := make([]string, len(got))
		for i, e := range got {
			kinds[i] = kindOfEvent(e.Event)
		}
		if s := strings.Join(kinds, " "); s != c.want {
			t.Errorf("%s: got %q, want %q", c.name, s, c.want)
		}
	}
}

func kindOfEvent(e Event) string {
	switch e.(type) {
	case StoredQuery:
		return KindQuery
	case StoredFlow:
		return KindFlow
	case StoredCapture:
		return KindCapture
	}
	return KindNotice
}

// TestPagesAreWhole walks many rows by cursor.
func TestPagesAreWhole(t *testing.T) {
	j := start(t)
	const n = 3500
	for i := range n {
		q := sampleQuery()
		q.Name = fmt.Sprintf("n%d.example", i%7)
		q.Time = day(0, 0).Add(time.Duration(i) * 100 * time.Millisecond)
		q.Answers = []string{fmt.Sprint(i)} // or it were a repeat
		j.Record(q)
	}
	put(t, j)
	for _, c := range []struct {
		f    Filter
		want int
	}{
		{Filter{}, n},
		{Filter{Device: "redmi"}, n},
		{Filter{NamePart: "n3."}, n / 7},
		{Filter{Since: day(0, 0).Add(time.Second), Until: day(0, 0).Add(time.Minute)}, 590},
	} {
		c.f.Limit = 499
		seen, last := 0, int64(0)
		for {
			page, err := j.Queries(t.Context(), c.f)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, q := range page {
				if last != 0 && q.ID >= last {
					t.Fatalf("%+v: id %d after %d", c.f, q.ID, last)
				}
				last = q.ID
			}
			seen += len(page)
			c.f.Before = last
		}
		if seen != c.want {
			t.Errorf("%+v: %d rows, want %d", c.f, seen, c.want)
		}
	}
}

func TestSummary(t *testing.T) {
	j := start(t, func(o *Options) {
		o.OwnerOf = func(l string) string { return map[string]string{"xiaomi": "Xiaomi"}[l] }
	})
	put(t, j, all()...)
	late := blockedQuery()
	late.Time = day(12, 30)
	put(t, j, late)

	s, err := j.Summary(t.Context(), day(9, 0))
	if err != nil {
		t.Fatal(err)
	}
	want := DeviceSummary{Device: "redmi", Queries: 3, BlockedQueries: 2, Flows: 1, BlockedFlows: 1, Captures: 1, Findings: 2, LastSeen: day(12, 30)}
	if len(s.Devices) != 2 || s.Devices[0] != want {
		t.Errorf("devices: %+v", s.Devices)
	}
	if s.Total.Queries != 3 || s.Total.Flows != 2 || s.Total.Down != 200000 || s.Devices[1].LastSeen != day(10, 2).Add(3*time.Second) {
		t.Errorf("total: %+v", s.Total)
	}
	if len(s.Blocked) != 1 || s.Blocked[0].Name != "tracking.miui.com" || s.Blocked[0].Count != 2 || s.Blocked[0].Owner != "Xiaomi" ||
		s.Blocked[0].List != "xiaomi" || s.Blocked[0].Line != 12 || s.Blocked[0].Devices != 1 || !s.Blocked[0].Last.Equal(day(12, 30)) {
		t.Errorf("blocked: %+v", s.Blocked)
	}
	if len(s.Leaks) != 2 || s.Leaks[0].Kind != "android_id" || s.Leaks[0].Owner != "Xiaomi" || s.Leaks[1].Confidence != "proved" {
		t.Errorf("leaks: %+v", s.Leaks)
	}
	if len(s.Hours) != 2 || !s.Hours[0].Start.Equal(day(10, 0)) || s.Hours[0].Queries != 2 || s.Hours[1].BlockedQueries != 1 || s.Hours[0].Captures != 1 {
		t.Errorf("hours: %+v", s.Hours)
	}
	part, err := j.Summary(t.Context(), day(10, 1)) // in the middle of an hour: counted exactly
	if err != nil || part.Total.Queries != 2 || part.Total.BlockedQueries != 2 || part.Total.Flows != 2 {
		t.Errorf("part of an hour: %+v %v", part.Total, err)
	}
	ever, err := j.Summary(t.Context(), time.Time{})
	if err != nil || ever.Total.Queries != 3 {
		t.Errorf("ever: %+v %v", ever.Total, err)
	}
}

func TestReopenGoesOn(t *testing.T) {
	j := start(t)
	put(t, j, all()...)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, j.o)
	put(t, again, sampleQuery())
	q, err := again.Queries(t.Context(), Filter{})
	if err != nil || len(q) != 3 || q[0].ID != 7 {
		t.Errorf("%d queries, newest id %d, %v", len(q), q[0].ID, err)
	}
}

func TestReadOnlyBesideAWriter(t *testing.T) {
	j := start(t)
	put(t, j, all()...)
	r, err := OpenReadOnly(t.Context(), j.o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	put(t, j, sampleQuery())
	q, err := r.Queries(t.Context(), Filter{})
	if err != nil || len(q) != 3 {
		t.Errorf("%d queries, %v", len(q), err)
	}
	r.Record(sampleQuery())
	if st := r.Stats(); st.Lost != 1 || st.Recorded != 1 {
		t.Errorf("%+v", st)
	}
	if _, err := r.Forget(t.Context(), "", time.Time{}, time.Time{}); err == nil {
		t.Error("a reader may forget")
	}
	if _, err := OpenReadOnly(t.Context(), Options{Path: filepath.Join(t.TempDir(), "none.db"), Driver: "sqlite"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestFollow(t *testing.T) {
	j := start(t)
	put(t, j, sampleQuery())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var got []string
	put(t, j, blockedQuery(), sampleFlow(), sampleNotice())
	err := j.Follow(ctx, Filter{Device: "redmi", After: 1}, time.Millisecond, func(e StoredEvent) error {
		got = append(got, kindOfEvent(e.Event))
		if len(got) == 2 {
			cancel()
		}
		return nil
	})
	if err != nil || !slices.Equal(got, []string{"query", "notice"}) {
		t.Errorf("followed %v, %v", got, err)
	}
}
