package reference

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// Man prints the manual page of one command, in the man format.
func Man(w io.Writer, c *cobra.Command) error {
	if err := doc.GenMan(c, header(), w); err != nil {
		return fmt.Errorf("docs: man: %w", err)
	}
	return nil
}

// header is that of every page. No date: a page is the same whenever it is made.
func header() *doc.GenManHeader {
	return &doc.GenManHeader{Section: "1", Source: "nightlatch", Manual: "nightlatch"}
}

// ManFolder writes the pages of root and all commands below it into a folder,
// which is made when it is missing, and says how many there are.
func ManFolder(dir string, root *cobra.Command) (pages int, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, fmt.Errorf("docs: man: %w", err)
	}
	var write func(*cobra.Command) error
	write = func(c *cobra.Command) error {
		f, err := os.Create(filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
		if err != nil {
			return fmt.Errorf("docs: man: %w", err)
		}
		if err := Man(f, c); err != nil {
			f.Close()
			return err
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("docs: man: %w", err)
		}
		pages++
		for _, sub := range c.Commands() {
			if !sub.Hidden && sub.Name() != "help" && sub.Name() != "completion" {
				if err := write(sub); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return pages, write(root)
}
