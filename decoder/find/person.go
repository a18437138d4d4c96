package find

import (
	"net/netip"
	"strings"

	"nightlatch/decoder/walk"
)

// person judges what is about the person: addresses, places, words typed.
func (f *finder) person(fd *field) {
	v := fd.value
	if at := strings.IndexByte(v, '@'); at > 0 {
		f.email(fd)
	}
	if strings.Count(v, "/") >= 5 && strings.Contains(v, ":") && fingerprint(v) {
		f.found(fd, "build_fingerprint", v, Likely)
	}
	if isURL(v) {
		f.url(fd)
		return
	}
	f.phone(fd)
	f.address(fd)
	f.pair(fd)
	f.packages(fd, v, splitList(v))
	switch fd.kind {
	case "search_query", "query":
		f.search(fd)
	case "typed_text":
		f.found(fd, "typed_text", v, Likely)
	case "account_id":
		f.account(fd)
	case "ssid":
		if len(v) <= 32 && !fd.number {
			f.found(fd, "ssid", v, Possible)
		}
	}
	if len(v) <= 80 && !fd.number && callsPerson(fd.name) && inContacts(fd.at) {
		f.found(fd, "contact", v, Likely)
	}
	f.profile(fd)
}

// callsPerson and inContacts tell an entry of an address book.
func callsPerson(name string) bool {
	switch strings.ToLower(lastOf(name)) {
	case "name", "displayname", "display_name", "fullname", "full_name", "givenname", "given_name", "familyname", "family_name",
		"firstname", "first_name", "lastname", "last_name", "nickname", "contactname", "contact_name":
		return true
	}
	return false
}

func inContacts(at *walk.Step) bool {
	for ; at != nil; at = at.Up {
		switch strings.ToLower(at.Key) {
		case "contacts", "contact_list", "contactlist", "addressbook", "address_book", "phonebook", "phone_book", "calllog", "call_log":
			return true
		}
	}
	return false
}

// account judges the number or the token of an account.
func (f *finder) account(fd *field) {
	v := fd.value
	if len(v) < 5 || len(v) > 64 || dull(v) || strings.ContainsAny(v, " @/{}<>,") || !strings.ContainsAny(v, "0123456789") {
		return
	}
	f.found(fd, "account_id", v, either(f.scene.Telemetry || accounts(fd.name), Likely, Possible))
}

// email looks for an address. Alone in its field it is likely somebody's;
// inside a longer text it may be anybody's.
func (f *finder) email(fd *field) {
	v := strings.TrimPrefix(strings.Trim(fd.value, "[]\"'{}"), "mailto:")
	if isEmail(v) && !strings.HasPrefix(fd.value, "<") && !namesOther(fd.name) {
		f.found(fd, "email", strings.ToLower(v), Likely)
		return
	}
	if len(v) > 4096 {
		return
	}
	for _, w := range strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;|<>()[]{}\"'=&?", r) }) {
		if isEmail(strings.TrimPrefix(w, "mailto:")) {
			f.found(fd, "email", strings.ToLower(w), Possible)
			return
		}
	}
}

