//! `make install` as a packager and a C programmer meet it: into a scratch prefix, then a program that
//! runs a process is built with pkg-config and with CMake, shared and static.
//!
//! The libraries are those this `cargo test` built: they lie beside the test program.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/install");

/// The command that the consumer is asked to run.
const CONSUMER_ARGS: [&str; 3] = ["/bin/sh", "-c", "echo installed; exit 7"];
const CONSUMER_PRINTS: &str = "installed\nexit code 7\n";

/// Runs a command to its end; a failure shows its output.
fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn text(output: Output) -> String {
    String::from_utf8(output.stdout).expect("text")
}

/// Returns the directory of the libraries under test.
fn built_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("the test program has a path");
    exe.parent().expect("it lies in a directory").to_owned()
}

/// `make` as typed by a user: not as part of a make that may be running this test.
fn make(variables: &[(&str, &Path)], target: &str) -> Command {
    let mut command = Command::new("make");
    command.current_dir(env!("CARGO_MANIFEST_DIR")).arg(target);
    for name in
        ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "DESTDIR", "PREFIX", "LIBDIR", "INCLUDEDIR", "DOCDIR"]
    {
        command.env_remove(name);
    }
    for (name, value) in variables {
        command.arg(format!("{name}={}", value.display()));
    }
    if target == "install" {
        command.arg(format!("BUILT_DIR={}", built_dir().display()));
    }
    command
}

/// An installation of its own, removed with the value.
struct Installed {
    scratch: TempDir,
    prefix: PathBuf,
    libdir: PathBuf,
    includedir: PathBuf,
}

impl Installed {
    fn new() -> Self {
        Self::with("prefix/lib", "prefix/include")
    }

    /// Installs into these directories, relative to the scratch directory.
    fn with(libdir: &str, includedir: &str) -> Self {
        let scratch = TempDir::new().expect("scratch directory");
        let at = |name: &str| scratch.path().join(name);
        let installed = Self { prefix: at("prefix"), libdir: at(libdir), includedir: at(includedir), scratch };
        run(&mut installed.make("install"));
        installed
    }

    fn make(&self, target: &str) -> Command {
        let (prefix, libdir, includedir) = (&self.prefix, &self.libdir, &self.includedir);
        make(&[("PREFIX", prefix), ("LIBDIR", libdir), ("INCLUDEDIR", includedir)], target)
    }

    fn pkg_config(&self, args: &[&str]) -> Vec<String> {
        pkg_config(&self.libdir, args)
    }

    /// Compiles the consumer with these flags behind the source.
    fn cc(&self, name: &str, flags: impl IntoIterator<Item = impl AsRef<OsStr>>) -> PathBuf {
        self.compile(&Path::new(SOURCE).join("consumer.c"), name, flags)
    }

    fn compile(&self, source: &Path, name: &str, flags: impl IntoIterator<Item = impl AsRef<OsStr>>) -> PathBuf {
        let program = self.scratch.path().join(name);
        let mut command = Command::new("cc");
        command.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program);
        run(command.arg(source).args(flags));
        program
    }

    /// Configures and builds the CMake project, which finds the package by `hint`.
    fn cmake(&self, hint: &str, package: &Path) -> PathBuf {
        let build = self.scratch.path().join("cmake");
        run(configure(&build, VERSION).arg(format!("-D{hint}={}", package.display())));
        run(Command::new("cmake").arg("--build").arg(&build));
        build
    }
}

/// Returns the words that pkg-config prints for the package in this library directory.
fn pkg_config(libdir: &Path, args: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command.env("PKG_CONFIG_PATH", libdir.join("pkgconfig")).args(args).arg("coreproc");
    text(run(&mut command)).split_whitespace().map(str::to_owned).collect()
}

/// Makes a CMake configuration that asks for this version of the package.
fn configure(build: &Path, version: &str) -> Command {
    let mut command = Command::new("cmake");
    command.args(["-S", SOURCE, "-B"]).arg(build).arg(format!("-DVERSION={version}"));
    command
}

/// Runs the consumer with libraries found in `library_path` alone, besides the system's.
fn assert_runs(program: &Path, library_path: &Path) {
    let mut command = Command::new(program);
    command.args(CONSUMER_ARGS).env("LD_LIBRARY_PATH", library_path);
    assert_eq!(text(run(&mut command)), CONSUMER_PRINTS, "{}", program.display());
}

/// Returns the shared libraries that a program asks for when it starts.
fn needed(program: &Path) -> Vec<String> {
    let mut command = Command::new("readelf");
    command.env("LC_ALL", "C").arg("-d").arg(program);
    let dynamic = text(run(&mut command));
    let names =
        dynamic.lines().filter(|line| line.contains("(NEEDED)")).filter_map(|line| line.split(['[', ']']).nth(1));
    names.map(str::to_owned).collect()
}

