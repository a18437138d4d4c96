package dashboard

import (
	"net/http"
	"strings"

	"nightlatch/dashboard/desk"
	"nightlatch/dashboard/row"
	"nightlatch/dashboard/visible"
)

// whyView explains one name for one device, and offers to change it.
type whyView struct {
	Asked   desk.Question
	Event   []row.Row // the line that was asked about; none for a typed name
	Sheet   desk.Sheet
	Problem string
	Stopped bool // now
	Devices []string
}

// whyPage answers "why?" for a line of the journal or for a typed name.
func (d *Dashboard) whyPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	v := whyView{Asked: desk.Question{Name: strings.TrimSpace(q.Get("name")), Device: q.Get("device"), Type: strings.ToUpper(strings.TrimSpace(q.Get("type")))}}
	if id := q.Get("event"); id != "" {
		e, err := d.event(r.Context(), id)
		if err == errForgotten {
			d.fail(w, r, http.StatusNotFound, sentence(err))
			return
		}
		if err != nil {
			d.broken(w, r, err)
			return
		}
		v.Asked.Device, v.Asked.Name, v.Asked.Type, v.Stopped = row.Subject(e)
		if line, ok := row.Of(e); ok {
			v.Event = []row.Row{line}
		}
	}
	v.Devices = d.deviceNames(v.Asked.Device)
	v.explain(d.desk)
	v.Asked.Name = visible.Cut(v.Asked.Name, 253)
	d.show(w, r, http.StatusOK, page{Name: "why", Title: "Why", Body: v})
}

// explain asks what would happen now.
func (v *whyView) explain(k desk.Desk) {
	if v.Asked.Name == "" || k.Why == nil {
		return
	}
	sheet, err := k.Why(v.Asked)
	if err != nil {
		v.Problem = sentence(err)
		return
	}
	v.Sheet = sheet
	for _, f := range sheet.Facts {
		if f.Key == "verdict" {
			v.Stopped = f.Value == "sink" || f.Value == "deny" || f.Value == "drop"
		}
	}
}

// rulesPage shows what was changed by hand.
func (d *Dashboard) rulesPage(w http.ResponseWriter, r *http.Request) {
	if d.desk.Standing == nil {
		d.fail(w, r, http.StatusNotFound, "This gateway takes no changes from its pages.")
		return
	}
	st, err := d.desk.Standing()
	if err != nil {
		d.fail(w, r, http.StatusInternalServerError, sentence(err))
		return
	}
	d.show(w, r, http.StatusOK, page{Name: "rules", Title: "Your changes", Body: rulesView{st, d.deviceNames("")}})
}

// rulesView is what was changed by hand and is in force.
type rulesView struct {
	desk.Standing
	Devices []string
}
