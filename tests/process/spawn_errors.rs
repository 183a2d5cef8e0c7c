//! Refusals: each says operation, subject and cause, names its stage and errno, and nothing was spawned.

use coreproc::{
    CloseMode, Command, Error, ErrorKind, FileMode, Group, Output, Process, Scope, Service, Size, Stdin, StopOptions,
    SubscriptionOptions,
};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use support::events::until_closed;
use support::*;

/// A directory of programs that cannot be run, each in its own way.
struct Broken {
    dir: tempfile::TempDir,
}

impl Broken {
    fn new() -> Broken {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = |name: &str, text: &str, mode: u32| {
            let path = dir.path().join(name);
            fs::write(&path, text).expect("write");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
        };
        file("not-executable", "#!/bin/sh\n", 0o644);
        file("no-format", "neither ELF nor a script\n", 0o755);
        file("empty", "", 0o755);
        file("bad-interpreter", "#!/no/such/interpreter\nexit 0\n", 0o755);
        fs::create_dir(dir.path().join("directory")).expect("mkdir");
        symlink("loop", dir.path().join("loop")).expect("symlink");
        Broken { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

struct Want {
    kind: ErrorKind,
    stage: &'static str,
    errno: i32,
}

#[track_caller]
fn assert_refused(service: &Service, command: &Command, subject: &str, want: &Want) -> Error {
    let error = refused(service, command);
    let text = error.to_string();
    assert_eq!(error.kind(), want.kind, "{text}");
    assert_eq!(error.errno(), Some(want.errno), "{text}");
    assert_eq!((error.operation(), error.stage()), ("spawn", want.stage), "{text}");
    assert!(text.starts_with("spawn ") && text.contains(subject), "{text}");
    assert!(text.contains(want.stage), "{text}");
    error
}

/// Makes commands whose spawns the kernel refuses, each for another reason.
fn failures(broken: &Broken) -> Vec<(Command, String, Want)> {
    use ErrorKind::{NotFound, PermissionDenied, System};
    let program = |name: &str| Command::new(broken.path(name));
    let mut list = Vec::new();
    let mut add = |command: Command, subject: &str, kind, stage, errno| {
        list.push((command, subject.to_owned(), Want { kind, stage, errno }));
    };
    let in_path = |name: &str| {
        let mut command = Command::new(name);
        command.search_path(broken.dir.path());
        command
    };
    add(Command::new("coreproc-gti"), "coreproc-gti", NotFound, "lookup", libc::ENOENT);
    add(in_path("coreproc-gti"), "coreproc-gti", NotFound, "lookup", libc::ENOENT);
    add(in_path("not-executable"), "not-executable", PermissionDenied, "exec", libc::EACCES);
    add(program("missing"), "missing", NotFound, "exec", libc::ENOENT);
    add(program("not-executable"), "not-executable", PermissionDenied, "exec", libc::EACCES);
    add(program("directory"), "directory", PermissionDenied, "exec", libc::EACCES);
    add(program("no-format"), "no-format", System, "exec", libc::ENOEXEC);
    add(program("empty"), "empty", System, "exec", libc::ENOEXEC);
    add(program("loop"), "loop", System, "exec", libc::ELOOP);
    add(program("no-format/below"), "below", NotFound, "exec", libc::ENOTDIR);
    add(program(&"n".repeat(300)), "nnn", System, "exec", libc::ENAMETOOLONG);
    add(program("bad-interpreter"), "bad-interpreter", NotFound, "interpreter", libc::ENOENT);

    let mut huge = script("exit 0");
    huge.arg("x".repeat(4 << 20));
    add(huge, "child", System, "exec", libc::E2BIG);
    let mut many = script("exit 0");
    many.args((0..200_000).map(|_| "0123456789012345678901234567890123456789"));
    add(many, "child", System, "exec", libc::E2BIG);

    let mut nowhere = script("exit 0");
    nowhere.cwd(broken.path("nowhere"));
    add(nowhere, "nowhere", NotFound, "chdir", libc::ENOENT);
    let mut file = script("exit 0");
    file.cwd(broken.path("empty"));
    add(file, "empty", System, "chdir", libc::ENOTDIR);

    let mut input = script("exit 0");
    input.stdin(Stdin::File(broken.path("no-input")));
    add(input, "no-input", NotFound, "stdin", libc::ENOENT);
    let file = |name: &str| Output::File(broken.path(name), FileMode::Append);
    let mut output = script("exit 0");
    output.stdout(file("nowhere/log"));
    add(output, "nowhere/log", NotFound, "stdout", libc::ENOENT);
    let mut output = script("exit 0");
    output.stderr(file("directory"));
    add(output, "directory", System, "stderr", libc::EISDIR);
    list
}

#[test]
fn a_failed_spawn_names_operation_subject_stage_and_errno() {
    let broken = Broken::new();
    let service = service();
    for (command, subject, want) in failures(&broken) {
        let error = assert_refused(&service, &command, &subject, &want);
        println!("{error}");
    }
    assert_eq!(service.count(), 0);
}

#[test]
fn an_unknown_program_is_told_in_one_plain_sentence() {
    // The PATH has no directories that may not be searched, because the message would name them as well.
    let error = refused(&service(), Command::new("gti-is-no-program").search_path("/usr/bin:/bin"));
    assert_eq!(error.to_string(), "spawn \"gti-is-no-program\": lookup: no such program in PATH");
}

#[test]
fn a_directory_that_may_not_be_entered_is_named() {
    let name = test_path!("a_directory_that_may_not_be_entered_is_named");
    if host::inside(name) {
        let dir = tempfile::tempdir().expect("tempdir");
        let closed = dir.path().join("closed");
        fs::create_dir(&closed).expect("mkdir");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("chmod");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        // Root may enter every directory.
        let dropped = os::is_root();
        if dropped {
            os::set_effective_user(65_534);
        }
        let mut command = Command::new("/bin/true");
        command.cwd(&closed);
        let want = Want { kind: ErrorKind::PermissionDenied, stage: "chdir", errno: libc::EACCES };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            assert_refused(&service(), &command, "closed", &want);
        }));
        if dropped {
            os::set_effective_user(0);
        }
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("chmod");
        result.expect("refused");
        return host::done();
    }
    host::run(name);
}

