module coreproc.bench/host

go 1.26

require (
	dappco.re/go/core v0.4.7
	dappco.re/go/core/process v0.0.0
)

replace (
	dappco.re/go/core => ../../bindings/go/corestandin/v0.4.7
	dappco.re/go/core/process => ../../bindings/go
)
