package blocklists

import (
	"encoding/csv"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// categories is the vocabulary of the built-in lists: a page that groups by it
// must know every word.
var categories = []string{
	"ads", "analytics", "app-list", "browser-history", "bypass", "config", "crash", "device-id",
	"essential", "ota", "security-scan",
}

// builtinFiles parses every file of builtin/, the never-block names among them.
func builtinFiles(t *testing.T) map[string]*List {
	t.Helper()
	files, err := builtin.ReadDir("builtin")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*List{}
	for _, f := range files {
		if f.IsDir() {
			continue
		}
		text, err := builtin.Open(path.Join("builtin", f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(f.Name(), ".yaml")
		if out[name], err = Parse(Source{Name: name, Format: Native, MayBreak: true}, text); err != nil {
			t.Fatalf("%s: %v", f.Name(), err)
		}
		text.Close()
	}
	return out
}

// blockers compiles everything that can stop a name.
func blockers(t *testing.T) *Set {
	t.Helper()
	var lists []*List
	for _, name := range BuiltinNames() {
		l, err := Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, l)
	}
	return Compile(lists...)
}

// TestBuiltinEntriesSayWhy: an entry that cannot say what it is for, what it
// costs and where that is known from has no place in a list that comes with the
// program.
func TestBuiltinEntriesSayWhy(t *testing.T) {
	for name, l := range builtinFiles(t) {
		for r := range l.Rules() {
			at := func(format string, args ...any) {
				t.Helper()
				t.Errorf("builtin/%s.yaml:%d: %s: "+format, append([]any{name, r.Line, r.Text}, args...)...)
			}
			if !slices.Contains(categories, r.Category) {
				at("category %q is not one of %v", r.Category, categories)
			}
			if strings.TrimSpace(r.Why) == "" || strings.TrimSpace(r.Source) == "" {
				at("why %q, source %q: one is missing", r.Why, r.Source)
			}
			if r.Confidence == "" {
				at("does not say how well it is known")
			}
			if !r.Allow && strings.TrimSpace(r.Breaks) == "" {
				at("does not say what it breaks, not even that nothing is known")
			}
			if !r.Allow && strings.Contains(r.Source, "recalled") {
				at("blocks a name on somebody's memory: %s", r.Source)
			}
		}
	}
}

// TestBuiltinNamesAreCanonicalAndUnique: what a person reads in the file is what
// the journal and `why` print.
func TestBuiltinNamesAreCanonicalAndUnique(t *testing.T) {
	for name, l := range builtinFiles(t) {
		lines := map[string]int{}
		for r := range l.Rules() {
			want := r.Domain
			if r.Match == Address {
				want = strings.TrimSuffix(strings.TrimSuffix(r.Prefix.String(), "/32"), "/128")
			}
			if r.Text != want {
				t.Errorf("builtin/%s.yaml:%d: %q is written %q when it is canonical", name, r.Line, r.Text, want)
			}
			if lines[want] != 0 {
				t.Errorf("builtin/%s.yaml:%d: %s stands in line %d already", name, r.Line, want, lines[want])
			}
			lines[want] = r.Line
		}
		if n := l.Report.IgnoredLines(); n > 0 {
			t.Errorf("builtin/%s.yaml: %d lines were not understood", name, n)
		}
	}
}

// TestBuiltinVerdicts holds what the lists must and must not do, all of them
// together.
func TestBuiltinVerdicts(t *testing.T) {
	all := blockers(t)
	cases := []struct {
		name string
		list string // "" passes
	}{
		{"sa.api.intl.miui.com", "xiaomi"},
		{"SA.api.intl.MIUI.com.", "xiaomi"},
		{"a.sa.api.intl.miui.com", ""}, // exact: the fact is about one host
		{"tracking.intl.miui.com", "xiaomi"},
		{"mitv.tracking.intl.miui.com", "xiaomi"},
		{"new-region.tracking.miui.com", "xiaomi"},
		{"gos-api.gos-gsp.io", "samsung"},
		{"metrics9.data.hicloud.com", "huawei"},
		{"dcc-awareness-cn.heytapmobi.com", "oppo"},
		{"in-stsdk.vivoglobal.com", "vivo"},
		{"mozilla.cloudflare-dns.com", "encrypted-dns"},
		{"hmma.baidu.com", "baidu"}, {"app.adjust.com", "sdks"}, {"o1.ingest.sentry.io", "sdks"},
		{"www.baidu.com", ""}, {"api2.branch.io", ""}, {"api.onesignal.com", ""}, {"sentry.io", ""}, {"unity3d.com", ""},
		{"abc123.dns.nextdns.io", "encrypted-dns"},

		{"find.api.micloud.xiaomi.net", ""},
		{"update.intl.miui.com", ""},
		{"connectivitycheck.gstatic.com", ""},
		{"grs.dbankcloud.com", ""},
		{"heytapmobi.com", ""}, {"store.heytapmobile.com", ""}, {"vivoglobal.com", ""},
		{"graph.facebook.com", ""}, {"xp.apple.com", ""}, {"mobile.pipe.aria.microsoft.com", ""},
		// The resolver answers these by itself, whatever lists are chosen.
		{"use-application-dns.net", ""}, {"mask.icloud.com", ""}, {"mask-h2.icloud.com", ""}, {"_dns.resolver.arpa", ""},
		// Sites that share a parent with something blocked.
		{"www.google.com", ""}, {"www.mi.com", ""}, {"www.xiaomi.com", ""}, {"miui.com", ""}, {"www.samsung.com", ""},
		{"www.tiktok.com", ""}, {"www.facebook.com", ""}, {"web.whatsapp.com", ""}, {"www.amazon.com", ""}, {"www.qq.com", ""},
		{"cloudflare.com", ""}, {"quad9.net", ""}, {"adguard.com", ""}, {"nextdns.io", ""}, {"opendns.com", ""},
	}
	for _, c := range cases {
		r, ok := all.Match(c.name, Selection{})
		got := ""
		if ok && !r.Allow {
			got = r.List
		}
		if got != c.list {
			t.Errorf("%s: stopped by %q (line %d), want %q", c.name, got, r.Line, c.list)
		}
	}
}

// TestFindDeviceSurvivesAWiderList: hagezi's native.xiaomi cuts the parent of
// Find Device; with our list beside it the phone can still be found.
func TestFindDeviceSurvivesAWiderList(t *testing.T) {
	wide, err := Parse(Source{Name: "wide", Format: Domains, Match: new(Subtree)}, strings.NewReader("api.micloud.xiaomi.net\n"))
	if err != nil {
		t.Fatal(err)
	}
	xiaomi, err := Builtin("xiaomi")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []*Set{Compile(xiaomi, wide), Compile(wide, xiaomi)} {
		for _, name := range []string{"find.api.micloud.xiaomi.net", "us.find.api.micloud.xiaomi.net", "in.find.api.micloud.xiaomi.net"} {
			if r, ok := set.Match(name, Selection{}); !ok || !r.Allow || r.List != "xiaomi" {
				t.Errorf("%s: %+v, want the allow of xiaomi", name, r)
			}
		}
		if r, _ := set.Match("status.api.micloud.xiaomi.net", Selection{}); r.List != "wide" {
			t.Errorf("the wider list lost its other names: %+v", r)
		}
	}
}

// TestResolverAddresses: the lists about getting past the gateway deny, for a
// sinkhole that answers as a resolver would only be asked again.
func TestResolverAddresses(t *testing.T) {
	all := blockers(t)
	for addr, list := range map[string]string{
		"8.8.8.8": "encrypted-dns", "8.8.4.4": "encrypted-dns", "1.1.1.1": "encrypted-dns", "1.0.0.1": "encrypted-dns",
		"9.9.9.9": "encrypted-dns", "149.112.112.112": "encrypted-dns", "::ffff:8.8.8.8": "encrypted-dns",
		"2001:4860:4860::8888": "encrypted-dns", "2606:4700:4700::1111": "encrypted-dns", "2620:fe::fe": "encrypted-dns",
		"110.43.0.83": "httpdns", "110.43.0.85": "httpdns", "119.29.29.29": "httpdns", "203.107.1.1": "httpdns",
		"8.8.8.9": "", "104.16.248.249": "", "2606:4700::1111": "",
	} {
		r, _ := all.MatchAddr(netip.MustParseAddr(addr), Selection{})
		if r.List != list {
			t.Errorf("%s: stopped by %q, want %q", addr, r.List, list)
		}
	}
	for _, name := range []string{"encrypted-dns", "httpdns"} {
		l, err := Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		for r := range l.Rules() {
			if r.Action != ActionDeny {
				t.Errorf("builtin/%s.yaml:%d: %s: action %s, want deny", name, r.Line, r.Text, r.Action)
			}
		}
	}
}

// TestEncryptedDNSCitations: an entry that cites the MIT list stands in it.
func TestEncryptedDNSCitations(t *testing.T) {
	text, err := os.ReadFile("../../shared/data/doh/nextdns-encrypted-dns.txt")
	if err != nil {
		t.Skip("the data pack is not there:", err)
	}
	cited := strings.Fields(string(text))
	l, err := Builtin("encrypted-dns")
	if err != nil {
		t.Fatal(err)
	}
	for r := range l.Rules() {
		if strings.Contains(r.Source, "nextdns/dns-bypass-methods") && !slices.Contains(cited, r.Domain) {
			t.Errorf("line %d: %s is not in the list that it cites", r.Line, r.Domain)
		}
	}
}

// fact is a row of telemetry.csv.
type fact struct{ vendor, domain, match, severity, confidence string }

func facts(t *testing.T) []fact {
	t.Helper()
	f, err := os.Open("../../shared/data/telemetry.csv")
	if err != nil {
		t.Skip("the data pack is not there:", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	col := func(name string) int {
		i := slices.Index(rows[0], name)
		if i < 0 {
			t.Fatalf("telemetry.csv has no column %s", name)
		}
		return i
	}
	vendor, domain, match, severity, confidence := col("vendor"), col("domain"), col("match"), col("severity"), col("confidence")
	var out []fact
	for _, r := range rows[1:] {
		out = append(out, fact{r[vendor], r[domain], r[match], r[severity], r[confidence]})
	}
	return out
}

func (f fact) solid() bool {
	return slices.Contains([]string{"measured", "documented", "reported"}, f.confidence)
}

var vendorLists = map[string]string{
	"Xiaomi": "xiaomi", "Samsung": "samsung", "Huawei": "huawei", "OPPO/Realme/OnePlus": "oppo", "vivo": "vivo",
	"Google": "google", "Apple": "apple", "Amazon": "amazon", "Microsoft": "microsoft", "TikTok/ByteDance": "bytedance",
	"Meta": "meta", "Tencent": "tencent", "Alibaba/Umeng": "alibaba", "Baidu": "baidu",
}

// TestFactsAreAnswered: every fact that somebody has measured, documented or
// reported is blocked by its vendor's list, guarded by never-block, or left out
// for a reason that is written down here.
func TestFactsAreAnswered(t *testing.T) {
	lists, all, used := builtinFiles(t), blockers(t), map[string]bool{}
	for _, f := range facts(t) {
		reason, out := leftOut[f.domain]
		used[f.domain] = used[f.domain] || out
		switch {
		case f.severity == "never-block":
			if !has(lists[neverBlock], f, true) {
				t.Errorf("%s (%s, %s): not in never-block.yaml", f.domain, f.match, f.vendor)
			}
		case !f.solid():
		case out:
			if r, ok := all.Match(f.domain, Selection{}); ok && !r.Allow {
				t.Errorf("%s is left out (%s), yet builtin/%s.yaml:%d stops it", f.domain, reason, r.List, r.Line)
			}
		case lists[vendorLists[f.vendor]] == nil || !has(lists[vendorLists[f.vendor]], f, false):
			t.Errorf("%s (%s, %s, %s): in no list, and no reason says why", f.domain, f.match, f.vendor, f.confidence)
		}
	}
	for name := range leftOut {
		if !used[name] {
			t.Errorf("%s has a reason to be left out, but is no fact", name)
		}
	}
}

func has(l *List, f fact, allow bool) bool {
	for r := range l.Rules() {
		if r.Domain == f.domain && r.Allow == allow && r.Match.String() == f.match {
			return true
		}
	}
	return false
}

// TestBuiltinNamesAreFacts: no name of a vendor list rests on somebody's list
// alone, or on a table without evidence, unless it says so; and none claims to be
// known better than it is.
func TestBuiltinNamesAreFacts(t *testing.T) {
	known := map[string][]string{}
	for _, f := range facts(t) {
		known[f.domain] = append(known[f.domain], f.confidence)
	}
	for name, l := range builtinFiles(t) {
		if name == "encrypted-dns" || name == "httpdns" || name == "sdks" {
			continue // not of these facts; their sources say where they are from
		}
		for r := range l.Rules() {
			if !slices.Contains(known[r.Domain], r.Confidence) || r.Confidence == "listed" && name != "baidu" {
				t.Errorf("builtin/%s.yaml:%d: %s is no %s fact", name, r.Line, r.Text, r.Confidence)
			}
		}
	}
}

// TestBuiltinRisk: what breaks something people want is off until the owner asks
// for it, and then blocks no never-block name either.
func TestBuiltinRisk(t *testing.T) {
	guard, err := NeverBlock()
	if err != nil {
		t.Fatal(err)
	}
	more := 0
	for _, name := range BuiltinNames() {
		safe, err := Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		all, err := BuiltinSource(Source{Name: name, MayBreak: true})
		if err != nil {
			t.Fatal(err)
		}
		more += all.Len() - safe.Len()
		for r := range safe.Rules() {
			if r.Risk == "may-break" {
				t.Errorf("%s: %s is on by default", name, r.Text)
			}
		}
		for _, l := range []*List{safe, all} {
			for _, c := range guard.Crossings(l) {
				t.Errorf("%s:%d: %s stops %s", name, c.Rule.Line, c.Rule.Text, c.Name.Text)
			}
		}
	}
	if more == 0 {
		t.Error("no rule waits for the owner")
	}
	meta, err := BuiltinSource(Source{Name: "meta", MayBreak: true})
	if err != nil {
		t.Fatal(err)
	}
	if r, ok := Compile(meta).Match("graph.facebook.com", Selection{}); !ok || r.Breaks == "" || r.Confidence != "documented" {
		t.Errorf("%+v %v", r, ok)
	}
}

// leftOut are the facts that no list acts upon, and why. The lists say the same
// in their last comment.
var leftOut = map[string]string{
	// Mi Push: notifications, and apps that need it in China.
	"resolver.msg.xiaomi.net":              "notifications",
	"resolver.msg.global.xiaomi.net":       "notifications",
	"app.chat.xiaomi.net":                  "notifications",
	"api.xmpush.xiaomi.com":                "notifications",
	"register.xmpush.global.xiaomi.com":    "notifications",
	"fr.register.xmpush.global.xiaomi.com": "notifications",
	"video.intl.xiaomi.com":                "Mi Video, Weather, Browser",
	"app.market.xiaomi.com":                "store pages",
	"market.xiaomi.com":                    "stores, Weather",
	"api.vip.miui.com":                     "Xiaomi Community",
	"zhuti.xiaomi.com":                     "theme search",

	"samsungdm.com":                "firmware updates may live in the zone: hosts are blocked",
	"ie-odc.samsungapps.com":       "Galaxy Store",
	"cdn.samsungcloudsolution.com": "connectivity and updates of televisions",

	// Global Routing Service: at least one must answer.
	"grs.hicloud.com":            "Huawei Health",
	"grs.dbankcloud.com":         "Huawei Health",
	"grs.dbankcloud.cn":          "Huawei Health",
	"grs.dbankcloud.asia":        "Huawei Health",
	"grs.dbankcloud.eu":          "Huawei Health",
	"grs.platform.dbankcloud.ru": "Huawei Health",

	"heytapmobi.com":              "App Market and much else: hosts are blocked",
	"heytapmobile.com":            "pushes and stores: hosts are blocked",
	"weather-server.allawnos.com": "Weather",
	"storeimg.heytapimg.com":      "pictures in App Market",
	"vivoglobal.com":              "updates, weather, time, store: hosts are blocked",
	"tsdk.vivo.com.cn":            "built-in apps",
	"h5.vivo.com.cn":              "update notes and store pages",

	"mask.icloud.com":    "answered by the resolver, whatever the lists say",
	"supl.google.com":    "satellite assistance",
	"izatcloud.net":      "satellite assistance",
	"_dns.resolver.arpa": "answered by the resolver, whatever the lists say",

	"use-application-dns.net": "answered by the resolver, whatever the lists say",

	"api.amazonalexa.com":     "set-up of Alexa and Fire TV",
	"arcus-uswest.amazon.com": "functions of Fire TV",
	"dcape-na.amazon.com":     "functions of Fire TV",

	"umengcloud.com": "pushes: hosts are blocked",
	"umeng.com":      "the website for developers: hosts are blocked",
}