#[test]
fn a_program_that_is_being_written_is_busy() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("busy");
    fs::copy(child(), &path).expect("copy");
    let writer = fs::OpenOptions::new().append(true).open(&path).expect("open");
    let service = service();
    let want = Want { kind: ErrorKind::System, stage: "exec", errno: libc::ETXTBSY };
    let mut command = Command::new(&path);
    command.args(["exit", "4"]);
    assert_refused(&service, &command, "busy", &want);
    drop(writer);
    assert_eq!(run(&service, &command).code(), 4);
}

#[test]
fn a_failed_spawn_makes_no_process_and_no_event() {
    let broken = Broken::new();
    let service = service();
    let subscription = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    for (command, _, _) in failures(&broken) {
        refused(&service, &command);
        refused(&service, Command::new("x\0y").arg("z"));
    }
    assert_eq!(service.count(), 0);
    service.wait_idle(Some(std::time::Duration::ZERO)).expect("idle");
    let process = script("exit 0").spawn(&service).expect("spawn");
    assert_eq!(until_closed(&subscription, 1).into_keys().collect::<Vec<_>>(), [process.id()]);
}

#[test]
fn a_failed_spawn_leaves_the_files_it_did_not_get_to_alone() {
    // A child that never ran must not have emptied its log: only opening does, and that comes after all checks.
    let dir = tempfile::tempdir().expect("tempdir");
    let log = dir.path().join("log");
    fs::write(&log, "kept").expect("write");
    let mut command = script("exit 0");
    command.stdout(Output::File(log.clone(), FileMode::Truncate)).env_whole(["no equals sign"]);
    assert_eq!(refused(&service(), &command).kind(), ErrorKind::InvalidArgument);
    assert_eq!(fs::read(&log).expect("read"), b"kept");
}

