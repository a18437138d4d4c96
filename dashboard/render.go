package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"strconv"
	"time"

	"nightlatch/dashboard/desk"
	"nightlatch/dashboard/flash"
	"nightlatch/dashboard/visible"
	"nightlatch/dashboard/words"
)

//go:embed web
var web embed.FS

// page is what a template is given.
type page struct {
	Name   string // of the template, and of the entry in the menu
	Title  string
	Inside bool // signed in: show the menu
	Live   bool // the page listens to /live
	Body   any
	Flash  *flash.Word // what the last form did
	Path   string      // of this page with its query: forms come back to it
}

// pages are the parsed templates, one set for each page.
type pages struct{ sets map[string]*template.Template }

// pageNames are the pages; each has a file in web and stands on base.html.
func pageNames() []string {
	return []string{"now", "queries", "flows", "leaks", "capture", "login", "error", "ca",
		"why", "device", "lists", "list", "edit", "rules", "health", "devices"}
}

func loadPages(a assets, k desk.Desk) (*pages, error) {
	base, err := template.New("base.html").Funcs(template.FuncMap{
		"asset": a.url, "count": words.Count, "size": words.Size, "span": words.Span, "kind": words.Kind, "many": words.Many, "cut": visible.Cut,
		"len64": length, "int64": func(n int) int64 { return int64(n) }, "ruleCount": ruleCount,
		"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"clock": func(t time.Time) string { return t.Local().Format("15:04:05") },
		"day":   day, "stamp": func(t time.Time) string { return t.Local().Format("2 Jan 15:04:05") },
		"seg": url.PathEscape, "acts": func() bool { return k.Rule != nil }, "asks": func() bool { return k.Why != nil },
		"lists": func() bool { return k.Lists != nil },
		"hour":  func(t time.Time) string { return t.Local().Format("15:04") },
	}).ParseFS(web, "web/base.html", "web/parts.html")
	if err != nil {
		return nil, fmt.Errorf("dashboard: templates: %w", err)
	}
	p := &pages{sets: map[string]*template.Template{}}
	for _, name := range pageNames() {
		set, err := template.Must(base.Clone()).ParseFS(web, "web/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("dashboard: templates: %w", err)
		}
		p.sets[name] = set
	}
	return p, nil
}

// length is the length of a slice, for words that count.
func length(v any) int64 { return int64(reflect.ValueOf(v).Len()) }

func ruleCount(lists []List) (n int64) {
	for _, l := range lists {
		n += int64(l.Rules)
	}
	return n
}

// render gives one template of a page's set, made safe to look at.
func (p *pages) render(set, name string, data any) ([]byte, error) {
	var buf bytes.Buffer
	if err := p.sets[set].ExecuteTemplate(&buf, name, data); err != nil {
		return nil, fmt.Errorf("dashboard: page %s: %w", set, err)
	}
	return visible.Text(buf.Bytes()), nil
}

// show writes a whole page. It is made in memory first, so that a failure
// half-way never leaves half a page.
func (d *Dashboard) show(w http.ResponseWriter, r *http.Request, status int, p page) {
	if c, err := r.Cookie(cookieName); err == nil {
		if p.Inside = p.Name != "login" && d.door.Admits(c.Value, d.now(), false); p.Inside {
			p.Flash = d.flashes.Take(c.Value, d.now())
		}
	}
	p.Path = backTo(r.URL.RequestURI())
	body, err := d.pages.render(p.Name, "base.html", p)
	if err != nil {
		d.log.Error("dashboard: rendering failed", "page", p.Name, "err", err)
		http.Error(w, "the page could not be made; the log of nightlatch says why", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	// Browsers hide the origin of a form sent under no-referrer, and without TLS
	// the origin is all there is to tell our form from a foreign one.
	h.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// assets are the files that pages load, by name. Their address holds a hash of
// all of them, so that browsers may keep them for good.
type assets struct {
	version string
	files   map[string][]byte
}

func loadAssets() assets {
	a := assets{files: map[string][]byte{}}
	sum := sha256.New()
	for _, name := range []string{"style.css", "live.js", "edit.js", "icon.svg"} {
		data, err := fs.ReadFile(web, "web/"+name)
		if err != nil {
			panic(err) // embedded at build time: cannot be missing
		}
		a.files[name] = data
		sum.Write(data)
	}
	a.version = hex.EncodeToString(sum.Sum(nil)[:8])
	return a
}

func (a assets) url(name string) string { return "/static/" + a.version + "/" + name }

func (d *Dashboard) static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	data, ok := d.assets.files[name]
	if !ok || r.PathValue("version") != d.assets.version {
		d.fail(w, r, http.StatusNotFound, "There is no such file.")
		return
	}
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	w.Header().Set("Content-Type", types[path.Ext(name)])
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(data)
}
