package schema

import (
	"bytes"
	"testing"
)

func TestAll_IsBatches(t *testing.T) {
	batches, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if len(batches) < 60 {
		t.Errorf("%d batches; stock and extension have more", len(batches))
	}
	for _, b := range batches {
		if bytes.Contains([]byte(b.Text), []byte("\nGO\n")) || b.File == "" || b.Line < 1 {
			t.Errorf("%s:%d is no single batch", b.File, b.Line)
		}
	}
}

func TestSplit(t *testing.T) {
	got := Split("x.sql", "one\nmore\nGO\n\n  go  \ntwo\n")
	if len(got) != 2 || got[0].Text != "one\nmore" || got[0].Line != 1 || got[1].Text != "two" || got[1].Line != 6 {
		t.Errorf("got %+v", got)
	}
}
