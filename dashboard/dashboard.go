// Package dashboard shows people what their phones tell others. It serves
// pages, a live stream and a JSON API out of the journal and the gateway's
// status, to whoever holds the token. What people change there (a rule, a pause,
// a list of their own) is done by the functions of [Options.Desk] and noted in
// the journal; the dashboard itself writes nothing.
//
// All it shows is hostile: names and payloads are chosen by apps that would
// rather not be watched. Pages are made by html/template alone, what is left
// of control and bidirectional characters is made visible at the last step
// ([Dashboard.Handler]), and the policy sent with every page lets no foreign
// script, style or frame in.
package dashboard

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"nightlatch/dashboard/desk"
	"nightlatch/dashboard/door"
	"nightlatch/dashboard/flash"
	"nightlatch/dashboard/host"
	"nightlatch/journal"
	"nightlatch/sinkhole/authority"
)

// Journal is what the dashboard reads. A *journal.Journal is one; tests use a
// fake. Every method must be safe for concurrent use and give newest first.
type Journal interface {
	Queries(ctx context.Context, f journal.Filter) ([]journal.StoredQuery, error)
	Flows(ctx context.Context, f journal.Filter) ([]journal.StoredFlow, error)
	Captures(ctx context.Context, f journal.Filter) ([]journal.StoredCapture, error)
	Notices(ctx context.Context, f journal.Filter) ([]journal.StoredNotice, error)
	Events(ctx context.Context, f journal.Filter) ([]journal.StoredEvent, error)
	Summary(ctx context.Context, since time.Time) (journal.Summary, error)
	Stats() journal.Stats
	// Subscribe is used as a bell alone: what it rings for is read back from the
	// journal, where values are masked.
	Subscribe(buffer int) (events <-chan journal.Event, cancel func())
}

// Options make a [Dashboard].
type Options struct {
	Journal Journal // what happened; required

	// Gateway tells how the gateway is at this moment. It is called for every
	// page and about once a second while someone watches, so it must be quick,
	// and safe for concurrent use. Required.
	Gateway func() Status

	// Token opens the door. It is printed at start, and must hold at least
	// MinToken characters of a random source.
	Token string

	// Hosts are the values of the Host header that are answered besides
	// localhost, 127.0.0.1 and [::1]: names or addresses, with or without a
	// port; without one, any port will do. Everything else is refused, so that a
	// web page cannot reach the dashboard by pointing its own name here.
	Hosts []string

	// Authority gives the certificate authority that phones may install, for the
	// page /ca; nil when there is none. It must be quick, and safe for
	// concurrent use. Nil means that there is never one.
	Authority func() *authority.CA

	// Desk is what people may change and ask here besides reading. Pages have
	// no buttons for functions that are nil.
	Desk desk.Desk

	// Recorder takes a notice of every change, so that the journal says who
	// changed what; nil means that none is kept.
	Recorder journal.Recorder

	Now func() time.Time // the clock of pages and sessions; nil means time.Now
	Log *slog.Logger     // nil means silence
}

// MinToken is the least length of [Options.Token]: 22 characters of base64
// hold 128 bits.
const MinToken = 22

// Dashboard serves people. It is safe for concurrent use.
type Dashboard struct {
	journal   Journal
	gateway   func() Status
	authority func() *authority.CA
	now       func() time.Time
	log       *slog.Logger
	hosts     host.Names
	door      *door.Door
	pages     *pages
	assets    assets
	live      *hub
	mux       *http.ServeMux
	desk      desk.Desk
	recorder  journal.Recorder
	flashes   flash.Box
	protects  *http.CrossOriginProtection
}

// New makes a dashboard. It fails when an option is missing, when the token is
// too short to be a secret, or when a host cannot be one.
func New(o Options) (*Dashboard, error) {
	switch {
	case o.Journal == nil:
		return nil, errors.New("dashboard: no journal to read")
	case o.Gateway == nil:
		return nil, errors.New("dashboard: no gateway to ask")
	case len(o.Token) < MinToken:
		return nil, errors.New("dashboard: the token is too short to be a secret")
	}
	names, err := host.Parse(o.Hosts)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	files := loadAssets()
	views, err := loadPages(files, o.Desk)
	if err != nil {
		return nil, err
	}
	d := &Dashboard{journal: o.Journal, gateway: o.Gateway, authority: o.Authority, now: o.Now, log: o.Log,
		hosts: names, door: door.New(o.Token), pages: views, assets: files, mux: http.NewServeMux(), desk: o.Desk, recorder: o.Recorder}
	d.live = newHub(o.Journal, d.sections, o.Log)
	d.protects = http.NewCrossOriginProtection()
	d.protects.SetDenyHandler(http.HandlerFunc(d.foreign))
	d.routes()
	return d, nil
}

