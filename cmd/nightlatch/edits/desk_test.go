package edits

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nightlatch/cmd/nightlatch/home"
	"nightlatch/dashboard/desk"
)

// TestDesk: what a page asks does what the command does, is told in the same
// words, and is taken back by its command alone.
func TestDesk(t *testing.T) {
	h := home.Home{Dir: filepath.Join(t.TempDir(), "home")}
	if _, err := h.Prepare(); err != nil {
		t.Fatal(err)
	}
	reloads := 0
	var d desk.Desk
	Desk(&d, h, func(context.Context, home.Home) (bool, error) { reloads++; return true, nil })
	overlay := func() string { text, _ := os.ReadFile(h.Path(overlayName)); return string(text) }

	told, err := d.Rule(t.Context(), desk.Rule{Does: "block", Name: "https://Ads.Example/x", Device: home.FirstDevice, For: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if said := strings.Join(told.Said, "; "); !strings.Contains(said, "blocked: ads.example and everything below it, for phone, until ") || told.Command != "block 'https://Ads.Example/x' --device phone --for 1h" {
		t.Errorf("%+v", told)
	}
	if !strings.Contains(overlay(), "ads.example") || reloads != 1 {
		t.Errorf("after %d reloads the overlay says\n%s", reloads, overlay())
	}
	st, err := d.Standing()
	if err != nil || len(st.Rules) != 1 || st.Rules[0].Name != "ads.example" || st.Rules[0].Until.IsZero() || st.Command != told.Command {
		t.Fatalf("%+v, %v", st, err)
	}
	if _, err := d.Undo(t.Context(), "block other.example"); err == nil || !strings.Contains(err.Error(), "another change") {
		t.Errorf("undo of another change: %v", err)
	}
	if _, err := d.Remove(t.Context(), desk.InForce{Number: 1, Name: "other.example"}); err == nil {
		t.Error("a rule that is not at that number was removed")
	}
	if _, err := d.Undo(t.Context(), told.Command); err != nil || strings.Contains(overlay(), "ads.example") {
		t.Errorf("undo: %v\n%s", err, overlay())
	}
	for _, r := range []desk.Rule{{Does: "block", Name: "com"}, {Does: "rm", Name: "a.example"}, {Does: "block", Name: "-x y"}, {Does: "sink", Name: "192.0.2.1"}, {Does: "block", Name: "a.example", Device: "nobody"}} {
		before := overlay()
		if _, err := d.Rule(t.Context(), r); err == nil || strings.Contains(err.Error(), "\n") || overlay() != before {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if _, err := d.Pause(t.Context(), desk.Pause{Device: home.FirstDevice, For: 10 * time.Minute}); err != nil {
		t.Fatal(err)
	}
	if st, err := d.Standing(); err != nil || len(st.Pauses) != 1 || st.Pauses[0].Device != home.FirstDevice {
		t.Errorf("%+v, %v", st, err)
	}
	if _, err := d.Pause(t.Context(), desk.Pause{For: 48 * time.Hour}); err == nil {
		t.Error("a pause of two days")
	}
	if _, err := d.Resume(t.Context(), home.FirstDevice); err != nil {
		t.Fatal(err)
	}
	if st, err := d.Standing(); err != nil || len(st.Pauses) != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}
