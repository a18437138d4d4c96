package listtest

import (
	"strings"
	"testing"

	"nightlatch/blocklists"
)

// sibling is a list, a question and what must come out.
type sibling struct{ rules, query, verdict, detail string }

// TestAdblockSiblings holds what AdGuard's engine (urlfilter v0.23.4) answered to
// lists beside those of verdicts.csv. Where the author of a line and that engine
// differ, the author is followed, and the comment says so.
func TestAdblockSiblings(t *testing.T) {
	check(t, blocklists.Adblock, []sibling{
		// A bare name is one host; with a modifier, or as an exception, it is a fragment.
		{"ads.test", "x.ads.test", Passed, ""},
		{"test", "ads.test", Passed, ""},
		{"test", "test", Blocked, ""},
		{"ads.test$important", "x.ads.test", Blocked, ""},
		{"ads.test$dnstype=A", "my-ads.testing.org", Blocked, ""},
		{"||track.test^\n@@track.test", "y.track.test", Allowed, ""},
		{"x.y2", "ax.y2b", Blocked, ""}, // not a host: its last label ends in a digit
		// What stands behind the end of a name says nothing.
		{"||ads.test/*", "x.ads.test", Blocked, ""},
		{"||ads.test^*", "x.ads.test", Blocked, ""},
		{"||ads.test^*", "ads.test.org", Passed, ""},
		{"||ads.test^^", "ads.test", Blocked, ""},
		{"||ads.test/x*", "ads.test", Passed, ""},
		// Short patterns, and patterns for everything, are taken as far as they say when they hold.
		{".tk^", "a.tk", Blocked, ""},
		{".tk^", "a.tkx", Passed, ""},
		{"*$denyallow=com|net", "a.org", Blocked, ""},
		{"*$denyallow=com|net", "a.com", Passed, ""},
		{"*$dnstype=HTTPS", "a.com HTTPS", Blocked, ""},
		{"*$dnstype=HTTPS", "a.com A", Passed, ""},
		{"||ok.test^\n$important", "a.com", Passed, ""},
		{"||ok.test^\n*\n||\n|\n||*^\n*.*", "a.com", Passed, ""}, // the engine blocks everything by ||*^
		{"||ok.test^\n^$dnstype=A", "a.com", Passed, ""},
		// $client
		{"||a.test^$client=~'10.0.0.0/8'", "a.test ip=10.1.1.1", Passed, ""},
		{"||a.test^$client='10.0.0.0/8'", "a.test ip=10.1.1.1", Blocked, ""},
		{"||a.test^$client=Mom,client=Kids", "a.test client=Mom", Passed, ""}, // the last one counts
		{"||a.test^$client=Mom,client=Kids", "a.test client=Kids", Blocked, ""},
		{"||a.test^$client=mom", "a.test client=Mom", Passed, ""},
		{"||a.test^$client=~Mom", "a.test", Blocked, ""},
		{`||a.test^$client=A\|B`, "a.test client=A|B", Blocked, ""},
		{"||a.test^$client=::ffff:10.0.0.5", "a.test ip=10.0.0.5", Blocked, ""},
		// $ctag
		{"||a.test^$ctag=device_phone|~device_tv", "a.test tag=device_phone tag=device_tv", Passed, ""},
		{"||a.test^$ctag=Device Phone", "a.test", Passed, ""}, // no tag: the rule is left out
		{"||a.test^$ctag=~device_tv", "a.test", Blocked, ""},
		// $denyallow
		{"||a.test^$denyallow=a.test", "a.test", Passed, ""},
		{"||a.test^$denyallow=~x.a.test", "a.test", Passed, ""},
		{"||a.test^$denyallow=x_y.a.test", "a.test", Passed, ""},
		{"||a.test^$denyallow=", "a.test", Passed, ""},
		// $dnstype
		{"||a.test^$dnstype=A|~A", "a.test", Passed, ""},
		{"||a.test^$dnstype=~AAAA|~HTTPS", "a.test TXT", Blocked, ""},
		{"||a.test^$dnstype=~AAAA|~HTTPS", "a.test AAAA", Passed, ""},
		{"||a.test^$dnstype=FLORB", "a.test", Passed, ""},
		{"||a.test^$dnstype=", "a.test", Passed, ""},
		{"||a.test^$dnstype=a", "a.test", Blocked, ""},
		// $dnsrewrite
		{"||a.test^$dnsrewrite=", "a.test", Rewritten, "NOERROR/None/<nil>/"},
		{"||a.test^$dnsrewrite", "a.test TXT", Rewritten, "NOERROR/None/<nil>/"},
		{"||a.test^$dnsrewrite=SERVFAIL", "a.test", Rewritten, "SERVFAIL/None/<nil>/"},
		{"||a.test^$dnsrewrite=nxdomain;;", "a.test", Rewritten, "NXDOMAIN/None/<nil>/"},
		{"||a.test^$dnsrewrite=NXDOMAIN;A;192.0.2.1", "a.test", Rewritten, "NXDOMAIN/None/<nil>/"},
		{"||a.test^$dnsrewrite=nxdomain", "a.test", Rewritten, "NOERROR/None/<nil>/nxdomain"}, // not in capitals: a name
		{"||a.test^$dnsrewrite=localhost", "a.test", Rewritten, "NOERROR/None/<nil>/localhost"},
		{"||a.test^$dnsrewrite=NOTIMP", "a.test", Passed, ""},
		{"||a.test^$dnsrewrite=FLORB", "a.test", Passed, ""},
		{"||a.test^$dnsrewrite=NOERROR;A", "a.test", Passed, ""},
		{"||a.test^$dnsrewrite=NOERROR;A;::1", "a.test", Passed, ""},
		{"||a.test^$dnsrewrite=1.2.3", "a.test", Passed, ""},
		{"||a.test^\n||a.test^$dnsrewrite=NOERROR;A;x", "a.test", Blocked, ""},
		{"||a.test^$dnsrewrite=192.0.2.1\n@@||a.test^", "a.test", Rewritten, "NOERROR/A/192.0.2.1/"},
		{"||a.test^$dnsrewrite=192.0.2.1\n@@||x.a.test^$dnsrewrite", "x.a.test", Passed, ""},
		{"||a.test^$dnsrewrite=192.0.2.1,important\n@@||a.test^$dnsrewrite", "a.test", Rewritten, "NOERROR/A/192.0.2.1/"},
		{"||a.test^$dnsrewrite=192.0.2.1,important\n@@||a.test^$dnsrewrite,important", "a.test", Passed, ""},
		{"||a.test^$dnsrewrite=b.test\n||a.test^$dnsrewrite=192.0.2.1", "a.test", Rewritten, "NOERROR/None/<nil>/b.test"},
		{"||a.test^$dnsrewrite=NXDOMAIN\n@@||a.test^$dnsrewrite=REFUSED", "a.test", Rewritten, "NXDOMAIN/None/<nil>/"},
		// $badfilter
		{"a.test\na.test$badfilter", "a.test", Blocked, ""}, // a host is not taken back
		{"0.0.0.0 a.test\n||a.test^$badfilter", "a.test", Blocked, ""},
		{"||a.test^\n||a.test^$badfilter,badfilter", "a.test", Passed, ""},
		{"||a.test^$important,client=Mom\n||a.test^$badfilter,client=Mom,important", "a.test client=Mom", Passed, ""},
		{"||a.test^\n||A.test^$badfilter", "a.test", Blocked, ""}, // the pattern is compared as written
		{"/ads/\n/ads/$badfilter", "ads.test", Passed, ""},
		// $important
		{"@@||a.test^$important\n||a.test^$important", "a.test", Allowed, ""},
		{"@@||a.test^\n||x.a.test^$important", "x.a.test", Blocked, ""},
		{"@@||a.test^\n||x.a.test^", "x.a.test", Allowed, ""},
		// Rules for browsers, and other lines that say nothing of names.
		{"||ok.test^\n||a.test^$match-case", "a.test", Passed, ""},
		{"||ok.test^\n||a.test^$~third-party", "a.test", Passed, ""},
		{"||ok.test^\n||a.test^$important,script", "a.test", Passed, ""},
		{"||ok.test^\n||a.test^$respgeo=US", "a.test", Passed, ""},
		{"||ok.test^\n||a.test^third-party", "a.test", Passed, ""},
		{"||ok.test^\na.test#@?#.x", "a.test", Passed, ""},
		{"||ok.test^\n! ||a.test^", "a.test", Passed, ""},
		{"||ok.test^\n# a.test", "a.test", Passed, ""},
		{"||ok.test^\n||a.test^$", "a.test", Blocked, ""},
		{"http://a.test^", "a.test", Blocked, ""},
		{"://a.test^", "x.a.test", Passed, ""},
		// Regular expressions
		{"/^ADS\\./", "ads.test", Blocked, ""},
		{"/ads/$dnstype=AAAA", "ads.test", Passed, ""},
		{"@@/ads/\n||ads.test^", "ads.test", Allowed, ""},
		{"/[[:alpha:]]{3}\\.test$/", "abc.test", Blocked, ""},
		// Hosts lines among them
		{"::1 a.test", "a.test", Blocked, ""},
		{"2001:db8::7 a.test", "a.test AAAA", Blocked, "2001:db8::7"},
		{"0.0.0.0 a.test b.test\n@@||b.test^", "b.test", Allowed, ""},
		{"0.0.0.0\ta.test \t b.test", "b.test", Blocked, ""},
	})
}

