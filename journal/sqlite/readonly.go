package sqlite

import (
	"context"
	"errors"
	"fmt"
	"nightlatch/journal/sqlite/file"
	"os"
)

// OpenReadOnly opens the file to read it beside its writer. It makes, repairs
// and moves nothing.
func OpenReadOnly(ctx context.Context, o Options) (*Store, error) {
	s := &Store{o: o, walk: walked, closed: true}
	if err := s.openReadOnly(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) openReadOnly(ctx context.Context) error {
	st, err := os.Stat(s.o.Path)
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return errors.New("it is not a file")
	}
	// On a read-only disk without a running gateway the log's index cannot be
	// made: then the file is read as it is.
	for _, immutable := range []bool{false, true} {
		if err = s.openReaders(immutable); err != nil {
			return err
		}
		if err = s.readable(ctx); err == nil || file.Code(err) != file.CodeCantOpen && file.Code(err) != file.CodeReadOnly {
			break
		}
		_ = s.read.Close()
	}
	if err != nil && file.Damaged(err) {
		return fmt.Errorf("%w; start the gateway: it keeps the file aside and begins a new one", err)
	}
	return err
}

func (s *Store) readable(ctx context.Context) error {
	c, err := s.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	v, err := file.Version(ctx, c)
	if err == nil && v < len(file.Migrations()) {
		err = fmt.Errorf("the file is older (version %d); start the gateway once to bring it to version %d", v, len(file.Migrations()))
	}
	return err
}
