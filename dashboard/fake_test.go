package dashboard

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"nightlatch/blocklists"
	"nightlatch/dashboard/row"
	"nightlatch/decoder"
	"nightlatch/journal"
	"nightlatch/policy"
)

// fakeJournal holds events in memory, newest first, and rings when told to.
type fakeJournal struct {
	mu       sync.Mutex
	queries  []journal.StoredQuery
	flows    []journal.StoredFlow
	captures []journal.StoredCapture
	notices  []journal.StoredNotice
	events   []journal.StoredEvent
	sum      journal.Summary
	err      error
	asked    []journal.Filter
	bells    map[chan journal.Event]bool
}

func choose[T any](j *fakeJournal, all []T, f journal.Filter, id func(T) int64, about func(T) (device, name string, blocked bool)) ([]T, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.asked = append(j.asked, f)
	if j.err != nil {
		return nil, j.err
	}
	limit := f.Limit
	if limit == 0 {
		limit = journal.DefaultLimit
	}
	var out []T
	for _, v := range all {
		device, name, blocked := about(v)
		switch n := id(v); {
		case len(out) == limit, f.Before != 0 && n >= f.Before, n <= f.After,
			f.Device != "" && f.Device != device, f.Blocked && !blocked,
			!strings.Contains(strings.ToLower(name), strings.ToLower(f.NamePart)):
		default:
			out = append(out, v)
		}
	}
	return out, nil
}

func (j *fakeJournal) Queries(_ context.Context, f journal.Filter) ([]journal.StoredQuery, error) {
	return choose(j, j.queries, f, func(q journal.StoredQuery) int64 { return q.ID },
		func(q journal.StoredQuery) (string, string, bool) {
			return q.Device, q.Name, q.Verdict.Action != policy.Pass
		})
}

func (j *fakeJournal) Flows(_ context.Context, f journal.Filter) ([]journal.StoredFlow, error) {
	return choose(j, j.flows, f, func(q journal.StoredFlow) int64 { return q.ID },
		func(q journal.StoredFlow) (string, string, bool) {
			return q.Device, q.Name, q.Verdict.Action != policy.Pass
		})
}

func (j *fakeJournal) Captures(_ context.Context, f journal.Filter) ([]journal.StoredCapture, error) {
	return choose(j, j.captures, f, func(q journal.StoredCapture) int64 { return q.ID },
		func(q journal.StoredCapture) (string, string, bool) { return q.Device, q.Name, true })
}

func (j *fakeJournal) Notices(_ context.Context, f journal.Filter) ([]journal.StoredNotice, error) {
	return choose(j, j.notices, f, func(q journal.StoredNotice) int64 { return q.ID },
		func(q journal.StoredNotice) (string, string, bool) { return q.Device, q.Text, false })
}

func (j *fakeJournal) Events(_ context.Context, f journal.Filter) ([]journal.StoredEvent, error) {
	return choose(j, j.events, f, func(q journal.StoredEvent) int64 { return q.ID },
		func(e journal.StoredEvent) (string, string, bool) {
			device, name, _, _ := row.Subject(e)
			return device, name, true
		})
}

func (j *fakeJournal) Summary(context.Context, time.Time) (journal.Summary, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.sum, j.err
}

func (j *fakeJournal) Stats() journal.Stats {
	return journal.Stats{Recorded: 48210, Written: 48210, Bytes: 9_412_608}
}

func (j *fakeJournal) Subscribe(buffer int) (<-chan journal.Event, func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.bells == nil {
		j.bells = map[chan journal.Event]bool{}
	}
	ch := make(chan journal.Event, buffer)
	j.bells[ch] = true
	return ch, sync.OnceFunc(func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		delete(j.bells, ch)
		close(ch)
	})
}

// ask adds a query as the newest and rings.
func (j *fakeJournal) ask(q journal.StoredQuery) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queries = append([]journal.StoredQuery{q}, j.queries...)
	j.events = append([]journal.StoredEvent{{ID: q.ID, Event: q}}, j.events...)
	for ch := range j.bells {
		select {
		case ch <- q.Query:
		default:
		}
	}
}

func (j *fakeJournal) listeners() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.bells)
}

func sampleRule(list string, line int, text, why string) policy.Verdict {
	return policy.Verdict{Action: policy.Sink, Rule: blocklists.Rule{List: list, Line: line, Text: text, Why: why}}
}