type Change = dyn Fn(&mut Command) -> &mut Command;

/// Makes commands that are wrong in themselves, each with the field that the message must name.
fn mistakes() -> Vec<(Command, &'static str)> {
    let mut list: Vec<(Command, &'static str)> = Vec::new();
    let mut add = |field, change: &Change| {
        let mut command = script("exit 0");
        change(&mut command);
        list.push((command, field));
    };
    add("argument", &|c| c.arg("a\0b"));
    add("argv[0]", &|c| c.arg0("a\0b"));
    add("environment", &|c| c.env("A\0", "1"));
    add("environment", &|c| c.env("A", "1\0"));
    add("environment", &|c| c.env("", "1"));
    add("environment", &|c| c.env("A=B", "1"));
    add("environment", &|c| c.env_whole(["A=1", "KEY"]));
    add("environment", &|c| c.env_entry("=1"));
    add("environment", &|c| c.env_whole(["A=\0"]));
    add("cwd", &|c| c.cwd("a\0b"));
    add("cwd", &|c| c.cwd(""));
    add("search path", &|c| c.search_path("a\0b"));
    add("stdin", &|c| c.stdin(Stdin::File(PathBuf::from("a\0b"))));
    add("stdout", &|c| c.stdout(Output::Merge));
    add("stderr", &|c| c.stderr(Output::File(PathBuf::from("\0"), FileMode::Append)));
    add("signal", &|c| c.stop_options(StopOptions { signal: -1, ..Default::default() }));
    add("signal", &|c| c.stop_options(StopOptions { signal: 65, ..Default::default() }));
    // A detached child never writes into a pipe of ours.
    add("stdout", &|c| c.detach().stdout(Output::Pipe));
    add("stderr", &|c| c.detach().stderr(Output::Pipe));
    // A stop of a group that it does not lead would reach no process.
    add("scope", &|c| c.group(Group::Inherit).stop_options(StopOptions { scope: Scope::Group, ..Default::default() }));
    add("capture", &|c| c.capture(Size::Bytes(u64::MAX - 1)));
    list
}

#[test]
fn a_mistake_in_a_command_is_an_invalid_argument_that_names_the_field() {
    let service = service();
    let mut list = mistakes();
    list.push((Command::new(""), "program"));
    list.push((Command::new("a\0b"), "program"));
    for (command, field) in list {
        let error = refused(&service, &command);
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{text}");
        assert_eq!((error.operation(), error.errno()), ("spawn", None), "{text}");
        assert!(text.starts_with("spawn \"") && text.contains(field), "{field} in: {text}");
        println!("{text}");
    }
    assert_eq!(service.count(), 0);
}

#[test]
fn the_first_mistake_of_a_command_is_kept() {
    let mut command = script("exit 0");
    command.env("A=B", "1").arg("fine").arg("not\0fine");
    let text = refused(&service(), &command).to_string();
    assert!(text.contains("environment"), "{text}");
}

#[test]
fn mistakes_in_calls_are_invalid_arguments_and_do_nothing() {
    let talk = support::fifo::Talk::new();
    let service = service();
    let process: Process = talk.tool("await GATE exit 3").spawn(&service).expect("spawn");
    for signal in [-1, 65, 1000, i32::MIN, i32::MAX] {
        for scope in [Scope::Default, Scope::Process, Scope::Group] {
            let error = process.signal(signal, scope).expect_err("no such signal");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().contains("signal"), "{error}");
        }
    }
    let stop = StopOptions { signal: 99, ..Default::default() };
    assert_eq!(kind_of(process.stop(Some(&stop))), ErrorKind::InvalidArgument);
    talk.gate.open(1);
    assert_eq!(finish(&process).code(), 3);
}

