package journal

import (
	"sync"
	"sync/atomic"
)

// maxSubscribers bounds the live readers: each costs every event a send. A
// thousand browsers of one household are a mistake or an attack.
const maxSubscribers = 256

// live hands events to whoever listens now. It never waits for a listener.
type live struct {
	count  atomic.Int32 // of subs, so that nobody listening costs one load
	unseen atomic.Uint64
	mu     sync.RWMutex
	subs   map[chan Event]struct{}
	ended  bool
}

func (l *live) send(e Event) {
	if l.count.Load() == 0 {
		return
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	for c := range l.subs {
		select {
		case c <- e:
		default:
			l.unseen.Add(1)
		}
	}
}

func (l *live) subscribe(buffer int) (<-chan Event, func()) {
	c := make(chan Event, max(buffer, 1))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || len(l.subs) >= maxSubscribers {
		close(c)
		return c, func() {}
	}
	if l.subs == nil {
		l.subs = map[chan Event]struct{}{}
	}
	l.subs[c] = struct{}{}
	l.count.Store(int32(len(l.subs)))
	return c, func() { l.cancel(c) }
}

func (l *live) cancel(c chan Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.subs[c]; ok {
		delete(l.subs, c)
		close(c)
		l.count.Store(int32(len(l.subs)))
	}
}

// end closes every channel; later subscribers get a closed one.
func (l *live) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for c := range l.subs {
		close(c)
	}
	l.subs = nil
	l.count.Store(0)
}
