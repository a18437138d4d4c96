// Package e2e holds the test of the whole house: a phone with Debian's
// WireGuard tools and Chromium, the gateway, and a small internet of real DNS
// servers, web servers and "vendor" servers that record whatever arrives, each
// in a network namespace of its own. It needs root, and the packages that
// .ci/run installs; run it with make e2e.
package e2e
