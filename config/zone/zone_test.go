package zone

import (
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	for z := range strings.FieldsSeq(names) {
		if _, err := Load(z); err != nil {
			t.Error(err)
		}
	}
	for name, want := range map[string]string{
		"Europe/Berlln": `did you mean "Europe/Berlin"?`, "europe/berlim": `did you mean "Europe/Berlin"?`,
		"berlin": `did you mean "Europe/Berlin"?`, "new york": `did you mean "America/New_York"?`,
		"../../etc/passwd": "such as", "": "leave it out", "Local": "leave it out", "Mars/Olympus": "such as", strings.Repeat("a", 500): "such as",
	} {
		if _, err := Load(name); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 250 {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
	}
	for _, name := range []string{"UTC", "Etc/UTC", "Asia/Calcutta", "Pacific/Chatham"} {
		if _, err := Load(name); err != nil {
			t.Error(err)
		}
	}
}
