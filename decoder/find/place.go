package find

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"nightlatch/decoder/walk"
)

// pair judges "45.464211,9.191383" under a name that says location.
func (f *finder) pair(fd *field) {
	if len(fd.value) < 7 || len(fd.value) > 64 {
		return
	}
	lat, lng, ok := cutPair(fd.value)
	if !ok {
		return
	}
	name := strings.Join(words(fd.name), "")
	switch {
	case f.knownPair(lat, lng):
		f.found(fd, "location", fd.value, Proved)
	case namesPlace(name) && exact(lat) && exact(lng) && within(lat, 90) && within(lng, 180):
		f.found(fd, "location", fd.value, Likely)
	}
}

func cutPair(v string) (lat, lng string, ok bool) {
	v = strings.TrimPrefix(strings.Trim(v, "[]() "), "geo:")
	lat, lng, ok = strings.Cut(v, ",")
	if !ok {
		lat, lng, ok = strings.Cut(v, ";")
	}
	if lng, _, _ = strings.Cut(lng, ","); !ok {
		return "", "", false
	}
	lat, lng = strings.TrimSpace(lat), strings.TrimSpace(lng)
	return lat, lng, isFloat(lat) && isFloat(lng)
}

func namesPlace(name string) bool {
	switch name {
	case "location", "loc", "geo", "latlng", "latlon", "ll", "latlong", "position", "coordinates", "coords", "coord", "gps", "geolocation",
		"lastlocation", "geopoint", "userlocation", "lnglat", "gpslocation", "center", "lbs", "place":
		return true
	}
	return false
}

// half tells the two coordinates by name: 1 latitude, 2 longitude.
func half(name string) int {
	switch strings.Join(words(name), "") {
	case "lat", "latitude", "locationlat", "loclat", "geolat", "gpslat", "latval", "userlat":
		return 1
	case "lon", "lng", "long", "longitude", "locationlng", "locationlon", "loclng", "loclon", "geolon", "geolng", "gpslng", "gpslon", "locationlong", "userlng", "userlon", "lngval":
		return 2
	}
	return 0
}

func isFloat(s string) bool {
	if strings.IndexByte(s, '.') < 0 || strings.ContainsAny(s, "eExXpP_") {
		return false
	}
	n, err := strconv.ParseFloat(s, 64)
	return err == nil && n == n
}

// exact reports four decimals or more: some ten metres.
func exact(s string) bool {
	_, frac, _ := strings.Cut(s, ".")
	return len(strings.TrimRight(frac, "0")) >= 3 && len(frac) >= 4
}

func within(s string, limit float64) bool {
	n, err := strconv.ParseFloat(s, 64)
	return err == nil && n >= -limit && n <= limit && n != 0
}

// knownPair reports that both coordinates are those of a known location, to at
// least four decimals.
func (f *finder) knownPair(lat, lng string) bool {
	for _, k := range f.scene.Known["location"] {
		if a, b, ok := cutPair(k); ok && (near(a, lat) && near(b, lng) || near(a, lng) && near(b, lat)) {
			return true
		}
	}
	return false
}

// near compares two coordinates to four decimals, by value.
func near(a, b string) bool {
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	d := x - y
	return err1 == nil && err2 == nil && exact(a) && exact(b) && d < 0.0001 && d > -0.0001
}

// groups judges leaves by their neighbours: two coordinates side by side, a
// list of packages, a model beside a maker.
func (f *finder) groups(leaves []walk.Leaf) {
	for i := 0; i < len(leaves); {
		up := leaves[i].At.Up
		j := i + 1
		for j < len(leaves) && up != nil && leaves[j].At.Up == up {
			j++
		}
		if j-i > 1 {
			f.group(leaves[i:j])
		}
		i = j
	}
	f.appLists(leaves)
	f.companions()
}

// group judges leaves that stand in the same container, one after another.
func (f *finder) group(leaves []walk.Leaf) {
	var lat, lng *walk.Leaf
	var floats []*walk.Leaf
	items := make([]string, 0, 8)
	for i := range leaves {
		l := &leaves[i]
		if len(l.Value) > 200 {
			continue
		}
		v := string(l.Value)
		if l.At.Array {
			items = append(items, v)
		}
		if !isFloat(v) && (!millionths(v) || half(l.At.Key) == 0) {
			continue
		}
		floats = append(floats, l)
		switch half(l.At.Key) {
		case 1:
			lat = l
		case 2:
			lng = l
		}
	}
	f.labelled(leaves)
	if lat == nil && len(floats) == 2 {
		f.unnamed(floats[0], floats[1])
	}
	if lat != nil && lng != nil {
		f.coordinates(lat, lng)
	}
	if len(items) >= 5 && len(items) == len(leaves) {
		fd := field{at: leaves[0].At.Up, value: strings.Join(items, ",")}
		f.packages(&fd, fd.value, items)
	}
}

