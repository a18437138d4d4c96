package resolver

import "nightlatch/resolver/special"

// privateReason is the verdict's reason when rebinding protection speaks.
const privateReason = "private address"

// mayBePrivate tells whether the owner lets a name have private addresses.
func (r *Resolver) mayBePrivate(name string) bool {
	if r.forwarded(name) != nil {
		return true
	}
	for _, zone := range r.opt.AllowPrivate {
		if special.Below(name, zone) {
			return true
		}
	}
	return false
}