#[test]
fn a_spawn_into_a_closed_service_says_so() {
    let service = service();
    service.close(CloseMode::Leave).expect("close");
    let error = refused(&service, &script("exit 0"));
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Closed, "spawn"));
    assert!(error.to_string().contains("closed"), "{error}");
}

#[test]
fn a_subscription_of_another_service_is_refused() {
    let (one, other) = (service(), service());
    let subscription = other.subscribe(SubscriptionOptions::default()).expect("subscribe");
    let error = refused(&one, script("exit 0").subscribe(&subscription));
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("subscription"), "{error}");
}

#[test]
fn errors_are_ordinary_rust_errors() {
    fn check<T: std::error::Error + Send + Sync + 'static>(_: &T) {}
    check(&refused(&service(), &Command::new(Path::new("/no/such/program"))));
}

/// Returns the cause in the message of a spawn that fails like this.
#[track_caller]
fn cause(command: &Command, kind: ErrorKind, stage: &'static str, errno: i32) -> String {
    let error = assert_refused(&service(), command, "", &Want { kind, stage, errno });
    let text = error.to_string();
    text.split_once(&format!("\": {stage}: ")).expect("stage").1.to_owned()
}

fn looked_up(name: &str, path: &str) -> Command {
    let mut command = Command::new(name);
    command.search_path(path);
    command
}

#[test]
fn a_program_that_a_directory_of_path_may_hide_is_not_found_and_the_directory_is_named() {
    let name = test_path!("a_program_that_a_directory_of_path_may_hide_is_not_found_and_the_directory_is_named");
    if host::inside(name) {
        let broken = Broken::new();
        let (locked, dir) = (broken.path("locked"), broken.dir.path().display().to_string());
        fs::create_dir(&locked).expect("mkdir");
        fs::copy(child(), locked.join("hidden")).expect("copy");
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).expect("chmod");
        fs::set_permissions(broken.dir.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        // Root may search every directory.
        let dropped = os::is_root();
        if dropped {
            os::set_effective_user(65_534);
        }
        let locked_text = locked.display().to_string();
        let result = std::panic::catch_unwind(|| {
            use ErrorKind::{NotFound, PermissionDenied};
            let path = format!("{locked_text}:/usr/bin:/bin");
            let want = format!("no such program in PATH; {locked:?} may not be searched");
            assert_eq!(cause(&looked_up("gti", &path), NotFound, "lookup", libc::ENOENT), want);
            assert_eq!(cause(&looked_up("hidden", &path), NotFound, "lookup", libc::ENOENT), want);

            // The file decides: it may not be run, or its interpreter is missing.
            let path = format!("{locked_text}:{dir}");
            let want = format!("permission denied: {:?} is not executable", broken.path("not-executable"));
            assert_eq!(cause(&looked_up("not-executable", &path), PermissionDenied, "exec", libc::EACCES), want);
            let text = cause(&looked_up("bad-interpreter", &path), NotFound, "interpreter", libc::ENOENT);
            assert!(text.contains("bad-interpreter"), "{text}");

            let text = cause(&Command::new(locked.join("hidden")), PermissionDenied, "exec", libc::EACCES);
            assert_eq!(text, "permission denied: a directory on the way to it may not be searched");
        });
        if dropped {
            os::set_effective_user(0);
        }
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).expect("chmod");
        result.expect("refused");
        return host::done();
    }
    host::run(name);
}

#[test]
fn a_directory_as_program_is_called_one() {
    let broken = Broken::new();
    let directory = broken.path("directory");
    let path = broken.dir.path().to_str().expect("utf-8");
    let want = format!("no such program in PATH; {directory:?} is a directory");
    assert_eq!(cause(&looked_up("directory", path), ErrorKind::NotFound, "lookup", libc::ENOENT), want);
    let want = format!("permission denied: {directory:?} is a directory");
    assert_eq!(cause(&Command::new(&directory), ErrorKind::PermissionDenied, "exec", libc::EACCES), want);
    let mut here = Command::new("./directory");
    here.cwd(path);
    let want = "permission denied: \"./directory\" is a directory";
    assert_eq!(cause(&here, ErrorKind::PermissionDenied, "exec", libc::EACCES), want);
}

