package lists

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightlatch/blocklists/subscription"
)

func TestProgress(t *testing.T) {
	for _, c := range []struct {
		done, total int64
		took        time.Duration
		want        string
	}{
		{0, -1, 4 * time.Second, "pro: waiting for the server, 4s"},
		{3 << 20, -1, 2 * time.Second, "pro: 3.0 MiB, 1.5 MiB/s"},
		{1 << 20, 4 << 20, 2 * time.Second, "pro: 1.0 MiB of 4.0 MiB (25 %), 512.0 KiB/s"},
		{512, 512, time.Millisecond, "pro: 512 B of 512 B (100 %)"},
	} {
		if got := progress("pro", c.done, c.total, c.took); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// TestMeterInLog: where nobody can redraw a line, one comes every ten seconds, and
// none for what is done at once.
func TestMeterInLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		m := startMeter(&b, "pro")
		time.AfterFunc(5*time.Second, func() { m.heard(1<<20, 4<<20) })
		<-time.After(25 * time.Second)
		m.end()
		if got := strings.Count(b.String(), "\n"); got != 2 || strings.ContainsAny(b.String(), "\r\x1b") {
			t.Errorf("it printed %q", b.String())
		}
		b.Reset()
		m = startMeter(&b, "pro")
		m.end()
		if b.Len() > 0 {
			t.Errorf("it printed %q", b.String())
		}
	})
}

func TestWords(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		-time.Hour: "0s ago", 0: "0s ago", 59 * time.Second: "59s ago", 90 * time.Minute: "1h ago", 47 * time.Hour: "47h ago", 72 * time.Hour: "3d ago",
	} {
		if got := ago(now.Add(-d), now); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	if ago(time.Time{}, now) != "-" || moment(time.Time{}, now) != "never" || count(1, "rule") != "1 rule" || count(0, "rule") != "0 rules" {
		t.Error("words for nothing")
	}
}

// TestHealthAtAGlance: what is wrong comes first in the table and last before the
// prompt.
func TestHealthAtAGlance(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	bad := Health{Name: "pro", From: fromSubscription, Rules: 7, Problem: "it is a web page", State: &subscription.State{
		Attempt: subscription.Attempt{Time: now.Add(-time.Minute), Outcome: subscription.Failed}, Success: now.Add(-72 * time.Hour)}}
	good := Health{Name: "mine", From: fromOwn, Rules: 3, Changed: now.Add(-time.Hour)}
	var b bytes.Buffer
	printHealth(&b, []Health{bad, good}, now)
	want := `  LIST  FROM          RULES  IGNORED  CHANGED  LAST SUCCESS  LAST TRY
! pro   subscription  7      0        -        3d ago        1m ago: failed
  mine  yours         3      0        1h ago   -             -

! pro: it is a web page
1 of 2 lists wants a look
`
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
	b.Reset()
	printHealth(&b, []Health{good}, now)
	if !strings.HasSuffix(b.String(), "\nall is well: 1 list, 3 rules\n") {
		t.Errorf("got\n%s", b.String())
	}
}

func TestPlainURL(t *testing.T) {
	for url, want := range map[string]bool{
		"https://cdn.jsdelivr.net/gh/hagezi/dns-blocklists@latest/adblock/pro.txt": true, "http://127.0.0.1:80/x": true, "https://small.oisd.nl/": true,
		"https://x.example/a?b=c#d": false, "https://x.example/a: b": false, "/srv/x": false, "https://x.example/a:": false, "https://x.example/a\nb": false,
	} {
		if plainURL.MatchString(url) != want {
			t.Errorf("%q: %v", url, !want)
		}
	}
}
