//! What a child is given: program, arguments, environment, directory, descriptors, signals, group.

use coreproc::{Command, ErrorKind, Group, Output, Service, Size};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::thread;
use support::fifo::Talk;
use support::*;

/// Splits entries that each end with a NUL.
fn entries(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut list: Vec<Vec<u8>> = bytes.split(|b| *b == 0).map(<[u8]>::to_vec).collect();
    assert_eq!(list.pop().as_deref(), Some(&b""[..]));
    list
}

fn environment(service: &Service, command: &mut Command) -> BTreeSet<String> {
    let ended = run(service, command.arg("env").capture(Size::Bytes(16 << 20)));
    entries(&ended.output).iter().map(|entry| lossy(entry)).collect()
}

/// Reads "key value" lines.
fn table(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once([' ', ':']))
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect()
}

#[test]
fn arguments_arrive_byte_for_byte() {
    let arguments: [&[u8]; 7] =
        [b"argv", b"", b" two words ", b"\"quoted\" $HOME `x` \\", b"\n", b"\xff\xfe\x80", b"\xf0\x9f\xa6\x80"];
    let command = tool(arguments.map(OsStr::from_bytes));
    let ended = run(&service(), &command);
    let got = entries(&ended.output);
    assert_eq!(got[0], child().as_os_str().as_bytes());
    assert_eq!(got[1..], arguments.map(<[u8]>::to_vec));
}

#[test]
fn arg0_is_what_was_said_and_the_program_another() {
    let mut command = script("argv");
    command.arg0("-another name");
    assert_eq!(entries(&run(&service(), &command).output)[0], b"-another name");
}

#[test]
fn the_environment_is_inherited_and_added_to() {
    let service = service();
    let mut want: BTreeSet<String> = std::env::vars_os()
        .map(|(key, value)| format!("{}={}", key.to_string_lossy(), value.to_string_lossy()))
        .filter(|entry| !entry.starts_with("COREPROC_A="))
        .collect();
    assert_eq!(environment(&service, &mut tool([""; 0])), want);

    let mut command = tool([""; 0]);
    command.env("COREPROC_A", "1").env("COREPROC_A", "a=b\n").env("COREPROC_EMPTY", "");
    want.extend(["COREPROC_A=a=b\n".to_owned(), "COREPROC_EMPTY=".to_owned()]);
    assert_eq!(environment(&service, &mut command), want, "the last of a name wins");

    let path = std::env::var("PATH").expect("PATH");
    let mut command = tool([""; 0]);
    command.env("PATH", "/elsewhere");
    let got = environment(&service, &mut command);
    assert!(got.contains("PATH=/elsewhere") && !got.contains(&format!("PATH={path}")));
}

#[test]
fn the_environment_can_be_cleared_and_given_whole() {
    let service = service();
    let mut command = tool([""; 0]);
    command.env("BEFORE", "1").env_clear().env("AFTER", "2");
    assert_eq!(environment(&service, &mut command), BTreeSet::from(["AFTER=2".to_owned()]));

    assert!(environment(&service, tool([""; 0]).env_clear()).is_empty());

    let mut command = tool([""; 0]);
    command.env("BEFORE", "1").env_whole(["A=1", "B=x=y", "C="]);
    let want = ["A=1", "B=x=y", "C="].map(str::to_owned);
    assert_eq!(environment(&service, &mut command), BTreeSet::from(want));
}

/// Wine and MSYS leave such entries to what they start.
#[test]
fn an_entry_with_an_empty_name_is_passed_on_as_it_is() {
    let service = service();
    let mut command = tool([""; 0]);
    command.env_whole(["=::=::\\", "=C:=C:\\there", "=1", "A=1"]).env("A", "2").env("B", "3");
    let want = ["=::=::\\", "=C:=C:\\there", "=1", "A=2", "B=3"].map(str::to_owned);
    assert_eq!(environment(&service, &mut command), BTreeSet::from(want));
}