// routes is the map of the room. Public paths show nothing of the house
// but the certificate that its phones may install.
func (d *Dashboard) routes() {
	public := func(pattern string, h http.HandlerFunc) { d.mux.HandleFunc(pattern, h) }
	private := func(pattern string, h http.HandlerFunc) { d.mux.Handle(pattern, d.member(h)) }

	public("GET /healthz", d.healthz)
	public("GET /readyz", d.readyz)
	public("GET /static/{version}/{file}", d.static)
	public("GET /login", d.loginPage)
	public("POST /login", d.login)
	public("POST /logout", d.logout)
	public("GET /ca", d.caPage)
	public("GET /ca/{file}", d.caFile)

	private("GET /{$}", d.nowPage)
	private("GET /queries", d.queriesPage)
	private("GET /flows", d.flowsPage)
	private("GET /leaks", d.leaksPage)
	private("GET /leaks/{id}", d.capturePage)
	private("GET /live", d.stream)
	private("GET /why", d.whyPage)
	private("GET /health", d.healthPage)
	private("GET /devices", d.devicesPage)
	private("GET /devices/{name}", d.devicePage)
	private("GET /devices/{name}/report", d.reportPage)
	private("GET /lists", d.listsPage)
	private("GET /lists/{name}", d.listPage)
	private("GET /lists/{name}/edit", d.editPage)
	private("POST /lists/{name}/edit", d.editForm)
	private("POST /lists/{name}/check", d.checkText)
	private("GET /rules", d.rulesPage)
	private("POST /change", d.change)
	private("POST /remove", d.remove)
	private("POST /pause", d.pause)
	private("POST /resume", d.resume)
	private("POST /undo", d.undo)

	private("GET /api/v1/summary", d.apiSummary)
	private("GET /api/v1/devices", d.apiDevices)
	private("GET /api/v1/queries", d.apiQueries)
	private("GET /api/v1/flows", d.apiFlows)
	private("GET /api/v1/captures", d.apiCaptures)
	private("GET /api/v1/captures/{id}", d.apiCapture)
	d.apiRoutes(private)
}

// Handler gives the whole dashboard as one handler, to be served on loopback
// and inside the tunnel. One guard stands before everything else.
func (d *Dashboard) Handler() http.Handler {
	return d.guard(d.protects.Handler(http.HandlerFunc(d.dispatch)))
}

// Server gives an http.Server with the dashboard's bounds on headers and time,
// for any number of listeners. Its requests end when ctx does, so that live
// streams do not hold up Shutdown.
func (d *Dashboard) Server(ctx context.Context) *http.Server {
	return &http.Server{
		Handler:           d.Handler(),
		ReadHeaderTimeout: 10 * time.Second, // a phone on a bad radio link is slow, but not slower
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10, // a cookie and what browsers add: far below
		ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
}

// dispatch finds the handler, and answers in our own words where there is none.
func (d *Dashboard) dispatch(w http.ResponseWriter, r *http.Request) {
	if _, pattern := d.mux.Handler(r); pattern != "" {
		d.mux.ServeHTTP(w, r)
		return
	}
	probe := &statusProbe{header: http.Header{}}
	d.mux.ServeHTTP(probe, r)
	if allow := probe.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
		d.fail(w, r, http.StatusMethodNotAllowed, "This address answers "+strings.ToLower(allow)+" alone.")
		return
	}
	d.fail(w, r, http.StatusNotFound, "There is no such page.")
}

// statusProbe takes the mux's own answer, of which only the headers matter.
type statusProbe struct{ header http.Header }

func (p *statusProbe) Header() http.Header         { return p.header }
func (p *statusProbe) Write(b []byte) (int, error) { return len(b), nil }
func (p *statusProbe) WriteHeader(int)             {}

// healthz says that the dashboard answers, and nothing else about the house.
func (d *Dashboard) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}
