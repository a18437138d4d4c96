package sinkhole

import "sync"

// shares counts the open connections of each device, so that one that holds
// its connections open does not close the sinkhole to the others. It is safe
// for concurrent use and knows only devices that have a connection open.
type shares struct {
	mu   sync.Mutex
	open map[[32]byte]int
}

// take notes a connection of a device, unless it has most of them already.
func (s *shares) take(device [32]byte, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[device] >= most {
		return false
	}
	if s.open == nil {
		s.open = map[[32]byte]int{}
	}
	s.open[device]++
	return true
}

// give takes a connection back.
func (s *shares) give(device [32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[device]--; s.open[device] <= 0 {
		delete(s.open, device)
	}
}
