package journal

import (
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nightlatch/decoder"
)

// v1 is a file as the first version wrote it, with one capture and a finding.
const v1 = `
CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
INSERT INTO word VALUES (0, ''), (1, 'redmi'), (2, 'tracking.miui.com'), (3, 'android_id'), (4, '97************9c'), (5, 'http'), (6, 'body/json:/id'), (7, 'json');
CREATE TABLE rule (id INTEGER PRIMARY KEY, list TEXT NOT NULL, line INTEGER NOT NULL, text TEXT NOT NULL, domain TEXT NOT NULL,
	match INTEGER NOT NULL, allow INTEGER NOT NULL, action INTEGER NOT NULL, category TEXT NOT NULL, why TEXT NOT NULL, breaks TEXT NOT NULL, source TEXT NOT NULL,
	prefix TEXT NOT NULL, answer TEXT NOT NULL, UNIQUE (list, line, text, domain, match, allow, action, category, why, breaks, source, prefix, answer)) STRICT;
INSERT INTO rule VALUES (0, '', 0, '', '', 0, 0, 0, '', '', '', '', '', '');
CREATE TABLE verdict (id INTEGER PRIMARY KEY, action INTEGER NOT NULL, rule INTEGER NOT NULL, reason INTEGER NOT NULL, UNIQUE (action, rule, reason)) STRICT;
CREATE TABLE question (id INTEGER PRIMARY KEY, device INTEGER NOT NULL, name INTEGER NOT NULL, type INTEGER NOT NULL, server INTEGER NOT NULL, network INTEGER NOT NULL,
	verdict INTEGER NOT NULL, through INTEGER NOT NULL, rcode INTEGER NOT NULL, upstream INTEGER NOT NULL, UNIQUE (name, device, type, server, network, verdict, through, rcode, upstream)) STRICT;
CREATE TABLE query (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, question INTEGER NOT NULL, answers INTEGER NOT NULL, took INTEGER NOT NULL) STRICT;
CREATE INDEX query_question ON query (question);
CREATE TABLE route (id INTEGER PRIMARY KEY, device INTEGER NOT NULL, proto INTEGER NOT NULL, dst INTEGER NOT NULL, name INTEGER NOT NULL, exact INTEGER NOT NULL, verdict INTEGER NOT NULL,
	UNIQUE (name, dst, device, proto, exact, verdict)) STRICT;
CREATE TABLE flow (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, route INTEGER NOT NULL, src TEXT NOT NULL, up INTEGER NOT NULL, down INTEGER NOT NULL, took INTEGER NOT NULL, err INTEGER NOT NULL) STRICT;
CREATE INDEX flow_route ON flow (route);
CREATE TABLE capture (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, device INTEGER NOT NULL, name INTEGER NOT NULL, dst INTEGER NOT NULL, scheme INTEGER NOT NULL, method INTEGER NOT NULL,
	path TEXT NOT NULL, content_type INTEGER NOT NULL, user_agent INTEGER NOT NULL, tls INTEGER NOT NULL, size INTEGER NOT NULL, repeats INTEGER NOT NULL, sample BLOB,
	verdict INTEGER NOT NULL, flags INTEGER NOT NULL, layers INTEGER NOT NULL) STRICT;
INSERT INTO capture VALUES (1, 1000, 1, 2, 0, 5, 0, '/t', 0, 0, 0, 10, 0, NULL, 0, 0, 0);
CREATE TABLE finding (id INTEGER PRIMARY KEY, capture INTEGER NOT NULL, kind INTEGER NOT NULL, value INTEGER NOT NULL, path INTEGER NOT NULL, chain INTEGER NOT NULL, confidence INTEGER NOT NULL) STRICT;
INSERT INTO finding VALUES (1, 1, 3, 4, 6, 7, 1);
CREATE INDEX finding_capture ON finding (capture);
CREATE TABLE notice (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, level INTEGER NOT NULL, room INTEGER NOT NULL, device INTEGER NOT NULL, text INTEGER NOT NULL) STRICT;
CREATE TABLE hour (hour INTEGER NOT NULL, kind INTEGER NOT NULL, device INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, events INTEGER NOT NULL, blocked INTEGER NOT NULL,
	up INTEGER NOT NULL, down INTEGER NOT NULL, seen INTEGER NOT NULL, PRIMARY KEY (hour, kind, device)) STRICT, WITHOUT ROWID;
INSERT INTO hour VALUES (0, 3, 1, 1, 1, 1, 1, 10, 0, 1000);
PRAGMA user_version = 1;`

