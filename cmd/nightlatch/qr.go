package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// printQR draws text as a QR code, two modules to a character: the level of
// error correction is the highest that still fits a terminal of 80 columns.
func printQR(w io.Writer, text string, colour bool) error {
	for _, level := range []qr.ErrorCorrectionLevel{qr.H, qr.Q, qr.M, qr.L} {
		code, err := qr.Encode(text, level, qr.Unicode)
		if err != nil {
			continue
		}
		size := code.Bounds().Dx()
		if size+2*quiet > 80 && level != qr.L {
			continue
		}
		dark := func(x, y int) bool {
			if x < 0 || y < 0 || x >= size || y >= size {
				return false
			}
			r, _, _, _ := code.At(x, y).RGBA()
			return r == 0
		}
		return drawQR(w, size, dark, colour)
	}
	return fmt.Errorf("the config of this device is too long for a QR code; use the .conf file")
}

// quiet is the white border, in modules. The standard asks for four; two are
// enough for a phone's camera and keep the code inside small terminals.
const quiet = 2

// drawQR draws light modules as blocks, so that the code is dark on light on a
// dark terminal; with colour it is so on every terminal.
func drawQR(w io.Writer, size int, dark func(x, y int) bool, colour bool) error {
	var b strings.Builder
	for y := -quiet; y < size+quiet; y += 2 {
		if colour {
			b.WriteString("\x1b[40;97m")
		}
		for x := -quiet; x < size+quiet; x++ {
			top, bottom := !dark(x, y), !dark(x, y+1) && y+1 < size+quiet
			b.WriteRune([]rune{' ', '▄', '▀', '█'}[2*bit(top)+bit(bottom)])
		}
		if colour {
			b.WriteString("\x1b[0m")
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func bit(v bool) int {
	if v {
		return 1
	}
	return 0
}
