package measure

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"

	"github.com/mirrorstate/mirrorstate/session"
)

// An item of the load, little-endian:
//
//	0   4  mark "load"
//	4   4  length of the whole
//	8   8  sequence: 1 for the one a session was made with, and then that of the item before, plus one
//	16  8  stamp: of the write, unique in a run
//	24  8  the session, hashed
//	32  4  checksum of all the rest
//	36  …  padding
const MinItem = 64

const itemMark = "load"

var (
	checksum = crc32.MakeTable(crc32.Castagnoli)
	padding  = makePadding()
)

// makePadding makes bytes that do not compress; they are the same in every run.
func makePadding() []byte {
	random := rand.NewChaCha8([32]byte{})
	b := make([]byte, 64<<10)
	_, _ = random.Read(b) // never fails
	return b
}

// errDamaged says that an item is none of this load, or not whole, or another session's.
var errDamaged = errors.New("the item is not one that was written here")

// appendItem appends an item of n bytes.
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

// readItem reads an item that was appended for this session.
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

// sumOf is the checksum of an item but for the place where it stands.
func sumOf(item []byte) uint32 {
	return crc32.Update(crc32.Checksum(item[:32], checksum), checksum, item[36:])
}

// hashID is FNV-1a of the id.
func hashID(id session.ID) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return h
}
