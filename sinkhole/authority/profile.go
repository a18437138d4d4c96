package authority

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"strings"
)

// profile is an Apple configuration profile with one root certificate
// (Configuration Profile Reference, payload com.apple.security.root). An iPhone
// installs it from Settings, and trusts it only once its owner says so.
const profile = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PayloadContent</key>
	<array>
		<dict>
			<key>PayloadCertificateFileName</key>
			<string>ca.cer</string>
			<key>PayloadContent</key>
			<data>
%[3]s			</data>
			<key>PayloadDisplayName</key>
			<string>%[1]s</string>
			<key>PayloadIdentifier</key>
			<string>%[4]s.root</string>
			<key>PayloadType</key>
			<string>com.apple.security.root</string>
			<key>PayloadUUID</key>
			<string>%[5]s</string>
			<key>PayloadVersion</key>
			<integer>1</integer>
		</dict>
	</array>
	<key>PayloadDescription</key>
	<string>%[2]s</string>
	<key>PayloadDisplayName</key>
	<string>%[1]s</string>
	<key>PayloadIdentifier</key>
	<string>%[4]s</string>
	<key>PayloadRemovalDisallowed</key>
	<false/>
	<key>PayloadType</key>
	<string>Configuration</string>
	<key>PayloadUUID</key>
	<string>%[6]s</string>
	<key>PayloadVersion</key>
	<integer>1</integer>
</dict>
</plist>
`

// MobileConfig is the certificate, without the key, as a profile for iOS and
// macOS. It is the same each time, so that installing it again replaces it.
func (c *CA) MobileConfig() []byte {
	var data strings.Builder
	for line := range chunks(base64.StdEncoding.EncodeToString(c.cert.Raw), 52) {
		fmt.Fprintf(&data, "\t\t\t%s\n", line)
	}
	var name bytes.Buffer
	xml.EscapeText(&name, []byte(c.Name())) // a Buffer never fails
	id := "internal.nightlatch.ca." + c.Fingerprint()[:16]
	return fmt.Appendf(nil, profile, name.String(), "Lets your own nightlatch read what this device sends to servers that you stopped.",
		data.String(), id, c.uuid("root"), c.uuid("profile"))
}

// chunks cuts text into pieces of at most n bytes.
func chunks(text string, n int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for len(text) > 0 {
			k := min(n, len(text))
			if !yield(text[:k]) {
				return
			}
			text = text[k:]
		}
	}
}

// uuid is an identifier that follows from the certificate (RFC 9562 §5.8).
func (c *CA) uuid(of string) string {
	b := sha256.Sum256([]byte(of + c.Fingerprint()))
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16]))
}

// FingerprintPairs is the fingerprint as phones show it: capitals in pairs.
func (c *CA) FingerprintPairs() string {
	var pairs []string
	for p := range chunks(strings.ToUpper(c.Fingerprint()), 2) {
		pairs = append(pairs, p)
	}
	return strings.Join(pairs, ":")
}
