package sinkhole

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"nightlatch/decoder"
	"nightlatch/journal"
)

// decodeWait is how long a capture waits for a decoder that is busy before it
// is recorded unread. The client has its reply already.
const decodeWait = 500 * time.Millisecond

// Bounds of the strings a capture carries; the whole request was decoded.
const (
	maxPath  = 8 << 10
	maxField = 512
)

// takeRequest decodes and records one HTTP request.
func (s *Sinkhole) takeRequest(ctx context.Context, c journal.Capture, r decoder.Request, b body) {
	c.Method, c.Path = clip(r.Method, maxField), clip(r.Target, maxPath)
	h := func(k string) string { return clip(strings.Join(r.Header[k], ", "), maxField) }
	c.ContentType, c.UserAgent = h("Content-Type"), h("User-Agent")
	c.Size, r.Body = b.size, b.sample
	if r.Host == "" { // HTTP/1.0: the address says it
		r.Host = c.Name
	}
	s.take(c, b.sample, s.fingerprint(c, r.Header, b.sample), func() decoder.Result {
		return s.decode(ctx, c.Name, func(d Decoder) decoder.Result { return d.DecodeRequest(r) })
	})
}

// takeRaw decodes and records bytes in no protocol we speak.
func (s *Sinkhole) takeRaw(ctx context.Context, c journal.Capture, b body) {
	c.Size = b.size
	s.take(c, b.sample, s.fingerprint(c, nil, b.sample), func() decoder.Result {
		return s.decode(ctx, c.Name, func(d Decoder) decoder.Result { return d.Decode(b.sample) })
	})
}

// takeTLS records a TLS connection that was not read. Its ClientHello, in
// c.Sample, is new with every connection, so that repeats are told by what it
// asks for.
func (s *Sinkhole) takeTLS(c journal.Capture) {
	s.take(c, c.Sample, s.fingerprint(c, nil, nil), func() decoder.Result {
		return decoder.Result{Verdict: "opaque", Flags: []string{"tls"}}
	})
}

// takeDatagram decodes and records a datagram, or a QUIC connection that was
// refused, whose sample is its ClientHello.
func (s *Sinkhole) takeDatagram(ctx context.Context, d datagram) {
	if d.at.TLS != nil {
		d.at.Sample = d.payload
		s.takeTLS(d.at)
		return
	}
	s.takeRaw(ctx, d.at, body{sample: d.payload, size: d.at.Size})
}

// take is the way of every capture: rate, fold, decode, sample, record.
func (s *Sinkhole) take(c journal.Capture, sample []byte, key uint64, decode func() decoder.Result) {
	c.Sample = nil
	if !s.rates.allow(c.Device, s.now()) {
		s.counts.limited.Add(1)
		return
	}
	repeats, record := s.folds.see(key, c)
	if !record {
		s.counts.folded.Add(1)
		return
	}
	c.Repeats = repeats
	marks, kind := c.Result.Flags, s.shapeOf(c)
	fits := s.shapes.allow(kind, c.Device, s.now())
	c.Result = decode()
	if !fits && repeats == 0 && !telling(c.Result) {
		s.folds.forget(key)
		s.shapes.left(kind)
		s.counts.sampled.Add(1)
		return
	}
	c.Result.Flags = append(c.Result.Flags[:len(c.Result.Flags):len(c.Result.Flags)], marks...)
	s.folds.decoded(key, c.Result)
	if s.opt.KeepSamples {
		c.Sample = slices.Clone(sample[:min(len(sample), int(s.limits.Keep))])
	}
	s.record(c)
}

// decode runs the decoder in one of its places. Without a decoder, or without
// a place in time, the result is empty.
func (s *Sinkhole) decode(ctx context.Context, name string, f func(Decoder) decoder.Result) (r decoder.Result) {
	dec := s.decoder.Load()
	if dec == nil {
		return r
	}
	select {
	case s.decoders <- struct{}{}:
	default:
		t := time.NewTimer(decodeWait)
		defer t.Stop()
		select {
		case s.decoders <- struct{}{}:
		case <-t.C:
			s.counts.undecoded.Add(1)
			return decoder.Result{Flags: []string{"undecoded"}}
		case <-ctx.Done():
			s.counts.undecoded.Add(1)
			return decoder.Result{Flags: []string{"undecoded"}}
		}
	}
	defer func() { <-s.decoders }()
	defer s.caught("decoder", name)
	return f(*dec)
}

func (s *Sinkhole) record(e journal.Event) {
	if _, ok := e.(journal.Capture); ok {
		s.counts.captured.Add(1)
	}
	if s.opt.Recorder != nil {
		s.opt.Recorder.Record(e)
	}
}

// sweep records the repeats of captures that did not come again, all of them
// at the end, and tells which devices sent more than was recorded.
func (s *Sinkhole) sweep(all bool) {
	for _, c := range s.folds.sweep(s.now(), all) {
		s.record(c)
	}
	s.packets.sweep(s.now())
	for device, n := range s.shapes.sweep(s.now()) {
		s.record(journal.Notice{Time: s.now(), Level: journal.Info, Room: "sinkhole", Device: device,
			Text: fmt.Sprintf("%d captures were left out: more than %d of their kind in a minute, and no known value in them", n, s.limits.Shape)})
	}
	for device, n := range s.rates.sweep(s.now()) {
		s.record(journal.Notice{Time: s.now(), Level: journal.Warn, Room: "sinkhole", Device: device,
			Text: fmt.Sprintf("%d captures were left out: more than %d a second", n, s.limits.Rate)})
	}
}

// fingerprint is equal for captures that say the same.
func (s *Sinkhole) fingerprint(c journal.Capture, h map[string][]string, sample []byte) uint64 {
	var m maphash.Hash
	m.SetSeed(s.folds.seed)
	text := func(parts ...string) {
		for _, p := range parts {
			fmt.Fprintf(&m, "%d:%s", len(p), p)
		}
	}
	text(c.Device, c.Name, c.Dst.String(), c.Scheme, c.Method, c.Path, c.ContentType, c.UserAgent)
	if c.TLS != nil {
		text(c.TLS.SNI, c.TLS.JA4, c.TLS.Outcome, c.TLS.Alert, c.TLS.Version)
	}
	for _, k := range sortedKeys(h) {
		text(k)
		text(h[k]...)
	}
	if c.Scheme != "tls" && c.Scheme != "quic" { // padding and tickets change the size of a ClientHello
		fmt.Fprintf(&m, "%d;", c.Size)
	}
	m.Write(sample)
	return m.Sum64()
}

func sortedKeys(h map[string][]string) []string {
	keys := make([]string, 0, len(h))
	for k := range h {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// clip cuts a string of hostile length, and lets go of the longer one.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return cut(s, n)
}

// cut copies the beginning of a string, which may be a view of a payload.
func cut(s string, n int) string { return strings.Clone(s[:min(len(s), n)]) }
