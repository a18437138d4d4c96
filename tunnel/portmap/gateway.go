package portmap

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"
)

// routeTable is where Linux tells its IPv4 routes.
const routeTable = "/proc/net/route"

// defaultGateway gives the router of the home network. It is known on Linux
// alone; elsewhere UPnP, which is searched for, finds it.
func defaultGateway() (netip.Addr, error) {
	f, err := os.Open(routeTable)
	if err != nil {
		return netip.Addr{}, err
	}
	defer f.Close()
	return parseRoutes(f)
}

// parseRoutes finds the default route. The addresses are hexadecimal in the
// machine's own order; every machine we run on is little-endian.
func parseRoutes(r io.Reader) (netip.Addr, error) {
	lines := bufio.NewScanner(io.LimitReader(r, 1<<20))
	for lines.Scan() {
		f := strings.Fields(lines.Text()) // Iface Destination Gateway Flags ... Mask
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		b, err := hex.DecodeString(f[2])
		if err != nil || len(b) != 4 {
			continue
		}
		a := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, binary.LittleEndian.Uint32(b))))
		if !a.IsUnspecified() { // of a line without a router, such as a modem
			return a, nil
		}
	}
	return netip.Addr{}, errors.New("there is no default route")
}
