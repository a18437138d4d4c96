// Package flash keeps the word that a page owes a person after a form was
// sent: it is shown once, on the next page of the same session.
package flash

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Bounds of what is kept: more sessions than the door admits cannot wait.
const (
	most = 64
	Life = 10 * time.Minute // a page that was never opened is forgotten
)

// Word is what a change did, or why it did nothing.
type Word struct {
	Said     []string
	Warnings []string
	Problem  string // one line: what is wrong, and what to do
	Undo     string // the command that undo takes back; empty when there is nothing to undo
}

// Box keeps words by session. The zero value is ready; it is safe for
// concurrent use.
type Box struct {
	mu    sync.Mutex
	words map[[sha256.Size]byte]kept
}

type kept struct {
	word Word
	at   time.Time
}

// Put keeps a word for a session, in the place of an earlier one.
func (b *Box) Put(session string, w Word, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.words == nil {
		b.words = map[[sha256.Size]byte]kept{}
	}
	for k, old := range b.words {
		if now.Sub(old.at) >= Life {
			delete(b.words, k)
		}
	}
	if len(b.words) >= most {
		clear(b.words) // somebody made more sessions than a household has
	}
	b.words[sha256.Sum256([]byte(session))] = kept{w, now}
}

// Take gives the word that waits for a session, once.
func (b *Box) Take(session string, now time.Time) *Word {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := sha256.Sum256([]byte(session))
	k, ok := b.words[key]
	if !ok {
		return nil
	}
	delete(b.words, key)
	if now.Sub(k.at) >= Life {
		return nil
	}
	return &k.word
}
