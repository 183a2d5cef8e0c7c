//! The foreground of the host's terminal, lent to a child: the host is a program on a pseudo-terminal of ours.

use coreproc::{Command, Doing, ErrorKind, Group, Output, Process, PtyOptions, Stdin};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use support::*;

fn terminal() -> Arc<OwnedFd> {
    Arc::new(File::options().read(true).write(true).open("/dev/tty").expect("a terminal").into())
}

fn in_foreground(mut command: Command) -> Command {
    command.stdin(Stdin::Inherit).stdout(Output::Inherit).stderr(Output::Inherit).foreground(terminal());
    command
}

/// Reads a line as the host: in the background, the host would be stopped.
fn says_line(who: &str) {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("a line");
    println!("{who} read {line}");
}

fn is_stopped(process: &Process) -> bool {
    matches!(process.activity().expect("activity").doing, Doing::Stopped { .. })
}

hosted_part! {
    fn a_host_on_a_terminal() {
        let service = service();
        // While it runs, and after it has ended.
        let reader = in_foreground(sh("read line; echo child read $line; stty -echo"));
        assert_eq!(finish(&reader.spawn(&service).expect("spawn")).code(), 0);
        println!("it has ended");
        says_line("host");
        let shown = run(&service, in_foreground(script("terminal 0 exit 3")).stdout(Output::Pipe));
        assert!(shown.text().contains("session 1 leader 0 foreground 1 controlling 1"), "{}", shown.text());

        // While it is stopped, the host has the terminal as it was.
        let stopped = in_foreground(sh("stty -echo; echo ready; read line; echo again read $line"));
        let stopped = stopped.spawn(&service).expect("spawn");
        eventually("it is stopped", || is_stopped(&stopped));
        println!("it is stopped");
        says_line("meanwhile");
        let other = in_foreground(sh("echo other; read line; echo other read $line")).spawn(&service).expect("spawn");
        assert_eq!(kind_of(stopped.foreground()), ErrorKind::InvalidState);
        assert_eq!(refused(&service, &in_foreground(sh("true"))).kind(), ErrorKind::InvalidState);
        println!("both were refused");
        assert_eq!(finish(&other).code(), 0);
        stopped.foreground().expect("foreground");
        assert_eq!(finish(&stopped).code(), 0);
        assert_eq!(kind_of(stopped.foreground()), ErrorKind::NotRunning);

        // After a start that failed.
        let missing = in_foreground(Command::new("/nonexistent"));
        assert_eq!(refused(&service, &missing).kind(), ErrorKind::NotFound);
        says_line("at last host");
        let plain = script("exit 0").spawn(&service).expect("spawn");
        finish(&plain);
    }
}

#[test]
fn a_child_has_the_foreground_until_it_ends_or_is_stopped() {
    let path = test_path!("a_host_on_a_terminal");
    let plain = host::command(path);
    let mut command = Command::new("/proc/self/exe");
    command.args(plain.get_args()).env("COREPROC_TEST_HOST", path).pty(PtyOptions::default());
    let service = service();
    let mut dialog = super::pty::Dialog::start(&service, &command);
    dialog.send("one\n");
    dialog.expect("child read one\r\n");
    dialog.expect("it has ended\r\n");
    dialog.send("two\n");
    // It is echoed again.
    assert!(dialog.expect("host read two\r\n").contains("two\r\n"));
    dialog.expect("ready\r\n");
    dialog.send("\x1a");
    dialog.expect("it is stopped\r\n");
    dialog.send("three\n");
    assert!(dialog.expect("meanwhile read three\r\n").contains("three\r\n"));
    dialog.expect("both were refused\r\n");
    dialog.send("four\n");
    dialog.expect("other read four\r\n");
    dialog.send("five\n");
    dialog.expect("again read five\r\n");
    dialog.send("six\n");
    dialog.expect("at last host read six\r\n");
    let (text, ended) = dialog.end();
    assert!(text.contains("host ran to its end"), "{text}");
    assert_eq!(ended.code(), 0);
}

#[test]
fn what_is_no_terminal_of_the_host_is_refused() {
    let service = service();
    let (_host_side, program_side) = os::pty(80, 24);
    for (fd, errno) in
        [(OwnedFd::from(File::open("/dev/null").expect("open")), libc::ENOTTY), (program_side, libc::ENOTTY)]
    {
        let error = refused(&service, script("exit 0").foreground(Arc::new(fd)));
        assert_eq!((error.errno(), error.stage()), (Some(errno), "foreground"), "{error}");
    }
    type Change = fn(&mut Command) -> &mut Command;
    let cases: [Change; 4] = [
        |command| command.detach(),
        |command| command.group(Group::Inherit),
        |command| command.group(Group::Session),
        |command| command.pty(PtyOptions::default()),
    ];
    for change in cases {
        let mut command = script("exit 0");
        change(command.foreground(Arc::new(File::open("/dev/null").expect("open").into())));
        let error = refused(&service, &command);
        assert_eq!((error.kind(), error.stage()), (ErrorKind::InvalidArgument, "foreground"), "{error}");
    }
    let talk = fifo::Talk::new();
    let plain = talk.tool("await GATE").spawn(&service).expect("spawn");
    assert_eq!(kind_of(plain.foreground()), ErrorKind::InvalidArgument);
    talk.gate.open(1);
    finish(&plain);
}
