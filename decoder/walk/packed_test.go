package walk

import (
	"encoding/hex"
	"strings"
	"testing"
)

// TestBPlist reads what Python's plistlib wrote.
func TestBPlist(t *testing.T) {
	p, err := hex.DecodeString("62706c6973743030d3010203040506536269675469646661566e65737465641300000100000000005f102436443932303738412d383234362d344241342d414535422d373631303438363145374443d20708090f546c69737461540da50a0b0c0d0e51611007233ff8000000000000470001627974657309617eb8080f13181f284f54595c6264666f7778000000000000010100000000000000100000000000000000000000000000007b")
	if err != nil {
		t.Fatal(err)
	}
	got, end := read(BPlist, "bplist", string(p))
	const want = ":/big=1099511627776 :/idfa=6D92078A-8246-4BA4-AE5B-76104861E7DC :/nested/list/0=a :/nested/list/1=7 :/nested/list/2=1.5 :/nested/list/3=\x00\x01bytes :/nested/名=纸"
	if s := strings.Join(got, " "); s != want || !end.OK {
		t.Errorf("%q %+v", s, end)
	}
	// A list that contains itself, and one that doubles at every level.
	round := append([]byte("bplist00\xa1\x00\x08"), make([]byte, 32)...)
	trailer := round[len(round)-32:]
	trailer[6], trailer[7], trailer[15], trailer[31] = 1, 1, 1, 10
	if _, end := read(BPlist, "bplist", string(round)); !end.TooDeep || end.OK {
		t.Errorf("a list in itself: %+v", end)
	}
	double := []byte("bplist00")
	for i := range 40 {
		double = append(double, 0xa2, byte(i+1), byte(i+1))
	}
	double = append(double, 0x51, 'x')
	table := len(double)
	for i := range 41 {
		double = append(double, byte(8+3*i))
	}
	double = append(double, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(table))
	if got, end := read(BPlist, "bplist", string(double)); !end.Stopped || len(got) > 2*MaxLeaves {
		t.Errorf("a list that doubles: %d leaves, %+v", len(got), end)
	}
}

// TestJCE reads fields of every type, and refuses what is none.
func TestJCE(t *testing.T) {
	p := "\x00\x05" + "\x11\x01\x02" + "\x26\x05hello" + "\x38\x00\x01\x06\x04imei\x16\x0f353918052100126" +
		"\x49\x00\x02\x06\x01a\x00\x07" + "\x5a\x06\x02in\x0b" + "\x6d\x00\x00\x03abc" + "\x7c" + "\x85\x3f\xf8\x00\x00\x00\x00\x00\x00" + "\xf2\x14\x00\x00\x00\x09"
	if !LooksJCE([]byte(p)) {
		t.Error("it does not look like it")
	}
	got, end := read(JCE, "jce", p)
	const want = ":0=5 :1=258 :2=hello :3.imei=353918052100126 :4[0]=a :4[1]=7 :5.0=in :6=abc :8=1.5 :20=9"
	if s := strings.Join(got, " "); s != want || !end.OK {
		t.Errorf("%q %+v, want %q", s, end, want)
	}
	for _, bad := range []string{"\x26\x05hello\x16\x05hello", "\x26\xffhello", "\x26\x05hello\x0b", "\x08\x02\x7f\xff\xff\xff", "\x09\x02\x7f\xff\xff\xff\x00", strings.Repeat("\x0a", 40), "\x0d\x02\x00\x01a"} {
		if LooksJCE([]byte(bad)) {
			t.Errorf("%q looks like it", bad)
		}
		read(JCE, "jce", bad)
	}
}