func TestOtherSiblings(t *testing.T) {
	check(t, blocklists.Hosts, []sibling{
		{"127.0.0.1 localhost\n0.0.0.0 a.test", "localhost", Passed, ""},
		{"0.0.0.0 a.test", "x.a.test", Passed, ""},
		{"0.0.0.0 a.test # b.test", "b.test", Passed, ""},
		{"192.0.2.7 a.test", "a.test", Blocked, "192.0.2.7"},
		{"\ufeff0.0.0.0 a.test\r\n0.0.0.0 b.test\r\n", "a.test", Blocked, ""},
		{"0.0.0.0 B\u00fccher.test", "xn--bcher-kva.test", Blocked, ""},
		{"0.0.0.0 xn--bcher-kva.test", "b\u00fccher.test", Blocked, ""},
		{"0.0.0.0 A.TEST.", "a.test", Blocked, ""},
		{"fe80::1%lo0 localhost\n:: a.test", "a.test AAAA", Blocked, ""},
	})
	check(t, blocklists.Wildcard, []sibling{{"*.a.test", "x.a.test", Blocked, ""}, {"*.a.test", "xa.test", Passed, ""}})
	check(t, blocklists.DNSMasq, []sibling{
		{"local=/a.test/", "x.a.test", Blocked, "NXDOMAIN"},
		{"address=/a.test/", "a.test", Blocked, "NXDOMAIN"},
		{"address=/a.test/0.0.0.0", "x.a.test", Blocked, ""},
		{"address=/a.test/::", "x.a.test AAAA", Blocked, ""},
		{"address=/a.test/192.0.2.9", "a.test", Blocked, "192.0.2.9"},
		{"address=/a.test/b.test/#", "b.test", Blocked, ""},
		{"server=/a.test/192.0.2.1\nlocal=/b.test/", "a.test", Passed, ""},
		{"server=/a.test/\nlocal=/b.test/", "a.test", Blocked, "NXDOMAIN"}, // dnsmasq(8): the same as local=
		{"local=/a.test/", "aa.test", Passed, ""},
		{"address=/#/0.0.0.0\nlocal=/b.test/", "a.test", Passed, ""}, // everything: reported
	})
	check(t, blocklists.IP, []sibling{
		{"192.0.2.0/24\n2001:db8::/32 # c", "192.0.2.77 answer=1", Blocked, ""},
		{"192.0.2.0/24\n2001:db8::/32 # c", "2001:db8::77 answer=1", Blocked, ""},
		{"192.0.2.0/24", "::ffff:192.0.2.77 answer=1", Blocked, ""},
		{"192.0.2.0/24", "192.0.3.1 answer=1", Passed, ""},
	})
	check(t, blocklists.Native, []sibling{
		{"rules: [{domain: a.test, answer: nxdomain}]", "a.test", Blocked, "NXDOMAIN"},
		{"rules: [{domain: a.test, answer: null}]", "a.test", Blocked, "0.0.0.0"},
		{"rules: [{domain: a.test, answer: null}]", "a.test AAAA", Blocked, "::"},
		{"rules: [{domain: a.test, answer: null}]", "a.test TXT", Blocked, "NODATA"},
		{"rules: [{domain: a.test, answer: nodata}]", "a.test", Blocked, "NODATA"},
		{"answer: refused\nrules: [a.test]", "a.test", Blocked, "REFUSED"},
		{"rules: [{domain: a.test, answer: 192.0.2.1}]", "a.test", Blocked, "192.0.2.1"},
		{"rules: [{domain: a.test, answer: 192.0.2.1}]", "a.test AAAA", Blocked, "NODATA"},
		{"rules: [{domain: a.test, answer: 'cname:b.test'}]", "a.test", Rewritten, "CNAME b.test"},
		{"rules: [{domain: a.test, devices: redmi}]", "a.test client=redmi", Blocked, ""},
		{"rules: [{domain: a.test, devices: redmi}]", "a.test", Passed, ""},
		{"rules: [{domain: a.test, action: drop}]", "a.test", Dropped, ""},
		{"rules: [{domain: a.test, action: observe}]", "a.test", Passed, "observe"},
		{"rules: [a.test]\nallow: [b.a.test]", "x.b.a.test", Allowed, ""},
	})
}

func check(t *testing.T, format blocklists.Format, rows []sibling) {
	t.Helper()
	for _, c := range rows {
		l, err := blocklists.Parse(blocklists.Source{Name: "l", Format: format}, strings.NewReader(c.rules))
		if err != nil && c.verdict != Passed {
			t.Errorf("%q: %v", c.rules, err)
		}
		if err != nil {
			continue
		}
		q, err := ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		if got := New(l).Ask(q); got.Verdict != c.verdict || got.Detail != c.detail {
			t.Errorf("%s %q: %s: %s %q by %q, want %s %q", format, c.rules, c.query, got.Verdict, got.Detail, got.Rule, c.verdict, c.detail)
		}
	}
}
