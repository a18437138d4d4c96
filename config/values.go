package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Listen is a UDP address to listen on. Any is set when the host was left out:
// then the port is opened for IPv4 and IPv6 alike.
type Listen struct {
	Addr netip.Addr
	Port uint16
	Any  bool
}

// UnmarshalText reads ":51820", "127.0.0.1:51820" or "[::1]:51820".
func (l *Listen) UnmarshalText(b []byte) error {
	host, port, err := net.SplitHostPort(string(b))
	if err != nil {
		return fmt.Errorf("%q is not an address to listen on; write :51820 or 192.0.2.1:51820", b)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("%q is not a port (0 to 65535)", port)
	}
	*l = Listen{netip.IPv4Unspecified(), uint16(n), true}
	if host != "" {
		if l.Addr, err = netip.ParseAddr(host); err != nil {
			return fmt.Errorf("%q is not an IP address; names are not listened on", host)
		}
		l.Any = false
	}
	return nil
}

// String writes it as it is read.
func (l Listen) String() string {
	if l.Any {
		return fmt.Sprintf(":%d", l.Port)
	}
	return netip.AddrPortFrom(l.Addr, l.Port).String()
}

// AddrPorts gives the sockets to open: both families when the host was left out.
func (l Listen) AddrPorts() []netip.AddrPort {
	if l.Any {
		return []netip.AddrPort{
			netip.AddrPortFrom(netip.IPv4Unspecified(), l.Port),
			netip.AddrPortFrom(netip.IPv6Unspecified(), l.Port),
		}
	}
	return []netip.AddrPort{netip.AddrPortFrom(l.Addr, l.Port)}
}

// Duration is a time span that also knows days: 25s, 12h, 30d.
type Duration time.Duration

// UnmarshalText reads a Go duration or a number of days with the suffix d.
func (d *Duration) UnmarshalText(b []byte) error {
	s := string(b)
	if s == "0" {
		*d = 0
		return nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			*d = Duration(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a time span; write 25s, 12h or 30d", s)
	}
	*d = Duration(v)
	return nil
}

// String writes it as it is read, in days when it is whole days.
func (d Duration) String() string {
	v, day := time.Duration(d), 24*time.Hour
	if v >= day && v%day == 0 {
		return strconv.Itoa(int(v/day)) + "d"
	}
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Size is a number of bytes: 800KB, 512MB, 2GB (powers of 1024).
type Size int64

var units = []struct {
	suffix string
	bytes  int64
}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}}

// UnmarshalText reads a number with KB, MB or GB behind it.
func (s *Size) UnmarshalText(b []byte) error {
	text := strings.ToUpper(strings.ReplaceAll(string(b), " ", ""))
	for _, u := range units {
		num, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		if n, err := strconv.ParseInt(num, 10, 64); err == nil && n > 0 && n <= (1<<50)/u.bytes {
			*s = Size(n * u.bytes)
			return nil
		}
	}
	return fmt.Errorf("%q is not a size; write 800KB, 512MB or 2GB", b)
}

// String writes it with the largest unit that divides it.
func (s Size) String() string {
	for _, u := range units {
		if int64(s) >= u.bytes && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Secret is a value that may stand in a file of its own (file:NAME), so that
// the config can be shown to others.
type Secret struct {
	File  string // where it is; empty when Value was written in the config itself
	Value string
}

// UnmarshalText reads file:NAME or the value itself.
func (s *Secret) UnmarshalText(b []byte) error {
	name, ok := strings.CutPrefix(string(b), "file:")
	*s = Secret{Value: string(b)}
	if ok {
		if strings.TrimSpace(name) == "" {
			return errors.New("file: names no file")
		}
		*s = Secret{File: strings.TrimSpace(name)}
	}
	return nil
}

// String hides the value, so that a secret never reaches a log or a screen.
func (s Secret) String() string {
	switch {
	case s.File != "":
		return "file:" + s.File
	case s.Value != "":
		return "(hidden)"
	}
	return ""
}

// maxSecret bounds a secret's file: a key, a token, a page of known values.
const maxSecret = 1 << 20

// Read gives the secret; dir is where a relative file stands.
// The error of an absent file is fs.ErrNotExist.
func (s Secret) Read(dir string) (string, error) {
	if s.File == "" {
		return s.Value, nil
	}
	path := s.Path(dir)
	b, err := readBounded(path, maxSecret)
	if err != nil {
		return "", fmt.Errorf("config: secret: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// Path gives the secret's file, empty when it has none.
func (s Secret) Path(dir string) string {
	if s.File == "" || filepath.IsAbs(s.File) {
		return s.File
	}
	return filepath.Join(dir, s.File)
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes; at most %d are read", path, st.Size(), limit)
	}
	return os.ReadFile(path)
}
