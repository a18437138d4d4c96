// Package chart lays out the dashboard's chart of hours: numbers in, places on
// a canvas out. The drawing is left to a template.
package chart

import (
	"fmt"
	"math"
	"time"

	"nightlatch/journal"
)

// Hours is how many columns a chart has.
const Hours = 24

// Chart is a stacked bar chart by the hour, laid out: what was stopped at the
// bottom, what was answered above it. The template only draws.
type Chart struct {
	ID            string
	Width, Height int
	Left, Base    float64 // where the axes cross
	Right         float64
	Bars          []Bar
	Lines         []Line
	Asked         int64
	Stopped       int64
}

// Bar is one hour: its numbers, and where they stand.
type Bar struct {
	Start          time.Time
	Asked, Stopped int64
	X, W           float64
	Slot, SlotW    float64 // the whole column, which answers the pointer
	TopY, TopH     float64 // answered
	LowY, LowH     float64 // stopped
	Label          bool    // carries an hour below
	Mid            float64
}

// Line is one horizontal line of the grid.
type Line struct {
	Y     float64
	Label string
}

// Draw lays out the hours up to and with the one of now. labelEvery is
// how many hours lie between two labels of the axis.
func Draw(id string, hours []journal.Hour, now time.Time, width, height, labelEvery int) Chart {
	const top, bottom, left, right = 12.0, 24.0, 38.0, 12.0 // room for the labels
	c := Chart{ID: id, Width: width, Height: height, Left: left, Base: float64(height) - bottom, Right: float64(width) - right}
	asked, stopped, first := fillHours(hours, now)
	most := int64(0)
	for i := range asked {
		c.Asked += asked[i]
		c.Stopped += stopped[i]
		most = max(most, asked[i])
	}
	step := niceStep(most)
	full := float64(step * max(1, (most+step-1)/step))
	plot := c.Base - top
	for v := int64(0); v <= int64(full); v += step {
		c.Lines = append(c.Lines, Line{Y: tenth(c.Base - plot*float64(v)/full), Label: short(v)})
	}
	slot := (c.Right - left) / Hours
	for i := range asked {
		b := Bar{Start: first.Add(time.Duration(i) * time.Hour), Asked: asked[i], Stopped: stopped[i]}
		b.Slot, b.SlotW = tenth(left+slot*float64(i)), tenth(slot)
		b.X, b.W, b.Mid = tenth(b.Slot+slot*0.14), tenth(slot*0.72), tenth(b.Slot+slot/2)
		b.LowH = tenth(plot * float64(b.Stopped) / full)
		b.TopH = tenth(plot * float64(b.Asked-b.Stopped) / full)
		b.LowY = tenth(c.Base - b.LowH)
		b.TopY = tenth(b.LowY - b.TopH)
		b.Label = (Hours-1-i)%labelEvery == 0
		c.Bars = append(c.Bars, b)
	}
	return c
}

// fillHours puts the hours into their places and leaves zeros between them.
func fillHours(hours []journal.Hour, now time.Time) (asked, stopped [Hours]int64, first time.Time) {
	n := now.Local()
	first = time.Date(n.Year(), n.Month(), n.Day(), n.Hour(), 0, 0, 0, n.Location()).Add(-(Hours - 1) * time.Hour)
	for _, h := range hours {
		i := int(math.Floor(h.Start.Sub(first).Hours()))
		if i < 0 || i >= Hours {
			continue
		}
		asked[i] += h.Queries
		stopped[i] += min(h.BlockedQueries, h.Queries)
	}
	return asked, stopped, first
}

// niceStep is a round distance between grid lines, so that three to six fit.
func niceStep(most int64) int64 {
	if most <= 4 {
		return 1
	}
	unit := int64(math.Pow10(int(math.Floor(math.Log10(float64(most) / 4)))))
	for _, m := range []int64{1, 2, 5} {
		if most <= unit*m*5 {
			return unit * m
		}
	}
	return unit * 10
}

// short writes a number for an axis: 950, 1.5k, 20k, 3M.
func short(v int64) string {
	switch {
	case v >= 1_000_000:
		return fmt.Sprintf("%gM", float64(v)/1e6)
	case v >= 1000:
		return fmt.Sprintf("%gk", float64(v)/1e3)
	}
	return fmt.Sprint(v)
}

// tenth rounds to what a screen can show, to keep the page small.
func tenth(v float64) float64 { return math.Round(v*10) / 10 }
