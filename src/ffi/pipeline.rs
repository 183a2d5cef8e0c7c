//! `coreproc_pipeline`.

use std::ffi::c_char;
use std::time::Duration;

use super::bytes::coreproc_bytes;
use super::command::coreproc_command;
use super::error::{coreproc_error, coreproc_result};
use super::guard;
use super::service::duration;
use crate::error::{Error, Result, quoted};
use crate::{Backoff, Pipeline, Spec};

/// Specs, each a command and what it comes after; to be run once or often. A builder: one thread at a time.
/// Everything passed in is copied. A setter that fails changes nothing; whether the specs fit together is told
/// by coreproc_pipeline_check, and by coreproc_run_start.
pub struct coreproc_pipeline(pub(super) Pipeline);

const SET: &str = "set pipeline";

/// # Safety
/// `pipeline` is NULL or a live builder that no other thread uses; `err` is NULL or valid.
unsafe fn set(
    pipeline: *mut coreproc_pipeline,
    spec: usize,
    err: *mut *mut coreproc_error,
    change: impl FnOnce(&mut Spec) -> Result<()>,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(SET, err, || {
            let pipeline = guard::builder(SET, "pipeline", pipeline)?;
            let count = pipeline.0.specs().len();
            let unknown = || Error::invalid(SET, format!("spec: {spec} is not below {count}, how many there are"));
            change(pipeline.0.spec_mut(spec).ok_or_else(unknown)?)
        })
    }
}

/// A name: UTF-8 without a NUL, which would end it where it is given out.
///
/// # Safety
/// `pointer` is NULL or valid for reads of `len` bytes.
unsafe fn name<'a>(pointer: *const c_char, len: usize) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { guard::bytes(SET, "name", pointer.cast(), len)? };
    let wrong = |what: &str| Error::invalid(SET, format!("name: {} {what}", quoted(bytes)));
    let name = std::str::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))?;
    if name.contains('\0') { Err(wrong("has a NUL byte")) } else { Ok(name) }
}

/// 0 is no, 1 is yes.
fn yes(name: &str, value: u32) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Error::invalid(SET, format!("{name}: {other} is neither 0 nor 1"))),
    }
}

/// An empty pipeline. `*out` is to be freed with coreproc_pipeline_free. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pipeline_new(
    out: *mut *mut coreproc_pipeline,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(SET, err, || {
            guard::out(SET, out)?.write(Box::into_raw(Box::new(coreproc_pipeline(Pipeline::new()))));
            Ok(())
        })
    }
}

/// A pipeline from JSON, UTF-8, as docs/pipeline-json.md (installed below share/doc/coreproc) describes it; its graph is
/// checked as well. `*out` is to be freed with coreproc_pipeline_free. Errors: INVALID_ARGUMENT, MALFORMED, whose
/// message says where and what was meant: `parse pipeline: specs[3].after[0]: unknown spec "biuld", did you mean
/// "build"?`.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pipeline_from_json(
    json: *const c_char,
    json_len: usize,
    out: *mut *mut coreproc_pipeline,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "parse pipeline";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let json = guard::json(OPERATION, json, json_len)?;
            let out = guard::out(OPERATION, out)?;
            out.write(Box::into_raw(Box::new(coreproc_pipeline(Pipeline::from_json(json)?))));
            Ok(())
        })
    }
}

/// Gives a pipeline a name, UTF-8 without NUL, which reports of its runs carry; an empty one takes it away. Errors:
/// INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pipeline_name(
    pipeline: *mut coreproc_pipeline,
    name: *const c_char,
    name_len: usize,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(SET, err, || {
            let pipeline = guard::builder(SET, "pipeline", pipeline)?;
            pipeline.0.named(self::name(name, name_len)?);
            Ok(())
        })
    }
}

/// Adds a spec of this name, UTF-8 without NUL, that runs a copy of `command`, whose timeout is that of each attempt.
/// `spec`, which may be NULL, gets its index: they count from 0. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pipeline_add(
    pipeline: *mut coreproc_pipeline,
    name: *const c_char,
    name_len: usize,
    command: *const coreproc_command,
    spec: *mut usize,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(SET, err, || {
            let pipeline = guard::builder(SET, "pipeline", pipeline)?;
            let name = self::name(name, name_len)?;
            let command = guard::handle(SET, "command", command)?;
            let index = pipeline.0.specs().len();
            pipeline.0.add(Spec::new(name, command.0.clone()));
            if !spec.is_null() {
                guard::out(SET, spec)?.write(index);
            }
            Ok(())
        })
    }
}

