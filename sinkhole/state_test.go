package sinkhole

import (
	"testing"

	"nightlatch/decoder"
	"nightlatch/journal"
)

func TestStateOf(t *testing.T) {
	for _, tt := range []struct {
		outcome, verdict string
		want             State
	}{
		{"", "leak", StateRead}, {"", "clean", StateRead}, {"", "opaque", StateOpaque}, {"", "opaque+leak", StateRead},
		{OutcomeRead, "leak", StateRead}, {OutcomeRead, "opaque", StateOpaque},
		{OutcomeRefused, "opaque", StateRefused}, {OutcomeRemember, "opaque", StateRefused}, {OutcomeHungUp, "opaque", StateRefused},
		{OutcomeNoCA, "opaque", StateOpaque}, {OutcomeExempt, "opaque", StateOpaque}, {OutcomeQUIC, "opaque", StateOpaque},
		{OutcomeObserved, "opaque", StateOpaque}, {OutcomeSilent, "opaque", StateOpaque},
	} {
		c := journal.Capture{Result: decoder.Result{Verdict: tt.verdict}}
		if tt.outcome != "" {
			c.TLS = &journal.TLS{Outcome: tt.outcome}
		}
		if got := StateOf(c); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.outcome, tt.verdict, got, tt.want)
		}
	}
}
