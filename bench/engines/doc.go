// Package engines holds the lists of nightlatch beside a Go map and the domain
// matchers of other open programs, over the same million names in the same run. It
// is a module of its own, so that what it compares with never becomes part of the
// program: some of it has another licence.
package engines
