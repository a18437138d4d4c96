// Package openapi describes the API as an OpenAPI 3.1 document, made from the
// very types that the handlers send and read (nightlatch/dashboard/form). A test
// of the dashboard holds that each handler is described, and answers as described.
package openapi

import (
	"reflect"
	"regexp"
	"strings"
	"time"

	"nightlatch/dashboard/form"
)

// Operation is one method of one path.
type Operation struct {
	Method, Path string // as the mux spells them: "GET", "/api/v1/captures/{id}"
	Summary      string
	Query        []string // parameters of the query string
	Takes        any      // a value of the body's type; nil for none
	Gives        any      // a value of the answer's type; nil for this document
}

// Operations are all of them.
func Operations() []Operation {
	events := []string{"device", "name", "blocked", "type", "list", "since", "until", "before", "after", "limit"}
	return []Operation{
		{"GET", "/api/v1/openapi.json", "This document", nil, nil, nil},
		{"GET", "/api/v1/summary", "Counts since midnight, or since a moment", []string{"since"}, nil, form.Summary{}},
		{"GET", "/api/v1/devices", "Every device and its day", nil, nil, form.List[form.Device]{}},
		{"GET", "/api/v1/queries", "DNS questions, newest first", events, nil, form.List[form.Query]{}},
		{"GET", "/api/v1/flows", "Connections, newest first", events, nil, form.List[form.Flow]{}},
		{"GET", "/api/v1/captures", "What the sinkhole took, newest first", append(events[:len(events):len(events)], "finding"), nil, form.List[form.Capture]{}},
		{"GET", "/api/v1/captures/{id}", "One capture", nil, nil, form.Capture{}},
		{"GET", "/api/v1/rules", "Rules and pauses that were made by hand", nil, nil, form.Standing{}},
		{"POST", "/api/v1/rules", "Block, allow, sink or observe a name", nil, form.NewRule{}, form.Done{}},
		{"POST", "/api/v1/pauses", "Lift blocking for a while", nil, form.NewPause{}, form.Done{}},
		{"DELETE", "/api/v1/pauses", "End the pauses of a device, or of every one", []string{"device"}, nil, form.Done{}},
		{"POST", "/api/v1/undo", "Take the last change back, when it is still this one", nil, form.Undo{}, form.Done{}},
		{"GET", "/api/v1/lists", "How every list is doing", nil, nil, form.List[form.ListHealth]{}},
		{"GET", "/api/v1/why", "What would happen to a name, and why", []string{"name", "device", "type"}, nil, form.List[form.Fact]{}},
	}
}

type object = map[string]any

// Document gives the whole description; version is the program's.
func Document(version string) map[string]any {
	paths := object{}
	for _, o := range Operations() {
		at, _ := paths[o.Path].(object)
		if at == nil {
			at = object{}
			paths[o.Path] = at
		}
		at[strings.ToLower(o.Method)] = o.describe()
	}
	return object{
		"openapi": "3.1.0",
		"info":    object{"title": "nightlatch", "version": version, "description": "Times are RFC 3339 in UTC, sizes are bytes, values are masked. Fields may be added; none is renamed or removed within v1."},
		"paths":   paths, "security": []object{{"token": []string{}}},
		"components": object{
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}},
			"schemas":         object{"Problem": object{"type": "object", "description": "RFC 9457", "required": []string{"type", "title", "status", "detail"}, "properties": object{"type": object{"type": "string"}, "title": object{"type": "string"}, "status": object{"type": "integer"}, "detail": object{"type": "string"}}}},
		},
	}
}

// inPath finds the parameters of a path.
var inPath = regexp.MustCompile(`\{(\w+)\}`)

func (o Operation) describe() object {
	params := []object{}
	for _, m := range inPath.FindAllStringSubmatch(o.Path, -1) {
		params = append(params, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, q := range o.Query {
		params = append(params, object{"name": q, "in": "query", "schema": object{"type": "string"}})
	}
	gives := object{"type": "object"}
	if o.Gives != nil {
		gives = Schema(reflect.TypeOf(o.Gives))
	}
	problem := object{"description": "What is wrong, and what to do", "content": object{"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/Problem"}}}}
	out := object{"summary": o.Summary, "parameters": params, "responses": object{
		"200": object{"description": "OK", "content": object{"application/json": object{"schema": gives}}}, "default": problem}}
	if o.Takes != nil {
		out["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": Schema(reflect.TypeOf(o.Takes))}}}
	}
	return out
}

// Schema describes a type as encoding/json writes it (JSON Schema 2020-12).
func Schema(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return Schema(t.Elem())
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": Schema(t.Elem())}
	case reflect.Struct:
		properties, required := object{}, []string{}
		fields(t, properties, &required)
		return object{"type": "object", "properties": properties, "required": required}
	}
	return object{"type": "string"}
}

// fields describes the fields of a struct, those of embedded ones among them.
func fields(t reflect.Type, properties object, required *[]string) {
	for f := range t.Fields() {
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			fields(f.Type, properties, required)
			continue
		}
		properties[name] = Schema(f.Type)
		if !strings.Contains(rest, "omit") {
			*required = append(*required, name)
		}
	}
}
