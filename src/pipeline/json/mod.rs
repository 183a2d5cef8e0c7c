//! [`Pipeline::from_json`]. The shape is described in `docs/pipeline-json.md`.

mod command;
mod field;

use std::time::Duration;

use field::{Field, Json, Object};

use super::spec::{Backoff, Pipeline, Spec};
use crate::error::Result;

/// The only version there is.
const VERSION: u64 = 1;

impl Pipeline {
    /// A pipeline from JSON, as `docs/pipeline-json.md` describes it; its graph is checked as well.
    ///
    /// # Errors
    /// MALFORMED, with the path and what was meant: `specs[3].after[0]: unknown spec "biuld", did you mean
    /// "build"?`; syntax errors with line and column.
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

/// The version comes first: what a later one has more is no mistake of this one.
fn check_version(document: &Field<'_>) -> Result<()> {
    let version = document.map("an object")?.required("version")?;
    let number = version.whole(0, u64::MAX)?;
    if number == VERSION {
        return Ok(());
    }
    Err(version.wrong(format_args!("{number} is not known, known is {VERSION}")))
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
