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

// text lends a string's bytes to a call; what the library keeps, it copies.
func text(s string) (*C.char, C.size_t) {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(s))), C.size_t(len(s))
}

// pinned is text inside of a struct: it stays where it is until the pinner lets go.
func pinned(pinner *runtime.Pinner, s string) (*C.char, C.size_t) {
	if s == "" {
		return nil, 0
	}
	pinner.Pin(unsafe.StringData(s))
	return text(s)
}

// number is how C takes a yes or no.
func number(yes bool) C.uint32_t {
	if yes {
		return 1
	}
	return 0
}

// limit is a timeout; a negative one is for ever.
func limit(timeout time.Duration) C.int64_t {
	if timeout < 0 {
		return -1
	}
	return C.int64_t(milliseconds(timeout))
}

// milliseconds rounds up, so that a short duration does not become 0, which means the default.
func milliseconds(d time.Duration) C.uint64_t {
	if d <= 0 {
		return 0
	}
	return C.uint64_t((d-1)/time.Millisecond + 1)
}

// goBytes copies bytes the library made, and frees them.
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
