package process

import "errors"

// Errors of programs.
var (
	ErrProgramNotFound        = errors.New("program not found")
	ErrProgramContextRequired = errors.New("program: context is required")
	ErrProgramNameRequired    = errors.New("program: name is required")
)
