//! [`Command::from_json`], and the commands of a pipeline's specs. The shape is described in
//! `docs/pipeline-json.md`.

use std::sync::Arc;
use std::time::Duration;

use super::document::Json;
use super::field::{Field, Object};
use super::restrictions::{credentials, resources};
use super::signal::signal_number;
use super::version::check_version;
use crate::error::Result;
use crate::process::{
    Command, Containment, Descriptor, Drain, FileMode, Group, Output, PtyMode, PtyOptions, Rung, Scope, Size, Stdin,
    StopOptions, StopPolicy, StopStep,
};

const FIELDS: &[&str] = &[
    "program",
    "args",
    "arg0",
    "env",
    "env_clear",
    "cwd",
    "search_path",
    "stdin",
    "stdout",
    "stderr",
    "descriptors",
    "capture_bytes",
    "capture_head_bytes",
    "capture_lines",
    "capture_apart",
    "pty",
    "group",
    "contain",
    "memory_max_bytes",
    "processes_max",
    "cpu_max_thousandths",
    "detach",
    "spool_max_bytes",
    "timeout_ms",
    "start_timeout_ms",
    "silence_timeout_ms",
    "cpu_time_limit_ms",
    "output_limit_bytes",
    "report_stops_ms",
    "stop",
    "drain",
    "user",
    "primary_group",
    "supplementary_groups",
    "umask",
    "no_new_privileges",
    "drop_capabilities",
    "keep_ignored",
    "limits",
    "nice",
    "scheduling",
    "io_priority",
    "cpu_affinity",
    "oom_score",
    "chroot",
    "die_with_host",
];

impl Command {
    /// Reads a command from JSON: an object with `"version": 1` and the fields that `docs/pipeline-json.md` lists for
    /// commands.
    ///
    /// # Errors
    ///
    /// `Malformed` if something is wrong. The error has the path and the word that was probably meant: `stdout: unknown
    /// value "pip", did you mean "pipe"?`.
    pub fn from_json(text: &str) -> Result<Command> {
        const OPERATION: &str = "parse command";
        let json = Json::parse(OPERATION, text)?;
        let document = Field::document(OPERATION, &json);
        check_version(&document)?;
        let mut known = vec!["version"];
        known.extend(FIELDS);
        from_object(&document, &document.object(&known)?)
    }
}

/// Reads a spec's command: a list of program and arguments, or an object.
pub(super) fn from_field(field: &Field<'_>) -> Result<Command> {
    if field.is_list() {
        let mut words = field.list("a list")?;
        let program = words.next().ok_or_else(|| field.wrong("is empty: the first item is the program"))?;
        let mut command = Command::new(program.name()?);
        for word in words {
            command.arg(word.text()?);
        }
        return finished(field, command);
    }
    if !field.is_object() {
        return Err(field.expected("a list of strings or an object"));
    }
    from_object(field, &field.object(FIELDS)?)
}

fn from_object(field: &Field<'_>, object: &Object<'_>) -> Result<Command> {
    let mut command = Command::new(object.required("program")?.name()?);
    if let Some(args) = object.get("args") {
        for arg in args.list("a list of strings")? {
            command.arg(arg.text()?);
        }
    }
    if let Some(name) = object.get("arg0") {
        command.arg0(name.text()?);
    }
    environment(object, &mut command)?;
    if let Some(path) = object.get("cwd") {
        command.cwd(path.name()?);
    }
    if let Some(path) = object.get("search_path") {
        command.search_path(path.text()?);
    }
    streams(object, &mut command)?;
    control(object, &mut command)?;
    credentials(object, &mut command)?;
    resources(object, &mut command)?;
    containment(object, &mut command)?;
    finished(field, command)
}

/// Returns the command, unless one of its setters refused a value: the error then is about the whole command.
fn finished(field: &Field<'_>, command: Command) -> Result<Command> {
    match command.flaw() {
        Some(flaw) => Err(field.wrong(flaw)),
        None => Ok(command),
    }
}

fn environment(object: &Object<'_>, command: &mut Command) -> Result<()> {
    if let Some(clear) = object.get("env_clear")
        && clear.boolean()?
    {
        command.env_clear();
    }
    let Some(env) = object.get("env") else { return Ok(()) };
    let mut entries = Vec::new();
    for (key, value) in env.map("an object of strings")?.fields() {
        if key.is_empty() || key.contains(['=', '\0']) {
            return Err(value.wrong("the name is empty, or has a \"=\" or a NUL byte"));
        }
        entries.push((key, value.text()?));
    }
    command.env_distinct(entries);
    Ok(())
}