// TestOldFile: a file of the first version is brought up to date, keeps what it
// holds, and takes marks from then on.
func TestOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(v1); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	j := open(t, Options{Path: path, Driver: "sqlite", MarkKey: []byte(strings.Repeat("k", 32))})
	go func() { _ = j.Run(t.Context()) }()
	put(t, j, sampleCapture())
	found, err := j.Findings(t.Context(), Filter{})
	if err != nil || len(found) != 3 {
		t.Fatalf("%d findings, %v", len(found), err)
	}
	if old := found[2]; old.Kind != "android_id" || old.Value != "97************9c" || old.Mark != 0 {
		t.Errorf("the old finding is now %+v", old)
	}
	if found[0].Mark == 0 || found[0].Mark == found[1].Mark {
		t.Errorf("marks of new findings: %s and %s", found[0].Mark, found[1].Mark)
	}
}

// TestMarks: equal values have equal marks over capitals, captures and starts;
// another key, or none, gives others.
func TestMarks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	marks := func(key string, values ...string) (out []string) {
		j := open(t, Options{Path: path, Driver: "sqlite", MarkKey: []byte(key)})
		ctx := t.Context()
		go func() { _ = j.Run(ctx) }()
		c := sampleCapture()
		c.Result.Findings = nil
		for _, v := range values {
			c.Result.Findings = append(c.Result.Findings, decoder.Finding{Kind: "oaid", Value: v})
		}
		put(t, j, c)
		got, err := j.Captures(ctx, Filter{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range got[0].Findings {
			if f.Mark != got[0].Marks[i] {
				t.Error("the two places of a mark differ")
			}
			out = append(out, f.Mark.String())
		}
		return out
	}
	one, two := strings.Repeat("1", 16), strings.Repeat("2", 16)
	first := marks(one, "353535353535350", "353535353535351", "ABCDEF0123456789", "abcdef0123456789 ")
	if first[0] == first[1] || first[2] != first[3] {
		t.Errorf("marks %v", first)
	}
	if again := marks(one, "353535353535350"); again[0] != first[0] {
		t.Error("the mark changed with the start")
	}
	if other := marks(two, "353535353535350"); other[0] == first[0] || other[0] == "" {
		t.Error("the key does not matter")
	}
	if none := marks("", "353535353535350"); !slices.Equal(none, []string{""}) {
		t.Errorf("without a key: %v", none)
	}
	if _, err := Open(t.Context(), Options{Path: path, Driver: "sqlite", MarkKey: []byte("short")}); err == nil {
		t.Error("a short key is taken")
	}
}

// TestCanaryLabelIsKept: what stands in a planted value's place is no secret;
// a payload cannot give itself such a place, for its kind is another.
func TestCanaryLabelIsKept(t *testing.T) {
	j := start(t)
	c := sampleCapture()
	c.Result.Findings = []decoder.Finding{
		{Kind: KindCanary, Value: CanaryLabel + "3 as md5.hex", Confidence: decoder.Proved},
		{Kind: KindCanary, Value: "k7qk3m2nqv6y5x4w3z2a5b6c7d", Confidence: decoder.Proved},
		{Kind: "url", Value: CanaryLabel + "3"},
	}
	go func() { _ = j.Run(t.Context()) }()
	put(t, j, c)
	got, err := j.Findings(t.Context(), Filter{})
	if err != nil || len(got) != 3 {
		t.Fatal(len(got), err)
	}
	if got[0].Value != CanaryLabel+"3 as md5.hex" || strings.Contains(got[1].Value, "qk3m") || strings.HasPrefix(got[2].Value, CanaryLabel) {
		t.Errorf("kept as %q, %q and %q", got[0].Value, got[1].Value, got[2].Value)
	}
}
