//go:build !unix

package host

// Files is how many files the process may have open. Windows sets no bound that would be met.
func Files() uint64 { return 1 << 20 }
