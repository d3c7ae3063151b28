package storage

import "modernc.org/sqlite"

// Watched runs a write while SQLite tells of its rows.
func (w *Writer) ObserveRows(note func(sqlite.SQLitePreUpdateData), write func() error) error {
	outer := w.Gathered.watch
	w.Gathered.watch = note
	defer func() { w.Gathered.watch = outer }()
	return write()
}
