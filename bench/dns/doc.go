// Package dns measures how many questions a second are answered over UDP, side
// by side in one run: nightlatch with its journal, Debian's resolvers, a plain
// server made with miekg/dns, and an echo of datagrams with the same batched
// system calls, which is the limit of the machine. Every server has one core,
// the generator and the upstream the other. Rounds are interleaved, and medians
// are told: on a machine that is shared only ratios of one run mean anything.
// Run it with make bench-dns.
package dns
