//! `coreproc_pipeline`.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use super::bytes::coreproc_bytes;
use super::call::call;
use super::command::coreproc_command;
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use super::handle::{Born, free, read, shared};
use super::limit::duration;
use crate::error::{Result, quoted};
use crate::sys::fork;
use crate::{Backoff, Pipeline, Spec};

/// A graph of specs, each a command and the specs that it comes after; to be run once or often. A
/// builder: one thread at a time. Everything passed in is copied. A setter that fails changes
/// nothing; coreproc_pipeline_check, and coreproc_run_start, tell whether the specs fit together.
pub struct coreproc_pipeline(pub(super) Pipeline);

const _: () = shared::<coreproc_pipeline>();

impl Born for coreproc_pipeline {
    fn is_a_parents(&self) -> bool {
        fork::happened()
    }
}

const SET: &str = "set pipeline";

/// Applies a change to a spec.
fn set(
    pipeline: Option<&mut coreproc_pipeline>,
    spec: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
    change: impl FnOnce(Operation, &mut Spec) -> Result<&mut Spec>,
) -> coreproc_result {
    call(SET, err, |op| {
        let pipeline = op.builder("pipeline", pipeline)?;
        let count = pipeline.0.specs().len();
        let unknown = || op.invalid(format!("spec: {spec} is not below {count}, how many there are"));
        change(op, pipeline.0.spec_mut(spec).ok_or_else(unknown)?).map(drop)
    })
}

/// Takes a name: UTF-8 without a NUL, which would end it where it is given out.
///
/// # Safety
/// As for [`Operation::bytes`].
unsafe fn name<'a>(op: Operation, pointer: *const c_char, len: usize) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { op.bytes("name", pointer.cast(), len) }?;
    let wrong = |what: &str| op.invalid(format!("name: {} {what}", quoted(bytes)));
    let name = std::str::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))?;
    if name.contains('\0') { Err(wrong("has a NUL byte")) } else { Ok(name) }
}

/// Takes a flag: 1 or 0.
fn yes(op: Operation, name: &str, value: u32) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(op.invalid(format!("{name}: {other} is neither 0 nor 1"))),
    }
}

/// Makes an empty pipeline. Free `*out` with coreproc_pipeline_free.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_pipeline_new(
    out: Option<&mut MaybeUninit<Box<coreproc_pipeline>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call(SET, err, |op| {
        op.out(out)?.write(Box::new(coreproc_pipeline(Pipeline::new())));
        Ok(())
    })
}

/// Makes a pipeline from JSON, UTF-8, as docs/pipeline-json.md (installed below share/doc/coreproc)
/// describes it; its graph is checked as well. Free `*out` with coreproc_pipeline_free.
///
/// Errors: INVALID_ARGUMENT; MALFORMED, whose message says where the mistake is and what was meant:
/// `parse pipeline: specs[3].after[0]: unknown spec "biuld", did you mean "build"?`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pipeline_from_json(
    json: *const c_char,
    json_len: usize,
    out: Option<&mut MaybeUninit<Box<coreproc_pipeline>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("parse pipeline", err, |op| {
        // SAFETY: `json` has `json_len` bytes.
        let json = unsafe { op.json(json, json_len) }?;
        op.out(out)?.write(Box::new(coreproc_pipeline(Pipeline::from_json(json)?)));
        Ok(())
    })
}

/// Gives a pipeline a name, UTF-8 without NUL, which reports of its runs carry; an empty one takes
/// it away.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pipeline_name(
    pipeline: Option<&mut coreproc_pipeline>,
    name: *const c_char,
    name_len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call(SET, err, |op| {
        let pipeline = op.builder("pipeline", pipeline)?;
        // SAFETY: `name` has `name_len` bytes.
        pipeline.0.named(unsafe { self::name(op, name, name_len) }?);
        Ok(())
    })
}

