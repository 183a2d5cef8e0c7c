package process

import "dappco.re/go/core/process/internal/capi"

// Version is the version of the coreproc library this program runs with.
func Version() string { return capi.Version() }
