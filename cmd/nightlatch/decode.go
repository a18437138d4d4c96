package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"nightlatch/decoder"
)

// maxDecodeInput bounds what decode reads: far more than any sample.
const maxDecodeInput = 64 << 20

func (a *app) decodeCommand() *cobra.Command {
	var asJSON, chain, noKeys, all bool
	var knownFile string
	c := &cobra.Command{
		Use:   "decode [FILE|-]",
		Short: "Peel a payload: every encoding that was undone, every identifier found",
		Long: `Read a raw HTTP request, or any bytes, from a file or standard input, undo every
encoding in any nesting, and name what is found. It needs no gateway, no home
and no network.`,
		Example: `  nightlatch decode request.http
  nightlatch decode --known known.yaml --json request.http
  echo 'data=eyJpbWVpIjoiNDkwMTU0MjAzMjM3NTE4In0=' | nightlatch decode -`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			opts := decoder.Options{NoKeys: noKeys}
			if knownFile != "" {
				text, err := os.ReadFile(knownFile)
				if err != nil {
					return fmt.Errorf("--known: %w", err)
				}
				if opts.Known, err = decoder.ParseKnown(text); err != nil {
					return fmt.Errorf("--known: %s: %w", knownFile, err)
				}
			}
			d, err := decoder.New(opts)
			if err != nil {
				return err
			}
			raw, err := a.readInput(args)
			if err != nil {
				return err
			}
			r := d.Decode(raw)
			if asJSON {
				return printDecodedJSON(a.stdout, r)
			}
			return printDecoded(a.stdout, r, chain, all)
		},
	}
	fl := c.Flags()
	fl.BoolVar(&asJSON, "json", false, "print one JSON object")
	fl.BoolVar(&chain, "chain", false, "print the whole path to each finding")
	fl.BoolVar(&all, "all", false, "also print findings that are only possible")
	fl.BoolVar(&noKeys, "no-keys", false, "do not use the known keys of formats that only pretend to encrypt")
	fl.StringVar(&knownFile, "known", "", "file of values to look for: kind: [values], YAML or JSON")
	return c
}

func (a *app) readInput(args []string) ([]byte, error) {
	in := a.stdin
	if len(args) == 1 && args[0] != "-" {
		f, err := os.Open(args[0])
		if err != nil {
			return nil, fmt.Errorf("decode: %w", err)
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxDecodeInput+1))
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	if len(raw) > maxDecodeInput {
		return nil, fmt.Errorf("decode: the input is larger than %s", byteCount(maxDecodeInput))
	}
	return raw, nil
}

type findingJSON struct {
	Kind       string   `json:"kind"`
	Value      string   `json:"value"`
	Confidence string   `json:"confidence"`
	Path       string   `json:"path"`
	Chain      []string `json:"chain"`
}

func printDecodedJSON(w io.Writer, r decoder.Result) error {
	out := struct {
		Verdict  string        `json:"verdict"`
		Flags    []string      `json:"flags"`
		Findings []findingJSON `json:"findings"`
	}{r.Verdict, append([]string{}, r.Flags...), []findingJSON{}}
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, findingJSON{f.Kind, f.Value, f.Confidence.String(), f.Path, append([]string{}, f.Chain...)})
	}
	return json.NewEncoder(w).Encode(out)
}

// shown tells which findings a person sees first.
func shown(f decoder.Finding, all bool) bool { return all || f.Confidence > decoder.Possible }

// printDecoded prints a result for a person: the chains, and what was found at
// the end of each. Values are made harmless for the terminal.
func printDecoded(w io.Writer, r decoder.Result, chain, all bool) error {
	fmt.Fprintf(w, "verdict  %s\n", r.Verdict)
	if len(r.Flags) > 0 {
		fmt.Fprintf(w, "flags    %s\n", strings.Join(r.Flags, ", "))
	}
	hidden, last := 0, ""
	for _, f := range r.Findings {
		if !shown(f, all) {
			hidden++
			continue
		}
		if c := strings.Join(f.Chain, " -> "); c != last {
			fmt.Fprintf(w, "\n%s\n", decoder.Safe(dashIfEmpty(c)))
			last = c
		}
		fmt.Fprintf(w, "  %-18s %-9s %s\n", decoder.Safe(f.Kind), f.Confidence, decoder.Safe(clip(f.Value, 200)))
		if chain {
			fmt.Fprintf(w, "  %-18s %-9s %s\n", "", "at", decoder.Safe(f.Path))
		}
	}
	if hidden > 0 {
		fmt.Fprintf(w, "\n%s more that are only possible; --all shows them\n", count(hidden, "finding"))
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(w, "\nnothing was found")
	}
	return nil
}

func dashIfEmpty(s string) string {
	if s == "" {
		return "(as it is)"
	}
	return s
}

// clip shortens a long value, whole runes kept.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
