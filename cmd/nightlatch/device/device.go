// Package device is the subcommand that adds, shows, changes and removes phones.
// It writes the two files of a device in the home folder, and asks a running
// gateway to take them.
package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/cmd/nightlatch/qr"
	"nightlatch/cmd/nightlatch/terminal"
	"nightlatch/config"
)

// Gateway is how the commands reach a gateway that may be running in the home.
type Gateway struct {
	Reload func(context.Context, home.Home) error        // take what the files say now; none running is fine
	Live   func(context.Context, home.Home, []Info) bool // add what it knows of the devices; false: none is running
}

type app struct {
	*cli.App
	Gateway
}

// Command makes nightlatch device.
func Command(c *cli.App, g Gateway) *cobra.Command {
	a := &app{c, g}
	return cli.Group("device", "Add, show and remove phones",
		"A device is one phone (or tablet, or laptop) with its own key and its own addresses in the tunnel.\nA running gateway takes every change at once.",
		"  nightlatch device add tablet\n  nightlatch device list",
		a.add(), a.invite(), a.list(), a.show(), a.set(), a.switched(true), a.switched(false), a.rename(), a.rotate(), a.remove())
}

// Info is a device as scripts see it. Keys that are secret stay away.
type Info struct {
	Name          string       `json:"name"`
	PublicKey     string       `json:"public_key"`
	Addresses     []netip.Addr `json:"addresses"`
	Created       time.Time    `json:"created"`
	Conf          string       `json:"conf"`
	Note          string       `json:"note,omitempty"`
	Ended         string       `json:"ended,omitempty"` // why it may not connect: disabled or expired
	Until         *time.Time   `json:"until,omitempty"`
	Keepalive     string       `json:"keepalive,omitempty"`      // absent: as tunnel.keepalive says
	MTU           int          `json:"mtu,omitempty"`            // absent: as tunnel.mtu says
	LastHandshake *time.Time   `json:"last_handshake,omitempty"` // nil: never, or no gateway is running
	Endpoint      string       `json:"endpoint,omitempty"`
	RxBytes       uint64       `json:"rx_bytes,omitempty"`
	TxBytes       uint64       `json:"tx_bytes,omitempty"`
}

// InfoOf says what the files tell of a device.
func InfoOf(h home.Home, d config.Device) Info {
	i := Info{Name: d.Name, PublicKey: d.PublicKey.String(), Addresses: d.Addresses, Created: d.Created, Conf: h.ConfPath(d.Name),
		Note: d.Note, Ended: d.Ended(time.Now()), Keepalive: d.Keepalive, MTU: d.MTU}
	if !d.Until.IsZero() {
		i.Until = &d.Until
	}
	return i
}

// homeFiles reads what the device commands need.
func (a *app) homeFiles() (home.Home, *config.Config, []config.Device, error) {
	h, err := a.NeedHome()
	if err != nil {
		return h, nil, nil, err
	}
	cfg, err := h.LoadConfig()
	if err != nil {
		return h, nil, nil, err
	}
	devices, err := config.LoadDevices(h.DevicesDir())
	return h, cfg, devices, err
}

// pick gives the device of that name.
func pick(devices []config.Device, name string) (config.Device, error) {
	for _, d := range devices {
		if d.Name == name {
			return d, nil
		}
	}
	return config.Device{}, fmt.Errorf("there is no device %q; nightlatch device list shows them", name)
}

// pickDevice is homeFiles and the device of that name.
func (a *app) pickDevice(name string) (home.Home, *config.Config, []config.Device, config.Device, error) {
	h, cfg, devices, err := a.homeFiles()
	if err != nil {
		return h, nil, nil, config.Device{}, err
	}
	d, err := pick(devices, name)
	return h, cfg, devices, d, err
}

// publicKey reads --public-key; nil when it was not given.
func publicKey(c *cobra.Command, text string) (*config.Key, error) {
	if text == "" {
		return nil, nil
	}
	key := new(config.Key)
	if err := key.UnmarshalText([]byte(text)); err != nil {
		return nil, cli.Misused(c, "--public-key: %w", err)
	}
	return key, nil
}

