package spell

import "testing"

func TestMeant(t *testing.T) {
	for _, c := range []struct{ word, want string }{
		{"tunel", `; did you mean "tunnel"?`},
		{"TUNNEL", `; did you mean "tunnel"?`},
		{"tunnle", `; did you mean "tunnel"?`}, // neighbours swapped
		{"dsn", `; did you mean "dns"?`},       // short words too
		{"xx", ""},                             // anything would be near a short word
		{"journey", ""},                        // another word
		{string(make([]byte, 5000)), ""},       // long words cost nothing
	} {
		if got := Meant(c.word, "tunnel", "dns", "lists"); got != c.want {
			t.Errorf("%.20q: %q, want %q", c.word, got, c.want)
		}
	}
}
