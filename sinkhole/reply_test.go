package sinkhole

import (
	"bytes"
	"image/gif"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestReplies(t *testing.T) {
	s := build(t, nil)
	for _, tt := range []struct {
		name, method, target string
		header               http.Header
		status               int
		kind, body           string
	}{
		{sunk, "POST", "/track/v4", nil, 200, jsonType, `{"code":0}`},
		{"tracking.intl.miui.com", "POST", "/track/key_get", nil, 200, jsonType, `{"code":0}`},
		{"notmiui.com", "POST", "/track/v4", nil, 200, jsonType, `{}`},
		{"sa.api.intl.miui.com", "POST", "/sa?project=x", nil, 200, jsonType, `{}`},
		{"sa.api.intl.miui.com", "GET", "/sa.gif?data=x", nil, 200, gifType, pixel},
		{"pixel.example", "GET", "/p", http.Header{"Accept": {"image/avif,image/webp,*/*"}}, 200, gifType, pixel},
		{"api.mixpanel.com", "POST", "/track/?ip=1", nil, 200, "text/plain", "1"},
		{"firebaselogging-pa.googleapis.com", "POST", "/v1/firelog/legacy/batchlog", nil, 200, jsonType, `{"nextRequestWaitMillis":900000}`},
		{"www.google-analytics.com", "POST", "/g/collect?v=2", nil, 204, "", ""},
		{"countly.example", "GET", "/i?app_key=1&device_id=2", nil, 200, jsonType, `{"result":"Success"}`},
		{"snowplow.example", "GET", "/i?e=pv&x_app_key=1", nil, 200, jsonType, `{}`},
		{"any.example", "GET", "/generate_204", nil, 204, "", ""},
		{"any.example", "OPTIONS", "/x", nil, 204, "", ""},
		{"app-measurement.com", "POST", "/a", http.Header{"Content-Type": {"application/x-protobuf"}}, 200, "application/x-protobuf", ""},
	} {
		req := httptest.NewRequest(tt.method, tt.target, nil)
		if tt.header != nil {
			req.Header = tt.header
		}
		r := s.answer(tt.name, req)
		if r.status != tt.status || r.kind != tt.kind || string(r.body) != tt.body || r.cors != nil {
			t.Errorf("%s %s: %d %s %q", tt.name, tt.target, r.status, r.kind, r.body)
		}
	}
	if img, err := gif.Decode(bytes.NewReader([]byte(pixel))); err != nil || img.Bounds().Dx() != 1 || img.Bounds().Dy() != 1 {
		t.Errorf("the pixel is no 1x1 GIF: %v", err)
	}
	for _, d := range drains() {
		if d.source == "" || d.status == 0 || d.path == "" {
			t.Errorf("%+v: incomplete", d)
		}
	}
}
