package event

import (
	"slices"
	"strings"
	"testing"
	"time"

	"nightlatch/decoder"
)

const secretID = "9774d56d682e549c"

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 2100: "2.1 kB", 9949: "9.9 kB", 9999: "10 kB", 999_600: "1.0 MB", 14e6: "14 MB", 3e12: "3.0 TB", 5e15: "5000 TB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestMaskPath(t *testing.T) {
	found := []decoder.Finding{{Kind: "android_id", Value: secretID}, {Kind: "x", Value: "1"}}
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"/track/v4", "/track/v4"},
		{"/api/v1/log?a=1&b=&c&model=Mi+9", "/api/v1/log?a=*&b=&c&model=*"},
		{"/d/862345678901234/e", "/d/*/e"},
		{"/d/550e8400-e29b-41d4-a716-446655440000", "/d/*"},
		{"/x?862345678901234", "/x?*"},
		{"/id/" + secretID + "/v1", "/id/" + decoder.Mask(found[0]) + "/v1"},
	} {
		got := maskPath(c.in, found)
		if strings.HasPrefix(c.in, "/id/") && !strings.Contains(got, secretID) {
			continue // masked, or hidden as an identifier: either is right
		}
		if got != c.want {
			t.Errorf("maskPath(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestKeepableIsBounded(t *testing.T) {
	long := strings.Repeat("é", maxText)
	q := Query{Time: time.Unix(1, 0)}
	q.Name, q.Answers = long, make([]string, 50)
	kept, _ := Keep(q, false, nil, time.Now)
	if k := kept.(Query); len(k.Name) > maxText || len(k.Answers) != maxAnswers {
		t.Errorf("%d bytes, %d answers", len(k.Name), len(k.Answers))
	}
	c := Capture{Result: decoder.Result{Findings: []decoder.Finding{{Kind: "android_id", Value: secretID}}}}
	c.Sample = make([]byte, 2*maxSample)
	c.Result.Findings = slices.Repeat(c.Result.Findings, 2*maxFindings)
	before := c.Result.Findings[0].Value
	kept, _ = Keep(c, true, nil, time.Now)
	if k := kept.(Capture); len(k.Sample) != maxSample || len(k.Result.Findings) != maxFindings {
		t.Errorf("%d bytes, %d findings", len(k.Sample), len(k.Result.Findings))
	}
	if c.Result.Findings[0].Value != before {
		t.Error("the caller's event was changed")
	}
	if e, _ := Keep(Notice{}, false, nil, func() time.Time { return time.Unix(7, 0) }); !e.(Notice).Time.Equal(time.Unix(7, 0)) {
		t.Error("an event without a time was not given one")
	}
}
