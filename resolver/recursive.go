package resolver

import (
	"fmt"
	"slices"

	"nightlatch/resolver/recursor"
	"nightlatch/resolver/special"
	"nightlatch/resolver/upstream"
)

// open makes what a list of upstreams stands for: servers to ask, or the walk
// from the root down. Who walks trusts no operator, so that the word stands
// alone.
func (r *Resolver) open(o upstream.Options) (asker, error) {
	if !slices.Contains(o.Upstreams, recursor.Word) {
		group, err := upstream.New(o)
		if err != nil {
			return nil, err
		}
		return group, nil
	}
	if len(o.Upstreams) > 1 {
		return nil, fmt.Errorf("upstream %q stands alone: it asks no server but those of the names themselves; take the others out", recursor.Word)
	}
	return recursor.New(recursor.Options{
		Hints: r.opt.RootHints, Dial: o.Dial, Deadline: o.Deadline, Log: o.Log, Refuse: special.Private, Changed: o.Changed,
	})
}