// sample is an ordinary day of two phones, as of now.
func sample(now time.Time) *fakeJournal {
	j := &fakeJournal{}
	mi := sampleRule("xiaomi", 14, "=sa.api.intl.miui.com", "addresses visited, incognito too")
	track := sampleRule("xiaomi", 9, "tracking.intl.miui.com", "screens, app opens and times")
	own := sampleRule("mine", 3, "graph.facebook.com", "")
	id := int64(9000)
	next := func(back time.Duration) (int64, time.Time) { id--; return id, now.Add(-back) }
	query := func(back time.Duration, device, name, typ, rcode, up string, v policy.Verdict) {
		n, at := next(back)
		j.queries = append(j.queries, journal.StoredQuery{ID: n, Query: journal.Query{Time: at, Device: device, Name: name, Type: typ, RCode: rcode, Upstream: up, Verdict: v,
			Network: "udp", Server: netip.MustParseAddrPort("8.8.8.8:53"), Took: 14 * time.Millisecond, Answers: []string{"192.0.2.7"}}})
		j.events = append(j.events, journal.StoredEvent{ID: n, Event: j.queries[len(j.queries)-1]})
	}
	flow := func(back time.Duration, device, proto, dst, name string, v policy.Verdict, up, down int64) {
		n, at := next(back)
		j.flows = append(j.flows, journal.StoredFlow{ID: n, Flow: journal.Flow{Time: at, Device: device, Proto: proto, Dst: netip.MustParseAddrPort(dst), Name: name, Verdict: v, Up: up, Down: down}})
		j.events = append(j.events, journal.StoredEvent{ID: n, Event: j.flows[len(j.flows)-1]})
	}
	capture := func(back time.Duration, device, name string, size int64, layers []decoder.Layer, found ...journal.StoredFinding) {
		n, at := next(back)
		j.captures = append(j.captures, journal.StoredCapture{ID: n, Capture: journal.Capture{Time: at, Device: device, Name: name, Scheme: "http", Method: "POST",
			Path: "/sa?project=production", ContentType: "application/x-www-form-urlencoded", UserAgent: "Dalvik/2.1.0 (Linux; U; Android 10; Redmi Note 8)", Size: size,
			Result: decoder.Result{Verdict: "leak", Layers: layers}}, Findings: found})
		j.events = append(j.events, journal.StoredEvent{ID: n, Event: j.captures[len(j.captures)-1]})
	}
	const p = "body/form:data_list/base64/gzip"
	sensors := []decoder.Layer{{Codec: "form", Path: "body/form:data_list"}, {Codec: "base64", Path: "body/form:data_list/base64"}, {Codec: "gzip", Path: p}, {Codec: "json", Path: p + "/json"}}
	chain := []string{"form", "base64", "gzip", "json"}
	f := func(kind, value, at, conf string) journal.StoredFinding {
		return journal.StoredFinding{Kind: kind, Value: value, Path: p + "/json:" + at, Chain: chain, Confidence: conf}
	}
	pass := policy.Verdict{}
	query(2*time.Second, "redmi", "en.m.wikipedia.org", "A", "NOERROR", "https://dns.quad9.net/dns-query#9.9.9.9", pass)
	capture(3*time.Second, "redmi", "sa.api.intl.miui.com", 2114, sensors, f("url", "https://en.m.wiki…/wiki/Insom…", "/0/properties/$url", "proved"),
		f("search_query", "how to s…", "/1/properties/keyword", "proved"), f("android_id", "3f1c…8046", "/0/distinct_id", "proved"),
		f("model", "Redmi…", "/0/properties/$model", "likely"), f("gaid", "c7d0…3c4d", "/0/properties/gaid", "likely"), f("serial", "1a…9f", "/0/x", "possible"))
	query(4*time.Second, "redmi", "sa.api.intl.miui.com", "A", "NOERROR", "", mi)
	flow(5*time.Second, "redmi", "tcp", "8.8.8.8:853", "", policy.Verdict{Action: policy.Deny, Reason: "DNS over TLS"}, 0, 0)
	query(9*time.Second, "galaxy", "i.instagram.com", "HTTPS", "NOERROR", "cache", pass)
	query(14*time.Second, "redmi", "tracking.intl.miui.com", "A", "NOERROR", "", track)
	capture(16*time.Second, "redmi", "tracking.intl.miui.com", 811, []decoder.Layer{{Codec: "json", Path: "body/json"}},
		journal.StoredFinding{Kind: "oaid", Value: "9b2e…77d1", Path: "body/json:/oaid", Chain: []string{"json"}, Confidence: "proved"},
		journal.StoredFinding{Kind: "imei", Value: "4901…7518", Path: "body/json:/imei_plain", Chain: []string{"json"}, Confidence: "likely"})
	flow(21*time.Second, "redmi", "tcp", "151.101.1.140:443", "en.m.wikipedia.org", pass, 18_400, 1_240_900)
	flow(30*time.Second, "galaxy", "udp", "203.0.113.80:443", "", pass, 3_100, 9_800)
	query(41*time.Second, "galaxy", "graph.facebook.com", "A", "NOERROR", "", own)
	query(58*time.Second, "galaxy", "wpad.lan", "A", "NXDOMAIN", "https://dns.quad9.net/dns-query#9.9.9.9", pass)
	query(66*time.Second, "redmi", "time.android.com", "AAAA", "SERVFAIL", "https://dns.quad9.net/dns-query#9.9.9.9", pass)
	for i, text := range []string{"list hagezi-pro was last refreshed 9 days ago: its server answers 404", "the iPad has not renewed its session since Friday", "policy reloaded: 2 lists, 412 rules"} {
		n, at := next(time.Duration(20*(i+1)) * time.Minute)
		j.notices = append(j.notices, journal.StoredNotice{ID: n, Notice: journal.Notice{Time: at, Level: []journal.Level{journal.Warn, journal.Info, journal.Info}[i], Room: []string{"blocklists", "tunnel", "policy"}[i], Text: text}})
	}
	j.sum = sampleSummary(now)
	return j
}