#[test]
fn the_child_starts_in_its_directory_and_the_host_stays_in_its_own() {
    let dir = tempfile::tempdir().expect("tempdir");
    let real = dir.path().canonicalize().expect("canonical");
    let before = std::env::current_dir().expect("cwd");
    let service = service();

    let ended = run(&service, script("cwd").cwd(&real));
    assert_eq!(ended.text(), real.to_str().expect("utf-8"));
    assert_eq!(run(&service, &script("cwd")).text(), before.to_str().expect("utf-8"));
    assert_eq!(std::env::current_dir().expect("cwd"), before);
}

#[test]
fn a_name_with_a_slash_is_looked_up_in_the_childs_directory() {
    let dir = tempfile::tempdir().expect("tempdir");
    symlink(child(), dir.path().join("here")).expect("symlink");
    let mut command = Command::new("./here");
    command.args(["exit", "6"]).cwd(dir.path());
    assert_eq!(run(&service(), &command).code(), 6);
}

#[test]
fn a_bare_name_is_looked_up_over_the_childs_path_or_the_one_given() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    fs::create_dir_all(&first).expect("mkdir");
    fs::create_dir_all(&second).expect("mkdir");
    symlink(child(), second.join("coreproc-only-here")).expect("symlink");
    let service = service();
    let path = format!("{}:{}", first.display(), second.display());
    let mut command = Command::new("coreproc-only-here");
    command.args(["exit", "8"]);
    assert_eq!(refused(&service, &command).kind(), ErrorKind::NotFound);

    assert_eq!(run(&service, command.clone().env("PATH", &path)).code(), 8);
    assert_eq!(run(&service, command.clone().search_path(&path)).code(), 8);
    assert_eq!(
        refused(&service, command.clone().env("PATH", &path).search_path(&first)).kind(),
        ErrorKind::NotFound,
        "the path given counts alone"
    );

    // A file that cannot be run does not hide one later in the path.
    fs::write(first.join("coreproc-only-here"), "not executable").expect("write");
    assert_eq!(run(&service, command.clone().search_path(&path)).code(), 8);
}

#[test]
fn without_a_path_the_systems_own_is_used_and_an_empty_folder_is_the_childs_directory() {
    let service = service();
    let mut command = Command::new("sh");
    command.args(["-c", "exit 4"]).env_clear();
    assert_eq!(run(&service, &command).code(), 4);

    let dir = tempfile::tempdir().expect("tempdir");
    symlink(child(), dir.path().join("coreproc-only-here")).expect("symlink");
    for path in ["", ":/nowhere", "/nowhere:", "/nowhere::/elsewhere"] {
        let mut command = Command::new("coreproc-only-here");
        command.args(["exit", "5"]).cwd(dir.path()).search_path(path);
        assert_eq!(run(&service, &command).code(), 5, "{path:?}");
    }
}

#[test]
fn the_host_keeps_its_umask_and_the_child_gets_it() {
    let ids = table(&run(&service(), &script("ids")).text());
    let status = fs::read_to_string("/proc/self/status").expect("status");
    let mine = table(&status)["Umask"].clone();
    assert_eq!(i32::from_str_radix(&ids["umask"], 8), i32::from_str_radix(&mine, 8));
}

#[test]
fn a_child_leads_its_own_group_in_the_hosts_session() {
    let service = service();
    let process = script("ids").spawn(&service).expect("spawn");
    let ids = table(&finish(&process).text());
    let mine = table(&run(&service, script("ids").group(Group::Inherit)).text());
    assert_eq!(ids["pid"], process.pid().to_string());
    assert_eq!(ids["pgid"], ids["pid"]);
    assert_ne!(mine["pgid"], mine["pid"]);
    assert_eq!(ids["sid"], mine["sid"]);
}

#[test]
fn a_command_can_be_spawned_again_and_changed_in_between() {
    let service = service();
    let mut command = script("argv one");
    let first = run(&service, &command);
    assert_eq!(run(&service, &command).output, first.output);
    command.arg("two");
    assert_eq!(entries(&run(&service, &command).output).len(), entries(&first.output).len() + 1);
}

