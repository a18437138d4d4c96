package quicinitial

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"nightlatch/hello/clienthello"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

const (
	dcid = "8394c8f03e515708" // RFC 9001 §A.1

	// crypto is the CRYPTO frame of RFC 9001 §A.2, and of RFC 9369 §A.2.
	crypto = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868" +
		"04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d00170018001000070005" +
		"04616c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400" +
		"0d0010000e0403050306030203080408050806002d00020101001c00024001003900320408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff"

	// server is the payload of RFC 9001 §A.3 and RFC 9369 §A.3.
	server = "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a045a1200130100002e00330024001d0020" +
		"9d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00020304"
)

// vectors are the packets of the appendices: what must come out of the frames
// above. The last 16 bytes authenticate all that stands before them.
var vectors = []struct {
	name               string
	server             bool
	version            uint32
	head, begins, ends string
}{
	{"RFC 9001 §A.2", false, Version1, "c300000001088394c8f03e5157080000449e00000002",
		"c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9bd8bab936b47d92ec356c",
		"e221af44860018ab0856972e194cd934"},
	{"RFC 9369 §A.2", false, Version2, "d36b3343cf088394c8f03e5157080000449e00000002",
		"d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485dd04de806071bf03dceebfa162e75d6c",
		"a18b2faa745b6fe189cf772a9f84cbfc"},
	{"RFC 9001 §A.3", true, Version1, "c1000000010008f067a5502a4262b50040750001",
		"cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb3",
		"2158407dd074ee"},
	{"RFC 9369 §A.3", true, Version2, "d16b3343cf0008f067a5502a4262b50040750001",
		"dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698baeea26b91eb761d9b89237bbf872630",
		"4bed8521e2e140"},
}

func payload(tb testing.TB, fromServer bool) []byte {
	if fromServer {
		return unhex(tb, server)
	}
	return append(unhex(tb, crypto), make([]byte, 1162-245)...) // padding
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		head := unhex(t, v.head)
		size := int(head[0]&3) + 1
		number := uint32(head[len(head)-1])
		got := derive(v.version, unhex(t, dcid), v.server).seal(head, size, number, payload(t, v.server))
		if !bytes.HasPrefix(got, unhex(t, v.begins)) || !bytes.HasSuffix(got, unhex(t, v.ends)) {
			t.Errorf("%s: %x", v.name, got)
		}
		if v.server {
			continue
		}
		p, rest, err := Open(append(got, 0, 0, 0))
		if err != nil || p.Version != v.version || p.Number != 2 || hex.EncodeToString(p.DCID) != dcid || len(rest) != 3 || !bytes.Equal(p.Frames, payload(t, false)) {
			t.Fatalf("%s: %+v %v", v.name, p, err)
		}
		var a Assembly
		if fresh, err := a.Add(p.Frames); !fresh || err != nil {
			t.Fatal(err)
		}
		msg, ok := a.Hello()
		h, err := clienthello.Parse(msg)
		if !ok || err != nil || h.SNI != "example.com" || !slices.Equal(h.ALPN, []string{"alpn"}) || h.JA4QUIC()[:10] != "q13d0211an" {
			t.Errorf("%s: %+v %v", v.name, h, err)
		}
		if fresh, _ := a.Add(p.Frames); fresh {
			t.Error("a repeat is fresh")
		}
	}
}

// initial makes a client's Initial packet.
func initial(version uint32, id []byte, number byte, frames []byte) []byte {
	head := []byte{0xc0 | initialType(version)<<4}
	head = binary.BigEndian.AppendUint32(head, version)
	head = append(append(head, byte(len(id))), id...)
	head = append(head, 2, 7, 7)          // the client's ID
	head = append(head, 3, 't', 'o', 'k') // a token
	head = appendVarint(head, uint32(1+len(frames)+tagSize))
	head = append(head, number)
	return derive(version, id, false).seal(head, 1, uint32(number), frames)
}

func cryptoFrame(offset int, data []byte) []byte {
	f := appendVarint([]byte{frameCrypto}, uint32(offset))
	return append(appendVarint(f, uint32(len(data))), data...)
}

