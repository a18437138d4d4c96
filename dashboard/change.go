package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"nightlatch/dashboard/desk"
	"nightlatch/dashboard/flash"
	"nightlatch/dashboard/row"
	"nightlatch/journal"
)

// Forms that change something. Each is answered by a redirect to the page it
// came from, which then says what was done and offers to take it back. That a
// form is our own is held by the guard (http.CrossOriginProtection) and by a
// session cookie that no foreign site can send (SameSite=Strict).

// maxFor bounds a rule that ends by itself: longer ones are for good.
const maxFor = 366 * 24 * time.Hour

// change puts a rule in force: from a form with its fields, or from one button
// of a line of a table.
func (d *Dashboard) change(w http.ResponseWriter, r *http.Request) {
	d.deed(w, r, d.desk.Rule != nil, func(ctx context.Context, form url.Values) (desk.Told, error) {
		var rule desk.Rule
		var err error
		if one := form.Get("one"); one != "" {
			rule, err = d.oneClick(ctx, one)
		} else {
			rule = desk.Rule{Does: form.Get("does"), Name: form.Get("name"), Device: form.Get("device"), Why: strings.TrimSpace(form.Get("note"))}
			rule.For, err = seconds(form.Get("for"), maxFor)
		}
		if err != nil {
			return desk.Told{}, err
		}
		return d.desk.Rule(ctx, rule)
	})
}

// oneClick reads the value of a button in a table: "block 3600 8999", which is
// what to do, for how many seconds, and the event that it is about.
func (d *Dashboard) oneClick(ctx context.Context, value string) (rule desk.Rule, err error) {
	parts := strings.Fields(value)
	if len(parts) != 3 {
		return rule, errors.New("the button says nothing; load the page again")
	}
	if rule.For, err = seconds(parts[1], maxFor); err != nil {
		return rule, err
	}
	e, err := d.event(ctx, parts[2])
	if err != nil {
		return rule, err
	}
	rule.Does = parts[0]
	rule.Device, rule.Name, _, _ = row.Subject(e)
	if rule.Name == "" {
		return rule, errors.New("this line is about no name and no address")
	}
	return rule, nil
}

// errForgotten answers a line that the journal has forgotten meanwhile.
var errForgotten = errors.New("this line is no longer in the journal; write the name instead")

// event reads one event by its id.
func (d *Dashboard) event(ctx context.Context, id string) (journal.StoredEvent, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n < 1 || n >= 1<<62 {
		return journal.StoredEvent{}, errForgotten
	}
	all, err := d.journal.Events(ctx, journal.Filter{Before: n + 1, After: n - 1, Limit: 1})
	if err != nil {
		return journal.StoredEvent{}, err
	}
	if len(all) == 0 || all[0].ID != n {
		return journal.StoredEvent{}, errForgotten
	}
	return all[0], nil
}

func seconds(text string, most time.Duration) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > int64(most/time.Second) {
		return 0, fmt.Errorf("the time is a number of seconds up to %d", int64(most/time.Second))
	}
	return time.Duration(n) * time.Second, nil
}

func (d *Dashboard) remove(w http.ResponseWriter, r *http.Request) {
	d.deed(w, r, d.desk.Remove != nil, func(ctx context.Context, form url.Values) (desk.Told, error) {
		n, err := strconv.Atoi(form.Get("number"))
		if err != nil {
			return desk.Told{}, errors.New("name a rule by its number")
		}
		return d.desk.Remove(ctx, desk.InForce{Number: n, Name: form.Get("name")})
	})
}

func (d *Dashboard) pause(w http.ResponseWriter, r *http.Request) {
	d.deed(w, r, d.desk.Pause != nil, func(ctx context.Context, form url.Values) (desk.Told, error) {
		length, err := seconds(form.Get("for"), 24*time.Hour)
		if err != nil {
			return desk.Told{}, err
		}
		return d.desk.Pause(ctx, desk.Pause{Device: form.Get("device"), For: length})
	})
}

func (d *Dashboard) resume(w http.ResponseWriter, r *http.Request) {
	d.deed(w, r, d.desk.Resume != nil, func(ctx context.Context, form url.Values) (desk.Told, error) {
		return d.desk.Resume(ctx, form.Get("device"))
	})
}

func (d *Dashboard) undo(w http.ResponseWriter, r *http.Request) {
	d.deed(w, r, d.desk.Undo != nil, func(ctx context.Context, form url.Values) (desk.Told, error) {
		told, err := d.desk.Undo(ctx, form.Get("command"))
		told.Command = "" // what was taken back is done again by hand
		if err == nil {
			d.note(r, "took back: "+form.Get("command"))
		}
		return told, err
	})
}

// deed does what a form asks, notes it in the journal, and leads back.
func (d *Dashboard) deed(w http.ResponseWriter, r *http.Request, able bool, do func(context.Context, url.Values) (desk.Told, error)) {
	if !able {
		d.fail(w, r, http.StatusNotFound, "This gateway takes no changes from its pages.")
		return
	}
	if err := r.ParseForm(); err != nil {
		d.fail(w, r, http.StatusBadRequest, "The form could not be read.")
		return
	}
	told, err := do(r.Context(), r.PostForm)
	if told.Command != "" && err == nil {
		d.note(r, told.Command)
	}
	d.leadBack(w, r, told, err)
}

// leadBack keeps what was done for the next page, and goes there.
func (d *Dashboard) leadBack(w http.ResponseWriter, r *http.Request, told desk.Told, err error) {
	word := flash.Word{Said: told.Said, Warnings: told.Warnings, Undo: told.Command}
	if err != nil {
		word = flash.Word{Problem: sentence(err)}
	}
	if c, cerr := r.Cookie(cookieName); cerr == nil {
		d.flashes.Put(c.Value, word, d.now())
	}
	http.Redirect(w, r, backTo(r.PostForm.Get("back")), http.StatusSeeOther)
}

// note leaves a notice of a change in the journal: what, and from where.
func (d *Dashboard) note(r *http.Request, command string) {
	if d.recorder != nil {
		d.recorder.Record(journal.Notice{Time: d.now(), Room: "dashboard", Text: fmt.Sprintf("changed from %s: %s", remote(r), command)})
	}
}

// backTo holds that an address leads to a page of this house; any other leads
// to the first page.
func backTo(address string) string {
	u, err := url.Parse(address)
	if err != nil || len(address) > maxQuery || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") ||
		strings.ContainsAny(address, "\\\r\n\t") {
		return "/"
	}
	q := u.Query()
	q.Del("token")
	return (&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: q.Encode()}).String()
}
