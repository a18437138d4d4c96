package quicinitial

import "encoding/binary"

// connectionRefused is the transport error of a server that does not want the
// connection (RFC 9000 §20.1).
const connectionRefused = 0x02

// Refuse makes the datagram with which a server refuses the connection that p
// asks for: an Initial packet with CONNECTION_CLOSE (RFC 9000 §10.2, §5.2.2). The
// client believes it, because it is protected with the keys of p, and gives
// up at once instead of waiting for an answer that never comes. It is nil for a
// version that is not read.
func Refuse(p Packet) []byte {
	if p.Version != Version1 && p.Version != Version2 || len(p.DCID) > maxID || len(p.SCID) > maxID {
		return nil
	}
	const numberSize = 1
	frames := []byte{frameClose, connectionRefused, frameCrypto, 0} // because of a CRYPTO frame; no words
	head := []byte{0xc0 | initialType(p.Version)<<4 | numberSize - 1}
	head = binary.BigEndian.AppendUint32(head, p.Version)
	head = append(append(head, byte(len(p.SCID))), p.SCID...) // to the client's own ID
	head = append(append(head, byte(len(p.DCID))), p.DCID...)
	head = append(head, 0) // no token
	head = appendVarint(head, uint32(numberSize+len(frames)+tagSize))
	head = append(head, 0) // packet number 0
	return derive(p.Version, p.DCID, true).seal(head, numberSize, 0, frames)
}
