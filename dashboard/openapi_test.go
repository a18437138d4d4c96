package dashboard

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nightlatch/dashboard/openapi"
)

// TestOpenAPI: every handler of the API is described, everything described has a
// handler, and each answers with what its description says.
func TestOpenAPI(t *testing.T) {
	h := newHouse(t, nil, nil)
	var served []string
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, m := range regexp.MustCompile(`private\("([A-Z]+ /api/[^"]+)"`).FindAllStringSubmatch(string(src), -1) {
			served = append(served, m[1])
		}
	}
	bodies := map[string]string{"/api/v1/rules": `{"does":"block","name":"ads.example","device":"redmi","seconds":3600}`, "/api/v1/pauses": `{"seconds":600}`, "/api/v1/undo": `{"command":"block ads.example"}`}
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]struct{ Schema map[string]any }
			}
		}
	}
	if err := json.Unmarshal([]byte(h.get(t, "/api/v1/openapi.json", 200)), &doc); err != nil || doc.OpenAPI != "3.1.0" {
		t.Fatalf("%v %q", err, doc.OpenAPI)
	}
	for _, o := range openapi.Operations() {
		if i := slices.Index(served, o.Method+" "+o.Path); i < 0 {
			t.Errorf("%s %s is described and not served", o.Method, o.Path)
		} else {
			served = slices.Delete(served, i, i+1)
		}
		r := h.in(request(o.Method, strings.ReplaceAll(o.Path, "{id}", "8998"), bodies[o.Path]))
		if o.Path == "/api/v1/why" {
			r.URL.RawQuery = "name=ads.example"
		}
		if o.Method == "GET" || o.Method == "DELETE" {
			r.Body = http.NoBody
		}
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		res := h.do(r)
		var got any
		if text := read(t, res); res.StatusCode != 200 || json.Unmarshal([]byte(text), &got) != nil {
			t.Errorf("%s %s: %d %s", o.Method, o.Path, res.StatusCode, text)
			continue
		}
		schema := doc.Paths[o.Path][strings.ToLower(o.Method)].Responses["200"].Content["application/json"].Schema
		if o.Gives != nil {
			conforms(t, o.Method+" "+o.Path, got, schema)
		}
	}
	if len(served) > 0 {
		t.Errorf("served and not described: %q", served)
	}
}

// conforms holds a decoded answer against a schema: types, what must be there,
// and nothing that is not described.
func conforms(t *testing.T, at string, v any, schema map[string]any) {
	t.Helper()
	kind, _ := schema["type"].(string)
	ok := false
	switch v := v.(type) {
	case map[string]any:
		ok = kind == "object"
		properties, _ := schema["properties"].(map[string]any)
		for key, field := range v {
			sub, known := properties[key].(map[string]any)
			if !known {
				t.Errorf("%s: %q is not described", at, key)
				continue
			}
			conforms(t, at+"."+key, field, sub)
		}
		required, _ := schema["required"].([]any)
		for _, key := range required {
			if _, there := v[key.(string)]; !there {
				t.Errorf("%s: %q is missing", at, key)
			}
		}
	case []any:
		ok = kind == "array"
		items, _ := schema["items"].(map[string]any)
		for _, item := range v {
			conforms(t, at+"[]", item, items)
		}
	case string:
		ok = kind == "string"
	case bool:
		ok = kind == "boolean"
	case float64:
		ok = kind == "number" || kind == "integer" && v == float64(int64(v))
	}
	if !ok {
		t.Errorf("%s: %v is no %s", at, v, kind)
	}
}

// TestAPIChanges: by a program with the token; what cannot be meant is a problem.
func TestAPIChanges(t *testing.T) {
	h := newHouse(t, nil, nil)
	send := func(method, path, body string) *http.Response {
		r := request(method, path, body)
		r.Header.Set("Authorization", "Bearer "+testToken)
		return h.do(r)
	}
	res := send("POST", "/api/v1/rules", `{"does":"sink","name":"ads.example","seconds":60}`)
	if got := h.fake.take(); res.StatusCode != 200 || got != "sink ads.example||1m0s" {
		t.Errorf("%d %q", res.StatusCode, got)
	}
	if len(h.fake.notes) != 1 {
		t.Errorf("%d notices of a change", len(h.fake.notes))
	}
	for body, status := range map[string]int{`{"dose":"sink"}`: 400, `[]`: 400, ``: 400, `{"does":"block","name":"a","seconds":-1}`: 422, "{" + strings.Repeat(" ", maxBody) + "}": 400} {
		if p := problemOf(t, send("POST", "/api/v1/rules", body)); p.Status != status {
			t.Errorf("%.40s: %+v", body, p)
		}
	}
	if got := h.fake.take(); got != "" {
		t.Errorf("nonsense did %q", got)
	}
	if res := h.do(request("POST", "/api/v1/rules", `{}`)); res.StatusCode != 401 {
		t.Errorf("without a token: %d", res.StatusCode)
	}
}
