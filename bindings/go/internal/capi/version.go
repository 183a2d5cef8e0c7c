package capi

/*
#include <coreproc.h>
*/
import "C"

import "fmt"

// The loader accepts any library of the right name. This refuses a library of another ABI before a call whose structs
// or arguments that would misread.
func init() {
	if err := checkABI(uint32(C.coreproc_abi_version()), C.COREPROC_ABI_VERSION); err != nil {
		panic(err)
	}
}

func checkABI(loaded, built uint32) error {
	if loaded == built {
		return nil
	}
	return fmt.Errorf("coreproc: libcoreproc %s speaks ABI %d, but this program was built for ABI %d: install the matching library or rebuild",
		Version(), loaded, built)
}

// Version returns the version of the library that was loaded, such as "0.1.0".
func Version() string {
	return C.GoString(C.coreproc_version())
}
