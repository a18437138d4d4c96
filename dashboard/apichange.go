package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"nightlatch/dashboard/desk"
	"nightlatch/dashboard/form"
	"nightlatch/dashboard/openapi"
)

// errUnable answers what this gateway does not offer to programs.
var errUnable = errors.New("this gateway takes no changes by its API")

// apiDeed does what a program asks: a JSON object of T in, what was done out.
func apiDeed[T any](d *Dashboard, able bool, do func(context.Context, T) (desk.Told, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		dec := json.NewDecoder(r.Body)
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			d.fail(w, r, http.StatusBadRequest, "The body is not the JSON object that is wanted: "+err.Error()+".")
			return
		}
		d.apiDone(w, r, able, func(ctx context.Context) (desk.Told, error) { return do(ctx, in) })
	}
}

func (d *Dashboard) apiDone(w http.ResponseWriter, r *http.Request, able bool, do func(context.Context) (desk.Told, error)) {
	if !able {
		d.fail(w, r, http.StatusNotFound, sentence(errUnable))
		return
	}
	told, err := do(r.Context())
	if err != nil {
		d.fail(w, r, http.StatusUnprocessableEntity, sentence(err))
		return
	}
	d.note(r, told.Command)
	d.writeJSON(w, r, http.StatusOK, form.DoneOf(told))
}

// apiRoutes are the parts of the API that change or explain something.
func (d *Dashboard) apiRoutes(private func(string, http.HandlerFunc)) {
	k := d.desk
	private("GET /api/v1/openapi.json", func(w http.ResponseWriter, r *http.Request) {
		d.writeJSON(w, r, http.StatusOK, openapi.Document(d.gateway().Version))
	})
	private("POST /api/v1/rules", apiDeed(d, k.Rule != nil, func(ctx context.Context, n form.NewRule) (desk.Told, error) {
		length, err := seconds(strconv.FormatInt(n.Seconds, 10), maxFor)
		if err != nil {
			return desk.Told{}, err
		}
		return k.Rule(ctx, desk.Rule{Does: n.Does, Name: n.Name, Device: n.Device, For: length, Why: n.Why})
	}))
	private("POST /api/v1/pauses", apiDeed(d, k.Pause != nil, func(ctx context.Context, n form.NewPause) (desk.Told, error) {
		length, err := seconds(strconv.FormatInt(n.Seconds, 10), 24*time.Hour)
		if err != nil {
			return desk.Told{}, err
		}
		return k.Pause(ctx, desk.Pause{Device: n.Device, For: length})
	}))
	private("POST /api/v1/undo", apiDeed(d, k.Undo != nil, func(ctx context.Context, n form.Undo) (desk.Told, error) { return k.Undo(ctx, n.Command) }))
	private("DELETE /api/v1/pauses", func(w http.ResponseWriter, r *http.Request) {
		d.apiDone(w, r, k.Resume != nil, func(ctx context.Context) (desk.Told, error) { return k.Resume(ctx, r.URL.Query().Get("device")) })
	})
	private("GET /api/v1/rules", func(w http.ResponseWriter, r *http.Request) {
		answer(d, w, r, k.Standing, form.StandingOf)
	})
	private("GET /api/v1/lists", func(w http.ResponseWriter, r *http.Request) {
		answer(d, w, r, k.Lists, func(all []desk.List) form.List[form.ListHealth] {
			out := form.List[form.ListHealth]{Items: []form.ListHealth{}}
			for _, l := range all {
				out.Items = append(out.Items, form.ListOf(l))
			}
			return out
		})
	})
	private("GET /api/v1/why", func(w http.ResponseWriter, r *http.Request) {
		var ask func() (desk.Sheet, error)
		if q := r.URL.Query(); k.Why != nil {
			ask = func() (desk.Sheet, error) {
				return k.Why(desk.Question{Name: q.Get("name"), Device: q.Get("device"), Type: q.Get("type")})
			}
		}
		answer(d, w, r, ask, func(s desk.Sheet) form.List[form.Fact] { return form.List[form.Fact]{Items: form.FactsOf(s)} })
	})
}

// answer gives what a function of the desk says, in its form.
func answer[T, J any](d *Dashboard, w http.ResponseWriter, r *http.Request, ask func() (T, error), as func(T) J) {
	if ask == nil {
		d.fail(w, r, http.StatusNotFound, sentence(errUnable))
		return
	}
	v, err := ask()
	if err != nil {
		d.fail(w, r, http.StatusUnprocessableEntity, sentence(err))
		return
	}
	d.writeJSON(w, r, http.StatusOK, as(v))
}
