//! [`Pipeline::from_json`]. The shape is described in `docs/pipeline-json.md`.
//!
//! `document` is the JSON as it was written, `field` a value in it that knows its path, `version` checks the version,
//! and `command` reads commands.

mod command;
mod document;
mod field;
mod restrictions;
mod signal;
mod version;

use std::time::Duration;

use document::Json;
use field::{Field, Object};
use version::check_version;

use super::spec::{Backoff, Pipeline, Spec};
use crate::error::Result;

impl Pipeline {
    /// Reads a pipeline from JSON, as `docs/pipeline-json.md` describes it, and checks its graph.
    ///
    /// # Errors
    ///
    /// `Malformed` if something is wrong. The error has the path and the word that was probably meant:
    /// `specs[3].after[0]: unknown spec "biuld", did you mean "build"?`; a syntax error has line and column.
    ///
    /// ```
    /// use coreproc::Pipeline;
    ///
    /// # fn main() -> coreproc::Result<()> {
    /// let pipeline = Pipeline::from_json(
    ///     r#"{"version": 1, "specs": [
    ///         {"name": "build", "command": ["make"]},
    ///         {"name": "test", "command": ["make", "test"], "after": ["build"]}
    ///     ]}"#,
    /// )?;
    /// assert_eq!(pipeline.specs().len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_json(text: &str) -> Result<Pipeline> {
        const OPERATION: &str = "parse pipeline";
        let json = Json::parse(OPERATION, text)?;
        let document = Field::document(OPERATION, &json);
        check_version(&document)?;
        let object = document.object(&["version", "name", "limit", "fail_fast", "specs"])?;
        let mut pipeline = Pipeline::new();
        if let Some(name) = object.get("name") {
            pipeline.named(name.name()?);
        }
        if let Some(limit) = object.get("limit") {
            pipeline.limit = Some(limit.whole(0, u64::from(u32::MAX))? as usize);
        }
        if let Some(fail_fast) = object.get("fail_fast") {
            pipeline.fail_fast = Some(fail_fast.boolean()?);
        }
        for field in object.required("specs")?.list("a list of specs")? {
            pipeline.add(spec(&field)?);
        }
        match pipeline.problems().first() {
            Some(problem) => Err(document.wrong(format_args!("{}: {}", problem.place, problem.message))),
            None => Ok(pipeline),
        }
    }
}

fn spec(field: &Field<'_>) -> Result<Spec> {
    const FIELDS: [&str; 8] =
        ["name", "command", "after", "allow_failure", "always_run", "timeout_ms", "retries", "backoff"];
    let object = field.object(&FIELDS)?;
    let name = object.required("name")?.name()?;
    let command = object.required("command")?;
    let mut built = command::from_field(&command)?;
    if let Some(timeout) = object.get("timeout_ms") {
        if command.get("timeout_ms").is_some() {
            return Err(timeout.wrong("the command has one, too"));
        }
        built.timeout(Duration::from_millis(timeout.whole(1, u64::MAX)?));
    }
    let mut spec = Spec::new(name, built);
    if let Some(after) = object.get("after") {
        for name in after.list("a list of names")? {
            spec.after(name.name()?);
        }
    }
    if let Some(allowed) = object.get("allow_failure") {
        spec.allow_failure(allowed.boolean()?);
    }
    if let Some(always) = object.get("always_run") {
        spec.always_run(always.boolean()?);
    }
    let retries = object.get("retries").map_or(Ok(0), |retries| retries.whole(0, u64::from(u32::MAX)))?;
    spec.retries(u32::try_from(retries).unwrap_or(u32::MAX), backoff(&object)?);
    Ok(spec)
}

fn backoff(object: &Object<'_>) -> Result<Backoff> {
    let Some(field) = object.get("backoff") else { return Ok(Backoff::default()) };
    let bounds = field.object(&["first_ms", "max_ms"])?;
    let mut backoff = Backoff::default();
    if let Some(first) = bounds.get("first_ms") {
        backoff.first = Duration::from_millis(first.whole(0, u64::MAX)?);
    }
    backoff.most = backoff.most.max(backoff.first);
    if let Some(most) = bounds.get("max_ms") {
        backoff.most = Duration::from_millis(most.whole(0, u64::MAX)?);
        if backoff.most < backoff.first {
            let first = backoff.first.as_millis();
            return Err(most.wrong(format_args!("{} is less than first_ms, {first}", backoff.most.as_millis())));
        }
    }
    Ok(backoff)
}
