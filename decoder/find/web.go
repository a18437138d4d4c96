package find

import (
	"net/url"
	"strings"
)

func isURL(v string) bool {
	return len(v) > 10 && (strings.HasPrefix(v, "http://") || strings.HasPrefix(v, "https://"))
}

// url judges a web address: visited pages are private, an app's own endpoints
// and pictures are not.
func (f *finder) url(fd *field) {
	u, err := url.Parse(fd.value)
	if err != nil || u.Hostname() == "" || strings.ContainsAny(fd.value, " \n\"<") {
		return
	}
	f.searchIn(fd, u)
	host := strings.ToLower(u.Hostname())
	visited := fd.source != "header" || fd.at.Depth > 0 || f.scene.Telemetry && strings.EqualFold(fd.name, "Referer")
	if !visited || strings.IndexByte(host, '.') < 0 || asset(u) || u.Path == "" && u.RawQuery == "" && fd.kind != "url" {
		return
	}
	own := site(host) == site(f.scene.Host)
	switch {
	case own:
		f.found(fd, "url", fd.value, Possible)
	case fd.kind == "url":
		f.found(fd, "url", fd.value, either(!machinery(fd.name), Likely, Possible))
	default:
		f.found(fd, "url", fd.value, either(f.scene.Telemetry && fd.kind == "" && fd.name == "", Likely, Possible))
	}
}

// site gives the last two labels of a name, three below the common
// second-level registries: enough to tell a service from its neighbours.
func site(host string) string {
	labels := strings.Split(host, ".")
	keep := 2
	if n := len(labels); n >= 3 && len(labels[n-1]) == 2 && len(labels[n-2]) <= 3 {
		keep = 3
	}
	return strings.Join(labels[max(0, len(labels)-keep):], ".")
}

// asset reports addresses of files and of machinery that nobody visits.
func asset(u *url.URL) bool {
	p := strings.ToLower(u.Path)
	if dot := strings.LastIndexByte(p, '.'); dot >= 0 {
		switch p[dot+1:] {
		case "png", "jpg", "jpeg", "gif", "webp", "svg", "css", "js", "json", "ico", "xml", "ttf", "woff", "woff2", "mp4", "mp3", "zip", "apk", "map", "plist", "dtd", "xsd", "m3u8", "avif":
			return true
		}
	}
	h := strings.ToLower(u.Hostname())
	for _, w := range []string{"api.", "cdn.", "static.", "assets.", "img.", "images.", "schema.", "schemas.", "fonts.", "config."} {
		if strings.HasPrefix(h, w) {
			return true
		}
	}
	return h == "www.w3.org" || h == "schema.org" || h == "xmlns.com"
}

// searchIn reports the words searched for in an address: by the parameter the
// engine uses, or by a usual one on a page that is called search.
func (f *finder) searchIn(fd *field, u *url.URL) {
	if u.RawQuery == "" {
		return
	}
	names := engine(strings.ToLower(u.Hostname()))
	if names == "" && strings.Contains(strings.ToLower(u.Path), "search") {
		names = "q query keyword keywords text wd word kw k search search_query p s term searchword"
	}
	if names == "" {
		return
	}
	values, _ := url.ParseQuery(u.RawQuery)
	for _, n := range strings.Fields(names) {
		if v := strings.TrimSpace(values.Get(n)); len(v) > 1 && len(v) <= 512 {
			at := fd.at.Begin("urlparam").Child(n, -1)
			f.add(Found{Kind: "search_query", Value: v, Confidence: Likely, At: at})
			return
		}
	}
}

// engine gives the query parameters of a search engine, by its name.
func engine(host string) string {
	labels := strings.Split(host, ".")
	for _, l := range labels {
		switch l {
		case "google", "bing", "ecosia", "ask", "kagi", "mojeek", "presearch", "metager", "searx", "lukol", "dogpile", "swisscows", "perplexity":
			return "q query"
		case "duckduckgo", "qwant", "brave", "aol", "gibiru", "ekoru", "so", "search":
			return "q query"
		case "yahoo":
			return "p q"
		case "yandex", "ya", "rambler":
			return "text query"
		case "baidu":
			return "wd word kw"
		case "sogou", "naver", "startpage", "daum", "haosou":
			return "query q keyword"
		case "sm", "toutiao":
			return "q keyword"
		case "seznam", "mail", "youdao", "coccoc":
			return "q query"
		case "youtube":
			return "search_query"
		case "amazon":
			return "k field-keywords"
		case "ebay":
			return "_nkw"
		case "wikipedia":
			return "search"
		case "aliexpress", "taobao", "tmall", "jd":
			return "SearchText q keyword"
		}
	}
	return ""
}

// search judges a field that is named like a search. Under the bare names q
// and query only words count: a GraphQL text, an id or a number is none.
func (f *finder) search(fd *field) {
	v := fd.value
	if len(v) < 2 || len(v) > 512 || fd.number || isHex(v) && len(v) >= 16 || strings.ContainsAny(v, "{}<>\n\x00") || strings.Count(v, "%") > 2 ||
		strings.HasPrefix(v, "query ") || strings.HasPrefix(v, "mutation ") { // GraphQL, perhaps cut
		return
	}
	c := Likely
	switch {
	case fd.source == "query" && fd.kind == "query":
		c = Possible // the app asks its own server
	case fd.kind == "query" && !strings.Contains(v, " ") && isASCII(v):
		c = Possible
	case fd.name == "keywords" && strings.Contains(v, ","):
		c = Possible // subjects of a page
	}
	f.found(fd, "search_query", v, c)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
