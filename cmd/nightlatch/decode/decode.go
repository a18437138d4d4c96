// Package decode is the command that decodes one payload, without a gateway.
package decode

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/findings"
	"nightlatch/decoder"
)

// everyChain is what --chain means without a path.
const everyChain = "all"

// maxDecodeInput bounds what decode reads: far more than any sample.
const maxDecodeInput = 64 << 20

// Command is nightlatch decode.
func Command(a *cli.App) *cobra.Command {
	var asJSON, noKeys, all bool
	var knownFile, chain string
	c := &cobra.Command{
		Use:   "decode [FILE|-]",
		Short: "Peel a payload: every encoding that was undone, every identifier found",
		Long: `Read a raw HTTP request, or any bytes, from a file or standard input, undo every
encoding in any nesting, and name what is found. It needs no gateway, no home
and no network.`,
		Example: `  nightlatch decode request.http
  nightlatch decode --known known.yaml --json request.http
  nightlatch decode --chain=body/form:data/base64/json:/imei request.http
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
			raw, err := readInput(a, args)
			if err != nil {
				return err
			}
			if chain != "" && chain != everyChain {
				return replay(a.Stdout, d, raw, chain, asJSON)
			}
			r := d.Decode(raw)
			if asJSON {
				return printDecodedJSON(a.Stdout, r, all)
			}
			return printDecoded(a.Stdout, r, chain != "", all)
		},
	}
	fl := c.Flags()
	fl.BoolVar(&asJSON, "json", false, "print one JSON object")
	fl.StringVar(&chain, "chain", "", "print the whole path to each finding; with =PATH, follow that path and print every layer on the way")
	fl.Lookup("chain").NoOptDefVal = everyChain
	fl.BoolVar(&all, "all", false, "also print findings that are only possible")
	fl.BoolVar(&noKeys, "no-keys", false, "do not use the known keys of formats that only pretend to encrypt")
	fl.StringVar(&knownFile, "known", "", "file of values to look for: kind: [values], YAML or JSON")
	return c
}

func readInput(a *cli.App, args []string) ([]byte, error) {
	in := a.Stdin
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
		return nil, fmt.Errorf("decode: the input is larger than %s", cli.Bytes(maxDecodeInput))
	}
	return raw, nil
}

// decoded is a result as scripts see it.
type decoded struct {
	Verdict  string            `json:"verdict"`
	Vendor   string            `json:"vendor,omitempty"`
	Flags    []string          `json:"flags"`
	Findings []decoder.Finding `json:"findings"`
}

func printDecodedJSON(w io.Writer, r decoder.Result, all bool) error {
	return json.NewEncoder(w).Encode(decoded{r.Verdict, r.Vendor, append([]string{}, r.Flags...), append([]decoder.Finding{}, shown(r, all)...)})
}

// shown gives the findings without those that are only possible, which are for
// who asks for them.
func shown(r decoder.Result, all bool) []decoder.Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f decoder.Finding) bool { return !all && f.Confidence == decoder.Possible })
}

// printDecoded prints a result for a person: the chains, and what was found at
// the end of each.
func printDecoded(w io.Writer, r decoder.Result, paths, all bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "verdict\t%s\n", r.Verdict)
	if r.Vendor != "" {
		fmt.Fprintf(t, "vendor\t%s\n", decoder.Safe(r.Vendor))
	}
	if len(r.Flags) > 0 {
		fmt.Fprintf(t, "flags\t%s\n", strings.Join(r.Flags, ", "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	shown := shown(r, all)
	if len(shown) > 0 {
		fmt.Fprintln(w)
	}
	findings.Print(w, shown, findings.Style{Sure: true, Paths: paths, Width: 200})
	switch hidden := len(r.Findings) - len(shown); {
	case len(r.Findings) == 0:
		fmt.Fprintln(w, "\nnothing was found")
	case hidden == 1:
		fmt.Fprintln(w, "\n1 more finding is only possible; --all shows it")
	case hidden > 1:
		fmt.Fprintf(w, "\n%d more findings are only possible; --all shows them\n", hidden)
	}
	return nil
}
