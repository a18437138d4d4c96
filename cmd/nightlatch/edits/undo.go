package edits

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config/edit"
)

// undoName keeps what the last changes replaced. A change is known by the text
// it made: as long as a file says exactly that, the change can be taken back; when
// somebody has edited the file since, it cannot, and nothing is guessed.
const undoName = "undo.json"

const (
	maxUndo     = 50      // changes kept
	maxUndoSize = 1 << 20 // bytes kept
)

// past is one change that can be taken back.
type past struct {
	Time    time.Time `json:"time"`
	Command string    `json:"command"`
	File    string    `json:"file"`
	After   string    `json:"after"` // SHA-256 of the text it made
	From    int       `json:"from"`  // the bytes From..To of that text
	To      int       `json:"to"`
	Old     string    `json:"old"` // are what stood here before
}

// pastOf describes a change by what it replaced, in whole lines.
func pastOf(ch change, r edit.Result, now time.Time) past {
	from, old, new := 0, r.Old, r.New
	for i := 0; i < len(old) && i < len(new) && old[i] == new[i]; i++ {
		if old[i] == '\n' {
			from = i + 1
		}
	}
	whole := func(text []byte, n int) bool { return len(text)-n == from || text[len(text)-n-1] == '\n' }
	tail := 0
	for i := 1; i <= min(len(old), len(new))-from && old[len(old)-i] == new[len(new)-i]; i++ {
		if whole(old, i) && whole(new, i) {
			tail = i
		}
	}
	return past{now.UTC(), ch.of, ch.file, digest(new), from, len(new) - tail, string(old[from : len(old)-tail])}
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// remember keeps a change for undo.
func remember(ctx context.Context, h home.Home, ch change, r edit.Result, now time.Time) error {
	return updatePast(ctx, h, func(all []past) ([]past, error) {
		all = append(all, pastOf(ch, r, now))
		size := 0
		for i := len(all) - 1; i >= 0; i-- {
			if size += len(all[i].Old) + 300; size > maxUndoSize || len(all)-i > maxUndo {
				return all[i+1:], nil
			}
		}
		return all, nil
	})
}

func updatePast(ctx context.Context, h home.Home, change func([]past) ([]past, error)) error {
	_, err := edit.Update(ctx, h.Path(undoName), edit.Fresh{Mode: 0o600}, func(text []byte) ([]byte, error) {
		all, err := change(readPast(text))
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		for _, p := range all {
			if err := enc.Encode(p); err != nil {
				return nil, err
			}
		}
		return b.Bytes(), nil
	})
	return err
}

// readPast reads what can be taken back, the oldest first. What is damaged is as
// if it had never been.
func readPast(text []byte) (out []past) {
	for line := range bytes.Lines(text) {
		var p past
		if json.Unmarshal(line, &p) == nil && p.File != "" {
			out = append(out, p)
		}
	}
	return out
}

// back gives the text before a change.
func (p past) back(text []byte) ([]byte, error) {
	if digest(text) != p.After || p.From < 0 || p.To < p.From || p.To > len(text) {
		return nil, errEdited
	}
	return bytes.Join([][]byte{text[:p.From], []byte(p.Old), text[p.To:]}, nil), nil
}

var errEdited = errors.New("edited since")

// readFile gives the text of a file of the home.
func readFile(h home.Home, name, fresh string) ([]byte, error) {
	r, err := edit.Read(h.Path(name), edit.Fresh{Text: []byte(fresh)})
	return r.Old, err
}

func heads() map[string]string {
	return map[string]string{overlayName: overlayHead, pausesName: pausesHead}
}

func (t *tool) undoCommand() *cobra.Command {
	var f shared
	c := &cobra.Command{
		Use:   "undo",
		Short: "Take back the last change of block, allow, sink, observe, rules remove, pause or resume",
		Long: fmt.Sprintf(`Take back the last change that a command made to overlay.yaml or pauses.yaml:
the file is then byte for byte as it was. Again takes back the one before; the
last %d are kept. A file that was edited by hand since is left alone.`, maxUndo),
		Example: "  nightlatch undo\n  nightlatch undo --dry-run",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			h, err := t.NeedHome()
			if err != nil {
				return err
			}
			o := &outcome{Command: "undo"}
			if err := t.undo(c.Context(), h, f, o); err != nil {
				return err
			}
			return t.report(f, o)
		},
	}
	f.add(c)
	return c
}

// last gives the newest change that can be taken back.
func last(h home.Home) (past, error) {
	kept, err := readFile(h, undoName, "")
	if err != nil {
		return past{}, err
	}
	all := readPast(kept)
	if len(all) == 0 {
		return past{}, errors.New("there is no change of a command to take back")
	}
	newest := all[len(all)-1]
	text, err := readFile(h, newest.File, heads()[newest.File])
	if err != nil {
		return past{}, err
	}
	now := digest(text)
	for i := len(all) - 1; i >= 0; i-- { // of two commands at once, the second may be kept first
		if p := all[i]; p.File == newest.File && p.After == now && heads()[p.File] != "" {
			return p, nil
		}
	}
	return past{}, fmt.Errorf("%s was edited by hand after the last change (nightlatch %s), so it is left alone; nightlatch rules shows what is in it",
		h.Path(newest.File), newest.Command)
}

// undo takes back the last change.
func (t *tool) undo(ctx context.Context, h home.Home, f shared, o *outcome) error {
	p, err := last(h)
	if err != nil {
		return err
	}
	path, fresh := h.Path(p.File), edit.Fresh{Text: []byte(heads()[p.File]), Mode: 0o600}
	o.File, o.DryRun = path, f.dryRun
	if f.dryRun {
		r, err := edit.Read(path, fresh)
		if err != nil {
			return err
		}
		if r.New, err = p.back(r.Old); err != nil {
			return err
		}
		o.Diff = edit.Diff(r.Old, r.New)
		return nil
	}
	if _, err := edit.Update(ctx, path, fresh, p.back); err != nil {
		if errors.Is(err, errEdited) {
			return fmt.Errorf("%s was changed just now; try again", path)
		}
		return err
	}
	o.Changed = true
	err = updatePast(ctx, h, func(all []past) ([]past, error) {
		for i := len(all) - 1; i >= 0; i-- {
			if all[i].After == p.After && all[i].Time.Equal(p.Time) {
				return append(all[:i], all[i+1:]...), nil
			}
		}
		return all, nil
	})
	if err != nil {
		o.warn("%v", err)
	}
	if err := t.tell(ctx, h, o); err != nil {
		return err
	}
	o.say("took back: nightlatch %s (%s)", p.Command, when(p.Time, t.now()))
	return nil
}
