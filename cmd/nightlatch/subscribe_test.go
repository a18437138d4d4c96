package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptPublish serves the files of a folder at $LISTS, until the script ends. A
// file that is called NAME.moved is a redirect to what stands in it.
func scriptPublish(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	files := http.FileServer(http.Dir(dir))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to, err := os.ReadFile(filepath.Join(dir, filepath.Clean(r.URL.Path)+".moved")); err == nil {
			http.Redirect(w, r, strings.TrimSpace(string(to)), http.StatusFound)
			return
		}
		if text, err := os.ReadFile(filepath.Join(dir, filepath.Clean(r.URL.Path))); err == nil {
			w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(text))) // a time alone misses two edits in one second
		}
		files.ServeHTTP(w, r)
	}))
	ts.Defer(srv.Close)
	ts.Setenv("LISTS", srv.URL)
}

// scriptRules waits until the running gateway has so many rules of a list in
// force.
func scriptRules(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(eventually("rules", func() error {
		st, err := statusOf(ts.Getenv("NIGHTLATCH_HOME"))
		if err != nil {
			return err
		}
		for _, l := range st.Lists {
			if l.Name == args[0] && l.Rules == want {
				return nil
			}
		}
		return fmt.Errorf("%s has not %d rules: %+v", args[0], want, st.Lists)
	}))
}

// scriptEventually runs a command until what it prints matches.
func scriptEventually(ts *testscript.TestScript, _ bool, args []string) {
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	ts.Check(eventually(args[0], func() error {
		if err := ts.Exec(args[1], args[2:]...); err != nil {
			return err
		}
		if text := ts.ReadFile("stdout"); !want.MatchString(text) {
			return fmt.Errorf("it prints %q", text)
		}
		return nil
	}))
}
