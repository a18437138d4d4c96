package subscription

import "fmt"

// The shrink guard: a list that loses most of its rules from one day to the next
// is more often an accident, or a stolen name, than an improvement.
const (
	fewRules = 20 // a loss of no more than this is never held back
)

// doubt says why a new copy should wait for the owner; empty when it may be
// used. Nothing is doubted for which there is no measure: a first copy, one from
// another address than the one in use, or one whose checksum the owner wrote.
func (s *Store) doubt(sub Subscription, old *Version, v Version) string {
	if old == nil || old.Address != v.Address || sub.SHA256 != "" {
		return ""
	}
	why := shrunk(old.Summary, v.Summary)
	if why == "" {
		return ""
	}
	// The owner may have changed how the list is read: then the old copy is read
	// in the new way too.
	again, err := sub.Read(s.Copy(sub.Name))
	if err != nil {
		return ""
	}
	return shrunk(again, v.Summary)
}

// shrunk compares two copies of one list.
func shrunk(old, now Summary) string {
	lost := old.Rules - now.Rules
	switch {
	case old.Rules == 0:
		return ""
	case now.Rules == 0:
		return fmt.Sprintf("has no rules; the copy in use has %d", old.Rules)
	case lost > fewRules && now.Rules < old.Rules-now.Rules:
		return fmt.Sprintf("has %d rules; the copy in use has %d", now.Rules, old.Rules)
	case old.Format != now.Format:
		return fmt.Sprintf("reads as %s; the copy in use is %s", now.Format, old.Format)
	case mostlyIgnored(now) && !mostlyIgnored(old):
		return fmt.Sprintf("has %d lines that cannot be used beside %d rules; the copy in use has %d", now.Ignored, now.Rules, old.Ignored)
	}
	return ""
}

func mostlyIgnored(s Summary) bool { return s.Ignored > fewRules && s.Ignored > s.Rules }
