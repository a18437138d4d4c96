package device

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
)

// screen is a terminal that the test reads while the command writes.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var linkOf = regexp.MustCompile(`http://127\.0\.0\.1:\d+/enrol/\S+`)

// TestInvite: who opens the link gets a whole .conf; the private key in it is in
// no file of the home, and the gateway is told.
func TestInvite(t *testing.T) {
	h := home.Home{Dir: t.TempDir()}
	if err := h.PrepareFiles(); err != nil {
		t.Fatal(err)
	}
	out, told := &screen{}, 0
	a := &app{&cli.App{Stdout: out, Stderr: out, HomeDir: h.Dir}, Gateway{Reload: func(context.Context, home.Home) error { told++; return nil }}}
	c := a.invite()
	c.SetArgs([]string{"tablet"})
	done := make(chan error)
	go func() { done <- c.ExecuteContext(t.Context()) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	link := ""
	for ; link == ""; link = linkOf.FindString(out.String()) {
		select {
		case <-tick.C:
		case err := <-done:
			t.Fatal(err, out)
		}
	}
	resp, err := http.Post(link, "application/x-www-form-urlencoded", nil)
	if err != nil {
		t.Fatal(err)
	}
	conf, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err := <-done; err != nil || told != 1 || !strings.Contains(out.String(), "tablet is in\n") {
		t.Fatal(err, told, out)
	}
	key := regexp.MustCompile(`(?m)^PrivateKey = (\S{44})$`).FindSubmatch(conf)
	if !home.Whole(conf) || key == nil {
		t.Fatalf("%s", conf)
	}
	for _, path := range []string{h.ConfPath("tablet"), h.DevicePath("tablet")} {
		b, err := os.ReadFile(path)
		if err != nil || bytes.Contains(b, key[1]) {
			t.Errorf("%s: %v, or it holds the private key", path, err)
		}
	}
}