#[test]
fn a_program_written_just_before_is_not_busy() {
    let service = service();
    let dir = tempfile::tempdir().expect("tempdir");
    let program = fs::read(child()).expect("read");
    in_parallel(8, count("programs written just before", 1_000), |_, i| {
        // The descriptor through which it is written may still be open in a child that another thread is spawning.
        let path = dir.path().join(format!("program{i}"));
        fs::write(&path, &program).expect("write");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
        assert_eq!(run(&service, Command::new(&path).args(["exit", "3"])).code(), 3);
        fs::remove_file(&path).expect("remove");
    });
}

hosted! {
    fn a_child_starts_with_default_signals_and_an_empty_mask_whatever_the_host_does() {
        for signal in [libc::SIGPIPE, libc::SIGHUP, libc::SIGCHLD, libc::SIGUSR1, 40] {
            os::set_action(signal, libc::SIG_IGN);
        }
        os::block_all_signals();
        let service = service();
        let (table_before, mask_before) = (os::signal_table(), os::signal_mask());

        let signals = table(&run(&service, &script("signals")).text());
        for set in ["SigBlk", "SigIgn", "SigCgt"] {
            assert_eq!(u64::from_str_radix(&signals[set], 16), Ok(0), "{set}");
        }
        assert_eq!(os::signal_table(), table_before);
        assert_eq!(os::signal_mask(), mask_before);
    }

    fn a_child_gets_exactly_the_descriptors_asked_for_while_others_are_opened() {
        os::raise_file_limit();
        let service = service();
        let dir = tempfile::tempdir().expect("tempdir");
        let total = count("children whose descriptors were listed", 4_000);
        let open = || {
            let held: Vec<_> = (0..16).map(|_| os::open_inheritable("/dev/zero")).collect();
            thread::yield_now();
            drop(held);
        };
        beside(8, open, || in_parallel(8, total, |_, i| exact_descriptors(&service, dir.path(), i)));
        println!("descriptors too many: 0");
    }
}

/// Spawns a child with its streams in one of four ways, and checks what it sees.
fn exact_descriptors(service: &Service, dir: &std::path::Path, i: u64) {
    let mut command = script("fds");
    let log = dir.join(format!("log{i}"));
    let (reader, writer) = os::pipe();
    let mut want = vec!["/dev/null", "pipe:", "pipe:"];
    match i % 4 {
        0 => {}
        1 => {
            command.stdin(coreproc::Stdin::Pipe).stderr(Output::Null);
            want = vec!["pipe:", "pipe:", "/dev/null"];
        }
        2 => {
            command.stderr(Output::File(log.clone(), coreproc::FileMode::Truncate));
            want[2] = log.to_str().expect("utf-8");
        }
        _ => {
            command.stdin(coreproc::Stdin::Fd(Arc::new(OwnedFd::from(reader)))).stderr(Output::Merge);
            want[0] = "pipe:";
        }
    }
    let text = run(service, &command).text();
    let got: Vec<&str> = text.lines().collect();
    assert_eq!(got.len(), 3, "{text}");
    for (fd, (line, want)) in got.iter().zip(want).enumerate() {
        assert!(line.starts_with(&format!("{fd} {want}")), "{text}");
    }
    drop(writer);
    let _ = fs::remove_file(log);
}

#[test]
fn a_child_inherits_no_descriptor_of_another_ones_pipes() {
    let talk = Talk::new();
    let service = service();
    let mut command = script("cat");
    command.stdin(coreproc::Stdin::Pipe);
    let cat = command.spawn(&service).expect("spawn");
    let other = talk.tool("await GATE").spawn(&service).expect("spawn");
    // If the other child held the write end of its stdin, cat would not see the end.
    cat.close_stdin().expect("close");
    assert_eq!(finish(&cat).code(), 0);
    talk.gate.open(1);
    finish(&other);
}