/// Starts a spec after the one of this name, which may be added later, has ended. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pipeline_after(
    pipeline: *mut coreproc_pipeline,
    spec: usize,
    name: *const c_char,
    name_len: usize,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(pipeline, spec, err, |spec| {
            spec.after(self::name(name, name_len)?);
            Ok(())
        })
    }
}

/// With 1, a spec's failure counts, but does not skip what comes after it. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pipeline_allow_failure(
    pipeline: *mut coreproc_pipeline,
    spec: usize,
    allowed: u32,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(pipeline, spec, err, |spec| {
            spec.allow_failure(yes("allowed", allowed)?);
            Ok(())
        })
    }
}

/// With 1, a spec runs once all that it comes after has ended, however that went, and after a failure or a
/// cancel too: clean-up. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pipeline_always_run(
    pipeline: *mut coreproc_pipeline,
    spec: usize,
    always: u32,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(pipeline, spec, err, |spec| {
            spec.always_run(yes("always", always)?);
            Ok(())
        })
    }
}

/// How many attempts follow the first one as long as they fail (0: none), after which wait: `first_ms`
/// (0: 100), then twice the last one each time, `most_ms` (0: 10000; UNLIMITED: any) at most. Errors:
/// INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pipeline_retries(
    pipeline: *mut coreproc_pipeline,
    spec: usize,
    retries: u32,
    first_ms: u64,
    most_ms: u64,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(pipeline, spec, err, |spec| {
            let default = Backoff::default();
            let first: Duration = duration(first_ms, default.first);
            let most = duration(most_ms, default.most.max(first));
            spec.retries(retries, Backoff { first, most });
            Ok(())
        })
    }
}

/// How many specs it has; 0 for NULL.
///
/// # Safety
/// `pipeline` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pipeline_spec_count(pipeline: *const coreproc_pipeline) -> usize {
    // SAFETY: the caller's promise.
    guard::get(0, || unsafe { pipeline.as_ref() }.map_or(0, |pipeline| pipeline.0.specs().len()))
}

/// Can it run? Names are unique and not empty; dependencies are known, not doubled, and without cycle. Linear in
/// specs and dependencies. Errors: INVALID_ARGUMENT, whose message says what is wrong first, where, and how much
/// else is: `check pipeline: specs[3].after[0]: unknown spec "biuld", did you mean "build"?`.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pipeline_check(
    pipeline: *const coreproc_pipeline,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "check pipeline";
    // SAFETY: the caller's promises.
    unsafe { guard::call(OPERATION, err, || guard::handle(OPERATION, "pipeline", pipeline)?.0.check()) }
}

/// All that is wrong with it, as JSON: an array, empty when it can run, of
/// `{"kind": "unknown_dependency", "specs": [3], "place": "specs[3].after[0]", "message": "unknown spec …"}`.
/// Kinds: empty_name, duplicate_name, empty_dependency, duplicate_dependency, self_dependency,
/// unknown_dependency, cycle, command; a later library may know more. `specs` are the indexes of those concerned;
/// of a cycle first those that the message names, in its order, then all others that are in a cycle with them.
/// `*out` is to be freed with coreproc_bytes_free. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pipeline_problems(
    pipeline: *const coreproc_pipeline,
    out: *mut *mut coreproc_bytes,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "check pipeline";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let pipeline = guard::handle(OPERATION, "pipeline", pipeline)?;
            let out = guard::out(OPERATION, out)?;
            out.write(coreproc_bytes::into_raw(pipeline.0.problems_json()?));
            Ok(())
        })
    }
}

/// Frees a pipeline; NULL is fine. Its runs go on.
///
/// # Safety
/// `pipeline` is NULL or live, and dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pipeline_free(pipeline: *mut coreproc_pipeline) {
    if !pipeline.is_null() {
        // SAFETY: the caller's promise; made by this file.
        guard::free(|| drop(unsafe { Box::from_raw(pipeline) }));
    }
}
