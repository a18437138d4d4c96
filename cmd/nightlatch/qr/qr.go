// Package qr draws QR codes with the characters of a terminal.
package qr

import (
	"fmt"
	"io"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// columns is the width of a terminal that every code should fit.
const columns = 80

// quiet is the white border, in modules. The standard asks for four; two are
// enough for a phone's camera and keep the code inside small terminals.
const quiet = 2

// Print draws text as a QR code, two modules to a character. The level of error
// correction is M, as on paper: a screen is clean, and a smaller code leaves
// room for the words around it. Text that then needs more than 80 columns is
// drawn at the lowest level. With colour the code is dark on light on every
// terminal, without it on dark ones only. Text that no code holds is an error.
func Print(w io.Writer, text string, colour bool) error {
	for _, level := range []qr.ErrorCorrectionLevel{qr.M, qr.L} {
		code, err := qr.Encode(text, level, qr.Unicode)
		if err != nil {
			continue
		}
		size := code.Bounds().Dx()
		if size+2*quiet > columns && level != qr.L {
			continue
		}
		return draw(w, size, colour, func(x, y int) bool {
			if x < 0 || y < 0 || x >= size || y >= size {
				return false
			}
			r, _, _, _ := code.At(x, y).RGBA()
			return r == 0
		})
	}
	return fmt.Errorf("qr: %d bytes are too long for a code", len(text))
}

// draw draws light modules as blocks, so that the code is dark on light on a
// dark terminal.
func draw(w io.Writer, size int, colour bool, dark func(x, y int) bool) error {
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
