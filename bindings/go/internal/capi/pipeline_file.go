package capi

/*
#include <coreproc.h>
*/
import "C"

import "unsafe"

// PipelineFromJSON reads a pipeline; docs/pipeline-json.md describes the format.
func PipelineFromJSON(json []byte) (*Pipeline, error) {
	data, size := text(unsafe.String(unsafe.SliceData(json), len(json)))
	var pointer *C.coreproc_pipeline
	var cerr *C.coreproc_error
	if err := check(C.coreproc_pipeline_from_json(data, size, &pointer, &cerr), cerr); err != nil {
		return nil, err
	}
	return ownPipeline(pointer), nil
}

// History remembers in a file how long specs take. It belongs to one goroutine at a time.
type History struct {
	handle[*C.coreproc_history]
}

// OpenHistory reads the history of the pipeline of this name.
func OpenHistory(path, pipeline string) (*History, error) {
	pathData, pathSize := text(path)
	data, size := text(pipeline)
	var pointer *C.coreproc_history
	var cerr *C.coreproc_error
	if err := check(C.coreproc_history_open(pathData, pathSize, data, size, &pointer, &cerr), cerr); err != nil {
		return nil, err
	}
	history := new(History)
	history.own(pointer, func(p *C.coreproc_history) { C.coreproc_history_free(p) })
	return history, nil
}

// Record writes down how long the specs of a run took. The run must have ended.
func (h *History) Record(run *Run) error {
	pointer, err := h.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	runPointer, err := run.acquire()
	if err != nil {
		return err
	}
	defer run.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_history_record(pointer, runPointer, &cerr), cerr)
}

// Progress is a view of a run on a descriptor.
type Progress struct {
	handle[*C.coreproc_progress]
}

// OpenProgress makes a view that writes to a duplicate of the descriptor.
func OpenProgress(service *Service, fd uintptr) (*Progress, error) {
	servicePointer, err := service.acquire()
	if err != nil {
		return nil, err
	}
	defer service.release()
	var pointer *C.coreproc_progress
	var cerr *C.coreproc_error
	if err := check(C.coreproc_progress_open(servicePointer, C.int32_t(fd), nil, &pointer, &cerr), cerr); err != nil {
		return nil, err
	}
	progress := new(Progress)
	progress.own(pointer, func(p *C.coreproc_progress) { C.coreproc_progress_free(p) })
	return progress, nil
}

// Watch shows a run that was started with this view, until it has ended. It holds a thread.
func (p *Progress) Watch(run *Run) error {
	pointer, err := p.acquire()
	if err != nil {
		return err
	}
	defer p.release()
	runPointer, err := run.acquire()
	if err != nil {
		return err
	}
	defer run.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_progress_watch(pointer, runPointer, -1, &cerr), cerr)
}

// StartShown starts a run of a pipeline, in the pipeline's own mode, for a view to watch. It does not wait.
func (p *Pipeline) StartShown(service *Service, history *History, progress *Progress) (*Run, error) {
	historyPointer, err := history.acquire()
	if err != nil {
		return nil, err
	}
	defer history.release()
	progressPointer, err := progress.acquire()
	if err != nil {
		return nil, err
	}
	defer progress.release()
	return p.start(service, C.coreproc_run_options{history: historyPointer, progress: progressPointer})
}

// SpecEnd says how a spec ended, for a list at the end of a run.
type SpecEnd struct {
	Name     string
	Error    string // why it did not pass; "" if it did
	Passed   bool
	Allowed  bool // it failed, which is allowed
	Attempts int
}

// Ends returns how the specs of a run ended, in their order. The run must have ended.
func (r *Run) Ends() ([]SpecEnd, error) {
	pointer, err := r.acquire()
	if err != nil {
		return nil, err
	}
	defer r.release()
	ends := make([]SpecEnd, C.coreproc_run_spec_count(pointer))
	for spec := range ends {
		result := C.coreproc_spec_result{struct_size: C.uint32_t(unsafe.Sizeof(C.coreproc_spec_result{}))}
		var cerr *C.coreproc_error
		if err := check(C.coreproc_run_spec_get(pointer, C.size_t(spec), &result, &cerr), cerr); err != nil {
			return nil, err
		}
		failed := result.state == C.COREPROC_SPEC_FAILED || result.state == C.COREPROC_SPEC_TIMED_OUT
		ends[spec] = SpecEnd{
			Name:     goText(result.name, result.name_len),
			Error:    goText(result.error, result.error_len),
			Passed:   result.state == C.COREPROC_SPEC_PASSED,
			Allowed:  failed && result.allow_failure != 0,
			Attempts: int(result.attempts),
		}
	}
	return ends, nil
}

// Chart returns a Gantt chart, in SVG, of a run that has ended.
func (r *Run) Chart() ([]byte, error) {
	pointer, err := r.acquire()
	if err != nil {
		return nil, err
	}
	defer r.release()
	var bytes *C.coreproc_bytes
	var cerr *C.coreproc_error
	if err := check(C.coreproc_run_report(pointer, C.COREPROC_REPORT_SVG, &bytes, &cerr), cerr); err != nil {
		return nil, err
	}
	return goBytes(bytes), nil
}
