//! The committed header is the generated one, compiles alone in every dialect, and documents everything.

use std::process::Command;
use std::{env, fs};

use support::tree::{Scratch, root, tool};

fn committed() -> String {
    fs::read_to_string(root().join("include/coreproc.h")).unwrap_or_default()
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let generated = fs::read_to_string(env!("COREPROC_HEADER")).expect("the header build.rs made");
    if env::var_os("BLESS").is_some() {
        fs::write(root().join("include/coreproc.h"), &generated).expect("include/coreproc.h");
    }
    let committed = committed();
    let differs = committed.lines().zip(generated.lines()).position(|(a, b)| a != b);
    assert!(committed == generated, "include/coreproc.h is stale (line {differs:?}, from 0): run `make bless`");
}

fn compiles_alone(compiler: &str, standard: &str, extension: &str) {
    let scratch = Scratch::new("header");
    let source = scratch.path().join(format!("alone.{extension}"));
    fs::write(&source, "#include \"coreproc.h\"\n#include \"coreproc.h\"\nint alone;\n").expect("a source file");
    let mut compile = Command::new(env::var_os(compiler.to_uppercase()).unwrap_or_else(|| compiler.into()));
    compile.args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"]);
    tool(compile.arg(root().join("include")).arg(source));
}

#[test]
fn compiles_alone_as_c99() {
    compiles_alone("cc", "-std=c99", "c");
}

#[test]
fn compiles_alone_as_c11() {
    compiles_alone("cc", "-std=c11", "c");
}

#[test]
fn compiles_alone_as_c2x() {
    compiles_alone("cc", "-std=c2x", "c");
}

#[test]
fn compiles_alone_as_cxx11() {
    compiles_alone("c++", "-std=c++11", "cc");
}

#[test]
fn compiles_alone_as_cxx20() {
    compiles_alone("c++", "-std=c++20", "cc");
}

/// Declarations at the outermost level, each with whether a comment ends right above it.
fn declarations(header: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let (mut depth, mut in_comment, mut statement) = (0_i32, false, String::new());
    let (mut comment_above, mut commented) = (false, false);
    for line in header.lines().map(str::trim) {
        if in_comment || line.starts_with("/*") {
            in_comment = !line.ends_with("*/");
            comment_above = !in_comment;
            continue;
        }
        if line.starts_with("//") {
            comment_above = true;
            continue;
        }
        if line.is_empty()
            || line.starts_with('#')
            || line.starts_with("extern \"C\"")
            || (line.starts_with('}') && depth == 0)
        {
            comment_above = false;
            continue;
        }
        if statement.is_empty() {
            commented = comment_above;
        }
        statement.push_str(line);
        statement.push(' ');
        depth += i32::try_from(line.matches('{').count()).expect("few")
            - i32::try_from(line.matches('}').count()).expect("few");
        if depth == 0 && line.ends_with(';') {
            found.push((statement.trim().to_owned(), commented));
            statement.clear();
            comment_above = false;
        }
    }
    found
}

#[test]
fn every_public_function_and_type_has_a_comment() {
    let header = committed();
    let declarations = declarations(&header);
    let functions = declarations.iter().filter(|(text, _)| !text.starts_with("typedef")).count();
    assert!(functions > 50, "{functions} functions: the header is read wrong");
    let bare: Vec<&String> = declarations.iter().filter(|(_, commented)| !commented).map(|(text, _)| text).collect();
    assert!(bare.is_empty(), "without a comment: {bare:#?}");
}
