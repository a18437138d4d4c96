// Package hello stands for the first messages of encrypted connections, which
// say in the clear, or nearly so, whom a client wants to reach: clienthello
// reads the one of TLS, quicinitial the one of QUIC. They are pure and stand
// low in the house, because the tunnel and the sinkhole both read them and
// siblings never import each other. The package itself is empty.
package hello
