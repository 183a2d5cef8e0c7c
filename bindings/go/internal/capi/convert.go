package capi

/*
#include <coreproc.h>
*/
import "C"

import (
	"math"
	"runtime"
	"time"
	"unsafe"
)

// Unlimited stands for "none or unlimited" where the C ABI takes a size or a duration.
const Unlimited = math.MaxUint64

// text lends the bytes of a string to a call. The library copies what it keeps.
func text(s string) (*C.char, C.size_t) {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(s))), C.size_t(len(s))
}

// pinned is text for a field of a struct: the bytes stay in their place until the pinner is unpinned.
func pinned(pinner *runtime.Pinner, s string) (*C.char, C.size_t) {
	if s == "" {
		return nil, 0
	}
	pinner.Pin(unsafe.StringData(s))
	return text(s)
}

// number converts a bool as C takes it.
func number(yes bool) C.uint32_t {
	if yes {
		return 1
	}
	return 0
}

// limit converts a timeout; a negative one means for ever.
func limit(timeout time.Duration) C.int64_t {
	if timeout < 0 {
		return -1
	}
	return C.int64_t(milliseconds(timeout))
}

// milliseconds converts a duration. It rounds up, so that a short one does not become 0, which means the default.
func milliseconds(d time.Duration) C.uint64_t {
	if d <= 0 {
		return 0
	}
	return C.uint64_t((d-1)/time.Millisecond + 1)
}

// goBytes copies bytes that the library made, and frees them; nil if there are none.
func goBytes(bytes *C.coreproc_bytes) []byte {
	defer C.coreproc_bytes_free(bytes)
	length := int(C.coreproc_bytes_len(bytes))
	if length == 0 {
		return nil
	}
	copied := make([]byte, length)
	copy(copied, unsafe.Slice((*byte)(C.coreproc_bytes_data(bytes)), length))
	return copied
}

// goString is goBytes as a string.
func goString(bytes *C.coreproc_bytes) string {
	copied := goBytes(bytes)
	return unsafe.String(unsafe.SliceData(copied), len(copied))
}

// goText copies a text that belongs to the library.
func goText[T C.char | C.uint8_t](data *T, size C.size_t) string {
	return string(unsafe.Slice((*byte)(unsafe.Pointer(data)), int(size)))
}
