//! The themes: each is a program of this directory, and each way to run them names all of them.

use std::fs;
use support::tree::root;

/// Makes a `#[test]` for each theme, by its name, and one that checks that every theme is named.
macro_rules! themes {
    ($run:ident: $($theme:ident)*; not $($not:ident)*) => {
        $(
            #[test]
            fn $theme() {
                $run(stringify!($theme));
            }
        )*

        #[test]
        fn every_theme_is_named() {
            $crate::themes::expect_all(&[$(stringify!($theme),)* $(stringify!($not)),*]);
        }
    };
}
pub(crate) use themes;

/// Programs that are no theme: helpers, and those that need a build of their own.
const NO_THEMES: [&str; 5] = ["without", "panic", "copies", "asan_probe", "without_health"];

pub(crate) fn expect_all(named: &[&str]) {
    let sources = fs::read_dir(root().join("tests/c")).expect("tests/c").flatten();
    for source in sources.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "c")) {
        let theme = source.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(NO_THEMES.contains(&&*theme) || named.contains(&&*theme), "{theme} is not named");
    }
}
