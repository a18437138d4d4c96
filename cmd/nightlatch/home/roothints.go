package home

import (
	"fmt"
	"os"
	"strings"

	"nightlatch/config"
)

// RootHints gives the text of dns.root_hints, a file beside the config in dir;
// empty when the config names none, which means IANA's.
func RootHints(dir string, cfg *config.Config) (string, error) {
	if cfg.DNS.RootHints == "" {
		return "", nil
	}
	text, err := os.ReadFile(config.Resolve(dir, cfg.DNS.RootHints))
	if err != nil {
		return "", fmt.Errorf("dns.root_hints: %w", err)
	}
	if len(strings.TrimSpace(string(text))) == 0 {
		return "", fmt.Errorf("dns.root_hints: %s is empty; want NS records of the root and the addresses of its servers", cfg.DNS.RootHints)
	}
	return string(text), nil
}
