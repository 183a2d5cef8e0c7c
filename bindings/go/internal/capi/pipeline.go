package capi

/*
#include <coreproc.h>
*/
import "C"

import (
	"encoding/json"
	"fmt"
)

// Pipeline is a graph of specs. It belongs to one goroutine at a time.
type Pipeline struct {
	handle[*C.coreproc_pipeline]
}

// NewPipeline makes an empty pipeline.
func NewPipeline() (*Pipeline, error) {
	var pointer *C.coreproc_pipeline
	var cerr *C.coreproc_error
	if err := check(C.coreproc_pipeline_new(&pointer, &cerr), cerr); err != nil {
		return nil, err
	}
	return ownPipeline(pointer), nil
}

func ownPipeline(pointer *C.coreproc_pipeline) *Pipeline {
	pipeline := new(Pipeline)
	pipeline.own(pointer, func(p *C.coreproc_pipeline) { C.coreproc_pipeline_free(p) })
	return pipeline
}

// Add adds a spec that runs a copy of the command, and returns its index, which counts from 0.
func (p *Pipeline) Add(name string, command *Command) (int, error) {
	pointer, err := p.acquire()
	if err != nil {
		return 0, err
	}
	defer p.release()
	commandPointer, err := command.build()
	if err != nil {
		return 0, err
	}
	defer C.coreproc_command_free(commandPointer)
	data, size := text(name)
	var index C.size_t
	var cerr *C.coreproc_error
	err = check(C.coreproc_pipeline_add(pointer, data, size, commandPointer, &index, &cerr), cerr)
	return int(index), err
}

// After has a spec start after the specs of these names have ended.
func (p *Pipeline) After(spec int, names ...string) error {
	pointer, err := p.acquire()
	if err != nil {
		return err
	}
	defer p.release()
	for _, name := range names {
		data, size := text(name)
		var cerr *C.coreproc_error
		if err := check(C.coreproc_pipeline_after(pointer, C.size_t(spec), data, size, &cerr), cerr); err != nil {
			return err
		}
	}
	return nil
}

// AllowFailure lets the specs after this one run although it failed.
func (p *Pipeline) AllowFailure(spec int) error {
	pointer, err := p.acquire()
	if err != nil {
		return err
	}
	defer p.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_pipeline_allow_failure(pointer, C.size_t(spec), 1, &cerr), cerr)
}

// ProblemKind says what is wrong with a spec; coreproc.h lists the kinds.
type ProblemKind string

// The kinds of problems that callers tell apart.
const (
	ProblemEmptyName           ProblemKind = "empty_name"
	ProblemDuplicateName       ProblemKind = "duplicate_name"
	ProblemEmptyDependency     ProblemKind = "empty_dependency"
	ProblemDuplicateDependency ProblemKind = "duplicate_dependency"
	ProblemSelfDependency      ProblemKind = "self_dependency"
	ProblemUnknownDependency   ProblemKind = "unknown_dependency"
	ProblemCycle               ProblemKind = "cycle"
)

// Problem is a reason why a pipeline cannot run.
type Problem struct {
	Kind    ProblemKind `json:"kind"`
	Specs   []int       `json:"specs"`   // indices of the specs concerned
	Place   string      `json:"place"`   // place of the problem, such as "specs[3].after[0]"
	Message string      `json:"message"` // text that says what is wrong
}

func (p Problem) Error() string { return p.Place + ": " + p.Message }

// Problems returns all that is wrong with a pipeline; none if it can run.
func (p *Pipeline) Problems() ([]Problem, error) {
	pointer, err := p.acquire()
	if err != nil {
		return nil, err
	}
	defer p.release()
	var bytes *C.coreproc_bytes
	var cerr *C.coreproc_error
	if err := check(C.coreproc_pipeline_problems(pointer, &bytes, &cerr), cerr); err != nil {
		return nil, err
	}
	var problems []Problem
	if err := json.Unmarshal(goBytes(bytes), &problems); err != nil {
		return nil, fmt.Errorf("problems of a pipeline: %w", err)
	}
	return problems, nil
}
