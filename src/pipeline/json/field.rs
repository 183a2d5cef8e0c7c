//! [`Field`]: a value in a JSON document that knows its path, so that every error says where it is.

use std::collections::HashSet;
use std::fmt;

use super::document::Json;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::nearest::nearest;
use crate::pipeline::text;

/// The way from the document to a value in it.
#[derive(Clone, Copy)]
enum Path<'a> {
    Document,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    /// Writes `specs[3].env["a b"]`; nothing for the document itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Document => Ok(()),
            Path::Key(parent, key) => {
                parent.fmt(f)?;
                let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                match (plain && key.len() <= SHOWN, parent) {
                    (true, Path::Document) => f.write_str(key),
                    (true, _) => write!(f, ".{key}"),
                    (false, _) => write!(f, "[{}]", shown(key)),
                }
            }
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// How many characters of a text an error shows.
const SHOWN: usize = 60;

/// Shortens a text for an error.
fn shown(text: &str) -> String {
    text::quoted_start(text, SHOWN)
}

/// A value and its path.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    operation: &'static str,
    value: &'a Json,
    path: Path<'a>,
}

impl<'a> Field<'a> {
    pub(super) fn document(operation: &'static str, value: &'a Json) -> Field<'a> {
        Field { operation, value, path: Path::Document }
    }

    /// Makes an error that says what is wrong with this value.
    pub(super) fn wrong(&self, what: impl fmt::Display) -> Error {
        wrong(self.operation, self.path, what)
    }

    /// Makes an error that says which value should be here instead.
    pub(super) fn expected(&self, what: impl fmt::Display) -> Error {
        let found = match self.value {
            Json::Null => "null".to_owned(),
            Json::Boolean(value) => value.to_string(),
            Json::Number(value) => value.to_string(),
            Json::Text(text) => shown(text),
            Json::List(_) => "a list".to_owned(),
            Json::Object(_) => "an object".to_owned(),
        };
        self.wrong(format_args!("expected {what}, found {found}"))
    }

    /// Reads the value as an object that has only these fields, each at most once.
    pub(super) fn object(&'a self, known: &[&str]) -> Result<Object<'a>> {
        let object = self.map("an object")?;
        if let Some((key, _)) = object.entries.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            let meant = match nearest(key, known.iter().copied()) {
                Some(meant) => format!("unknown field, did you mean {meant:?}?"),
                None => format!("unknown field, known are {}", listed(known.iter().copied())),
            };
            return Err(wrong(self.operation, Path::Key(&self.path, key), meant));
        }
        Ok(object)
    }

    /// Reads the value as an object with any keys, each at most once. If it is none, the error says that `what` was
    /// expected.
    pub(super) fn map(&'a self, what: &str) -> Result<Object<'a>> {
        let Json::Object(entries) = self.value else { return Err(self.expected(what)) };
        let mut seen = HashSet::with_capacity(entries.len());
        if let Some((key, _)) = entries.iter().find(|(key, _)| !seen.insert(key)) {
            return Err(wrong(self.operation, Path::Key(&self.path, key), "given twice"));
        }
        Ok(Object { field: self, entries })
    }

    /// Returns the field of this name, if the value is an object that has it.
    pub(super) fn get(&'a self, key: &str) -> Option<Field<'a>> {
        let Json::Object(entries) = self.value else { return None };
        Object { field: self, entries }.get(key)
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.value, Json::Text(_))
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.value, Json::List(_))
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self.value, Json::Object(_))
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Json::Null)
    }

    /// Reads the items of a list. If the value is none, the error says that `what` was expected.
    pub(super) fn list(&'a self, what: &str) -> Result<impl Iterator<Item = Field<'a>>> {
        let Json::List(items) = self.value else { return Err(self.expected(what)) };
        let place = move |(index, value)| Field { value, path: Path::Index(&self.path, index), ..*self };
        Ok(items.iter().enumerate().map(place))
    }

    /// Reads a text that the kernel can take: one without a NUL byte.
    pub(super) fn text(&self) -> Result<&'a str> {
        let Json::Text(text) = self.value else { return Err(self.expected("a string")) };
        if text.contains('\0') {
            return Err(self.wrong("has a NUL byte"));
        }
        Ok(text)
    }

    /// Reads a text that may have any character.
    pub(super) fn content(&self) -> Result<&'a str> {
        let Json::Text(text) = self.value else { return Err(self.expected("a string")) };
        Ok(text)
    }

    /// Reads a text that is not empty.
    pub(super) fn name(&self) -> Result<&'a str> {
        let text = self.text()?;
        if text.is_empty() { Err(self.wrong("is empty")) } else { Ok(text) }
    }

    pub(super) fn boolean(&self) -> Result<bool> {
        match self.value {
            Json::Boolean(value) => Ok(*value),
            _ => Err(self.expected("true or false")),
        }
    }

    /// Reads a whole number from `least` to `most`.
    pub(super) fn whole(&self, least: u64, most: u64) -> Result<u64> {
        match self.value {
            Json::Number(number) => number.as_u64().filter(|value| (least..=most).contains(value)),
            _ => None,
        }
        .ok_or_else(|| match most {
            u64::MAX => self.expected(format_args!("a whole number of at least {least}")),
            _ => self.expected(format_args!("a whole number from {least} to {most}")),
        })
    }

    /// Reads a whole number from `least` to `most`, which may be negative.
    pub(super) fn integer(&self, least: i32, most: i32) -> Result<i32> {
        match self.value {
            Json::Number(number) => number.as_i64().and_then(|value| i32::try_from(value).ok()),
            _ => None,
        }
        .filter(|value| (least..=most).contains(value))
        .ok_or_else(|| self.expected(format_args!("a whole number from {least} to {most}")))
    }

    /// Reads one of these words.
    pub(super) fn choice<T: Clone>(&self, words: &[(&str, T)]) -> Result<T> {
        let known = words.iter().map(|(word, _)| *word);
        let Json::Text(text) = self.value else { return Err(self.expected(listed_or(known))) };
        if let Some((_, value)) = words.iter().find(|(word, _)| word == text) {
            return Ok(value.clone());
        }
        Err(self.unknown(text, "value", known))
    }

    /// Makes an error about a word that is none of `known`.
    pub(super) fn unknown<'b>(&self, word: &str, what: &str, known: impl Iterator<Item = &'b str> + Clone) -> Error {
        match nearest(word, known.clone()) {
            Some(meant) => self.wrong(format_args!("unknown {what} {}, did you mean {meant:?}?", shown(word))),
            None => self.wrong(format_args!("unknown {what} {}, known are {}", shown(word), listed(known))),
        }
    }
}

