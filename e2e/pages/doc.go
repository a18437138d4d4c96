// Package pages drives the dashboard of a running gateway in headless Chromium
// through what people do there, looks at every page as a screen reader does, and
// takes the pictures of docs/. It needs no root: the journal holds a simulated
// week of three phones.
package pages
