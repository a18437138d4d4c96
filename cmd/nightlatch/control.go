package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"nightlatch/cmd/nightlatch/home"
	"nightlatch/cmd/nightlatch/journalcmd"
)

// The control socket stands in the home folder, which only its owner may
// enter: who can open it may steer the gateway. It speaks HTTP.

// maxSocketPath is what unix sockets allow on every system (sun_path).
const maxSocketPath = 103

// checkSocketPath tells before anything is made whether a socket can be.
func checkSocketPath(h home.Home) error {
	if path := h.Socket(); len(path) > maxSocketPath {
		return fmt.Errorf("control socket: %s is longer than the %d characters a socket may have; choose a shorter --home", path, maxSocketPath)
	}
	return nil
}

// listenControl opens the control socket; a live one means that another
// gateway runs in this home.
func listenControl(h home.Home) (net.Listener, error) {
	path := h.Socket()
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("a gateway is running in %s already; stop it first, or choose another --home", h.Dir)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %s: %w", path, plainNetError(err))
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return l, nil
}

// controlHandler is what the control socket answers.
func (g *gateway) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(g.status())
	})
	mux.HandleFunc("GET /facts", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(g.facts())
	})
	mux.Handle("POST /journal/forget", journalcmd.Forget(g.journal))
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) {
		if err := g.reload(); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		}
	})
	return mux
}

// errNoGateway means that nobody listens at the control socket.
var errNoGateway = errors.New("no gateway is running in this home")

// control asks the running gateway; the caller closes the answer.
func askGateway(ctx context.Context, h home.Home, method, path string, query url.Values) (*http.Response, error) {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", h.Socket())
		},
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://control"+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), len(h.Socket()) > maxSocketPath:
		return nil, errNoGateway
	case err != nil:
		return nil, fmt.Errorf("control socket: %w", err)
	case resp.StatusCode != http.StatusOK:
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		return nil, errors.New(strings.TrimSpace(string(text)))
	}
	return resp, nil
}

// reloadRunning tells a running gateway that files have changed; none running
// is fine.
func reloadRunning(ctx context.Context, h home.Home) error {
	_, err := tellRunning(ctx, h)
	return err
}

// tellRunning is reloadRunning, and says whether a gateway is running.
func tellRunning(ctx context.Context, h home.Home) (running bool, err error) {
	resp, err := askGateway(ctx, h, "POST", "/reload", nil)
	if errors.Is(err, errNoGateway) {
		return false, nil
	}
	if err != nil {
		return true, fmt.Errorf("the files are changed, but the running gateway did not take them: %w", err)
	}
	return true, resp.Body.Close()
}
