module example.com/newcallers

go 1.26

require (
	dappco.re/go/core v0.8.0-alpha.1
	dappco.re/go/core/process v0.0.0
	github.com/stretchr/testify v1.12.1
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

replace dappco.re/go/core => ../../../bindings/go/corestandin/v0.8.0-alpha.1

replace dappco.re/go/core/process => ../../../bindings/go
