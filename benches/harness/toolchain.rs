//! Compiles the children and the C hosts into `target/bench`, and knows the paths.

use crate::Fallible;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) struct Toolchain {
    sources: PathBuf,
    built: PathBuf,
}

impl Toolchain {
    pub(crate) fn new() -> Fallible<Self> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target directory")?;
        let toolchain =
            Self { sources: Path::new(env!("CARGO_MANIFEST_DIR")).join("benches"), built: target.join("bench") };
        std::fs::create_dir_all(&toolchain.built)?;
        Ok(toolchain)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.built.join(name)
    }

    pub(crate) fn child(&self, name: &str) -> PathBuf {
        self.file(&format!("child-{name}"))
    }

    pub(crate) fn build_children(&self) -> Fallible<()> {
        self.build("children", "child", &["-static".into()])?;
        let bare = ["-static", "-nostdlib", "-nostartfiles", "-ffreestanding", "-fno-stack-protector"];
        self.build("children/bare", "child", &bare.map(str::to_owned))
    }

    pub(crate) fn build_limits(&self) -> Fallible<()> {
        self.build("limit", "limit", &["-pthread".into()])
    }

    /// Builds the C hosts, linked with the library that this cargo invocation built, and compiled with the committed
    /// header.
    pub(crate) fn build_ours_c(&self) -> Fallible<()> {
        let libraries = self.copy_library()?;
        let include = self.sources.with_file_name("include");
        let flags = [
            "-pthread".into(),
            format!("-I{}", include.display()),
            format!("-L{}", libraries.display()),
            "-lcoreproc".into(),
            // It comes before the LD_LIBRARY_PATH that cargo sets, where an older library may be.
            format!("-Wl,--disable-new-dtags,-rpath,{}", libraries.display()),
        ];
        self.build("c", "ours", &flags)
    }

    /// Builds the Go host, which finds the same library and header by pkg-config, like an installed library.
    pub(crate) fn build_go(&self, host: &Path) -> Fallible<()> {
        let libraries = self.copy_library()?;
        let include = self.sources.with_file_name("include");
        let package = format!(
            "Name: coreproc\nDescription: the library of this cargo invocation\nVersion: 0\nCflags: -I{}\n\
             Libs: -L{} -lcoreproc -Wl,-rpath,{}\n",
            include.display(),
            libraries.display(),
            libraries.display()
        );
        std::fs::write(libraries.join("coreproc.pc"), package)?;
        // Go's build cache does not see what pkg-config answers.
        let flags = std::env::var("CGO_CFLAGS").unwrap_or_else(|_| "-O2 -g".into());
        let flags = format!("{flags} -DCOREPROC_PREFIX={}", libraries.display());
        let status = Command::new("go")
            .args(["build", "-o"])
            .arg(host)
            .arg(".")
            .current_dir(self.sources.join("go"))
            .env("PKG_CONFIG_PATH", &libraries)
            .env("CGO_CFLAGS", flags)
            .env("GOWORK", "off")
            .status()
            .map_err(|error| format!("go: {error}"))?;
        if !status.success() {
            return Err("cannot build the Go host".into());
        }
        Ok(())
    }

    /// Builds one program for each source file of a directory.
    fn build(&self, dir: &str, prefix: &str, flags: &[String]) -> Fallible<()> {
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        for entry in std::fs::read_dir(self.sources.join(dir))? {
            let source = entry?.path();
            let (Some(stem), Some("c")) = (source.file_stem(), source.extension().and_then(|e| e.to_str())) else {
                continue;
            };
            let program = self.file(&format!("{prefix}-{}", stem.display()));
            let status = Command::new(&compiler)
                .args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-o"])
                .arg(&program)
                .arg(&source)
                .args(flags)
                .status()?;
            if !status.success() {
                return Err(format!("cannot compile {}", source.display()).into());
            }
        }
        Ok(())
    }

    /// Makes a directory with a copy of the library, which a build meanwhile cannot change, under both its names: the
    /// one to link with and its SONAME.
    fn copy_library(&self) -> Fallible<PathBuf> {
        let library = std::env::current_exe()?.with_file_name("libcoreproc.so");
        let dir = self.file("lib");
        std::fs::create_dir_all(&dir)?;
        let copy = dir.join("libcoreproc.so");
        std::fs::copy(&library, &copy).map_err(|error| format!("{}: {error}", library.display()))?;
        let dynamic = Command::new("readelf").arg("-d").arg(&copy).env("LC_ALL", "C").output()?;
        let dynamic = String::from_utf8(dynamic.stdout)?;
        let name = dynamic
            .lines()
            .find_map(|line| line.split_once("(SONAME)")?.1.split_once('[')?.1.strip_suffix(']'))
            .ok_or_else(|| format!("{} has no SONAME", library.display()))?;
        let link = dir.join(name);
        if !link.exists() {
            std::os::unix::fs::symlink("libcoreproc.so", &link)?;
        }
        Ok(dir)
    }
}
