package ca

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
)

// shown is what --json prints.
type shown struct {
	Name        string    `json:"name"`
	Fingerprint string    `json:"sha256"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Only        []string  `json:"only,omitempty"`
	File        string    `json:"file"`
	Gateway     string    `json:"gateway"` // one of the uses below
}

// What a running gateway does with the authority.
const (
	useThis  = "in use"
	useOther = "another is in use"
	useNone  = "not in use"
	useStill = "no gateway runs"
)

func show(a *cli.App) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show",
		Short: "What the authority is, how long it is good, whether it is in use",
		Long: `Show the authority: the name and the fingerprint to compare with what a phone
shows, how long it is good, what it may sign, where its certificate is, and
whether the running gateway uses it.`,
		Example: "  nightlatch ca show",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			h, ca, err := load(a)
			if err != nil {
				return err
			}
			s := shown{ca.Name(), ca.Fingerprint(), ca.NotBefore().UTC(), ca.NotAfter().UTC(), ca.Only(), certificate(h), use(c.Context(), h, ca.Fingerprint())}
			if asJSON {
				e := json.NewEncoder(a.Stdout)
				e.SetIndent("", "  ")
				return e.Encode(s)
			}
			until := "until " + s.NotAfter.Format(time.DateOnly)
			if time.Now().After(s.NotAfter) {
				until = "expired on " + s.NotAfter.Format(time.DateOnly) + "; nightlatch ca remove, then create"
			}
			fmt.Fprintf(a.Stdout, "name     %s\nSHA-256  %s\ngood     %s\nsigns    %s\nfile     %s\ngateway  %s\n%s",
				s.Name, ca.FingerprintPairs(), until, domains(ca), s.File, words(s.Gateway), install)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func words(use string) string {
	switch use {
	case useThis:
		return "reads with it now"
	case useOther:
		return "reads with another one; it takes this one within a second or two"
	case useNone:
		return "runs, and reads no HTTPS; look at sinkhole.https in nightlatch.yaml"
	}
	return "none is running"
}

// askTime bounds the wait for a gateway that hangs.
const askTime = 5 * time.Second

// use asks the running gateway which authority it reads with.
func use(ctx context.Context, h home.Home, fingerprint string) string {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", h.Socket())
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://control/status", nil)
	if err != nil {
		return useStill
	}
	resp, err := client.Do(req)
	if err != nil {
		return useStill
	}
	defer resp.Body.Close()
	var status struct{ SinkCA string } // of dashboard.Status
	if resp.StatusCode != http.StatusOK || json.NewDecoder(resp.Body).Decode(&status) != nil {
		return useStill
	}
	switch status.SinkCA {
	case "":
		return useNone
	case fingerprint:
		return useThis
	}
	return useOther
}
