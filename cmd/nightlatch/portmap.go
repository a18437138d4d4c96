package main

import (
	"context"
	"strings"

	"nightlatch/journal"
	"nightlatch/tunnel/portmap"
)

// keepPort keeps a port of the home's router open for phones, when the owner
// wants that (tunnel.port_mapping: keep), and tells where it leads from.
func (g *gateway) keepPort(ctx context.Context) error {
	if g.settings.Config.Tunnel.PortMapping != "keep" {
		return nil
	}
	return portmap.Keep(ctx, portmap.Router{}, g.tunnel.Port(), func(m portmap.Mapping, err error) {
		if err != nil {
			g.notice(journal.Warn, "tunnel", "the router opens no port for phones: %s", strings.TrimPrefix(err.Error(), "portmap: "))
			return
		}
		g.notice(journal.Info, "tunnel", "the router hands its UDP port %d on to this machine (%s); phones find it at %s", m.External.Port(), m.Protocol, m.External)
	})
}
