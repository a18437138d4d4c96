package native

import _ "embed"

//go:embed schema.json
var schema string

// Schema gives the JSON Schema of lists (draft 2020-12), for editors.
func Schema() string { return schema }
