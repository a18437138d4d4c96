package event

import "time"

// Kinds of events, as [Filter.Kind] and the "kind" of [JSON] spell them.
const (
	KindQuery   = "query"
	KindFlow    = "flow"
	KindCapture = "capture"
	KindNotice  = "notice"
)

// Bounds of one read, so that no page and no request can ask for everything.
const (
	DefaultLimit = 100    // rows when Filter.Limit is 0
	MaxLimit     = 10_000 // rows at most; a larger Limit is cut to this
)

// Filter chooses events. The zero value is the newest [DefaultLimit] of them.
// All conditions must hold. A condition that makes no sense for a kind of
// event (List for notices, say) finds no event of that kind.
type Filter struct {
	Device   string    // exactly this device
	NamePart string    // in the name (and, for a query, the uncloaked name; for a flow, the address; for a notice, the text); any case
	Blocked  bool      // verdict sink, deny or drop; every capture counts as blocked, no notice does
	Kind     string    // KindQuery, ...: looked at by Events alone
	Type     string    // query: QTYPE ("AAAA"); flow: protocol ("udp"); capture: scheme ("https"); notice: level ("warn"); any case
	List     string    // short name of the list whose rule decided
	Finding  string    // captures and findings: this kind of finding ("android_id")
	Since    time.Time // event time, inclusive; zero means no bound
	Until    time.Time // event time, exclusive; zero means no bound
	Before   int64     // only ids below this one: the cursor of the next page; 0 means from the newest
	After    int64     // only ids above this one: what is new since the last look
	Limit    int       // 0 means DefaultLimit
}

// StoredQuery is a [Query] as the journal kept it. Times have milliseconds,
// Took has microseconds.
type StoredQuery struct {
	ID int64 // grows in the order of recording, over all kinds of events
	Query
}

// StoredFlow is a [Flow] as the journal kept it.
type StoredFlow struct {
	ID int64 // as StoredQuery.ID
	Flow
}

// StoredCapture is a [Capture] as the journal kept it. Result.Layers have their
// codec and path but no data; Result.Findings are the same as Findings, masked.
// Sample is nil unless samples are kept.
type StoredCapture struct {
	ID int64 // as StoredQuery.ID
	Capture
	Findings []StoredFinding
}

// StoredFinding is one finding of a capture. Its value is masked: the journal
// never held another.
type StoredFinding struct {
	Capture    int64     // id of the capture it was found in
	Time       time.Time // of the capture
	Device     string
	Name       string // the blocked name the payload was meant for
	Kind       string // android_id, imei, url, ...
	Value      string // masked
	Path       string // "body/form:data_list/base64/gzip/json:/0/..."
	Chain      []string
	Confidence string // possible, likely or proved
	Mark       Mark   // equal for equal values
}

// StoredNotice is a [Notice] as the journal kept it.
type StoredNotice struct {
	ID int64 // as StoredQuery.ID
	Notice
}

// StoredEvent is an event of any kind with its id. Event is one of
// [StoredQuery], [StoredFlow], [StoredCapture] and [StoredNotice].
type StoredEvent struct {
	ID    int64
	Event Event
}

// Summary is what happened since a moment.
type Summary struct {
	Since   time.Time
	Total   DeviceSummary    // over all devices; Device is empty
	Devices []DeviceSummary  // by name
	Blocked []BlockedName    // most blocked first, at most 50
	Leaks   []FindingSummary // most frequent first, at most 200
	Hours   []Hour           // oldest first; hours without an event are left out
}

// DeviceSummary counts what one device did.
type DeviceSummary struct {
	Device         string
	Queries        int64 // DNS questions
	BlockedQueries int64 // of them, not passed
	Flows          int64 // connections and datagram flows
	BlockedFlows   int64 // of them, not passed
	Captures       int64 // payloads the sinkhole received
	Findings       int64 // identifiers in them
	Up, Down       int64 // bytes of its flows
	LastSeen       time.Time
}

// BlockedName is a name that was stopped, and by whom.
type BlockedName struct {
	Name    string
	List    string // short name of the list; empty when no list decided
	Line    int    // the rule's line in it
	Rule    string // the rule as written
	Owner   string // the company behind the list's names, as Options.OwnerOf tells; may be empty
	Reason  string // why, when no list decided
	Count   int64
	Devices int64 // how many devices asked for it
	Last    time.Time
}

// FindingSummary counts one kind of finding meant for one name.
type FindingSummary struct {
	Kind       string // android_id, ...
	Name       string // the blocked name it was meant for
	Owner      string // company behind that name, as BlockedName.Owner
	Device     string
	Confidence string // the best one: possible, likely or proved
	Count      int64
	Last       time.Time
}

// Hour counts one hour of wall time. The first hour of a summary is whole even
// when Since lies in its middle, so that bars of a chart can be compared.
type Hour struct {
	Start          time.Time
	Queries        int64
	BlockedQueries int64
	Flows          int64
	BlockedFlows   int64
	Captures       int64
}

// Rows is the number of events f may give: Limit within its bounds.
func (f Filter) Rows() int {
	switch {
	case f.Limit <= 0:
		return DefaultLimit
	case f.Limit > MaxLimit:
		return MaxLimit
	}
	return f.Limit
}