// TestPieces: a hello in pieces, shuffled, overlapping, over several packets.
func TestPieces(t *testing.T) {
	msg := unhex(t, crypto)[4:]
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var frames [][]byte
		for at := 0; at < len(msg); {
			n := 1 + rnd.IntN(40)
			from := at
			if seed%3 > 0 {
				from = max(0, at-rnd.IntN(5))
			}
			frames = append(frames, cryptoFrame(from, msg[from:min(len(msg), at+n)]))
			at += n
		}
		rnd.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
		var a Assembly
		for i, f := range frames {
			if _, ok := a.Hello(); ok && seed%3 == 0 {
				t.Fatal("whole too early")
			}
			p, _, err := Open(initial(Version1+uint32(seed%2)*(Version2-Version1), []byte("12345678"), byte(i), append([]byte{framePing, 0, 0}, f...)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.Add(p.Frames); err != nil {
				t.Fatal(err)
			}
		}
		got, ok := a.Hello()
		if !ok || !bytes.Equal(got, msg) {
			t.Fatalf("seed %d: %v", seed, ok)
		}
	}
}

// TestRefuse: the client that sent an Initial packet can read the refusal.
func TestRefuse(t *testing.T) {
	for _, v := range []uint32{Version1, Version2} {
		p, _, err := Open(initial(v, []byte("12345678"), 0, unhex(t, crypto)))
		if err != nil {
			t.Fatal(err)
		}
		got := Refuse(p)
		h, err := parse(got)
		if err != nil || h.version != v || string(h.dcid) != "\a\a" || string(h.scid) != "12345678" || h.end != len(got) {
			t.Fatalf("%+v %v", h, err)
		}
		_, frames, err := derive(v, p.DCID, true).open(got, h.number)
		if err != nil || !bytes.Equal(frames, []byte{0x1c, 0x02, 0x06, 0x00}) {
			t.Errorf("%x %v", frames, err)
		}
	}
	if Refuse(Packet{Version: 0xff00001d}) != nil {
		t.Error("a refusal in a version that is not spoken")
	}
}

func TestHostile(t *testing.T) {
	good := initial(Version1, []byte("12345678"), 0, unhex(t, crypto))
	for i := range good {
		if _, _, err := Open(good[:i]); err == nil {
			t.Fatalf("cut at %d", i)
		}
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if p, _, err := Open(bad); err == nil {
			t.Fatalf("flipped at %d: %+v", i, p)
		}
	}
	for name, tt := range map[string]struct {
		b    []byte
		want error
	}{
		"empty":         {nil, ErrNotInitial},
		"short header":  {bytes.Repeat([]byte{0x41}, 1200), ErrNotInitial},
		"negotiation":   {append([]byte{0xc0, 0, 0, 0, 0, 1, 1, 1, 1}, make([]byte, 99)...), ErrNotInitial},
		"draft":         {append([]byte{0xc0, 0xff, 0, 0, 29, 1, 1, 1, 1}, make([]byte, 99)...), ErrVersion},
		"handshake":     {append([]byte{0xe0, 0, 0, 0, 1, 1, 1, 1, 1}, make([]byte, 99)...), ErrNotInitial},
		"long id":       {append([]byte{0xc0, 0, 0, 0, 1, 21}, make([]byte, 99)...), ErrNotInitial},
		"lying token":   {append([]byte{0xc0, 0, 0, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, make([]byte, 99)...), ErrMalformed},
		"lying length":  {append([]byte{0xc0, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, make([]byte, 99)...), ErrMalformed},
		"no sample":     {[]byte{0xc0, 0, 0, 0, 1, 0, 0, 0, 4, 1, 2, 3, 4}, ErrMalformed},
		"dns over port": {[]byte("\xc5\xd1\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01"), ErrVersion},
	} {
		if _, _, err := Open(tt.b); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	for name, frames := range map[string][]byte{
		"beyond any hello": cryptoFrame(clienthello.MaxMessage, []byte("x")),
		"far offset":       append([]byte{frameCrypto, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 1, 'x'),
		"cut":              {frameCrypto, 0, 9, 'x'},
		"stream":           {0x08, 0, 0},
		"ack of millions":  {frameAck, 0, 0, 0xbf, 0xff, 0xff, 0xff, 0},
	} {
		if _, err := new(Assembly).Add(frames); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var a Assembly // a hole before every byte
	var err error
	for i := 1; err == nil && i < clienthello.MaxMessage; i += 2 {
		_, err = a.Add(cryptoFrame(i, []byte("x")))
	}
	if !errors.Is(err, ErrMalformed) || len(a.pieces) > maxPieces || a.Size() > 2*maxPieces+2 {
		t.Errorf("%d pieces, %d bytes, %v", len(a.pieces), a.Size(), err)
	}
}

// FuzzOpen: no datagram breaks anything, and none makes us hold more than a
// ClientHello may have. Frames are sealed by us so that the fuzzer gets past
// the encryption.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(nil), []byte("12345678"), payload(f, false))
	f.Add(initial(Version2, []byte("12345678"), 0, unhex(f, crypto)), []byte{}, []byte{frameAckECN, 0, 0, 1, 0, 1, 1, 1, 1, 1, frameClose, 1, 6, 0})
	f.Fuzz(func(t *testing.T, datagram, id, frames []byte) {
		if len(id) > maxID {
			id = id[:maxID]
		}
		if len(frames) > 1<<14 {
			return
		}
		p, rest, err := Open(datagram)
		if err == nil && len(rest) >= len(datagram) {
			t.Error("nothing was read")
		}
		Refuse(p)
		for _, v := range []uint32{Version1, Version2} {
			if len(frames) < maxNumber {
				return
			}
			p, _, err := Open(initial(v, id, 1, frames))
			if err != nil || !bytes.Equal(p.Frames, frames) {
				t.Fatalf("%v", err)
			}
			var a Assembly
			_, err = a.Add(p.Frames)
			if a.Size() > clienthello.MaxMessage {
				t.Errorf("%d bytes held", a.Size())
			}
			if msg, ok := a.Hello(); ok {
				clienthello.Parse(msg)
			}
			_ = err
		}
	})
}
