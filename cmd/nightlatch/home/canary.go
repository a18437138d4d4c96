package home

import (
	"time"

	"nightlatch/config"
	"nightlatch/config/canaries"
)

// AddCanary plants another canary and gives it back. A running gateway takes
// the change within a second or two.
func (h Home) AddCanary(now time.Time, make func(n int) (canaries.Canary, error)) (canaries.Canary, error) {
	list, err := canaries.Load(h.CanariesFile())
	if err != nil {
		return canaries.Canary{}, err
	}
	if list, err = canaries.Add(list, now, make); err != nil {
		return canaries.Canary{}, err
	}
	return list[len(list)-1], h.saveCanaries(list)
}

// RemoveCanary takes a canary out of the home.
func (h Home) RemoveCanary(n int) error {
	list, err := canaries.Load(h.CanariesFile())
	if err != nil {
		return err
	}
	if list, err = canaries.Remove(list, n); err != nil {
		return err
	}
	return h.saveCanaries(list)
}

func (h Home) saveCanaries(list []canaries.Canary) error {
	text, err := canaries.Marshal(list)
	if err != nil {
		return err
	}
	return config.WriteFile(h.CanariesFile(), text, 0o600)
}
