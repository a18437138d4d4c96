package find

import "strings"

// deviceID judges values with the shape of a device identifier and reports
// whether the shape was one, so that nobody else need look at it.
func (f *finder) deviceID(fd *field) bool {
	v := strings.Trim(fd.value, "[]\"{}")
	switch {
	case isUUID(v):
		f.uuid(fd, v)
	case isMAC(v):
		f.mac(fd, v)
	case isDigits(v) && len(v) >= 14 && len(v) <= 20:
		return f.digits(fd, v)
	case len(v) == 16 && isHex(v):
		f.hex16(fd, v)
	case len(v) == 12 && isHex(v) && (fd.kind == "wifi_mac" || fd.kind == "bssid" || fd.kind == "bt_mac"):
		f.mac(fd, v[:2]+":"+v[2:4]+":"+v[4:6]+":"+v[6:8]+":"+v[8:10]+":"+v[10:])
	case (len(v) == 32 || len(v) == 64) && isHex(v) && (fd.kind == "oaid" || fd.kind == "vaid"):
		if dull(v) {
			f.scene.Withheld = true
			return true
		}
		f.found(fd, fd.kind, v, Likely)
	case len(v) == 14 && isHex(v) && fd.kind == "meid" && lower(v[0]) >= 'a':
		f.found(fd, "meid", strings.ToUpper(v), Likely)
	case fd.kind == "serial" && serial(v):
		f.found(fd, "serial", v, either(fd.name != "sn", Likely, Possible))
	case fd.kind == "installation_id" && installation(v):
		f.found(fd, "installation_id", v, Likely)
	case fd.kind == "gsf_id" && isHex(v) && len(v) >= 10 && !dull(v):
		f.found(fd, "gsf_id", v, Likely)
	default:
		return false
	}
	return true
}

func either(yes bool, a, b Confidence) Confidence {
	if yes {
		return a
	}
	return b
}

func (f *finder) uuid(fd *field, v string) {
	low := strings.ToLower(v)
	switch fd.kind {
	case "gaid", "idfa", "idfv", "oaid", "vaid":
		if dull(v) {
			f.scene.Withheld = true
			return
		}
		f.found(fd, fd.kind, low, Likely)
	case "device_id", "android_id":
		if !dull(v) && !namesOther(fd.name) {
			f.found(fd, "device_id", low, Possible)
		}
	}
}

func (f *finder) hex16(fd *field, v string) {
	if dull(v) || placeholder(v) || namesOther(fd.name) {
		return
	}
	switch fd.kind {
	case "android_id":
		f.found(fd, "android_id", strings.ToLower(v), Likely)
	case "device_id":
		name := strings.TrimRight(strings.Join(words(lastOf(fd.name)), ""), "0123456789")
		exact := name == "deviceid" || name == "xdeviceid" || name == "did" || name == "devid" || name == "uniqueid" || name == "deviceuniqueid"
		f.found(fd, "android_id", strings.ToLower(v), either(exact, Likely, Possible))
	case "oaid", "vaid", "gsf_id":
		f.found(fd, fd.kind, strings.ToLower(v), Likely)
	case "serial":
		f.found(fd, "serial", v, Likely)
	case "imei", "meid", "gaid", "wifi_mac", "bssid", "email", "phone", "imsi", "iccid":
	default:
		if strings.ContainsAny(v, "abcdefABCDEF") && strings.ContainsAny(v, "0123456789") {
			f.found(fd, "android_id", strings.ToLower(v), Possible)
		}
	}
}

// mac reports a hardware address: not a group address (IEEE 802, the lowest
// bit of the first octet), not one of the constants systems give instead.
func (f *finder) mac(fd *field, v string) {
	v = strings.ToLower(strings.ReplaceAll(v, "-", ":"))
	if placeholder(v) || dull(v) || strings.HasPrefix(v, "02:00:00:00:00") || strings.IndexByte("13579bdf", v[1]) >= 0 {
		return
	}
	switch fd.kind {
	case "wifi_mac", "bssid", "bt_mac":
		f.found(fd, fd.kind, v, Likely)
	default:
		if kindOf(fd.up) == "bssid" { // a list of what is near
			f.found(fd, "bssid", v, Likely)
			return
		}
		f.found(fd, "wifi_mac", v, Possible)
	}
}

// digits judges runs of 14 to 20 digits: IMEI, IMSI, ICCID. It reports whether
// it had an opinion.
func (f *finder) digits(fd *field, v string) bool {
	if dull(v) {
		return true
	}
	switch {
	case len(v) == 15 && luhn(v) && fd.kind != "imsi" && reporting(v):
		named := fd.kind == "imei" || fd.kind == "device_id" && !namesOther(fd.name)
		if fd.kind == "" && namesOther(fd.name) {
			return true
		}
		f.found(fd, "imei", v, either(named, Likely, Possible))
	case fd.kind == "imsi" && len(v) <= 15 && mobileCountry(v[:3]):
		f.found(fd, "imsi", v, Likely)
	case (len(v) == 19 || len(v) == 20) && strings.HasPrefix(v, "89") && luhn(v):
		f.found(fd, "iccid", v, either(fd.kind == "iccid", Likely, Possible))
	case fd.kind == "iccid" && (len(v) == 19 || len(v) == 20) && strings.HasPrefix(v, "89"):
		f.found(fd, "iccid", v, Likely) // many cards carry no valid check digit
	case fd.kind == "imei" && len(v) == 14 && reporting(v):
		f.found(fd, "imei", v, Likely) // without its check digit
	case fd.kind == "meid" && len(v) == 18:
		f.found(fd, "meid", v, Likely)
	case fd.kind == "gsf_id" && len(v) >= 18:
		f.found(fd, "gsf_id", v, Likely)
	case fd.kind == "android_id" && len(v) == 16, fd.kind == "phone":
		return false
	}
	return true
}

// reporting reports a type allocation code that begins with a reporting body
// the GSMA has named (TS.06, annex A).
func reporting(v string) bool {
	switch v[:2] {
	case "01", "10", "30", "33", "35", "44", "45", "49", "50", "51", "52", "53", "54", "86", "91", "98", "99":
		return true
	}
	return false
}

// mobileCountry reports a mobile country code in use, by its ranges in ITU-T
// E.212: Europe 2, North America 3, Asia 4, Oceania 5, Africa 6, South America 7.
func mobileCountry(mcc string) bool {
	n := int(mcc[0]-'0')*100 + int(mcc[1]-'0')*10 + int(mcc[2]-'0')
	switch {
	case n >= 202 && n <= 297, n >= 302 && n <= 376, n >= 400 && n <= 472, n >= 502 && n <= 555, n >= 602 && n <= 659, n >= 702 && n <= 750:
		return true
	}
	return n == 901
}

// serial reports a plausible hardware serial number.
func serial(v string) bool {
	if len(v) < 6 || len(v) > 24 || dull(v) || placeholder(v) {
		return false
	}
	digit := false
	for i := range len(v) {
		if !word(v[i]) {
			return false
		}
		digit = digit || v[i] <= '9'
	}
	return digit
}

// installation reports a Firebase installation id: 22 characters of base64url
// whose first four bits are 0111.
func installation(v string) bool {
	if len(v) != 22 || v[0] < 'c' || v[0] > 'f' {
		return false
	}
	for i := range len(v) {
		if !word(v[i]) && v[i] != '-' && v[i] != '_' {
			return false
		}
	}
	return true
}