fn streams(object: &Object<'_>, command: &mut Command) -> Result<()> {
    if let Some(stdin) = object.get("stdin") {
        command.stdin(if stdin.is_object() {
            let object = stdin.object(&["file", "data"])?;
            match (object.get("file"), object.get("data")) {
                (None, Some(data)) => Stdin::Data(Arc::new(data.content()?.into())),
                (Some(_), Some(data)) => {
                    return Err(data.wrong("stands beside \"file\": only one of them can be the input"));
                }
                (_, None) => Stdin::File(object.required("file")?.name()?.into()),
            }
        } else {
            stdin.choice(&[("null", Stdin::Null), ("pipe", Stdin::Pipe), ("inherit", Stdin::Inherit)])?
        });
    }
    if let Some(stdout) = object.get("stdout") {
        command.stdout(output(&stdout, &[])?);
    }
    if let Some(stderr) = object.get("stderr") {
        command.stderr(output(&stderr, &[("merge", Output::Merge)])?);
    }
    if let Some(field) = object.get("descriptors") {
        for (number, value) in field.map("an object of descriptors")?.fields() {
            let number = number.parse().map_err(|_| value.wrong("the name is no number of a descriptor"))?;
            command.descriptor(number, descriptor(&value)?);
        }
    }
    if let Some(bytes) = object.get("capture_head_bytes") {
        command.capture_head(bytes.whole(0, isize::MAX as u64)?);
    }
    if let Some(lines) = object.get("capture_lines") {
        command.capture_lines(lines.whole(0, u64::MAX)?);
    }
    if let Some(apart) = object.get("capture_apart")
        && apart.boolean()?
    {
        command.capture_apart();
    }
    if let Some(bytes) = object.get("capture_bytes") {
        command.capture(match bytes.whole(0, isize::MAX as u64)? {
            0 => Size::None,
            bytes => Size::Bytes(bytes),
        });
    }
    if let Some(field) = object.get("pty")
        && let Some(options) = pty(&field)?
    {
        command.pty(options);
    }
    if let Some(bytes) = object.get("spool_max_bytes") {
        command.spool_max(bytes.whole(1, u64::MAX)?);
    }
    if let Some(drain) = object.get("drain") {
        let bounds = drain.object(&["silence_ms", "total_ms"])?;
        let default = Drain::default();
        command.drain(Drain {
            silence: bounds.get("silence_ms").map_or(Ok(default.silence), |ms| or_never(&ms))?,
            total: bounds.get("total_ms").map_or(Ok(default.total), |ms| or_never(&ms))?,
        });
    }
    Ok(())
}

/// Reads a pseudo-terminal: whether there is one, or how it is.
fn pty(field: &Field<'_>) -> Result<Option<PtyOptions>> {
    let mut options = PtyOptions::default();
    if !field.is_object() {
        return Ok(field.boolean()?.then_some(options));
    }
    let object = field.object(&["columns", "rows", "mode"])?;
    for (name, place) in [("columns", &mut options.columns), ("rows", &mut options.rows)] {
        if let Some(number) = object.get(name) {
            *place = number.whole(1, u16::MAX.into())? as u16;
        }
    }
    if let Some(mode) = object.get("mode") {
        options.mode =
            mode.choice(&[("cooked", PtyMode::Cooked), ("no_echo", PtyMode::NoEcho), ("raw", PtyMode::Raw)])?;
    }
    Ok(Some(options))
}

fn descriptor(field: &Field<'_>) -> Result<Descriptor> {
    if !field.is_object() {
        return field.choice(&[("output", Descriptor::Output), ("input", Descriptor::Input)]);
    }
    let object = field.object(&["data", "file", "mode"])?;
    if let Some(data) = object.get("data") {
        return match object.get("file").or_else(|| object.get("mode")) {
            None => Ok(Descriptor::Data(Arc::new(data.content()?.into()))),
            Some(other) => Err(other.wrong("stands beside \"data\"")),
        };
    }
    let path = object.required("file")?.name()?.into();
    let modes = [("read", None), ("truncate", Some(FileMode::Truncate)), ("append", Some(FileMode::Append))];
    Ok(match object.get("mode").map_or(Ok(None), |mode| mode.choice(&modes))? {
        None => Descriptor::ReadFile(path),
        Some(mode) => Descriptor::WriteFile(path, mode),
    })
}

