package find

import "strings"

// Names under which SDKs send identifiers, from the sources listed in the
// reference (Sensors, Umeng, Adjust, Branch, Amplitude, Snowplow, Segment,
// AppMetrica, ByteDance, Facebook, mParticle, TrackHAR's adapters). They are
// compared in lower case with everything but letters and digits left out.

// kindOfName gives the kind a name promises, or "".
func kindOfName(name string) string {
	switch name {
	case "androidid", "androididentifier", "openudid", "hardwareid", "anonymizationid", "ssaid", "secureandroidid",
		"deviceandroidid", "settingssecureandroidid", "ai", "dd", "udid", "anid", "andid", "androiduniqueid":
		return "android_id"
	case "gaid", "googleadvertisingid", "googleadid", "googleaid", "gpsadid", "advertisingid", "advertiserid",
		"advertisingidentifier", "advid", "adid", "aaid", "androididfa", "ifa", "rdid", "gpid", "aa", "googleadvertiserid", "adverid",
		"adidgoogle", "playadid", "maid", "dpid", "deviceadvertisingid", "gaidvalue", "gadid", "gpsaid", "idfaorgaid":
		return "gaid"
	case "idfa", "iosidfa", "appleidfa":
		return "idfa"
	case "idfv", "iosidfv", "vendoridentifier":
		return "idfv"
	case "oaid", "huaweioaid", "msaoaid":
		return "oaid"
	case "vaid":
		return "vaid"
	case "imei", "imei1", "imei2", "imeisv", "secondaryimei", "deviceimei", "ui", "primaryimei", "imeis", "phoneimei":
		return "imei"
	case "meid", "meid1", "meid2":
		return "meid"
	case "imsi", "imsi1", "imsi2", "im", "subscriberid", "simimsi":
		return "imsi"
	case "iccid", "simserialnumber", "simserial", "icc", "simiccid", "iccid1", "iccid2", "simcardserial":
		return "iccid"
	case "mac", "mc", "wifimac", "wlanmac", "macaddress", "macaddr", "devicemac", "wifimacaddress", "mac1", "ethmac", "macid":
		return "wifi_mac"
	case "bssid", "bs", "wifibssid", "apmac", "routermac", "connectedbssid", "ap",
		"wifi", "wifilist", "wifis", "wflist", "aps", "aplist", "scanresults", "wifiscan", "nearbywifi", "accesspoints", "bssids", "scan", "hotspots":
		return "bssid"
	case "btmac", "bluetoothmac", "bluetoothaddress":
		return "bt_mac"
	case "serial", "serialno", "serialnumber", "sn", "deviceserial", "roserialno", "buildserial", "hwserial":
		return "serial"
	case "gsfid", "gsf", "googleserviceframeworkid":
		return "gsf_id"
	case "fid", "installationid", "firebaseinstallationid", "fis", "firebaseinstanceid":
		return "installation_id"
	case "deviceid", "did", "devid", "uniqueid", "deviceuniqueid", "id", "distinctid", "deviceuuid", "uuid", "uid", "clientudid",
		"duid", "anonid", "anonymousid", "phoneid":
		return "device_id"
	}
	return peopleOfName(name)
}

// peopleOfName goes on with what is about the person rather than the phone.
func peopleOfName(name string) string {
	switch name {
	case "email", "mail", "useremail", "emailaddress", "identityemail", "accountemail", "login", "account", "username":
		return "email"
	case "phone", "phonenumber", "mobile", "mobilenumber", "msisdn", "tel", "telephone", "userphone", "ph", "phoneno", "cellphone",
		"identitymobile", "line1number", "mobileno", "phones", "contactphone":
		return "phone"
	case "ssid", "wifissid", "wifiname", "apname":
		return "ssid"
	case "model", "devicemodel", "phonemodel", "mod", "modelname", "buildmodel", "devicename", "mdl", "phonetype", "terminalmodel",
		"mo", "bm", "dm", "devmodel", "hwmodel", "productmodel", "mobilemodel", "devicemodelname", "hardwaremodel", "roproductmodel", "machine", "hwmachine", "terminal":
		return "model"
	case "url", "u", "uri", "dl", "pageurl", "currenturl", "referrer", "ref", "refr", "urlref", "dr", "referer", "page", "pagelocation",
		"href", "documentlocation", "visitedurl", "weburl", "originurl", "link", "openurl", "landingpage", "siteurl", "docurl",
		"documentreferrer", "pagereferrer", "initialreferrer", "currentpage", "visiturl", "requesturl", "targeturl", "loc", "history", "browserhistory", "bookmarks", "bookmark",
		"tabs", "opentabs", "urls", "recenturls", "visited", "visitedurls", "visitedpages", "lasturl", "previousurl", "fromurl", "pageuri":
		return "url"
	case "searchword", "keyword", "keywords", "searchterm", "epsearchterm", "fbsearchstring", "searchquery", "kw", "searchkey",
		"searchkeyword", "searchtext", "searchstring", "querytext", "searchkeywords", "inputword", "searchcontent", "querystring":
		return "search_query"
	case "q", "query", "wd", "word", "search":
		return "query" // a search when the rest agrees
	case "osversion", "androidversion", "osv", "systemversion", "androidos", "buildversion", "androidrelease":
		return "android_version"
	case "carrier", "carriername", "operator", "networkoperator", "simoperator", "operatorname", "isp":
		return "carrier"
	case "screenname", "screen", "pagename", "activityname", "viewname", "fromscreen", "currentscreen", "pagetitle":
		return "screen"
	case "gesture", "swipe", "swipedirection", "touchaction", "scrolldirection", "slidedirection":
		return "gesture"
	case "folder", "foldername", "folderpath", "openfolder", "openedfolder", "dirname", "dirpath", "filepath", "directory":
		return "opened_folder"
	case "newstitle", "newsid", "articletitle", "itemtitle", "articleid", "doctitle", "newsitem", "feedtitle":
		return "news_item"
	case "uin", "miid", "xiaomiid", "accountid", "acctid", "openid", "unionid", "huaweiid", "hwid", "wxid", "qqnumber", "qq", "vuserid",
		"userid", "loginid", "externalid", "appuserid", "customeruserid", "memberid", "customerid", "miuserid", "opid":
		return "account_id"
	case "typedtext", "inputtext", "committedtext", "keystrokes", "usertext":
		return "typed_text"
	}
	return ""
}

