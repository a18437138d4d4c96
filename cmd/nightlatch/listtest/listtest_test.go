package listtest

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nightlatch/blocklists"
)

const dataDir = "../../../../shared/data"

func TestParseQuery(t *testing.T) {
	for _, c := range []struct {
		line string
		want Query
	}{
		{"a.example", Query{Query: blocklists.Query{Name: "a.example", Type: 1}}},
		{"  A.Example.\tAAAA ", Query{Query: blocklists.Query{Name: "A.Example.", Type: 28}}},
		{"a type64 client=x=y", Query{Query: blocklists.Query{Name: "a", Type: 64, Client: "x=y"}}},
		{"a client=Ada's old phone ip=fd00::5 TXT", Query{Query: blocklists.Query{Name: "a", Type: 16, Client: "Ada's old phone", Addr: netip.MustParseAddr("fd00::5")}}},
		{`a client="Mary, John" tag=x|y tag=z`, Query{Query: blocklists.Query{Name: "a", Type: 1, Client: "Mary, John", Tags: []string{"x", "y", "z"}}}},
		{"192.0.2.1 answer=1", Query{Query: blocklists.Query{Name: "192.0.2.1", Type: 1}, Answer: netip.MustParseAddr("192.0.2.1")}},
		{"192.0.2.1 answer=0", Query{Query: blocklists.Query{Name: "192.0.2.1", Type: 1}}},
	} {
		got, err := ParseQuery(c.line)
		if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", c.want) {
			t.Errorf("%q: %+v, %v; want %+v", c.line, got, err, c.want)
		}
	}
}

// TestRunAnswersAtOnce: a program that asks and waits is answered before the
// next query.
func TestRunAnswersAtOnce(t *testing.T) {
	l, err := blocklists.Parse(blocklists.Source{Name: "l", Format: blocklists.Domains}, strings.NewReader("a.example\n"))
	if err != nil {
		t.Fatal(err)
	}
	queries, ask := io.Pipe()
	answers, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := New(l).Run(queries, out)
		out.Close()
		done <- err
	}()
	got := bufio.NewReader(answers)
	for _, q := range []string{"a.example\n", "b.example\n"} {
		if _, err := io.WriteString(ask, q); err != nil {
			t.Fatal(err)
		}
		if line, err := got.ReadString('\n'); err != nil || !strings.HasPrefix(line, `{"verdict":`) {
			t.Fatalf("%q: %q, %v", q, line, err)
		}
	}
	ask.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRunLongLine(t *testing.T) {
	in := strings.Repeat("x", 3*maxQuery) + "\na.example\n" + strings.Repeat("y", 2*maxQuery)
	var out bytes.Buffer
	bad, err := New().Run(strings.NewReader(in), &out)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if err != nil || bad != 2 || len(lines) != 3 || !strings.Contains(lines[0], `"query":1`) || !strings.Contains(lines[1], `"pass"`) || !strings.Contains(lines[2], `"query":3`) {
		t.Errorf("%d bad, %v: %s", bad, err, out.String())
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, s := range []string{"a A client=b c ip=::1 tag=x|y answer=0", "1.2.3.4 answer=1", "client=", "a client=\"", "\xff =", "a TYPE0", "a TYPE70000"} {
		f.Add(s)
	}
	tester := New()
	f.Fuzz(func(t *testing.T, line string) {
		q, err := ParseQuery(line)
		if err == nil && (q.Name == "" || q.Type == 0) {
			t.Errorf("%q: %+v", line, q)
		}
		if err == nil {
			tester.Ask(q)
		} else if strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%q: the error is not one line: %q", line, err)
		}
	})
}

// TestVerdicts asks every row of verdicts.csv as a line of standard input.
func TestVerdicts(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(dataDir, "verdicts.csv"))
	if err != nil {
		t.Skipf("the data pack is not here: %v", err)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	testers, covered, left := map[string]*Tester{}, 0, []string(nil)
	for _, cells := range rows[1:] {
		row := map[string]string{}
		for i, h := range rows[0] {
			row[h] = cells[i]
		}
		if strings.Contains(row["note"], "not binding") {
			left = append(left, row["id"])
			continue
		}
		covered++
		id := row["files"] + row["format"] + row["semantics"]
		if testers[id] == nil {
			testers[id] = load(t, row)
		}
		checkRow(t, testers[id], row)
	}
	t.Logf("verdicts.csv: %d rows hold, left out: %v", covered, left)
	if covered < 243 {
		t.Errorf("only %d rows were held against us", covered)
	}
}

func load(t *testing.T, row map[string]string) *Tester {
	src := blocklists.Source{Format: blocklists.Format(row["format"])}
	if row["semantics"] == "subtree" {
		src.Match = new(blocklists.Subtree)
	}
	var files []string
	for f := range strings.SplitSeq(row["files"], ";") {
		files = append(files, filepath.Join(dataDir, f))
	}
	tester, err := Load(src, files)
	if err != nil {
		t.Fatal(err)
	}
	return tester
}

// query writes a row as a line of standard input.
func query(row map[string]string) string {
	name := row["name"]
	if rest, ok := strings.CutPrefix(name, "ip-"); ok && row["format"] == "rpz" { // stands for a name with that answer
		return strings.ReplaceAll(strings.TrimSuffix(rest, ".any"), "-", ".") + " answer=1"
	}
	q := name + " " + row["qtype"]
	for key, column := range map[string]string{"client": "client_name", "ip": "client_ip", "tag": "client_tags"} {
		if row[column] != "" {
			q += " " + key + "=" + row[column]
		}
	}
	return q + " answer=" + row["is_answer"]
}

func checkRow(t *testing.T, tester *Tester, row map[string]string) {
	t.Helper()
	var out bytes.Buffer
	if bad, err := tester.Run(strings.NewReader(query(row)), &out); bad > 0 || err != nil {
		t.Errorf("%s: %s: %s %v", row["id"], query(row), out.String(), err)
		return
	}
	var got Verdict
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Verdict != row["expected"] {
		t.Errorf("%s %s: %+v, want %s by %q (%s)", row["id"], query(row), got, row["expected"], row["rule"], row["note"])
		return
	}
	if !detailHolds(row, got.Detail) {
		t.Errorf("%s %s: detail %q, want %q", row["id"], query(row), got.Detail, row["detail"])
	}
	// For a line of nine hosts the oracle made a line of its own for each.
	if row["rule"] != "" && row["format"] != "hosts" && got.Rule != row["rule"] && len(row["rule"]) <= 200 {
		t.Errorf("%s %s: decided by %q, want %q", row["id"], query(row), got.Rule, row["rule"])
	}
}

// detailHolds compares what is answered. Where the row names none, only RPZ has
// one; the address behind a CNAME of a zone is the work of a resolver.
func detailHolds(row map[string]string, got string) bool {
	want := row["detail"]
	if row["format"] == "rpz" && row["expected"] == "rewritten" {
		want, _, _ = strings.Cut(want, ",")
	}
	return got == want || want == "" && slices.Contains([]string{"NXDOMAIN", "NODATA"}, got)
}
