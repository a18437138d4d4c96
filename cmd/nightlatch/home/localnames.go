package home

import (
	"fmt"
	"os"
	"strings"

	"nightlatch/config"
	"nightlatch/resolver/local"
)

// LocalSuffix is what devices are found below, whatever else the owner says.
const LocalSuffix = "nightlatch.internal"

// Names gives the names of the home: of devices, of the hosts file, of the
// records. An error says which record or line is wrong.
func (s *Settings) Names() (*local.Names, error) {
	var b local.Builder
	names := s.Config.DNS.Names
	suffix := strings.Trim(names.Suffix, ".")
	for _, line := range names.Records {
		if err := b.Record(line); err != nil {
			return nil, fmt.Errorf("dns.names.records: %w", err)
		}
	}
	for _, d := range s.Devices {
		for _, below := range []string{LocalSuffix, suffix} {
			if below == "" {
				continue
			}
			if err := b.Host(d.Name+"."+below, d.Addresses...); err != nil {
				return nil, fmt.Errorf("dns.names: device %s: %w", d.Name, err)
			}
		}
	}
	if names.HostsFile == "" {
		return b.Names(), nil
	}
	path := config.Resolve(s.Home.Dir, names.HostsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("dns.names.hosts_file: %w", err)
	}
	if errs := b.Hosts(string(text), suffix); len(errs) > 0 {
		return nil, fmt.Errorf("dns.names.hosts_file: %s: %w", path, errs[0])
	}
	return b.Names(), nil
}
