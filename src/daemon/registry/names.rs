//! The registry's file names: no two daemons share one, whatever their names are.

/// The kernel's limit for a file's name, in bytes.
pub(super) const NAME_MAX: usize = 255;
/// The longest name that we write: setting a file aside appends to it.
const LONGEST: usize = NAME_MAX - ".bad999".len();
/// How many bytes of a name that is too long are kept, for people.
const KEPT: usize = 120;

/// Makes `CODE-DAEMON.json`, both with `-`, `/`, `%`, control bytes and a leading dot as `%XX`, so that the one `-`
/// that is left separates them. A name that is too long becomes `%~HASH-` and its own start; no other name starts so.
/// An error names the field that cannot be used.
pub(super) fn file_name(code: &str, daemon: &str) -> Result<String, String> {
    for (field, value) in [("code", code), ("daemon", daemon)] {
        if value.is_empty() {
            return Err(format!("{field}: is empty"));
        }
    }
    let stem = format!("{}-{}", encode(code), encode(daemon));
    if stem.len() + ".json".len() <= LONGEST {
        return Ok(stem + ".json");
    }
    let mut kept = KEPT;
    while !stem.is_char_boundary(kept) {
        kept -= 1;
    }
    Ok(format!("%~{:032x}-{}.json", hash(stem.as_bytes()), &stem[..kept]))
}

/// How a registry names the files that it writes. It reads files with any name.
///
/// ```
/// use coreproc::{DaemonEntry, Registry, RegistryNames};
///
/// # fn main() -> coreproc::Result<()> {
/// # let scratch = tempfile::tempdir().expect("a directory");
/// let registry = Registry::new(scratch.path()).with_names(RegistryNames::Plain);
/// registry.register(&DaemonEntry {
///     code: "web-shop".to_owned(),
///     daemon: "mailer".to_owned(),
///     pid: std::process::id() as i32,
///     ..DaemonEntry::default()
/// })?;
/// assert!(registry.dir().join("web-shop-mailer.json").exists());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegistryNames {
    /// Encodes names, so that no two daemons share a file.
    #[default]
    Encoded,
    /// Uses names as they are, so that programs which do not encode them find the entry; as `Encoded` if that is not
    /// safe or another daemon has that file.
    Plain,
}

impl RegistryNames {
    /// Returns the name that is tried first; [`file_name`] is the other one.
    pub(super) fn first(self, code: &str, daemon: &str) -> Result<String, String> {
        let encoded = file_name(code, daemon)?;
        match self {
            RegistryNames::Encoded => Ok(encoded),
            RegistryNames::Plain => Ok(plain_file_name(code, daemon).filter(|plain| is_safe(plain)).unwrap_or(encoded)),
        }
    }
}

/// Returns the name that programs which do not encode names give the file: each `/` becomes `-`. None if no file can
/// have it.
pub(super) fn plain_file_name(code: &str, daemon: &str) -> Option<String> {
    let name = format!("{code}-{daemon}.json").replace('/', "-");
    let usable = name.len() <= NAME_MAX && !name.contains('\0') && !name.starts_with('.');
    usable.then_some(name)
}

/// Returns whether a plain name may be written: with a `%` it could be the encoded name of another daemon.
fn is_safe(plain: &str) -> bool {
    plain.len() <= LONGEST && !plain.contains(|c: char| c == '%' || c.is_control())
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        match character {
            '-' | '/' | '%' | '\0'..='\x1f' | '\x7f' => encoded.push_str(&format!("%{:02X}", u32::from(character))),
            '.' if at == 0 => encoded.push_str("%2E"),
            _ => encoded.push(character),
        }
    }
    encoded
}