fn assert_needs_soname(program: &Path) {
    let needed = needed(program);
    assert!(needed.iter().any(|name| name == "libcoreproc.so.1"), "{}: {needed:?}", program.display());
}

fn assert_needs_no_coreproc(program: &Path) {
    let needed = needed(program);
    assert!(needed.iter().all(|name| !name.contains("coreproc")), "{}: {needed:?}", program.display());
}

/// Asserts that a program needs nothing but the C library, which older systems have in several parts.
fn assert_needs_c_library_alone(program: &Path) {
    const C_LIBRARY: [&str; 7] = [
        "libc.so.6",
        "ld-linux-x86-64.so.2",
        "libm.so.6",
        "libpthread.so.0",
        "libdl.so.2",
        "librt.so.1",
        "libutil.so.1",
    ];
    let needed = needed(program);
    assert!(needed.iter().all(|name| C_LIBRARY.contains(&name.as_str())), "{}: {needed:?}", program.display());
}

/// Lists every file below `root`, links with what they point to.
fn tree(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).expect("readable directory") {
            let path = entry.expect("readable entry").path();
            let name = path.strip_prefix(root).expect("below the root").display().to_string();
            match std::fs::read_link(&path) {
                Ok(target) => drop(found.insert(format!("{name} -> {}", target.display()))),
                Err(_) if path.is_dir() => dirs.push(path),
                Err(_) => drop(found.insert(name)),
            }
        }
    }
    found
}

fn expected_tree() -> BTreeSet<String> {
    BTreeSet::from([
        "include/coreproc.h".to_owned(),
        "share/coreproc/coreproc.json".to_owned(),
        "share/doc/coreproc/pipeline-json.md".to_owned(),
        "lib/libcoreproc.a".to_owned(),
        format!("lib/libcoreproc.so.{VERSION}"),
        format!("lib/libcoreproc.so.1 -> libcoreproc.so.{VERSION}"),
        "lib/libcoreproc.so -> libcoreproc.so.1".to_owned(),
        "lib/pkgconfig/coreproc.pc".to_owned(),
        "lib/cmake/coreproc/coreproc-config.cmake".to_owned(),
        "lib/cmake/coreproc/coreproc-config-version.cmake".to_owned(),
    ])
}

#[test]
fn install_puts_every_file_in_place_and_uninstall_leaves_none() {
    let installed = Installed::new();
    assert_eq!(tree(&installed.prefix), expected_tree());

    // A second installation over the first is no error and adds nothing.
    run(&mut installed.make("install"));
    assert_eq!(tree(&installed.prefix), expected_tree());

    run(&mut installed.make("uninstall"));
    assert_eq!(tree(&installed.prefix), BTreeSet::new());
}

#[test]
fn an_upgrade_takes_the_place_of_the_same_soname_alone() {
    let installed = Installed::new();
    let lib = |name: &str| installed.libdir.join(name);
    // An older version, and one of another SONAME, would have left these.
    std::fs::rename(lib(&format!("libcoreproc.so.{VERSION}")), lib("libcoreproc.so.0.0.9")).expect("renamed");
    std::fs::remove_file(lib("libcoreproc.so.1")).expect("removed");
    std::os::unix::fs::symlink("libcoreproc.so.0.0.9", lib("libcoreproc.so.1")).expect("linked");
    std::fs::write(lib("libcoreproc.so.0.0.1"), "").expect("written");
    std::os::unix::fs::symlink("libcoreproc.so.0.0.1", lib("libcoreproc.so.0")).expect("linked");

    run(&mut installed.make("install"));

    let other = ["lib/libcoreproc.so.0.0.1", "lib/libcoreproc.so.0 -> libcoreproc.so.0.0.1"];
    let mut expected = expected_tree();
    expected.extend(other.map(str::to_owned));
    assert_eq!(tree(&installed.prefix), expected);
}

#[test]
fn destdir_stages_files_that_name_the_prefix_alone() {
    let stage = TempDir::new().expect("scratch directory");
    let variables = [("PREFIX", Path::new("/opt/coreproc")), ("DESTDIR", stage.path())];
    run(&mut make(&variables, "install"));

    let staged = stage.path().join("opt/coreproc");
    assert_eq!(tree(&staged), expected_tree());
    for file in expected_tree().iter().filter(|name| name.ends_with(".pc") || name.ends_with(".cmake")) {
        let text = std::fs::read_to_string(staged.join(file)).expect("installed text");
        assert!(!text.contains(&stage.path().display().to_string()), "{file} names the stage:\n{text}");
        assert!(!text.contains('@'), "{file} has a name that was not filled in:\n{text}");
    }

    run(&mut make(&variables, "uninstall"));
    assert_eq!(tree(stage.path()), BTreeSet::new());
}