// companion reports kinds that say little alone and much beside an identifier:
// they are shown only where the payload also says whose they are.
func companion(kind string) bool {
	switch kind {
	case "model", "android_version", "carrier", "screen", "gesture", "opened_folder", "news_item":
		return true
	}
	return false
}

// accounts reports names that mean an account at a maker or a service, known
// beyond the app that asks; a plain user id is one of the app's own server.
func accounts(name string) bool {
	switch strings.Join(words(lastOf(name)), "") {
	case "userid", "loginid", "externalid", "appuserid", "customeruserid", "memberid", "customerid", "accountid", "acctid", "opid":
		return false
	}
	return true
}

// machinery reports names of addresses that a program needs and nobody visits:
// image_url, callback_url.
func machinery(name string) bool {
	for _, w := range words(name) {
		switch w {
		case "image", "img", "icon", "avatar", "logo", "thumb", "thumbnail", "photo", "picture", "video", "audio", "download", "callback",
			"redirect", "webhook", "api", "endpoint", "server", "base", "config", "privacy", "terms", "help", "support", "schema", "asset",
			"media", "banner", "cover", "poster", "update", "upload", "notify", "return", "success", "cancel", "tracking", "pixel", "cdn",
			"repo", "repository", "homepage", "license", "docs", "feed", "issuer", "iss", "jwks", "impression", "impressions":
			return true
		}
	}
	return false
}

// words splits a name where its writer did: at every sign that is neither
// letter nor digit, and before a capital that follows a small letter.
func words(name string) []string {
	var out []string
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			out = append(out, b.String())
			b.Reset()
		}
	}
	for i := range len(name) {
		c := name[i]
		if !word(c) {
			flush()
			continue
		}
		if c >= 'A' && c <= 'Z' && i > 0 && name[i-1] >= 'a' && name[i-1] <= 'z' {
			flush()
		}
		if b.WriteByte(lower(c)); len(out) > 7 {
			break
		}
	}
	flush()
	return out
}

// kindOf gives the kind a name promises. The whole name counts first, then the
// longest run of its words that means something: gaid_upper, userAndroidId.
// A digest, a flag or a status under such a name is not the thing itself.
func kindOf(name string) string {
	parts := words(name)
	if k := kindOfName(strings.Join(parts, "")); k != "" {
		return k
	}
	if k := kindOfName(strings.Join(words(lastOf(name)), "")); k != "" {
		return k
	}
	for n := len(parts); n > 1 && isDigits(parts[n-1]); n-- {
		parts = parts[:n-1] // device_id_2
	}
	if k := kindOfName(strings.Join(parts, "")); k != "" {
		return k
	}
	for size := len(parts) - 1; size > 0; size-- {
		for at := len(parts) - size; at >= 0; at-- {
			run := strings.Join(parts[at:at+size], "")
			if len(run) < 3 || run == "page" || run == "word" || run == "search" || run == "url" && at+size < len(parts) {
				continue
			}
			if k := kindOfName(run); k != "" && k != "query" && (k == "model" || !companion(k)) && (k != "device_id" || at+size == len(parts)) {
				return k
			}
		}
	}
	return ""
}

// lastOf gives the last part of a name that is a path: user[email], ctx.page.url.
func lastOf(name string) string {
	if inner, ok := strings.CutSuffix(name, "]"); ok {
		if at := strings.LastIndexByte(inner, '['); at >= 0 && at+1 < len(inner) && !isDigits(inner[at+1:]) {
			return inner[at+1:]
		} else if at > 0 {
			return lastOf(inner[:at])
		}
	}
	if at := strings.LastIndexAny(name, "./:"); at >= 0 {
		return name[at+1:]
	}
	return name
}

// namesOther reports names that promise an identifier of something other than
// a phone or a person: traces, commits, orders, keys.
func namesOther(name string) bool {
	for _, w := range words(name) {
		switch w {
		case "trace", "traceid", "span", "spanid", "parent", "parentid", "request", "requestid", "req", "commit", "etag", "event", "eventid",
			"order", "orderid", "session", "sessionid", "hash", "sign", "signature", "checksum", "crc", "nonce", "token", "key", "build",
			"version", "schema", "product", "sku", "item", "correlation", "transaction", "tx", "revision", "sha", "digest", "traceparent",
			"idempotency", "message", "msgid", "invoice", "tracking", "server":
			return true
		}
	}
	return false
}
