package event

import "time"

// Tops is what was asked most since a moment.
type Tops struct {
	Since   time.Time // whole hours; zero means ever
	Total   Top       // What is empty
	Names   []Top     // most frequent first, as all that follow
	Blocked []Top     // names that were not passed
	Devices []Top
	Types   []Top  // QTYPEs
	Lists   []Top  // short names of the lists that stopped something
	Days    []Span // local days, oldest first; days without a question are left out
}

// Top counts the questions of one name, device, type or list.
type Top struct {
	What    string
	Events  int64
	Blocked int64 // of them, not passed
}

// Span counts the questions of one stretch of time.
type Span struct {
	Start   time.Time
	Events  int64
	Blocked int64 // of them, not passed
}
