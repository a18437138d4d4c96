package home

import (
	"testing"
	"testing/synctest"
	"time"

	"nightlatch/config"
)

// TestUntilIsAChange: the end of a device is seen like an edit of a file.
func TestUntilIsAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config.Default()
		s := &Settings{Home: Home{t.TempDir()}, Config: &cfg, written: &cfg,
			Devices: []config.Device{{Name: "guest", Until: time.Now().Add(time.Hour)}, {Name: "phone"}}}
		s.Seen = s.Look()
		if s.Look()["device guest"] != s.Seen["device guest"] {
			t.Error("nothing has changed")
		}
		<-time.After(time.Hour)
		if s.Look()["device guest"] == s.Seen["device guest"] {
			t.Error("its end is not seen")
		}
	})
}
