package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"nightlatch/dashboard/visible"
	"nightlatch/dashboard/words"
)

//go:embed report.html
var pageText string

//go:embed report.css
var styleText string

// Bounds of the page; the JSON has what it leaves out.
const (
	fullServers = 60  // servers that are told of in full
	shortRows   = 200 // rows of a table
	pageValues  = 25  // values of one server
	longText    = 160 // runes of a text that someone else chose
)

// HTML writes the report as one page without any foreign resource.
func (r *Report) HTML(w io.Writer) error {
	page, err := template.New("report").Funcs(r.words()).Parse(pageText)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	var b bytes.Buffer
	if err := page.Execute(&b, r.view()); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = w.Write(visible.Text(b.Bytes()))
	return err
}

// words are what the template writes values with. cut bounds everything that
// someone else chose.
func (r *Report) words() template.FuncMap {
	in := func(t time.Time) time.Time { return t.In(r.zone) }
	return template.FuncMap{
		"count": words.Count, "many": words.Many, "times": times, "size": words.Size, "kind": words.Kind,
		"cut":   func(s string) string { return visible.Cut(s, longText) },
		"stamp": func(t time.Time) string { return in(t).Format("2 Jan 2006, 15:04") },
		"day":   func(t time.Time) string { return in(t).Format("2 January 2006") },
		"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"len64": func(v int) int64 { return int64(v) },
		"list":  list,
	}
}

// view is what the page shows: the report, bounded and laid out.
type view struct {
	*Report
	Style  template.CSS
	Policy string // Content-Security-Policy that allows this style and nothing else
	Groups []group
	Others []Server // stopped, told of in a table
	Got    []Server // received
	More   int      // servers left out of the page
	Chart  chart
}

// group is the stopped servers of one company.
type group struct {
	Company
	Servers []shown
}

// shown is a server with as many values as the page has room for.
type shown struct {
	Server
	Left int // values that only the JSON has
}

func (r *Report) view() *view {
	sum := sha256.Sum256([]byte(styleText))
	v := &view{Report: r, Style: template.CSS(styleText), Chart: r.chart(),
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"}
	full := 0
	told := map[string]bool{}
	for _, c := range r.Companies {
		g := group{Company: c}
		for _, s := range r.Stopped {
			if s.Company != c.Name || full >= fullServers || s.Payloads == 0 && len(s.Values) == 0 {
				continue
			}
			full++
			told[s.Name] = true
			n := min(len(s.Values), pageValues)
			x := shown{Server: s, Left: len(s.Values) - n + s.MoreValues}
			x.Values = s.Values[:n]
			g.Servers = append(g.Servers, x)
		}
		if len(g.Servers) > 0 {
			v.Groups = append(v.Groups, g)
		}
	}
	for _, s := range r.Stopped {
		if !told[s.Name] {
			v.Others = append(v.Others, s)
		}
	}
	v.Got = r.Received
	v.More = max(0, len(v.Others)-shortRows) + max(0, len(v.Got)-shortRows)
	v.Others, v.Got = v.Others[:min(len(v.Others), shortRows)], slices.Clone(v.Got[:min(len(v.Got), shortRows)])
	return v
}

// chart is the columns, laid out.
type chart struct {
	Width, Height, Left, Base, Right float64
	Bars                             []bar
	Lines                            []line
	Unit                             string // hour, day or some days
}

type bar struct {
	X, W, Mid, TopY, TopH, LowY, LowH float64
	Title, Label                      string
	Period
}

type line struct {
	Y     float64
	Label string
}

func (r *Report) chart() chart {
	c := chart{Width: 720, Height: 210, Left: 44, Base: 182, Right: 712, Unit: "day"}
	n := len(r.Periods)
	if n == 0 {
		return c
	}
	form, label := "2 Jan 2006", "2 Jan"
	if n > 1 {
		switch step := r.Periods[1].Start.Sub(r.Periods[0].Start); {
		case step <= time.Hour:
			c.Unit, form, label = "hour", "2 Jan, 15:04", "15:04"
		case step > 26*time.Hour:
			c.Unit = fmt.Sprintf("%d days", int(math.Round(step.Hours()/24)))
		}
	} else if r.Last.Sub(r.First) <= time.Hour {
		c.Unit, form, label = "hour", "2 Jan, 15:04", "15:04"
	}
	most := int64(1)
	for _, p := range r.Periods {
		most = max(most, p.Asked)
	}
	step := niceStep(most)
	full := float64(step * ((most + step - 1) / step))
	plot := c.Base - 16
	for v := int64(0); float64(v) <= full; v += step {
		c.Lines = append(c.Lines, line{round(c.Base - plot*float64(v)/full), words.Count(v)})
	}
	slot := (c.Right - c.Left) / float64(n)
	every := (n + 7) / 8
	for i, p := range r.Periods {
		b := bar{Period: p, W: round(min(slot*0.74, 48))}
		b.Mid = round(c.Left + slot*(float64(i)+0.5))
		b.X = round(b.Mid - b.W/2)
		b.LowH, b.TopH = round(plot*float64(p.Stopped)/full), round(plot*float64(max(p.Asked-p.Stopped, 0))/full)
		b.LowY = round(c.Base - b.LowH)
		b.TopY = round(b.LowY - b.TopH)
		b.Title = fmt.Sprintf("%s: %s, %s stopped", p.Start.In(r.zone).Format(form), words.Many(p.Asked, "question", "questions"), words.Count(p.Stopped))
		if i%every == 0 {
			b.Label = p.Start.In(r.zone).Format(label)
		}
		c.Bars = append(c.Bars, b)
	}
	return c
}

// niceStep is a round distance between lines of the grid.
func niceStep(most int64) int64 {
	unit := int64(1)
	for {
		for _, m := range []int64{1, 2, 5} {
			if most <= unit*m*5 {
				return unit * m
			}
		}
		unit *= 10
	}
}

func round(v float64) float64 { return math.Round(v*10) / 10 }

// Arrow writes a chain of encodings as people read it.
func (v Value) Arrow() string {
	if len(v.Chain) == 0 {
		return "as sent"
	}
	return strings.Join(v.Chain, " → ")
}

// Where says where a server stands, or that it is not known.
func (s Server) Where() string {
	var out []string
	for _, p := range s.Places {
		text := p.Country
		if p.Network != "" {
			if text != "" {
				text += ", "
			}
			text += p.Network
			if p.ASN != 0 {
				text += fmt.Sprintf(" (AS%d)", p.ASN)
			}
		}
		if text != "" && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, "; ")
}