fn output(field: &Field<'_>, more: &[(&str, Output)]) -> Result<Output> {
    if field.is_object() {
        let object = field.object(&["file", "append"])?;
        let append = object.get("append").map_or(Ok(false), |append| append.boolean())?;
        let mode = if append { FileMode::Append } else { FileMode::Truncate };
        return Ok(Output::File(object.required("file")?.name()?.into(), mode));
    }
    let mut words =
        vec![("pipe", Output::Pipe), ("null", Output::Null), ("inherit", Output::Inherit), ("spool", Output::Spool)];
    words.extend_from_slice(more);
    field.choice(&words)
}

fn control(object: &Object<'_>, command: &mut Command) -> Result<()> {
    if let Some(group) = object.get("group") {
        let words = [("own", Group::Own), ("inherit", Group::Inherit), ("session", Group::Session)];
        command.group(group.choice(&words)?);
    }
    if let Some(detach) = object.get("detach")
        && detach.boolean()?
    {
        command.detach();
    }
    deadlines(object, command)?;
    if let Some(stop) = object.get("stop") {
        command.stop_policy(stop_policy(&stop)?);
    }
    Ok(())
}

fn containment(object: &Object<'_>, command: &mut Command) -> Result<()> {
    if let Some(contain) = object.get("contain") {
        command.contain(contain.choice(&[
            ("default", Containment::Default),
            ("prefer", Containment::Prefer),
            ("process", Containment::Require(Rung::Process)),
            ("group", Containment::Require(Rung::Group)),
            ("cgroup", Containment::Require(Rung::Cgroup)),
        ])?);
    }
    if let Some(bytes) = object.get("memory_max_bytes") {
        command.memory_max(bytes.whole(1, u64::MAX)?);
    }
    if let Some(count) = object.get("processes_max") {
        command.processes_max(count.whole(1, u64::MAX)?);
    }
    if let Some(thousandths) = object.get("cpu_max_thousandths") {
        command.cpu_max(u32::try_from(thousandths.whole(10, 1_000_000)?).unwrap_or(u32::MAX));
    }
    Ok(())
}

fn deadlines(object: &Object<'_>, command: &mut Command) -> Result<()> {
    let time = |field: Field<'_>| field.whole(1, u64::MAX).map(Duration::from_millis);
    if let Some(timeout) = object.get("timeout_ms") {
        command.timeout(time(timeout)?);
    }
    if let Some(timeout) = object.get("start_timeout_ms") {
        command.start_timeout(time(timeout)?);
    }
    if let Some(timeout) = object.get("silence_timeout_ms") {
        command.silence_timeout(time(timeout)?);
    }
    if let Some(limit) = object.get("cpu_time_limit_ms") {
        command.cpu_time_limit(time(limit)?);
    }
    if let Some(limit) = object.get("output_limit_bytes") {
        command.output_limit(limit.whole(1, u64::MAX)?);
    }
    if let Some(interval) = object.get("report_stops_ms") {
        command.report_stops(time(interval)?);
    }
    Ok(())
}

fn stop_policy(field: &Field<'_>) -> Result<StopPolicy> {
    let object = field.object(&["signal", "scope", "grace_ms", "steps"])?;
    let mut scope = Scope::default();
    if let Some(word) = object.get("scope") {
        scope = word.choice(&[
            ("default", Scope::Default),
            ("process", Scope::Process),
            ("group", Scope::Group),
            ("tree", Scope::Tree),
        ])?;
    }
    let Some(list) = object.get("steps") else {
        let StopStep { signal, grace } = stop_step(&object)?;
        return Ok(StopOptions { signal, grace, scope }.into());
    };
    if object.get("signal").or_else(|| object.get("grace_ms")).is_some() {
        return Err(list.wrong("are in place of \"signal\" and \"grace_ms\""));
    }
    let mut steps = Vec::new();
    for step in list.list("a list of steps")? {
        steps.push(stop_step(&step.object(&["signal", "grace_ms"])?)?);
    }
    Ok(StopPolicy { scope, steps })
}

fn stop_step(object: &Object<'_>) -> Result<StopStep> {
    let StopOptions { mut signal, mut grace, .. } = StopOptions::default();
    if let Some(name) = object.get("signal") {
        signal = signal_number(&name)?;
    }
    if let Some(time) = object.get("grace_ms") {
        grace = if time.is_null() { None } else { Some(or_never(&time)?) };
    }
    Ok(StopStep { signal, grace })
}

/// Reads a time in milliseconds; null is no limit.
fn or_never(field: &Field<'_>) -> Result<Duration> {
    if field.is_null() { Ok(Duration::MAX) } else { Ok(Duration::from_millis(field.whole(0, u64::MAX)?)) }
}
