package blocklists

import "testing"

func TestBuiltinLists(t *testing.T) {
	guard, err := NeverBlock()
	if err != nil {
		t.Fatal(err)
	}
	names := BuiltinNames()
	if len(names) < 5 {
		t.Fatalf("only %d built-in lists: %v", len(names), names)
	}
	for _, name := range names {
		if name == neverBlock {
			t.Errorf("%s is offered as a list to block with", name)
		}
		l, err := Builtin(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if l.Len() == 0 || l.Report.Blocks == 0 {
			t.Errorf("%s: no rules", name)
		}
		if l.Title == "" || l.Owner == "" || l.About == "" {
			t.Errorf("%s: title %q, owner %q, about %q: one is missing", name, l.Title, l.Owner, l.About)
		}
		for _, c := range guard.Crossings(l) {
			t.Errorf("%s:%d: %q stops %s, which should never be stopped (%s)", name, c.Rule.Line, c.Rule.Text, c.Name.Domain, c.Name.Why)
		}
	}
}

func TestBuiltinUnknown(t *testing.T) {
	for _, name := range []string{"", "nothing", neverBlock, "../builtin", "xiaomi.yaml"} {
		if _, err := Builtin(name); err == nil {
			t.Errorf("%q: no error", name)
		}
	}
	_, err := Builtin("xiomi")
	if want := `blocklists: no built-in list is called "xiomi"; did you mean "xiaomi"?`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestBuiltinPromises holds the facts that issue 3 names.
func TestBuiltinPromises(t *testing.T) {
	l, err := Builtin("xiaomi")
	if err != nil {
		t.Fatal(err)
	}
	s := Compile(l)
	if r, ok := s.Match("sa.api.intl.miui.com", Selection{}); !ok || r.Allow {
		t.Error("sa.api.intl.miui.com is not stopped")
	}
	if r, ok := s.Match("find.api.micloud.xiaomi.net", Selection{}); ok && !r.Allow {
		t.Errorf("find.api.micloud.xiaomi.net is stopped by line %d", r.Line)
	}
}
