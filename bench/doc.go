// Package bench holds the measurement of the whole house beside what an owner
// would set up instead: a tunnel interface of the kernel with nftables
// masquerade, and unbound for names. Both run in network namespaces on the same
// machine, in one run, a round of the one after a round of the other, as only
// ratios of one run mean anything on a machine that is shared. It needs root;
// run it with make bench-side.
package bench
