//go:build bench

package bench

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"nightlatch/journal"
	"nightlatch/policy"
)

// The journal of a month: how many questions there are, of how many kinds.
const (
	keptQuestions = 200_000 // different questions: device, name, type, verdict
	keptNames     = 50_000
	keptAnswers   = 200_000 // different answers
	keptDevices   = 12
	goneQuestions = 20_000 // of a device that was here in the first days alone
)

// wanted reads a size from the environment.
func wanted(t *testing.T, key string, def int) int {
	t.Helper()
	v := os.Getenv(key)
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return n
}

// TestJournalFilters fills a journal with JOURNAL_ROWS questions (30 million
// unless told) in bulk, and reads pages of it through every filter. JOURNAL_FILE
// keeps the file, and uses it again.
func TestJournalFilters(t *testing.T) {
	n := wanted(t, "JOURNAL_ROWS", 30_000_000)
	path := os.Getenv("JOURNAL_FILE")
	if path == "" {
		path = filepath.Join(t.TempDir(), "journal.db")
	}
	ctx := t.Context()
	if _, err := os.Stat(path); err != nil {
		start := time.Now()
		fill(t, path, n)
		t.Logf("filled with %d questions in %s", n, time.Since(start).Round(time.Second))
	}
	start := time.Now()
	j, err := journal.Open(ctx, journal.Options{Path: path, Driver: "sqlite"})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	t.Logf("opened in %s; %d MB", time.Since(start).Round(time.Millisecond), j.Stats().Bytes>>20)
	before := resident(t)
	month := time.UnixMilli(began)
	at := func(day float64) time.Time { return month.Add(time.Duration(day * 24 * float64(time.Hour))) }
	for _, c := range []struct {
		what string
		f    journal.Filter
	}{
		{"newest page", journal.Filter{}},
		{"last page", journal.Filter{Before: 101}},
		{"page in the middle", journal.Filter{Before: int64(n / 2)}},
		{"a device", journal.Filter{Device: "device3"}},
		{"a device that is gone", journal.Filter{Device: "gone"}},
		{"a device that never was", journal.Filter{Device: "nobody"}},
		{"stopped", journal.Filter{Blocked: true}},
		{"a list", journal.Filter{List: "list3"}},
		{"type", journal.Filter{Type: "HTTPS"}},
		{"type that is rare", journal.Filter{Type: "SVCB"}},
		{"part of a name, frequent", journal.Filter{NamePart: "host1"}},
		{"part of a name, rare", journal.Filter{NamePart: "host4932."}},
		{"part of a name, in all", journal.Filter{NamePart: "example"}},
		{"part of a name, two letters", journal.Filter{NamePart: "77"}},
		{"part of a name, in none", journal.Filter{NamePart: "nowhere"}},
		{"an hour", journal.Filter{Since: at(12), Until: at(12 + 1.0/24)}},
		{"a day, device, stopped", journal.Filter{Since: at(12), Until: at(13), Device: "device4", Blocked: true}},
		{"a day, device that is gone", journal.Filter{Since: at(12), Until: at(13), Device: "gone"}},
		{"device, list, type, part of a name", journal.Filter{Device: "device4", List: "list2", Type: "A", NamePart: "host1"}},
		{"gone device, part of a name, type", journal.Filter{Device: "gone", Type: "AAAA", NamePart: "old"}},
	} {
		took := make([]time.Duration, 5)
		var got []journal.StoredQuery
		for i := range took {
			start := time.Now()
			if got, err = j.Queries(ctx, c.f); err != nil {
				t.Fatal(err)
			}
			took[i] = time.Since(start)
		}
		first := took[0]
		slices.Sort(took)
		t.Logf("%-36s %4d rows  first %6.1f ms  median %6.1f ms", c.what, len(got), millis(first), millis(took[len(took)/2]))
	}
	t.Logf("resident %d MB before, %d MB after", before>>20, resident(t)>>20)
	start = time.Now()
	s, err := j.Summary(ctx, at(29))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%-36s %4d names first %6.1f ms", "summary of a day", len(s.Blocked), millis(time.Since(start)))
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// began is the first moment of the filled month, in milliseconds since 1970.
const began = 1_790_000_000_000

// fill writes n questions of 30 days into a new journal, in SQL: no program
// could ask them in reasonable time.
func fill(t *testing.T, path string, n int) {
	t.Helper()
	ctx := t.Context()
	j, err := journal.Open(ctx, journal.Options{Path: path, Driver: "sqlite"})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	count := func(n int) string {
		return fmt.Sprintf("WITH RECURSIVE k(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM k LIMIT %d) ", n)
	}
	step := float64(30*24*3600*1000) / float64(n)
	gone := n / 50
	for _, text := range []string{
		"PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -65536", "DROP INDEX query_question", "BEGIN",
		`INSERT INTO word (id, text) VALUES (1,'A'),(2,'AAAA'),(3,'HTTPS'),(4,'SVCB'),(5,'10.88.0.1:53'),(6,'udp'),(7,'NOERROR'),(8,'cache'),(9,'gone')`,
		count(keptDevices) + "INSERT INTO word SELECT 10 + i, 'device' || i FROM k",
		count(keptNames) + "INSERT INTO word SELECT 1000 + i, 'host' || i || '.example' || (i % 997) || '.com' FROM k",
		count(goneQuestions/4) + "INSERT INTO word SELECT 100000 + i, 'old' || i || '.example.org' FROM k",
		count(keptAnswers) + "INSERT INTO word SELECT 200000 + i, (i % 223 + 1) || '.' || (i % 251) || '.' || (i % 241) || '.' || (i % 239) || char(10) || 'cdn' || i || '.net' FROM k",
		count(5) + "INSERT INTO rule SELECT i + 1, 'list' || i, 7, 'rule', '', 0, 0, 0, '', '', '', '', '', '' FROM k",
		"INSERT INTO verdict VALUES (1, 0, 0, 0)",
		count(5) + "INSERT INTO verdict SELECT 2 + i, 1, 1 + i, 0 FROM k",
		count(keptQuestions) + fmt.Sprintf(`INSERT INTO question SELECT i + 1, 10 + i %% %d, 1000 + i / 4, CASE WHEN i = 777 THEN 4 ELSE i %% 3 + 1 END, 5, 6,
			CASE WHEN i %% 10 = 0 THEN 2 + i / 10 %% 5 ELSE 1 END, 0, 7, 8 FROM k`, keptDevices),
		count(goneQuestions) + fmt.Sprintf("INSERT INTO question SELECT %d + i, 9, 100000 + i / 4, i %% 3 + 1, 5, 6, 1 + (i %% 4 = 3), 0, 7, 8 FROM k", keptQuestions+1),
		count(n) + fmt.Sprintf(`INSERT INTO query (id, time, question, answers, took) SELECT i + 1, %d + cast(i * %f AS INTEGER),
			CASE WHEN i < %d AND i %% 2 THEN %d + i / 2 %% %d ELSE
			1 + cast(%d * ((i * 2654435761 %% 1000003) / 1000003.0) * ((i * 40503 %% 999983) / 999983.0) * ((i * 40503 %% 999983) / 999983.0) AS INTEGER) END,
			200000 + i * 7919 %% %d, i * 31 %% 40000 FROM k`, int64(began), step, gone, keptQuestions+1, goneQuestions, keptQuestions, keptAnswers),
		count(720) + fmt.Sprintf(`INSERT INTO hour SELECT h, 1, d, first, last, (last - first) / %d, (last - first) / %d, 0, 0, (h + 1) * 3600000 - 1
			FROM (SELECT %d / 3600000 + i AS h, i * %d / 720 + 1 AS first, (i + 1) * %d / 720 AS last, i AS hour FROM k)
			CROSS JOIN (SELECT id AS d FROM word WHERE id BETWEEN 9 AND %d) WHERE d > 9 OR hour < 15`, keptDevices, keptDevices*10, int64(began), n, n, 9+keptDevices),
		"COMMIT", "CREATE INDEX query_question ON query (question)", "PRAGMA wal_checkpoint(TRUNCATE)",
	} {
		if _, err := db.ExecContext(ctx, text); err != nil {
			t.Fatalf("%.60s: %v", text, err)
		}
	}
}

// TestJournalTakesIn hands the journal JOURNAL_RATE events a second for
// JOURNAL_SECONDS, and counts what was written and lost.
func TestJournalTakesIn(t *testing.T) {
	rate, seconds := wanted(t, "JOURNAL_RATE", 50_000), wanted(t, "JOURNAL_SECONDS", 60)
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := journal.Open(t.Context(), journal.Options{Path: path, Driver: "sqlite"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- j.Run(ctx) }()
	before := resident(t)
	most := before
	start, i := time.Now(), 0
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for now := range tick.C {
		due := int(now.Sub(start).Seconds() * float64(rate))
		for ; i < min(due, rate*seconds); i++ {
			j.Record(asked(i))
		}
		if i%rate < 300 {
			most = max(most, resident(t))
		}
		if i >= rate*seconds {
			break
		}
	}
	took := time.Since(start)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	st := j.Stats()
	t.Logf("%d events in %.1f s: %d written, %d lost, %d MB of file; resident %d MB before, %d MB at most",
		i, took.Seconds(), st.Written, st.Lost, st.Bytes>>20, before>>20, most>>20)
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// asked makes the i-th question of a busy hour.
func asked(i int) journal.Query {
	h := uint32(i) * 2654435761
	name := h % 1000 * (h >> 20 % 7) // a few names are asked often
	return journal.Query{
		Time: time.Now(), Device: "device" + strconv.Itoa(int(h>>7%keptDevices)), Name: "host" + strconv.Itoa(int(name)) + ".example.com",
		Type: []string{"A", "AAAA", "HTTPS"}[i%3], Network: "udp", Server: netip.MustParseAddrPort("10.88.0.1:53"),
		Verdict: policy.Verdict{}, RCode: "NOERROR", Upstream: "cache", Answers: []string{"192.0.2." + strconv.Itoa(int(h>>9%200))},
		Took: time.Duration(i%40_000) * time.Microsecond,
	}
}

// resident gives the memory of this process, in bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var all, rss int64
	if _, err := fmt.Sscan(string(b), &all, &rss); err != nil {
		t.Fatal(err)
	}
	return rss * int64(os.Getpagesize())
}