// appLists finds installed apps that are told one by one: the same field of
// many objects, a field that is repeated, the names of a map.
func (f *finder) appLists(leaves []walk.Leaf) {
	type list struct {
		at    *walk.Step
		items []string
	}
	lists := map[string]*list{}
	var order []string
	add := func(key, item string, at *walk.Step) {
		if lists[key] == nil {
			lists[key] = &list{at: at}
			order = append(order, key)
		}
		lists[key].items = append(lists[key].items, item)
	}
	for i := range leaves {
		l := &leaves[i]
		if up := l.At.Up; up != nil && strings.IndexByte(l.At.Key, '.') > 0 && len(l.At.Key) <= 120 && packageName(l.At.Key) {
			add(fmt.Sprintf("names of %p", up), l.At.Key, up)
		}
		if l.Raw || l.Number || len(l.Value) < 5 || len(l.Value) > 120 || bytes.IndexByte(l.Value, '.') <= 0 || !packageName(string(l.Value)) {
			continue
		}
		if key, at := sameField(l.At); key != "" {
			add(key, string(l.Value), at)
		}
	}
	for _, key := range order {
		if l := lists[key]; len(l.items) >= 5 {
			f.packages(&field{at: l.at}, strings.Join(l.items, ","), l.items)
		}
	}
}

// sameField gives what the leaves of one field have in common, when the field
// is one of many: its name below the list, or its number.
func sameField(at *walk.Step) (key string, list *walk.Step) {
	name := at.Key
	if at.Array && at.Up != nil { // a repeated field: the first has no number
		return fmt.Sprintf("field %s of %p", at.Up.Key, at.Up.Up), at.Up
	}
	if up := at.Up; up != nil && up.Array && up.Up != nil {
		return fmt.Sprintf("%s below %p", name, up.Up), up.Up
	}
	return fmt.Sprintf("field %s of %p", name, at.Up), at
}

// labelled judges lists of names and values: {"key":"gaid","value":".."}, and
// the same in fields 1 and 2 of a protobuf message.
func (f *finder) labelled(leaves []walk.Leaf) {
	if len(leaves) > 6 || !labels(leaves[0].At.Key) || leaves[0].Raw || len(leaves[0].Value) > 64 {
		return
	}
	name := string(leaves[0].Value)
	if strings.ContainsAny(name, " \t{\"") {
		return
	}
	for _, l := range leaves[1:] {
		if holder(l.At.Key) || l.At.Key >= "2" && l.At.Key <= "6" && len(l.At.Key) == 1 {
			f.judge(&field{at: l.At, name: name, value: strings.TrimSpace(string(l.Value)), number: l.Number, source: source(l.At)})
		}
	}
}

func labels(name string) bool {
	switch strings.ToLower(name) {
	case "key", "name", "k", "n", "1", "param", "field", "label", "id":
		return true
	}
	return false
}

// millionths reports a whole number that may be a coordinate in millionths of
// a degree, as maps libraries and basebands write it.
func millionths(v string) bool {
	digits := strings.TrimPrefix(v, "-")
	return len(digits) >= 6 && len(digits) <= 9 && isDigits(digits) && !dull(digits)
}

// degrees writes such a number as others do.
func degrees(v string) string {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || !millionths(v) {
		return v
	}
	return strconv.FormatFloat(float64(n)/1e6, 'f', 6, 64)
}

func (f *finder) coordinates(lat, lng *walk.Leaf) {
	a, b := degrees(string(lat.Value)), degrees(string(lng.Value))
	c := Likely
	switch {
	case f.knownPair(a, b):
		c = Proved
	case !exact(a) && !exact(b) || !within(a, 90) || !within(b, 180):
		return
	}
	f.add(Found{Kind: "location", Value: a, Confidence: c, At: lat.At})
	f.add(Found{Kind: "location", Value: b, Confidence: c, At: lng.At})
}

// unnamed judges two numbers side by side without names of their own.
func (f *finder) unnamed(x, y *walk.Leaf) {
	a, b := string(x.Value), string(y.Value)
	name, _ := x.At.Up.Name()
	switch {
	case f.knownPair(a, b):
		f.add(Found{Kind: "location", Value: a, Confidence: Proved, At: x.At})
		f.add(Found{Kind: "location", Value: b, Confidence: Proved, At: y.At})
	case x.At.Array && namesPlace(strings.Join(words(name), "")) && exact(a) && exact(b) && within(a, 180) && within(b, 180):
		f.add(Found{Kind: "location", Value: a + "," + b, Confidence: Likely, At: x.At.Up})
	}
}

// companions raises what describes the phone, or what was done with it, to
// likely when the payload tells whose phone it is.
func (f *finder) companions() {
	best := Possible
	for _, n := range f.out {
		if !companion(n.Kind) {
			best = max(best, n.Confidence)
		}
	}
	for i := range f.out {
		if companion(f.out[i].Kind) && best >= Likely {
			f.out[i].Confidence = max(f.out[i].Confidence, Likely)
		}
	}
}
