package dashboard

import (
	"bytes"
	"context"
	"net/http"

	"nightlatch/dashboard/desk"
	"nightlatch/dashboard/draft"
)

// maxList is how large a list may be that is edited on a page: a person's own
// has some hundred lines.
const maxList = 256 << 10

func (d *Dashboard) listsPage(w http.ResponseWriter, r *http.Request) {
	v := listsView{}
	if d.desk.Lists == nil {
		d.fail(w, r, http.StatusNotFound, "This gateway tells nothing of its lists; nightlatch lists does.")
		return
	}
	var err error
	if v.Lists, err = d.desk.Lists(); err == nil && d.desk.Offers != nil {
		v.Offers, err = d.desk.Offers()
	}
	if err != nil {
		d.fail(w, r, http.StatusInternalServerError, sentence(err))
		return
	}
	for _, l := range v.Lists {
		v.Rules += int64(l.Rules)
		if l.Problem != "" {
			v.Wrong++
		}
	}
	d.show(w, r, http.StatusOK, page{Name: "lists", Title: "Lists", Body: v})
}

// listsView is every list at a glance, and those that can be added.
type listsView struct {
	Lists  []desk.List
	Offers desk.Sheet
	Rules  int64
	Wrong  int64
}

// listView is the report on one list.
type listView struct {
	Name  string
	Own   bool
	Sheet desk.Sheet
	More  int // lines that were left out
}

const reportLines = 200 // of a list's report

func (d *Dashboard) listPage(w http.ResponseWriter, r *http.Request) {
	v := listView{Name: r.PathValue("name")}
	if d.desk.List == nil {
		d.fail(w, r, http.StatusNotFound, "This gateway tells nothing of its lists; nightlatch lists does.")
		return
	}
	sheet, err := d.desk.List(v.Name)
	if err != nil {
		d.fail(w, r, http.StatusNotFound, sentence(err))
		return
	}
	v.Sheet = sheet
	if over := len(sheet.Lines) - reportLines; over > 0 {
		v.More, v.Sheet.Lines = over, sheet.Lines[:reportLines]
	}
	if d.desk.Text != nil {
		_, err = d.desk.Text(v.Name)
		v.Own = err == nil
	}
	d.show(w, r, http.StatusOK, page{Name: "list", Title: v.Name, Body: v})
}

// editView is an owner's list in an editor: its text, what the text would do,
// and what it changes.
type editView struct {
	Name    string
	Text    string
	Was     string // SHA-256 of the file as it was opened: it may be changed meanwhile
	Checked desk.Checked
	Diff    []draft.Line
	Ready   bool // it was looked at, and may be saved
	Problem string
}

func (d *Dashboard) editPage(w http.ResponseWriter, r *http.Request) {
	v := editView{Name: r.PathValue("name")}
	text, ok := d.ownText(w, r, v.Name)
	if !ok {
		return
	}
	v.Text, v.Was = string(text), draft.Digest(text)
	v.Checked, _ = d.desk.Check(v.Name, text)
	d.show(w, r, http.StatusOK, page{Name: "edit", Title: "Edit " + v.Name, Body: v})
}

// ownText reads a list that may be edited, or answers why it may not.
func (d *Dashboard) ownText(w http.ResponseWriter, r *http.Request, name string) ([]byte, bool) {
	if d.desk.Text == nil || d.desk.Check == nil || d.desk.SaveText == nil {
		d.fail(w, r, http.StatusNotFound, "This gateway takes no changes of lists from its pages.")
		return nil, false
	}
	text, err := d.desk.Text(name)
	switch {
	case err != nil:
		d.fail(w, r, http.StatusNotFound, sentence(err))
	case len(text) > maxList:
		d.fail(w, r, http.StatusRequestEntityTooLarge, "This list is too large for a page. Edit its file; a running gateway takes it over.")
	case !draft.Showable(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))):
		d.fail(w, r, http.StatusUnprocessableEntity, "This list holds letters that a page cannot show and would spoil. Edit its file; a running gateway takes it over.")
	default:
		return text, true
	}
	return nil, false
}

// editForm shows what a text would change, or saves it.
func (d *Dashboard) editForm(w http.ResponseWriter, r *http.Request) {
	v := editView{Name: r.PathValue("name")}
	old, ok := d.ownText(w, r, v.Name)
	if !ok {
		return
	}
	if err := r.ParseForm(); err != nil {
		d.fail(w, r, http.StatusBadRequest, "The form could not be read, or the list is too large for a page.")
		return
	}
	v.Text, v.Was = draft.LikeFile(r.PostForm.Get("text"), old), r.PostForm.Get("was")
	var err error
	if v.Checked, err = d.desk.Check(v.Name, []byte(v.Text)); err != nil {
		d.fail(w, r, http.StatusNotFound, sentence(err))
		return
	}
	v.Diff, v.Ready = draft.Diff(string(old), v.Text), v.Checked.Problem == "" && v.Text != string(old)
	if v.Was != draft.Digest(old) {
		v.Problem, v.Was = "The file was changed meanwhile by something else. Look at the changes again: they are against the file as it is now.", draft.Digest(old)
		d.show(w, r, http.StatusConflict, page{Name: "edit", Title: "Edit " + v.Name, Body: v})
		return
	}
	if r.PostForm.Get("do") != "save" || !v.Ready {
		status := http.StatusOK
		if v.Checked.Problem != "" {
			status = http.StatusUnprocessableEntity
		}
		d.show(w, r, status, page{Name: "edit", Title: "Edit " + v.Name, Body: v})
		return
	}
	d.save(w, r, v, old)
}

func (d *Dashboard) save(w http.ResponseWriter, r *http.Request, v editView, old []byte) {
	told, err := d.desk.SaveText(context.WithoutCancel(r.Context()), v.Name, old, []byte(v.Text)) // a browser that left does not stop half-way
	if err != nil {
		v.Problem, v.Ready = sentence(err), false
		d.show(w, r, http.StatusConflict, page{Name: "edit", Title: "Edit " + v.Name, Body: v})
		return
	}
	d.note(r, "saved list "+v.Name)
	r.PostForm.Set("back", "/lists/"+v.Name)
	d.leadBack(w, r, told, nil)
}

// checkText tells a script what a text would do while it is being typed.
func (d *Dashboard) checkText(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if _, ok := d.ownText(w, r, name); !ok {
		return
	}
	if err := r.ParseForm(); err != nil {
		d.fail(w, r, http.StatusBadRequest, "The form could not be read.")
		return
	}
	c, err := d.desk.Check(name, []byte(draft.LikeFile(r.PostForm.Get("text"), nil)))
	if err != nil {
		d.fail(w, r, http.StatusNotFound, sentence(err))
		return
	}
	d.writeJSON(w, r, http.StatusOK, map[string]any{"rules": c.Rules, "problem": c.Problem, "line": c.Line, "column": c.Column})
}