func (a *app) add() *cobra.Command {
	var public string
	var asJSON bool
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a device with its own keys, and show its QR code",
		Example: `  nightlatch device add tablet
  nightlatch device add laptop --public-key 'hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo='
  nightlatch device add tablet --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !config.ValidName(args[0]) {
				return cli.Misused(c, "%q is not a device name; %s", args[0], config.NameRule)
			}
			key, err := publicKey(c, public)
			if err != nil {
				return err
			}
			h, err := a.NeedHome()
			if err != nil {
				return err
			}
			if err := h.PrepareFiles(); err != nil { // the keys, when up has not run yet
				return err
			}
			cfg, err := h.LoadConfig()
			if err != nil {
				return err
			}
			d, err := h.AddDevice(cfg, args[0], key)
			if err != nil {
				return err
			}
			return a.told(c, h, d, asJSON)
		},
	}
	c.Flags().StringVar(&public, "public-key", "", "the phone's own public key; its private key then never touches the gateway")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of the QR code")
	return c
}

// told asks a running gateway to take a change, and shows the device.
func (a *app) told(c *cobra.Command, h home.Home, d config.Device, asJSON bool) error {
	if err := a.Reload(c.Context(), h); err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(a.Stdout).Encode(InfoOf(h, d))
	}
	return Show(a.App, h, d, true)
}

// Show prints what a person needs to get the device connected.
func Show(a *cli.App, h home.Home, d config.Device, showQR bool) error {
	conf, err := os.ReadFile(h.ConfPath(d.Name))
	if err != nil {
		return fmt.Errorf("device %s: %w; nightlatch device rotate %s makes new keys", d.Name, err, d.Name)
	}
	switch {
	case !home.Whole(conf):
		fmt.Fprintf(a.Stdout, "put the phone's own private key into this file and import it with the WireGuard app\n")
	case showQR:
		if err := qr.Print(a.Stdout, string(conf), terminal.Colours(a.Stdout)); err != nil {
			return err
		}
		fmt.Fprintf(a.Stdout, "\nscan this with the WireGuard app (+, scan from QR code), or import the file\n")
	default:
		fmt.Fprintf(a.Stdout, "import this file with the WireGuard app\n")
	}
	fmt.Fprintf(a.Stdout, "  %s\n\n", h.ConfPath(d.Name))
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "device\t%s\naddresses\t%s\npublic key\t%s\ncreated\t%s\n",
		d.Name, joinAddrs(d.Addresses), d.PublicKey, d.Created.Local().Format("2006-01-02 15:04"))
	if d.Note != "" {
		fmt.Fprintf(w, "note\t%s\n", d.Note)
	}
	if !d.Until.IsZero() {
		fmt.Fprintf(w, "until\t%s\n", d.Until.Local().Format("2006-01-02 15:04"))
	}
	if ended := d.Ended(time.Now()); ended != "" {
		fmt.Fprintf(w, "state\t%s; it is refused\n", ended)
	}
	return w.Flush()
}

func joinAddrs(addrs []netip.Addr) string {
	s := ""
	for i, a := range addrs {
		if i > 0 {
			s += ", "
		}
		s += a.String()
	}
	return s
}

func (a *app) list() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the devices, and who is connected when a gateway is running",
		Example: "  nightlatch device list\n  nightlatch device list --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			h, _, devices, err := a.homeFiles()
			if err != nil {
				return err
			}
			infos := make([]Info, 0, len(devices))
			for _, d := range devices {
				infos = append(infos, InfoOf(h, d))
			}
			running := a.Live(c.Context(), h, infos)
			if asJSON {
				return json.NewEncoder(a.Stdout).Encode(infos)
			}
			return a.table(infos, running)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return c
}

func (a *app) table(infos []Info, running bool) error {
	if len(infos) == 0 {
		fmt.Fprintln(a.Stdout, "no devices yet; nightlatch device add NAME makes one")
		return nil
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tADDRESSES\tLAST HANDSHAKE\tFROM\tSENT\tRECEIVED")
	for _, d := range infos {
		last := "never"
		switch {
		case d.Ended != "":
			last = d.Ended
		case !running:
			last = "-"
		case d.LastHandshake != nil:
			last = time.Since(*d.LastHandshake).Truncate(time.Second).String() + " ago"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", d.Name, joinAddrs(d.Addresses), last, dash(d.Endpoint), cli.Bytes(d.RxBytes), cli.Bytes(d.TxBytes))
	}
	if err := w.Flush(); err != nil || running {
		return err
	}
	fmt.Fprintln(a.Stdout, "\nno gateway is running in this home; nightlatch up starts it")
	return nil
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (a *app) show() *cobra.Command {
	var asJSON, noQR bool
	c := &cobra.Command{
		Use:     "show NAME",
		Short:   "Show a device and its QR code again",
		Example: "  nightlatch device show phone\n  nightlatch device show phone --no-qr",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, _, _, d, err := a.pickDevice(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				infos := []Info{InfoOf(h, d)}
				a.Live(c.Context(), h, infos)
				return json.NewEncoder(a.Stdout).Encode(infos[0])
			}
			return Show(a.App, h, d, !noQR)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	c.Flags().BoolVar(&noQR, "no-qr", false, "leave the QR code out: it holds the private key")
	return c
}

func (a *app) rename() *cobra.Command {
	return &cobra.Command{
		Use:     "rename OLD NEW",
		Short:   "Give a device another name; its keys stay",
		Example: "  nightlatch device rename phone redmi",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if !config.ValidName(args[1]) {
				return cli.Misused(c, "%q is not a device name; %s", args[1], config.NameRule)
			}
			h, cfg, devices, d, err := a.pickDevice(args[0])
			if err != nil {
				return err
			}
			if _, err := pick(devices, args[1]); err == nil {
				return fmt.Errorf("there is a device %s already", args[1])
			}
			d.Name = args[1]
			if err := config.WriteFile(h.DevicePath(args[1]), d.Marshal(), 0o600); err != nil {
				return err
			}
			if err := os.Rename(h.ConfPath(args[0]), h.ConfPath(args[1])); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("device rename: %w", err)
			}
			if err := os.Remove(h.DevicePath(args[0])); err != nil {
				return fmt.Errorf("device rename: %w", err)
			}
			fmt.Fprintf(a.Stdout, "%s is now called %s\n", args[0], args[1])
			if _, named := cfg.Devices[args[0]]; named {
				a.Say("hint: devices: %s in %s still names the old one; call it %s there too, or its wishes are lost", args[0], h.ConfigFile(), args[1])
			}
			return a.Reload(c.Context(), h)
		},
	}
}

func (a *app) rotate() *cobra.Command {
	var public string
	var asJSON bool
	c := &cobra.Command{
		Use:     "rotate NAME",
		Short:   "Give a device new keys; its old ones stop working at once",
		Example: "  nightlatch device rotate phone",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			key, err := publicKey(c, public)
			if err != nil {
				return err
			}
			h, cfg, devices, d, err := a.pickDevice(args[0])
			if err != nil {
				return err
			}
			if err := h.RotateDevice(cfg, &d, devices, key); err != nil {
				return err
			}
			return a.told(c, h, d, asJSON)
		},
	}
	c.Flags().StringVar(&public, "public-key", "", "the phone's own new public key")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of the QR code")
	return c
}

func (a *app) remove() *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove a device; its connections end at once",
		Example: "  nightlatch device remove tablet",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, _, _, _, err := a.pickDevice(args[0])
			if err != nil {
				return err
			}
			if err := os.Remove(h.DevicePath(args[0])); err != nil {
				return fmt.Errorf("device remove: %w", err)
			}
			if err := os.Remove(h.ConfPath(args[0])); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("device remove: %w", err)
			}
			fmt.Fprintf(a.Stdout, "%s is removed; delete the tunnel on the phone too\n", args[0])
			return a.Reload(c.Context(), h)
		},
	}
}
