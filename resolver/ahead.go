package resolver

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"nightlatch/config"
	"nightlatch/resolver/cache"
)

// Bounds of what is fetched before it is asked for.
const (
	maxAhead  = 16 // questions that may wait to be fetched; more are left to whoever asks next
	saveEvery = 15 * time.Minute
)

// early is a question to be fetched before its answer ends.
type early struct {
	key  cache.Key
	name string // canonical
}

// ahead has an answer fetched anew that is asked for often and soon ends. It
// never waits.
func (r *Resolver) ahead(k cache.Key, name string) {
	select {
	case r.early <- early{k, name}:
	default:
	}
}

// fetch asks for what will soon be asked for again. The flights count as those
// of one device, so that they are never more than a share.
func (r *Resolver) fetch(ctx context.Context, e early) {
	q := &query{now: time.Now(), name: e.name, fqdn: dns.Fqdn(e.name), key: e.key}
	q.Type, q.DO, q.CD = e.key.Type, e.key.DO, e.key.CD
	q.flow.Device.Key = r.self
	if r.join(ctx, q, true) != nil {
		r.counts.ahead.Add(1)
	}
}

// derived makes an answer of what is known about the same question in another
// form; nil when nothing is.
func (r *Resolver) derived(q *query) *cache.Answer {
	for _, from := range [...]cache.Key{{DO: true, CD: q.CD}, {DO: q.DO}, {DO: true}} {
		if from.DO == q.DO && from.CD == q.CD || from.CD && !q.CD {
			continue
		}
		from.Name, from.Type = q.key.Name, q.Type
		a, ok, _ := r.truth.Get(from, q.now)
		if !ok || !a.Fresh(q.now) {
			continue
		}
		if from.CD != q.CD {
			a = a.Unjudged() // what is true may be told to those who judge by themselves
		}
		if from.DO != q.DO {
			var err error
			if a, err = a.Plain(q.Type); err != nil {
				continue
			}
		}
		return a
	}
	return nil
}

// proved makes an answer of what was proved about the name's neighbours; nil when
// it must be asked for. That a name has nothing of a type is kept, for it is asked
// all day; a name that does not exist is not: who asks for names at random would
// drive out what others know, and the answer is soon made again.
func (r *Resolver) proved(q *query) *cache.Answer {
	if q.CD || r.trust == nil || r.forwarded(q.name) != nil {
		return nil
	}
	m, ok := r.trust.chain.Known(q.fqdn, q.Type)
	if !ok {
		return nil
	}
	a, err := cache.Read(q.fqdn, q.Type, q.DO, m, "", r.limits, q.now)
	if err != nil || a.TTL <= 0 {
		return nil
	}
	a.Secure = true
	r.counts.proved.Add(1)
	if a.RCode == dns.RcodeSuccess && len(a.Answer) == 0 {
		r.truth.Put(q.key, a)
	}
	return a
}

// settings says what remembered answers depend on, for the file they are kept
// in: under other settings they might not be true.
func (o *Options) settings() string {
	var b strings.Builder
	write := func(parts ...string) {
		for _, p := range parts {
			b.WriteString(p + "\n")
		}
		b.WriteByte('\n')
	}
	write(string(rune('0'+o.Validation)), o.Anchors)
	write(o.Unsigned...)
	write(o.Upstreams...) // an owner who changes them may want other answers
	for _, zone := range slices.Sorted(maps.Keys(o.Forward)) {
		write(append([]string{zone}, o.Forward[zone]...)...)
	}
	return b.String()
}

// recall takes over what an earlier run of the gateway knew.
func (r *Resolver) recall() {
	f, err := os.Open(r.opt.CacheFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	n := 0
	if err == nil {
		var b []byte
		if b, err = io.ReadAll(io.LimitReader(f, cache.MaxFile+1)); err == nil {
			n, err = r.truth.Unmarshal(b, r.opt.settings(), time.Now())
		}
		f.Close()
	}
	if err != nil {
		r.log.Info("resolver: nothing is remembered of the last run", "file", r.opt.CacheFile, "why", err)
		return
	}
	r.log.Debug("resolver: remembered from the last run", "answers", n)
}

// save writes down what is known, for the next run.
func (r *Resolver) save() {
	if err := config.WriteFile(r.opt.CacheFile, r.truth.Marshal(r.opt.settings(), time.Now()), 0o600); err != nil {
		r.log.Warn("resolver: what is known cannot be kept for the next start", "err", err)
	}
}

// keep writes down what is known, and fetches what soon ends, until ctx ends.
func (r *Resolver) keep(ctx context.Context) {
	var tick <-chan time.Time
	if r.opt.CacheFile != "" {
		r.recall()
		t := time.NewTicker(saveEvery)
		defer t.Stop()
		tick = t.C
		defer r.save()
	}
	for {
		select {
		case e := <-r.early:
			r.fetch(ctx, e)
		case <-tick:
			r.save()
		case <-ctx.Done():
			return
		}
	}
}
