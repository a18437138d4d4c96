package dashboard

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"nightlatch/sinkhole/authority"
)

// caView is the page on which a phone gets the owner's certificate.
type caView struct {
	CA      *authority.CA // nil when there is none
	Expired bool
	Apple   bool     // an iPhone or iPad looks at the page
	Print   []string // the fingerprint, in pieces that fit a narrow screen
}

// caPage shows the owner's certificate authority and how to install it. It is
// public: a certificate is no secret, and a phone's own download and settings
// apps have no session.
func (d *Dashboard) caPage(w http.ResponseWriter, r *http.Request) {
	v := caView{CA: d.authorityNow()}
	v.Expired = v.CA != nil && d.now().After(v.CA.NotAfter())
	if v.CA != nil {
		for pairs := range slices.Chunk(strings.SplitAfter(v.CA.FingerprintPairs(), ":"), 8) {
			v.Print = append(v.Print, strings.Join(pairs, ""))
		}
	}
	agent := r.UserAgent()
	v.Apple = strings.Contains(agent, "iPhone") || strings.Contains(agent, "iPad") || strings.Contains(agent, "Mac OS X")
	d.show(w, r, http.StatusOK, page{Name: "ca", Title: "Reading HTTPS", Body: v})
}

// caFile gives the certificate in the form a phone installs.
func (d *Dashboard) caFile(w http.ResponseWriter, r *http.Request) {
	ca := d.authorityNow()
	if ca == nil {
		d.fail(w, r, http.StatusNotFound, "There is no certificate authority. The command nightlatch ca create makes one.")
		return
	}
	var body []byte
	h := w.Header()
	switch r.PathValue("file") {
	case "nightlatch.crt":
		body = ca.DER()
		h.Set("Content-Type", "application/x-x509-ca-cert")
		h.Set("Content-Disposition", `attachment; filename="nightlatch.crt"`) // Android installs from its files alone
	case "nightlatch.pem":
		body = ca.PEM()
		h.Set("Content-Type", "application/x-pem-file")
		h.Set("Content-Disposition", `attachment; filename="nightlatch.pem"`)
	case "nightlatch.mobileconfig":
		body = ca.MobileConfig()
		h.Set("Content-Type", "application/x-apple-aspen-config") // Safari asks whether to install it
	default:
		d.fail(w, r, http.StatusNotFound, "There is no such file.")
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// authorityNow is the authority in force; nil when there is none.
func (d *Dashboard) authorityNow() *authority.CA {
	if d.authority == nil {
		return nil
	}
	return d.authority()
}

// day is a date for people: 3 March 2031.
func day(t time.Time) string { return t.Local().Format("2 January 2006") }
