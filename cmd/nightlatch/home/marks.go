package home

import (
	"crypto/rand"
	"fmt"

	"nightlatch/config"
)

// marksFile holds the key of the journal's marks.
const marksFile = "marks.key"

// MarkKey gives the key by which the journal knows equal values again, and
// makes it, readable by the owner alone, when there is none.
func (h Home) MarkKey() ([]byte, error) {
	path := h.Path(marksFile)
	if absent(path) {
		if err := config.WriteFile(path, []byte(rand.Text()+rand.Text()+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	key, err := config.Secret{File: marksFile}.Read(h.Dir)
	if err != nil {
		return nil, fmt.Errorf("the key of marks: %w", err)
	}
	if len(key) < 26 { // 128 bits as rand.Text writes them
		return nil, fmt.Errorf("the key of marks %s is damaged; delete it, and the next start makes a new one", path)
	}
	return []byte(key), nil
}