fn wrong(operation: &'static str, path: Path<'_>, what: impl fmt::Display) -> Error {
    let cause = match path {
        Path::Document => what.to_string(),
        _ => format!("{path}: {what}"),
    };
    Error::new(ErrorKind::Malformed, operation, cause)
}

fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
}

fn listed_or<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut words: Vec<String> = words.map(|word| format!("{word:?}")).collect();
    match words.pop() {
        Some(last) if !words.is_empty() => format!("{} or {last}", words.join(", ")),
        last => last.unwrap_or_default(),
    }
}

/// The fields of an object, each of them given once.
pub(super) struct Object<'a> {
    field: &'a Field<'a>,
    entries: &'a [(String, Json)],
}

impl<'a> Object<'a> {
    pub(super) fn get(&self, key: &str) -> Option<Field<'a>> {
        self.fields().find_map(|(known, field)| (known == key).then_some(field))
    }

    pub(super) fn required(&self, key: &'static str) -> Result<Field<'a>> {
        let missing = || wrong(self.field.operation, Path::Key(&self.field.path, key), "is missing");
        self.get(key).ok_or_else(missing)
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a str, Field<'a>)> {
        let field = self.field;
        self.entries.iter().map(move |(key, value)| {
            let path = Path::Key(&field.path, key);
            (key.as_str(), Field { value, path, ..*field })
        })
    }
}