#[test]
fn libdir_and_includedir_move_the_parts() {
    let installed = Installed::with("prefix/lib/somewhere/else", "headers");

    let flags = installed.pkg_config(&["--cflags", "--libs"]);
    assert_runs(&installed.cc("shared", flags), &installed.libdir);
    let build = installed.cmake("coreproc_DIR", &installed.libdir.join("cmake/coreproc"));
    assert_runs(&build.join("shared"), &installed.libdir);

    run(&mut installed.make("uninstall"));
    assert_eq!(tree(&installed.prefix), BTreeSet::new());
    assert_eq!(tree(&installed.includedir), BTreeSet::new());
}

#[test]
fn pkg_config_links_the_shared_library() {
    let installed = Installed::new();
    assert_eq!(installed.pkg_config(&["--modversion"]), [VERSION]);

    let program = installed.cc("shared", installed.pkg_config(&["--cflags", "--libs"]));

    assert_needs_soname(&program);
    assert_runs(&program, &installed.libdir);
}

#[test]
fn pkg_config_names_the_description_of_the_abi() {
    let installed = Installed::new();
    let path = installed.pkg_config(&["--variable=abi_description"]).concat();
    assert!(Path::new(&path).starts_with(&installed.prefix), "{path}");
    let description = std::fs::read(path).expect("the installed description");
    let description: serde_json::Value = serde_json::from_slice(&description).expect("JSON");
    assert_eq!(description["library_version"], VERSION);
}

#[test]
fn pkg_config_static_links_a_program_that_needs_no_shared_library() {
    let installed = Installed::new();

    let flags = installed.pkg_config(&["--static", "--cflags", "--libs"]);
    let program = installed.cc("all-static", ["-static".to_owned()].into_iter().chain(flags));

    assert_eq!(needed(&program), Vec::<String>::new());
    assert_runs(&program, Path::new("/nonexistent"));
}

#[test]
fn pkg_config_static_links_the_archive_into_a_dynamic_program() {
    let installed = Installed::new();
    let flags = installed.pkg_config(&["--static", "--cflags", "--libs"]);
    let archive = installed.libdir.join("libcoreproc.a").display().to_string();

    let named = flags.into_iter().map(|flag| if flag == "-lcoreproc" { archive.clone() } else { flag });
    let program = installed.cc("archive", named);

    assert_needs_no_coreproc(&program);
    assert_runs(&program, Path::new("/nonexistent"));
}

#[test]
fn cmake_finds_the_shared_and_the_static_library() {
    let installed = Installed::new();

    let build = installed.cmake("CMAKE_PREFIX_PATH", &installed.prefix);

    assert_needs_soname(&build.join("shared"));
    assert_runs(&build.join("shared"), &installed.libdir);
    assert_needs_c_library_alone(&build.join("static"));
    assert_runs(&build.join("static"), Path::new("/nonexistent"));
}

#[test]
fn cmake_refuses_a_version_that_is_not_installed() {
    let installed = Installed::new();
    let build = installed.scratch.path().join("cmake");

    let mut refused = configure(&build, "99.0");
    let output =
        refused.arg(format!("-DCMAKE_PREFIX_PATH={}", installed.prefix.display())).output().expect("cmake runs");

    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(r#"compatible with requested version "99.0""#), "{said}");
}

#[test]
fn a_moved_package_still_links() {
    let installed = Installed::new();
    let moved = installed.scratch.path().join("moved");
    std::fs::rename(&installed.prefix, &moved).expect("same file system");

    let build = installed.cmake("CMAKE_PREFIX_PATH", &moved);
    assert_runs(&build.join("shared"), &moved.join("lib"));

    let flags = pkg_config(&moved.join("lib"), &["--define-prefix", "--cflags", "--libs"]);
    assert_runs(&installed.cc("defined-prefix", flags), &moved.join("lib"));
}

#[test]
fn the_c_program_in_the_readme_does_what_it_says() {
    let installed = Installed::new();
    let readme = include_str!("../../README.md");
    let (_, from_code) = readme.split_once("```c\n").expect("a C program");
    let (code, _) = from_code.split_once("```").expect("its end");
    let source = installed.scratch.path().join("readme.c");
    std::fs::write(&source, code).expect("written");

    let program = installed.compile(&source, "readme", installed.pkg_config(&["--cflags", "--libs"]));

    let printed = text(run(Command::new(program).env("LD_LIBRARY_PATH", &installed.libdir)));
    assert_eq!(printed, "Linux\nexit code 0, signal 0\n");
}