/// Adds a spec of this name, UTF-8 without NUL, that runs a copy of `command`, whose timeout is
/// that of each attempt. `spec`, which may be NULL, gets its index; indexes count from 0.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pipeline_add(
    pipeline: Option<&mut coreproc_pipeline>,
    name: *const c_char,
    name_len: usize,
    command: Option<&coreproc_command>,
    spec: Option<&mut MaybeUninit<usize>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call(SET, err, |op| {
        let pipeline = op.builder("pipeline", pipeline)?;
        // SAFETY: `name` has `name_len` bytes.
        let name = unsafe { self::name(op, name, name_len) }?;
        let command = op.handle("command", command)?;
        let index = pipeline.0.specs().len();
        pipeline.0.add(Spec::new(name, command.0.clone()));
        if let Some(spec) = spec {
            spec.write(index);
        }
        Ok(())
    })
}

/// Has a spec start after the spec of this name, which may be added later, has ended.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pipeline_after(
    pipeline: Option<&mut coreproc_pipeline>,
    spec: usize,
    name: *const c_char,
    name_len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    // SAFETY: `name` has `name_len` bytes.
    set(pipeline, spec, err, |op, spec| Ok(spec.after(unsafe { self::name(op, name, name_len) }?)))
}

/// Sets whether a spec's failure, which still counts as one, leaves what comes after it to run: 1
/// or 0.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_pipeline_allow_failure(
    pipeline: Option<&mut coreproc_pipeline>,
    spec: usize,
    allowed: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(pipeline, spec, err, |op, spec| Ok(spec.allow_failure(yes(op, "allowed", allowed)?)))
}

/// Sets whether a spec runs once all that it comes after has ended in any state, also after a
/// failure or a cancel (1 or 0): for clean-up.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_pipeline_always_run(
    pipeline: Option<&mut coreproc_pipeline>,
    spec: usize,
    always: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(pipeline, spec, err, |op, spec| Ok(spec.always_run(yes(op, "always", always)?)))
}

/// Sets how many attempts follow the first one as long as they fail (0: none), and the waits before
/// them: `first_ms` (0: 100), then twice the last one each time, at most `most_ms` (0: 10000;
/// UNLIMITED: any).
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_pipeline_retries(
    pipeline: Option<&mut coreproc_pipeline>,
    spec: usize,
    retries: u32,
    first_ms: u64,
    most_ms: u64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(pipeline, spec, err, |_, spec| {
        let default = Backoff::default();
        let first = duration(first_ms, default.first);
        let most = duration(most_ms, default.most.max(first));
        Ok(spec.retries(retries, Backoff { first, most }))
    })
}

/// Returns how many specs it has; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_pipeline_spec_count(pipeline: Option<&coreproc_pipeline>) -> usize {
    read(pipeline, 0, |pipeline| pipeline.0.specs().len())
}

/// Checks whether it can run: names are unique and not empty; dependencies are known, named once,
/// and without cycle. The time that this takes is linear in specs and dependencies.
///
/// Errors: INVALID_ARGUMENT, whose message says what is wrong first, where, and how much else is:
/// `check pipeline: specs[3].after[0]: unknown spec "biuld", did you mean "build"?`.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_pipeline_check(
    pipeline: Option<&coreproc_pipeline>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("check pipeline", err, |op| op.handle("pipeline", pipeline)?.0.check())
}

/// Lists all that is wrong with it, as JSON: an array, empty if it can run, of `{"kind":
/// "unknown_dependency", "specs": [3], "place": "specs[3].after[0]", "message": "unknown spec …"}`.
/// Kinds: empty_name, duplicate_name, empty_dependency, duplicate_dependency, self_dependency,
/// unknown_dependency, cycle, command; a later library may know more. `specs` are the indexes of
/// the specs concerned; for a cycle, first those that the message names, in its order, then all
/// others that are in a cycle with them. Free `*out` with coreproc_bytes_free.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_pipeline_problems(
    pipeline: Option<&coreproc_pipeline>,
    out: Option<&mut MaybeUninit<Box<coreproc_bytes>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("check pipeline", err, |op| {
        let pipeline = op.handle("pipeline", pipeline)?;
        op.out(out)?.write(coreproc_bytes::new(pipeline.0.problems_json()?));
        Ok(())
    })
}

/// Frees a pipeline. NULL is fine. Its runs go on.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_pipeline_free(pipeline: Option<Box<coreproc_pipeline>>) {
    free(pipeline);
}