#[test]
fn the_argument_or_variable_that_is_too_long_is_named() {
    let too_long = |command: &Command| cause(command, ErrorKind::System, "exec", libc::E2BIG);
    // The kernel's MAX_ARG_STRLEN, which counts the NUL.
    let (fits, too_much) = ("x".repeat(131_071), "x".repeat(131_072));
    let mut command = script("exit 5");
    assert_eq!(run(&service(), command.arg(&fits).env("LONG", &fits[5..])).code(), 5);

    let mut command = script("exit 0");
    command.arg(&fits).arg(&too_much);
    let want = "argument list too long: argument 4 has 131072 bytes, 131071 is the most";
    assert_eq!(too_long(&command), want);
    let mut command = script("exit 0");
    command.arg0(&too_much);
    assert_eq!(too_long(&command), "argument list too long: argv[0] has 131072 bytes, 131071 is the most");
    let mut command = script("exit 0");
    command.env("LONG", &fits[4..]);
    let want = "argument list too long: the environment's \"LONG\" has 131072 bytes with its name, 131071 is the most";
    assert_eq!(too_long(&command), want);
}

hosted! {
    fn too_many_arguments_are_counted() {
        // The kernel's limit is a quarter of this.
        os::set_limit(libc::RLIMIT_STACK, 4 << 20, 4 << 20).expect("setrlimit");
        let mut command = script("exit 0");
        command.env_clear().env("A", "1").args((0..30).map(|_| "x".repeat(100_000)));
        let arguments = child().as_os_str().len() + 4 + 1 + 30 * 100_000 + 33 * 9;
        let want = format!(
            "argument list too long: the arguments take {arguments} bytes, the environment 12; 1048576 is the most (a \
             quarter of RLIMIT_STACK, at most 6 MiB)"
        );
        assert_eq!(cause(&command, ErrorKind::System, "exec", libc::E2BIG), want);
    }
}

#[test]
fn a_file_that_the_kernel_cannot_run_says_why() {
    let broken = Broken::new();
    let write = |name: &str, content: &[u8]| {
        let path = broken.path(name);
        fs::write(&path, content).expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    };
    write("damaged", b"\x7fELF and nothing else");
    write("nameless", b"#!\necho\n");
    for (name, why) in [
        ("no-format", "it has no #! line"),
        ("empty", "it is empty"),
        ("damaged", "it is damaged, or for another machine"),
        ("nameless", "its #! line names nothing"),
    ] {
        let want = format!("exec format error: no program that the kernel can run: {why}");
        let path = broken.path(name);
        assert_eq!(cause(&Command::new(&path), ErrorKind::System, "exec", libc::ENOEXEC), want);
        // The message tells which of PATH's candidates it was.
        let command = looked_up(name, &format!("/nowhere:{}", broken.dir.path().display()));
        assert_eq!(cause(&command, ErrorKind::System, "exec", libc::ENOEXEC), format!("{path:?}: {want}"));
    }
}

#[test]
fn a_spool_that_cannot_be_made_names_its_directory() {
    let name = test_path!("a_spool_that_cannot_be_made_names_its_directory");
    if host::inside(name) {
        let mut command = script("exit 0");
        command.detach();
        let gone = std::env::var("TMPDIR").expect("TMPDIR");
        let want = format!("spool in TMPDIR {gone:?}: no such file or directory");
        assert_eq!(cause(&command, ErrorKind::NotFound, "stdout", libc::ENOENT), want);
        return host::done();
    }
    let dir = tempfile::tempdir().expect("tempdir");
    let mut command = host::command(name);
    command.env("TMPDIR", dir.path().join("gone"));
    host::run_command(command);
}
