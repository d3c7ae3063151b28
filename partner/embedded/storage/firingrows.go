package storage

import "modernc.org/sqlite"

// ObserveRows runs a write and calls note for each row that SQLite writes.
func (w *Writer) ObserveRows(note func(sqlite.SQLitePreUpdateData), write func() error) error {
	outer := w.Gathered.watch
	w.Gathered.watch = note
	defer func() { w.Gathered.watch = outer }()
	return write()
}
