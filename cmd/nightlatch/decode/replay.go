package decode

import (
	"encoding/json"
	"fmt"
	"io"

	"nightlatch/cmd/nightlatch/findings"
	"nightlatch/decoder"
)

// replayed is a replay as scripts see it. The data of a layer is in base64.
type replayed struct {
	Path   string   `json:"path"`
	Layers []layer  `json:"layers"`
	Values []string `json:"values"`
}

type layer struct {
	Codec string `json:"codec"`
	Path  string `json:"path"`
	Data  []byte `json:"data"`
}

// replay follows one path through a payload and prints what each step of it
// gave, down to the value.
func replay(w io.Writer, d *decoder.Decoder, raw []byte, path string, asJSON bool) error {
	r, ok := d.Replay(raw, path)
	if !ok {
		return fmt.Errorf("decode: nothing stands at %s; nightlatch decode --chain tells the paths there are", decoder.Safe(path))
	}
	if asJSON {
		out := replayed{Path: path, Layers: []layer{}, Values: append([]string{}, r.Values...)}
		for _, l := range r.Layers {
			out.Layers = append(out.Layers, layer{l.Codec, l.Path, l.Data})
		}
		return json.NewEncoder(w).Encode(out)
	}
	findings.Peel(w, r.Layers, "")
	for _, v := range r.Values {
		fmt.Fprintf(w, "value    %6d bytes  %s\n", len(v), decoder.Safe(findings.Clip(v, 2000)))
	}
	return nil
}
