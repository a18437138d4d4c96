package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"nightlatch/config/spell"
)

// maxFile bounds the config: it is written by hand.
const maxFile = 1 << 20

// Load reads and checks a config file. Errors are of type [*Error] and name
// file, line and column.
func Load(path string) (*Config, error) {
	b, err := readBounded(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return Parse(path, b)
}

// Parse reads a config from memory; name stands in its errors.
func Parse(name string, b []byte) (*Config, error) {
	c := Default()
	d := decoder{name}
	root, err := d.document(b)
	if err != nil {
		return nil, err
	}
	if root == nil {
		return &c, nil
	}
	if err := d.value(root, reflect.ValueOf(&c).Elem(), ""); err != nil {
		return nil, err
	}
	if c.Policy.Answer != "" && find(root, "policy.action") == find(root, "policy") {
		c.Policy.Action = "deny" // not said, so the default is that names are refused as the answer says
	}
	return &c, d.check(root, &c)
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// document parses the one YAML document of a file; nil when it is empty.
func (d decoder) document(b []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, d.syntax(err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, &Error{d.file, more.Line, 1, "a second document begins here (---); one is read"}
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return nil, nil
	}
	return doc.Content[0], nil
}

func (d decoder) syntax(err error) error {
	msg := err.Error()
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		line, _ := strconv.Atoi(m[1])
		return &Error{d.file, line, 1, "this is not YAML: " + msg[len(m[0]):]}
	}
	return &Error{d.file, 1, 1, "this is not YAML: " + strings.TrimPrefix(msg, "yaml: ")} // yaml.v3 leaves the first line out
}

// find gives the node of a dotted path, or the nearest one above it.
func find(n *yaml.Node, path string) *yaml.Node {
	for key := range strings.SplitSeq(path, ".") {
		if n.Kind != yaml.MappingNode {
			return n
		}
		next := n
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				next = n.Content[i+1]
			}
		}
		if next == n {
			return n
		}
		n = next
	}
	return n
}

var (
	actions  = []string{"sink", "deny", "drop", "observe"}
	dnssecs  = []string{"auto", "on", "off"}
	strategy = []string{"failover", "fastest", "hedged", "parallel"} // those of resolver/upstream
	mappings = []string{"off", "ask", "keep"}
	literals = []string{"pass", "deny", "drop"}
	echWords = []string{"keep", "strip"}
	formats  = []string{"auto", "native", "hosts", "domains", "wildcard", "adblock", "dnsmasq", "rpz", "ip"}
	matches  = []string{"exact", "subtree"}
)

// check holds what one field alone cannot tell.
func (d decoder) check(root *yaml.Node, c *Config) error {
	at := func(path, format string, args ...any) error {
		return d.fail(find(root, path), path+": "+format, args...)
	}
	word := func(path, value string, known []string, empty bool) error {
		if value == "" && empty || slices.Contains(known, value) {
			return nil
		}
		return at(path, "%q is not one of %s%s", value, strings.Join(known, ", "), spell.Meant(value, known...))
	}
	errs := []error{
		word("dns.dnssec", c.DNS.DNSSEC, dnssecs, false),
		word("tunnel.port_mapping", c.Tunnel.PortMapping, mappings, false),
		word("dns.strategy", c.DNS.Strategy, strategy, false),
		checkTunnel(&c.Tunnel, at),
		checkNetworks(c, at),
		checkHome(&c.DNS.Home, at),
		checkWishes(c, Places{d.file, root}),
	}
	for _, name := range slices.Sorted(maps.Keys(c.Devices)) {
		if !ValidName(name) {
			errs = append(errs, at("devices", "%q is not a device name; %s", name, NameRule))
		}
	}
	for i, f := range c.Lists.Files {
		errs = append(errs, checkListFile(i, f, word, at))
	}
	errs = append(errs, checkSubscriptions(&c.Lists, Places{d.file, root}))
	if c.Dashboard.Listen != "" {
		if ap, err := netip.ParseAddrPort(c.Dashboard.Listen); err != nil || !ap.Addr().IsLoopback() {
			errs = append(errs, at("dashboard.listen", "%q is not a loopback address with a port; phones reach the page through the tunnel", c.Dashboard.Listen))
		}
	}
	if len(c.DNS.Upstreams) == 0 {
		errs = append(errs, at("dns.upstreams", "no upstream is named; names that are not blocked could not be answered"))
	}
	for _, err := range errs {
		if err != nil {
			return err // the first: the next ones often follow from it
		}
	}
	return nil
}

type atFunc func(path, format string, args ...any) error

func checkTunnel(t *Tunnel, at atFunc) error {
	if len(t.Listen) == 0 {
		return at("tunnel.listen", "no address is named")
	}
	for _, app := range t.ExcludeApps {
		if !validApp.MatchString(app) {
			return at("tunnel.exclude_apps", "%q is not the name of an Android package; write one such as com.termux", app)
		}
	}
	if t.Endpoint == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(t.Endpoint)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" || perr != nil || n == 0 || strings.ContainsAny(host, " \t\r\n") {
		return at("tunnel.endpoint", "%q is not host:port", t.Endpoint)
	}
	return nil
}

func checkNetworks(c *Config, at atFunc) error {
	nets := []struct {
		path string
		p    netip.Prefix
		four bool
		most int // longest prefix that leaves room
	}{
		{"tunnel.network4", c.Tunnel.Network4, true, 30},
		{"tunnel.network6", c.Tunnel.Network6, false, 120},
		{"sinkhole.network4", c.Sinkhole.Network4, true, 24},
		{"sinkhole.network6", c.Sinkhole.Network6, false, 112},
	}
	for i, n := range nets {
		if !n.p.IsValid() {
			continue // made at first start
		}
		if n.p.Addr().Is4() != n.four {
			return at(n.path, "%s is of the other address family", n.p)
		}
		if n.p.Masked() != n.p {
			return at(n.path, "%s has bits set behind /%d; did you mean %s?", n.p, n.p.Bits(), n.p.Masked())
		}
		if n.p.Bits() > n.most {
			return at(n.path, "%s is too small; at most /%d", n.p, n.most)
		}
		for _, o := range nets[:i] {
			if o.p.IsValid() && o.p.Overlaps(n.p) {
				return at(n.path, "%s overlaps %s of %s", n.p, o.p, o.path)
			}
		}
	}
	return nil
}

func checkListFile(i int, f ListFile, word func(string, string, []string, bool) error, at atFunc) error {
	switch {
	case !ValidName(f.Name):
		return at("lists.files", "entry %d: %q is not a list name; %s", i+1, f.Name, NameRule)
	case f.Path == "":
		return at("lists.files", "entry %d (%s) names no path", i+1, f.Name)
	}
	for _, err := range []error{
		word("lists.files", f.Format, formats, true),
		word("lists.files", f.Match, matches, true),
		word("lists.files", f.Action, actions, true),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// NameRule says in words what ValidName holds.
const NameRule = "a name has 1 to 32 letters a-z, digits and hyphens, and no hyphen at its ends"

var validApp = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)+$`)

var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// ValidName tells whether s may name a device or a list: it becomes a file
// name and a DNS label.
func ValidName(s string) bool { return validName.MatchString(s) }

// Resolve gives a path of the config as it is meant: relative to the folder
// of the config file.
func Resolve(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
