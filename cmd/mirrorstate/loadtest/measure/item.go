package measure

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"

	"github.com/mirrorstate/mirrorstate/session"
)

// MinItem is the smallest item that the load writes, in bytes. An item has this layout, little-endian:
//
//	0   4  mark "load"
//	4   4  length of the item
//	8   8  sequence: 1 for the first item of a session; then the sequence of the item before, plus one
//	16  8  stamp: identifies the write, unique in a run
//	24  8  hash of the session's id
//	32  4  checksum of all other bytes
//	36  …  padding
const MinItem = 64

const itemMark = "load"

var (
	checksum = crc32.MakeTable(crc32.Castagnoli)
	padding  = makePadding()
)

// makePadding returns bytes that do not compress. They are the same in every run.
func makePadding() []byte {
	random := rand.NewChaCha8([32]byte{})
	b := make([]byte, 64<<10)
	_, _ = random.Read(b) // never fails
	return b
}

// errDamaged means that the load did not write this item, or wrote it to another session, or that
// bytes of it have changed.
var errDamaged = errors.New("the load did not write this item")

// appendItem appends an item of n bytes to b.
func appendItem(b []byte, id session.ID, seq, stamp uint64, n int) []byte {
	begin := len(b)
	b = append(b, itemMark...)
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	b = binary.LittleEndian.AppendUint64(b, seq)
	b = binary.LittleEndian.AppendUint64(b, stamp)
	b = binary.LittleEndian.AppendUint64(b, hashID(id))
	b = append(b, 0, 0, 0, 0)
	for from := int(stamp % uint64(len(padding))); len(b)-begin < n; from = 0 {
		b = append(b, padding[from:min(len(padding), from+n-(len(b)-begin))]...)
	}
	item := b[begin:]
	binary.LittleEndian.PutUint32(item[32:], sumOf(item))
	return b
}

// readItem checks an item of this session and returns its sequence and stamp. The error is
// errDamaged.
func readItem(id session.ID, item []byte) (seq, stamp uint64, err error) {
	switch {
	case len(item) < MinItem, string(item[:4]) != itemMark,
		binary.LittleEndian.Uint32(item[4:]) != uint32(len(item)),
		binary.LittleEndian.Uint64(item[24:]) != hashID(id),
		binary.LittleEndian.Uint32(item[32:]) != sumOf(item):
		return 0, 0, errDamaged
	}
	return binary.LittleEndian.Uint64(item[8:]), binary.LittleEndian.Uint64(item[16:]), nil
}

// sumOf returns the checksum of an item without the four bytes that hold it.
func sumOf(item []byte) uint32 {
	return crc32.Update(crc32.Checksum(item[:32], checksum), checksum, item[36:])
}

// hashID returns the FNV-1a hash of the id.
func hashID(id session.ID) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return h
}
