package journal

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"nightlatch/journal/sqlite/file"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// filled makes a closed journal with many events.
func filled(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := Open(t.Context(), Options{Path: path, Driver: "sqlite"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 800 {
		q := sampleQuery()
		q.Name = fmt.Sprintf("host-%d.example.org", i)
		j.Record(q)
	}
	put(t, j, all()...)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func overwrite(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedFileIsSetAside(t *testing.T) {
	whole, err := os.ReadFile(filled(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
	}{
		{"stump of a header", func(b []byte) []byte { return b[:50] }},
		{"one short page", func(b []byte) []byte { return b[:700] }},
		{"first page alone", func(b []byte) []byte { return b[:4096] }},
		{"half", func(b []byte) []byte { return b[:len(b)/2] }},
		{"last bytes missing", func(b []byte) []byte { return b[:len(b)-5000] }},
		{"zeros", func(b []byte) []byte { return make([]byte, len(b)) }},
		{"header zeroed", func(b []byte) []byte { clear(b[:100]); return b }},
		{"middle zeroed", func(b []byte) []byte { clear(b[len(b)/4 : len(b)*3/4]); return b }},
		{"a web page", func([]byte) []byte { return bytes.Repeat([]byte("<html>not a database</html>\n"), 200) }},
		{"a short text", func([]byte) []byte { return []byte("hello") }},
		{"schema scrambled", func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte("CREATE TABLE"), []byte("CRAETE TABLE"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal.db")
			before := c.change(bytes.Clone(whole))
			if err := os.WriteFile(path, before, 0o600); err != nil {
				t.Fatal(err)
			}
			j := open(t, Options{Path: path, Driver: "sqlite"})
			put(t, j, sampleFlow())
			aside, err := filepath.Glob(path + ".damaged-*")
			if err != nil || len(aside) != 1 {
				t.Fatalf("set aside: %v %v", aside, err)
			}
			if after, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the damaged file is not as it was: %v", err)
			}
			n, err := j.Notices(t.Context(), Filter{})
			if err != nil || len(n) != 1 || n[0].Level != Error || !strings.Contains(n[0].Text, aside[0]) || strings.Contains(n[0].Text, "\n") {
				t.Errorf("notices: %+v %v", n, err)
			}
			if f, err := j.Flows(t.Context(), Filter{}); err != nil || len(f) != 1 {
				t.Errorf("the new file: %v %v", f, err)
			}
		})
	}
}

// TestBitFlips: whatever bit turns, the journal opens, keeps the old file when
// it gives it up, and works.
func TestBitFlips(t *testing.T) {
	path := filled(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	setAside := 0
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		at := filepath.Join(t.TempDir(), "journal.db")
		b := bytes.Clone(whole)
		for range 1 + r.IntN(40) {
			// Half of them in the first pages, where the structure is.
			n := len(b)
			if r.IntN(2) == 0 {
				n = 3 * 4096
			}
			b[r.IntN(n)] ^= 1 << r.IntN(8)
		}
		if err := os.WriteFile(at, b, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(t.Context(), Options{Path: at, Driver: "sqlite"})
		if err != nil {
			var never *file.RefusedError // the version number itself was hit
			if !errors.As(err, &never) {
				t.Errorf("seed %d: %v", seed, err)
			}
			continue
		}
		put(t, j, sampleFlow())
		if f, err := j.Flows(t.Context(), Filter{Limit: 1}); err != nil || len(f) != 1 {
			t.Errorf("seed %d: %v %v", seed, f, err)
		}
		if aside, _ := filepath.Glob(at + ".damaged-*"); len(aside) > 0 {
			setAside++
		}
		if err := j.Close(); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
	if setAside < 8 {
		t.Errorf("only %d of 20 damaged files were noticed", setAside)
	}
}

func TestEmptyBesideALogIsSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.WriteFile(path+"-wal", []byte("frames"), 0o600)); err != nil {
		t.Fatal(err)
	}
	j := open(t, Options{Path: path, Driver: "sqlite"})
	put(t, j, sampleFlow())
	if aside, _ := filepath.Glob(path + ".damaged-*-wal"); len(aside) != 1 {
		t.Errorf("the log was not kept: %v", aside)
	}
}

func TestNotOurFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal.db")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	newer, foreign := filled(t), filepath.Join(t.TempDir(), "cookies.sqlite")
	exec := func(path, text string) {
		t.Helper()
		db, err := sql.Open("sqlite", path)
		if err == nil {
			_, err = db.Exec(text)
			err = errors.Join(err, db.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	exec(newer, "PRAGMA user_version = 99")
	exec(foreign, "CREATE TABLE cookies (a)")
	for path, want := range map[string]string{
		dir:     "is not a file; move it away",
		newer:   "from a newer nightlatch (version 99, this one knows 3); update nightlatch",
		foreign: "a database of another program",
	} {
		if _, err := Open(t.Context(), Options{Path: path, Driver: "sqlite"}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("open: %v, want %q", err, want)
		}
		if _, err := OpenReadOnly(t.Context(), Options{Path: path, Driver: "sqlite"}); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("open read-only %s: %v", path, err)
		}
		if aside, _ := filepath.Glob(path + ".damaged-*"); len(aside) > 0 {
			t.Errorf("moved aside: %v", aside)
		}
	}
	if _, err := Open(t.Context(), Options{Path: "x", Driver: "nosuch"}); err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("driver: %v", err)
	}
}

func TestReadOnlyOpenOfDamage(t *testing.T) {
	path := filled(t)
	overwrite(t, path, func(b []byte) []byte { return make([]byte, len(b)) })
	_, err := OpenReadOnly(t.Context(), Options{Path: path, Driver: "sqlite"})
	if err == nil || !strings.Contains(err.Error(), "start the gateway") {
		t.Errorf("open: %v", err)
	}
	if aside, _ := filepath.Glob(path + ".damaged-*"); len(aside) > 0 {
		t.Errorf("a reader moved %v", aside)
	}
}

// troubles counts the notices a live reader gets about the journal itself.
func troubles(events <-chan Event) (texts []string) {
	for {
		select {
		case e := <-events:
			if n, ok := e.(Notice); ok && n.Room == "journal" {
				texts = append(texts, n.Text)
			}
		default:
			return texts
		}
	}
}

func TestFullAndReadOnlyDisk(t *testing.T) {
	for _, c := range []struct{ name, break_, mend, want string }{
		{"full", "max_page_count = 1", "max_page_count = 1000000", "the disk is full"},
		{"read-only", "query_only = 1", "query_only = 0", "may not be written"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := start(t)
			live, cancel := j.Subscribe(10_000)
			defer cancel()
			if err := j.store.Pragma(t.Context(), c.break_); err != nil {
				t.Fatal(err)
			}
			const n = 2000
			for i := range n { // enough that a full file cannot take it
				q := sampleQuery()
				q.Name = fmt.Sprintf("host-%d.example.org", i)
				j.Record(q)
			}
			for range 3 {
				if err := j.Flush(t.Context()); err == nil {
					t.Fatal("written to a broken disk")
				}
			}
			if st := j.Stats(); !strings.Contains(st.Trouble, c.want) || st.Lost != 0 {
				t.Errorf("%+v", st)
			}
			if got := troubles(live); len(got) != 1 || !strings.Contains(got[0], c.want) {
				t.Errorf("notices: %q", got)
			}
			if err := j.store.Pragma(t.Context(), c.mend); err != nil {
				t.Fatal(err)
			}
			put(t, j)
			put(t, j) // the notice that it works again
			if got := troubles(live); len(got) != 1 || !strings.Contains(got[0], "written again") {
				t.Errorf("notices: %q", got)
			}
			q, err := j.Queries(t.Context(), Filter{Limit: MaxLimit})
			if err != nil || len(q) != n {
				t.Errorf("%d queries, %v", len(q), err)
			}
			if nn, err := j.Notices(t.Context(), Filter{}); err != nil || len(nn) != 2 {
				t.Errorf("notices kept: %+v %v", nn, err)
			}
		})
	}
}

// TestFolderThatIsNotThere: Open does not fail, and the journal begins to write
// when the folder can be made.
func TestFolderThatIsNotThere(t *testing.T) {
	obstacle := filepath.Join(t.TempDir(), "home")
	if err := os.WriteFile(obstacle, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j := open(t, Options{Path: filepath.Join(obstacle, "journal.db"), Driver: "sqlite"})
	j.Record(sampleQuery())
	if err := j.Flush(t.Context()); err == nil || j.Stats().Trouble == "" {
		t.Fatal("no trouble told")
	}
	if _, err := j.Queries(t.Context(), Filter{}); err == nil {
		t.Error("read from nowhere")
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	put(t, j)
	put(t, j)
	q, err := j.Queries(t.Context(), Filter{})
	n, err2 := j.Notices(t.Context(), Filter{})
	if err != nil || err2 != nil || len(q) != 1 || len(n) != 2 {
		t.Errorf("%d queries, notices %+v, %v %v", len(q), n, err, err2)
	}
}

const childVar = "NIGHTLATCH_JOURNAL_CHILD"

// TestMain lets the test binary be the gateway that is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv(childVar); path != "" {
		child(path)
	}
	os.Exit(m.Run())
}

// child records numbered events until it is killed, and says which and when.
func child(path string) {
	fail := func(err error) {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	j, err := Open(context.Background(), Options{Path: path, Driver: "sqlite"})
	if err != nil {
		fail(err)
	}
	go func() { fail(j.Run(context.Background())) }()
	q, err := j.Queries(context.Background(), Filter{Limit: 1})
	if err != nil {
		fail(err)
	}
	i := 0
	if len(q) > 0 {
		i, _ = strconv.Atoi(strings.TrimSuffix(q[0].Name, ".example"))
	}
	for range time.Tick(5 * time.Millisecond) {
		for range 20 {
			i++
			e := sampleQuery()
			e.Name = strconv.Itoa(i) + ".example"
			j.Record(e)
		}
		fmt.Println(i, time.Now().UnixMilli())
	}
}

// TestKill kills the process that writes, several times on the same file: at
// most the last second is gone, nothing before it, and the file is whole.
func TestKill(t *testing.T) {
	for n := range 3 {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "journal.db")
			for round := range 3 {
				killOnce(t, path, time.Duration(1000+170*n+290*round)*time.Millisecond)
			}
		})
	}
}

func killOnce(t *testing.T, path string, after time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"="+path)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	type mark struct{ i, ms int64 }
	var marks []mark
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var m mark
		if _, err := fmt.Sscan(lines.Text(), &m.i, &m.ms); err != nil {
			t.Fatalf("child says %q", lines.Text())
		}
		if len(marks) == 0 {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		marks = append(marks, m)
	}
	_ = cmd.Wait()
	if len(marks) == 0 {
		t.Fatal("the child did nothing")
	}
	j, err := Open(t.Context(), Options{Path: path, Driver: "sqlite"})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var kept, last int64
	err = direct(t, path).QueryRowContext(t.Context(), `SELECT count(*), coalesce(max(CAST(replace(w.text, '.example', '') AS INTEGER)), 0)
		FROM query q JOIN question g ON g.id = q.question JOIN word w ON w.id = g.name`).Scan(&kept, &last)
	if err != nil || kept != last {
		t.Fatalf("kept %d of the first %d: %v", kept, last, err)
	}
	if aside, _ := filepath.Glob(path + ".damaged-*"); len(aside) > 0 {
		t.Fatalf("damaged: %v", aside)
	}
	end := marks[len(marks)-1].ms
	for _, m := range marks {
		// One second is the promise; another is for a machine that is busy with
		// other tests, where the writer waits for its turn.
		if m.i > last && end-m.ms > 2000 {
			t.Fatalf("event %d was recorded %d ms before the kill and is gone (kept up to %d)", m.i, end-m.ms, last)
		}
	}
}

// direct opens the file without the journal.
func direct(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
