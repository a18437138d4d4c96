package story

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strconv"
)

// What the simulated phone knows about its owner. All values are invented; the
// Android ID is no real device's.
const (
	AndroidID = "3f1c9a7e5b2d8046"
	Visited   = "https://clinic.example.org/appointments/shingles?incognito=1"
	Search    = "is this rash shingles"
	Folder    = "/sdcard/Pictures/Private"
	vendor    = "sa.api.intl.miui.com"
)

// report builds the body that the browser of the story sent home: a form whose
// data_list is base64 over gzip over JSON, with a checksum beside it. The form
// is that of Sensors Analytics' published Android SDK with gzip=1 (the SDK's
// AnalyticsMessages and SADataHelper).
func report() (string, error) {
	events := []map[string]any{
		event("page_view", map[string]any{"url": Visited, "incognito": true, "$title": "Appointments"}),
		event("search", map[string]any{"search_word": Search, "url": "https://search.example.net/?q=" + url.QueryEscape(Search)}),
		event("folder_open", map[string]any{"folder": Folder}),
		event("screen_swipe", map[string]any{"$screen_name": "com.miui.home/.launcher.Launcher", "direction": "left"}),
	}
	text, err := json.Marshal(events)
	if err != nil {
		return "", err
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(text); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	data := base64.StdEncoding.EncodeToString(packed.Bytes())
	form := url.Values{"crc": {strconv.Itoa(int(javaHash(data)))}, "gzip": {"1"}, "data_list": {data}}
	return form.Encode(), nil
}

func event(name string, properties map[string]any) map[string]any {
	properties["$device_id"] = AndroidID
	properties["$model"] = "Redmi Note 8"
	properties["$manufacturer"] = "Xiaomi"
	return map[string]any{
		"type": "track", "event": name, "distinct_id": AndroidID, "time": int64(1588512345678), "properties": properties,
	}
}

// javaHash is String.hashCode of Java, which the SDK uses as its checksum.
func javaHash(s string) int32 {
	var h int32
	for i := range len(s) {
		h = 31*h + int32(s[i])
	}
	return h
}