// isEmail reports an address of a person: letters for a top-level domain that
// is no file suffix, and a local part that is not an office.
func isEmail(v string) bool {
	local, domain, ok := strings.Cut(v, "@")
	if !ok || len(local) == 0 || len(local) > 64 || len(domain) < 4 || len(domain) > 253 || strings.Contains(domain, "@") {
		return false
	}
	for i := range len(local) {
		if !word(local[i]) && strings.IndexByte("._%+-'", local[i]) < 0 {
			return false
		}
	}
	labels := strings.Split(domain, ".")
	if len(labels) < 2 {
		return false
	}
	for _, l := range labels {
		if l == "" || strings.Trim(strings.ToLower(l), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	tld := strings.ToLower(labels[len(labels)-1])
	return len(tld) >= 2 && strings.Trim(tld, "abcdefghijklmnopqrstuvwxyz") == "" && !suffix(tld) && !office(strings.ToLower(local))
}

// suffix reports file endings that stand where a top-level domain would:
// hero@2x.png is a picture for a sharp screen.
func suffix(tld string) bool {
	switch tld {
	case "png", "jpg", "jpeg", "gif", "webp", "svg", "css", "js", "json", "ico", "html", "xml", "ttf", "mp4", "pdf", "zip", "local",
		"localhost", "internal", "invalid", "git", "lan", "map", "heic", "avif", "ts", "jsx", "tsx", "woff", "apk", "so", "jar", "dex":
		return true
	}
	return false
}

// office reports local parts that belong to a desk or a machine, not a person.
func office(local string) bool {
	switch local {
	case "git", "root", "admin", "support", "info", "help", "noreply", "no-reply", "donotreply", "do-not-reply", "postmaster", "webmaster",
		"hostmaster", "abuse", "security", "sales", "contact", "hello", "privacy", "feedback", "service", "office", "team", "press",
		"billing", "mailer-daemon", "notifications", "news", "newsletter", "legal", "jobs", "hg", "svn", "test", "user", "dpo":
		return true
	}
	return false
}

// fingerprint reports brand/product/device:release/id/incremental:type/tags,
// the form of Build.FINGERPRINT.
func fingerprint(v string) bool {
	parts := strings.Split(v, "/")
	if len(parts) != 6 || len(v) > 200 || strings.ContainsAny(v, " \"") {
		return false
	}
	return strings.Contains(parts[2], ":") && strings.Contains(parts[4], ":") && strings.HasSuffix(parts[5], "-keys") &&
		(strings.HasSuffix(parts[4], ":user") || strings.HasSuffix(parts[4], ":userdebug") || strings.HasSuffix(parts[4], ":eng"))
}

// phone judges a number in the writing of E.164.
func (f *finder) phone(fd *field) {
	if len(fd.value) < 8 || len(fd.value) > 24 || fd.kind != "phone" && fd.value[0] != '+' {
		return
	}
	plain := strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", ".", "", "/", "").Replace(fd.value)
	digits := strings.TrimPrefix(plain, "+")
	if len(digits) < 8 || len(digits) > 15 || !isDigits(digits) || dull(digits) {
		return
	}
	plus := plain[0] == '+' && digits[0] != '0'
	switch {
	case fd.kind == "phone" && (plus || len(digits) >= 9):
		f.found(fd, "phone", plain, Likely)
	case plus && len(digits) >= 10 && !fd.number:
		f.found(fd, "phone", plain, Possible)
	}
}

// address judges IP addresses under a name that says whose they are.
func (f *finder) address(fd *field) {
	if len(fd.value) < 7 || len(fd.value) > 45 || fd.number || !strings.ContainsAny(fd.value, ".:") || !hexDigit(fd.value[0]) && fd.value[0] != ':' {
		return
	}
	ip, err := netip.ParseAddr(fd.value)
	if err != nil || ip.IsUnspecified() || ip.IsLoopback() || ip.IsMulticast() || ip.IsLinkLocalUnicast() {
		return
	}
	own, other := false, false
	for _, w := range words(fd.name) {
		switch w {
		case "ip", "ipaddress", "ipaddr", "ipv4", "ipv6", "localip", "lanip", "wanip", "clientip", "publicip", "userip", "deviceip":
			own = true
		case "server", "dns", "host", "dst", "remote", "gateway", "upstream", "edge", "proxy", "build", "version":
			other = true
		}
	}
	if own && !other {
		kind := "wan_ip"
		if ip.IsPrivate() {
			kind = "lan_ip"
		}
		f.found(fd, kind, ip.String(), Likely)
	}
}

// profile judges what describes the phone without telling it from its like.
func (f *finder) profile(fd *field) {
	header := fd.source == "header"
	name := strings.ToLower(lastOf(fd.name))
	switch {
	case fd.kind == "model" && modelName(fd.value):
		c := Likely
		if name == "model" || name == "mod" || name == "device_name" {
			c = Possible // a sibling may raise it, see groups
		}
		f.found(fd, "model", fd.value, c)
	case (name == "device-type" && header || name == "_device" || name == "device_type" || name == "device") && modelName(fd.value) &&
		strings.ContainsAny(fd.value, "0123456789"):
		f.found(fd, "model", fd.value, Likely)
	case fd.kind != "model" && companion(fd.kind) && len(fd.value) <= 120 && !placeholder(fd.value):
		f.found(fd, fd.kind, fd.value, Possible)
	case strings.Contains(fd.value, "device-model/"):
		_, rest, _ := strings.Cut(fd.value, "device-model/")
		rest, _, _ = strings.Cut(rest, " ")
		f.found(fd, "model", rest, Likely)
	}
}

// modelName reports a name a maker would give: short, with a letter, and not
// one of the words that say what sort of thing a phone is.
func modelName(v string) bool {
	if len(v) < 2 || len(v) > 48 || strings.ContainsAny(v, "{}<>=&;\"") || isURL(v) {
		return false
	}
	switch strings.ToLower(v) {
	case "phone", "smartphone", "tablet", "mobile", "android", "ios", "desktop", "handset", "web", "tv", "unknown", "generic", "browser", "pad":
		return false
	}
	return strings.ContainsAny(strings.ToLower(v), "abcdefghijklmnopqrstuvwxyz")
}

// splitList cuts a list of names at the separators SDKs use.
func splitList(v string) []string {
	if len(v) < 20 || strings.Count(v, ".") < 5 {
		return nil
	}
	return strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(",;|\n\r\t []\"", r) })
}

// packages reports a list of installed apps: five or more dotted names that
// make up at least four fifths of the items. One such name is no leak.
func (f *finder) packages(fd *field, value string, items []string) {
	if len(items) < 5 {
		return
	}
	names, known := 0, 0
	for _, it := range items {
		if name, _, _ := strings.Cut(it, ":"); packageName(name) {
			names++
			for _, k := range f.scene.Known["packages"] {
				if strings.EqualFold(k, name) {
					known++
				}
			}
		}
	}
	if names >= 5 && names*5 >= len(items)*4 {
		f.found(fd, "package_list", value, either(known >= 3, Proved, Likely))
	}
}

// packageName reports a Java package name of an app: two or more labels, the
// first a usual beginning.
func packageName(s string) bool {
	labels := strings.Split(s, ".")
	if len(labels) < 2 || len(s) > 120 {
		return false
	}
	for _, l := range labels {
		if l == "" || !(lower(l[0]) >= 'a' && lower(l[0]) <= 'z') {
			return false
		}
		for i := range len(l) {
			if !word(l[i]) && l[i] != '_' {
				return false
			}
		}
	}
	switch strings.ToLower(labels[0]) {
	case "com", "org", "net", "io", "de", "fr", "it", "uk", "co", "app", "me", "eu", "cn", "ru", "jp", "in", "br", "es", "pl", "nl", "us",
		"ch", "at", "se", "no", "fi", "dk", "cz", "tv", "info", "dev", "edu", "gov", "kr", "tw", "hk", "au", "ca", "air", "im", "xyz", "be", "id", "vn", "tr":
		return true
	}
	return false
}
