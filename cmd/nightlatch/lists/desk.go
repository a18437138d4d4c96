package lists

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"nightlatch/blocklists"
	"nightlatch/blocklists/subscription"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config"
	"nightlatch/config/edit"
	"nightlatch/dashboard/desk"
)

// Desk fills in what of a dashboard's desk is about lists. now gives the
// settings in force; reload puts what was saved in force.
func Desk(d *desk.Desk, now func() *home.Settings, reload func() error) {
	d.Lists = func() ([]desk.List, error) { return deskLists(now()), nil }
	d.List = func(name string) (desk.Sheet, error) {
		r, err := reportOn(now(), name, time.Now())
		if err != nil {
			return desk.Sheet{}, err
		}
		return r.sheet(time.Now()), nil
	}
	d.Offers = offers
	d.Text = func(name string) ([]byte, error) {
		path, err := ownFile(now(), name)
		if err != nil {
			return nil, err
		}
		r, err := edit.Read(path, edit.Fresh{})
		return r.Old, err
	}
	d.Check = func(name string, text []byte) (desk.Checked, error) {
		path, err := ownFile(now(), name)
		if err != nil {
			return desk.Checked{}, err
		}
		return check(path, name, text), nil
	}
	d.SaveText = func(ctx context.Context, name string, old, text []byte) (desk.Told, error) {
		path, err := ownFile(now(), name)
		if err != nil {
			return desk.Told{}, err
		}
		return save(ctx, path, name, old, text, reload)
	}
}

func deskLists(s *home.Settings) []desk.List {
	var out []desk.List
	for _, h := range healthOf(s, time.Now()) {
		l := desk.List{Name: h.Name, Title: h.Title, From: h.From, Rules: h.Rules, Ignored: h.Ignored, Changed: h.Changed, Problem: h.Problem}
		if path, err := ownFile(s, h.Name); err == nil {
			l.File = filepath.Base(path)
		}
		if h.State != nil {
			l.Success = h.State.Success
			if a := h.State.Attempt; !a.Time.IsZero() {
				l.Tried = string(a.Outcome) + " " + ago(a.Time, time.Now())
			}
		}
		out = append(out, l)
	}
	return out
}

// ownFile finds the file of a list of the owner's, in the folder of lists
// alone: also of one that is broken and was never in force.
func ownFile(s *home.Settings, name string) (string, error) {
	folder := config.Resolve(s.Home.Dir, s.Config.Lists.Folder)
	if s.Config.Lists.Folder != "" && name != "" && name == filepath.Base(name) && !strings.HasPrefix(name, ".") {
		for _, ext := range []string{".yaml", ".yml", ".txt"} {
			path := filepath.Join(folder, name+ext)
			if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
				return path, nil
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", fmt.Errorf("lists: %w", err)
			}
		}
	}
	return "", fmt.Errorf("%q is not a list of your own that can be edited here", name)
}

// check reads a text as the list it would be. One that includes others is read
// from beside them, under a name that no gateway reads.
func check(path, name string, text []byte) desk.Checked {
	src := blocklists.Source{Name: name, Own: true}
	if filepath.Ext(path) != ".txt" {
		src.Format = blocklists.Native
	}
	var l *blocklists.List
	var err error
	if bytes.Contains(text, []byte("include:")) {
		l, err = readBeside(src, path, text)
	} else {
		l, err = blocklists.Parse(src, bytes.NewReader(text))
	}
	if err == nil {
		return desk.Checked{Rules: l.Len(), Lines: l.Report.Words()}
	}
	out := desk.Checked{Problem: strings.TrimPrefix(err.Error(), "blocklists: ")}
	var at *blocklists.SyntaxError
	if errors.As(err, &at) {
		at.File = filepath.Base(path)
		out = desk.Checked{Line: at.Line, Column: at.Column, Problem: strings.TrimPrefix(at.Error(), "blocklists: ")}
	}
	return out
}

func readBeside(src blocklists.Source, path string, text []byte) (*blocklists.List, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".check-*"+filepath.Ext(path))
	if err != nil {
		return nil, fmt.Errorf("lists: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("lists: %w", err)
	}
	return blocklists.ParseFile(src, f.Name())
}

// save writes a text in the place of old, once it was found good.
func save(ctx context.Context, path, name string, old, text []byte, reload func() error) (desk.Told, error) {
	if c := check(path, name, text); c.Problem != "" {
		return desk.Told{}, fmt.Errorf("not saved: %s", c.Problem)
	}
	_, err := edit.Update(ctx, path, edit.Fresh{Mode: 0o600}, func(now []byte) ([]byte, error) {
		if !bytes.Equal(now, old) {
			return nil, fmt.Errorf("not saved: %s was changed meanwhile by something else; open it anew", filepath.Base(path))
		}
		return text, nil
	})
	if err == nil {
		err = reload()
	}
	if err != nil {
		return desk.Told{}, err
	}
	return desk.Told{Said: []string{"saved: " + filepath.Base(path) + "; it is in force"}}, nil
}

// offers is the catalogue.
func offers() (desk.Sheet, error) {
	all, err := subscription.Catalogue()
	if err != nil {
		return desk.Sheet{}, err
	}
	t := desk.Table{Head: []string{"Name", "Entries", "Licence", "For"}}
	for _, e := range all {
		t.Rows = append(t.Rows, []string{e.Name, fmt.Sprint(e.Size()), e.Licence, strings.TrimSuffix(e.For, ".")})
	}
	return desk.Sheet{Tables: []desk.Table{t}}, nil
}