func sampleSummary(now time.Time) journal.Summary {
	s := journal.Summary{
		Total: journal.DeviceSummary{Queries: 4812, BlockedQueries: 1204, Flows: 932, BlockedFlows: 61, Captures: 118, Findings: 307, Up: 41_200_000, Down: 1_910_000_000},
		Devices: []journal.DeviceSummary{{Device: "redmi", Queries: 3120, BlockedQueries: 1066, Findings: 298, Flows: 540},
			{Device: "galaxy", Queries: 1692, BlockedQueries: 138, Findings: 9, Flows: 392}},
		Blocked: []journal.BlockedName{
			{Name: "sa.api.intl.miui.com", List: "xiaomi", Line: 14, Rule: "=sa.api.intl.miui.com", Owner: "Xiaomi", Count: 511, Devices: 1},
			{Name: "tracking.intl.miui.com", List: "xiaomi", Line: 9, Rule: "tracking.intl.miui.com", Owner: "Xiaomi", Count: 388, Devices: 1},
			{Name: "graph.facebook.com", List: "mine", Line: 3, Rule: "graph.facebook.com", Count: 131, Devices: 2},
			{Name: "samsung-directory.edge.hiyaapi.com", List: "samsung", Line: 41, Rule: "hiyaapi.com", Owner: "Samsung", Count: 77, Devices: 1},
			{Name: "use-application-dns.net", Reason: "keeps browsers from going around", Count: 12, Devices: 2}},
	}
	leak := func(kind, name, conf string, n int64) {
		s.Leaks = append(s.Leaks, journal.FindingSummary{Kind: kind, Name: name, Owner: "Xiaomi", Device: "redmi", Confidence: conf, Count: n, Last: now.Add(-time.Minute)})
	}
	leak("url", "sa.api.intl.miui.com", "proved", 141)
	leak("android_id", "sa.api.intl.miui.com", "proved", 96)
	leak("search_query", "sa.api.intl.miui.com", "proved", 22)
	leak("oaid", "tracking.intl.miui.com", "proved", 31)
	leak("imei", "tracking.intl.miui.com", "likely", 9)
	leak("serial", "sa.api.intl.miui.com", "possible", 8)
	for i, n := range []int64{31, 12, 8, 6, 5, 9, 40, 180, 260, 221, 190, 205, 310, 280, 190, 170, 240, 300, 420, 512, 470, 381, 260, 112} {
		s.Hours = append(s.Hours, journal.Hour{Start: now.Truncate(time.Hour).Add(-time.Duration(23-i) * time.Hour), Queries: n, BlockedQueries: n * int64(18+i%7*4) / 100})
	}
	return s
}

func sampleStatus(now time.Time) Status {
	return Status{Version: "0.1.0", Started: now.Add(-51 * time.Hour),
		Devices: []Device{
			{Name: "galaxy", Addrs: []netip.Addr{netip.MustParseAddr("10.66.0.3")}, Endpoint: netip.MustParseAddrPort("198.51.100.23:41022"), Handshake: now.Add(-41 * time.Minute), Rx: 9_100_000, Tx: 310_000_000},
			{Name: "redmi", Addrs: []netip.Addr{netip.MustParseAddr("10.66.0.2"), netip.MustParseAddr("fd66::2")}, Endpoint: netip.MustParseAddrPort("192.168.1.31:51122"), Handshake: now.Add(-48 * time.Second), Rx: 32_000_000, Tx: 1_600_000_000, Flows: 7},
			{Name: "ipad"}},
		Upstreams: []Upstream{{Name: "https://dns.quad9.net/dns-query", Healthy: true, Latency: 19 * time.Millisecond}, {Name: "tls://one.one.one.one", Untried: true}},
		Lists:     []List{{Name: "xiaomi", Title: "Xiaomi telemetry", Owner: "Xiaomi", Rules: 61}, {Name: "samsung", Owner: "Samsung", Rules: 48}, {Name: "mine", Own: true, Rules: 4}},
		Listen:    []string{"udp 0.0.0.0:51820", "http 127.0.0.1:8080", "http 10.66.0.1"}}
}