/// Returns the FNV-1a hash of 128 bits. If two names have the same hash, the registry refuses the second: it believes
/// the fields in a file, not its name.
fn hash(bytes: &[u8]) -> u128 {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013B;
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(code: &str, daemon: &str) -> String {
        file_name(code, daemon).expect("a name")
    }

    #[test]
    fn plain_names_stay_readable() {
        assert_eq!(name("core", "agent"), "core-agent.json");
        assert_eq!(name("core.go", "größe ☃"), "core.go-größe ☃.json");
        assert_eq!(name("a-b", "c"), "a%2Db-c.json");
        assert_eq!(name("a", "b-c"), "a-b%2Dc.json");
        assert_eq!(name("..", "../etc/passwd"), "%2E.-%2E.%2Fetc%2Fpasswd.json");
        assert_eq!(name("%2D", "\n\0"), "%252D-%0A%00.json");
        assert_eq!(file_name("", "x"), Err("code: is empty".to_owned()));
        assert_eq!(file_name("x", ""), Err("daemon: is empty".to_owned()));
    }

    #[test]
    fn plain_names_are_written_where_they_are_safe() {
        let first = |code: &str, daemon: &str| RegistryNames::Plain.first(code, daemon).expect("a name");
        assert_eq!(first("core", "agent"), "core-agent.json");
        assert_eq!(first("a-b", "c"), "a-b-c.json");
        assert_eq!(first("github.com/x/y", "worker/1"), "github.com-x-y-worker-1.json");
        assert_eq!(first("größe", "☃ 1"), "größe-☃ 1.json");
        for (code, daemon) in
            [(".hidden", "x"), ("..", "/"), ("a%2Db", "c"), ("x", "\n"), ("x\0", "y"), ("x", "\u{85}")]
        {
            assert_eq!(first(code, daemon), name(code, daemon));
        }
        let long = "x".repeat(LONGEST - "-a.json".len());
        assert_eq!(first(&long, "a"), format!("{long}-a.json"));
        assert_eq!(first(&long, "aa"), name(&long, "aa"));
        assert_eq!(RegistryNames::Encoded.first("a-b", "c"), Ok(name("a-b", "c")));
        assert_eq!(RegistryNames::Plain.first("", "c"), Err("code: is empty".to_owned()));
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(hash(b""), 0x6c62272e07bb014262b821756295c58d);
        assert_eq!(hash(b"a"), 0xd228cb696f1a8caf78912b704e4a8964);
    }

    #[test]
    fn long_names_fit_and_differ() {
        let long = "x".repeat(255);
        let all = [
            name(&long, "a"),
            name(&long, "b"),
            name(&"x".repeat(256), "a"),
            name("x", &long),
            name(&"ä".repeat(200), "a"),
            name(&"/".repeat(5000), &long),
        ];
        for (i, name) in all.iter().enumerate() {
            assert!(name.len() <= LONGEST && name.starts_with("%~"), "{name}");
            assert!(!all[..i].contains(name), "{name}");
        }
        assert_eq!(name(&"x".repeat(120), &"y".repeat(LONGEST - 126)).len(), LONGEST);
    }

    /// Decodes a name that was not cut.
    fn decode(name: &str) -> Option<(String, String)> {
        let plain = |text: &str| {
            let mut bytes = Vec::new();
            let mut rest = text.as_bytes();
            while let Some((first, after)) = rest.split_first() {
                rest = after;
                if *first == b'%' {
                    let hex = std::str::from_utf8(rest.get(..2)?).ok()?;
                    bytes.push(u8::from_str_radix(hex, 16).ok()?);
                    rest = &rest[2..];
                } else {
                    bytes.push(*first);
                }
            }
            String::from_utf8(bytes).ok()
        };
        let (code, daemon) = name.strip_suffix(".json")?.split_once('-')?;
        Some((plain(code)?, plain(daemon)?))
    }

    proptest! {
        #[test]
        fn every_name_says_whose_it_is(code in "([a-c./%\\-]|\\PC|[\u{0}-\u{20}]){1,20}", daemon in "([a-c./%\\-]|\\PC|[\u{0}-\u{20}]){1,20}") {
            let name = name(&code, &daemon);
            prop_assert!(name.len() <= LONGEST && !name.starts_with('.') && !name.contains(['/', '\0']));
            if !name.starts_with("%~") {
                prop_assert_eq!(decode(&name), Some((code, daemon)));
            }
        }
    }
}
