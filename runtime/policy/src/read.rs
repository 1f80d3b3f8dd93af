//! Reading tables of a TOML document key by key, and noting everything that is wrong.

use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};
use wherry_packager::{parse_bytes, parse_duration};

use crate::{Item, Limit, PolicyError, Problem, Unit};

type Value<'a> = Spanned<DeValue<'a>>;

/// A document that is being read.
pub(crate) struct Document<'a> {
    text: &'a str,
    problems: RefCell<Vec<(usize, Problem)>>,
}

impl<'a> Document<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Document {
            text,
            problems: RefCell::default(),
        }
    }

    pub(crate) fn problem(&self, span: Range<usize>, message: impl Into<String>) {
        let start = span.start;
        let problem = Problem::at(self.text, span, message.into());
        self.problems.borrow_mut().push((start, problem));
    }

    /// What was read, if nothing is wrong with it.
    pub(crate) fn finish<T>(self, read: T) -> Result<T, PolicyError> {
        let mut problems = self.problems.into_inner();
        if problems.is_empty() {
            return Ok(read);
        }
        problems.sort_by_key(|(start, _)| *start);
        let problems = problems.into_iter().map(|(_, problem)| problem).collect();
        Err(PolicyError { problems })
    }
}

/// A table of the document.
pub(crate) struct Table<'a> {
    document: &'a Document<'a>,
    /// Its name with brackets; empty for the whole document.
    name: String,
    table: &'a DeTable<'a>,
    /// Where it is.
    pub(crate) span: Range<usize>,
}

impl<'a> Table<'a> {
    /// The whole document, which has these tables.
    pub(crate) fn root(
        document: &'a Document<'a>,
        table: &'a Spanned<DeTable<'a>>,
        known: &[&str],
    ) -> Self {
        let root = Table {
            document,
            name: String::new(),
            table: table.get_ref(),
            span: 0..0,
        };
        root.refuse_others(known);
        root
    }

    fn new(
        document: &'a Document<'a>,
        name: &str,
        value: &'a Value<'a>,
        known: &[&str],
    ) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            let message = format!("`{name}` is a table: write [{name}]");
            document.problem(value.span(), message);
            return None;
        };
        let table = Table {
            document,
            name: format!("[{name}]"),
            table,
            span: value.span(),
        };
        table.refuse_others(known);
        Some(table)
    }

    fn refuse_others(&self, known: &[&str]) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let place = if self.name.is_empty() {
                String::new()
            } else {
                format!(" in {}", self.name)
            };
            let near = known
                .iter()
                .map(|known| (strsim::damerau_levenshtein(name, known), known));
            let hint = match near.min() {
                Some((distance, near)) if distance <= 2.max(name.len() / 3) => {
                    format!("did you mean `{near}`?")
                }
                _ => format!("known are {}", known.join(", ")),
            };
            let name: String = name.chars().take(40).collect();
            let message = format!("unknown key `{name}`{place}: {hint}");
            self.document.problem(key.span(), message);
        }
    }

    fn value(&self, key: &str) -> Option<&'a Value<'a>> {
        self.table.get(key)
    }

    /// Where the value of `key` is.
    pub(crate) fn place(&self, key: &str) -> Option<Range<usize>> {
        Some(self.value(key)?.span())
    }

    pub(crate) fn problem(&self, span: Range<usize>, message: impl Into<String>) {
        self.document.problem(span, message);
    }

    /// The table `key`, if it is there.
    pub(crate) fn table(&self, key: &str, known: &[&str]) -> Option<Table<'a>> {
        Table::new(self.document, key, self.value(key)?, known)
    }

    /// The tables of the array `key`.
    pub(crate) fn tables(&self, key: &str, known: &[&str]) -> Vec<Table<'a>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Array(array) = value.get_ref() else {
            self.problem(value.span(), format!("`{key}` is a list: write [[{key}]]"));
            return Vec::new();
        };
        let read = |value| Table::new(self.document, key, value, known);
        array.iter().filter_map(read).collect()
    }

    /// Reads the value of `key` with `read`, and notes why that fails.
    pub(crate) fn read<T>(
        &self,
        key: &str,
        read: impl FnOnce(&DeValue<'a>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(key)?;
        match read(value.get_ref()) {
            Ok(read) => Some(read),
            Err(why) => {
                self.problem(value.span(), format!("`{key}`: {why}"));
                None
            }
        }
    }

    pub(crate) fn boolean(&self, key: &str) -> Option<bool> {
        self.read(key, |value| {
            value
                .as_bool()
                .ok_or_else(|| expected("true or false", value))
        })
    }

    pub(crate) fn duration(&self, key: &str) -> Option<Duration> {
        self.read(key, |value| parse_duration(&text(value)?))
    }

    pub(crate) fn texts(&self, key: &str) -> Option<Vec<String>> {
        let array = self.array(key)?;
        let mut texts = Vec::new();
        for value in array {
            match text(value.get_ref()) {
                Ok(text) => texts.push(text),
                Err(why) => self.problem(value.span(), format!("`{key}`: {why}")),
            }
        }
        Some(texts)
    }

    /// The list `key`, with the place of each element.
    pub(crate) fn array(&self, key: &str) -> Option<&'a DeArray<'a>> {
        let value = self.value(key)?;
        let DeValue::Array(array) = value.get_ref() else {
            let why = expected("a list such as [\"…\"]", value.get_ref());
            self.problem(value.span(), format!("`{key}`: {why}"));
            return None;
        };
        Some(array)
    }

    /// How much of `item`, from the value of its key.
    pub(crate) fn limit(&self, item: Item) -> Option<Limit> {
        self.read(item.key(), |value| limit(item, value))
    }
}

/// The text of a value.
pub(crate) fn text(value: &DeValue<'_>) -> Result<String, String> {
    let text = value
        .as_str()
        .ok_or_else(|| expected("text in quotes", value))?;
    if text.is_empty() || text.contains('\0') {
        return Err("is empty, or has a NUL character".to_owned());
    }
    Ok(text.to_owned())
}

/// A whole number from 0 to `largest`.
pub(crate) fn count(value: &DeValue<'_>, largest: u64) -> Result<u64, String> {
    let number = value
        .as_integer()
        .ok_or_else(|| expected("a whole number", value))?;
    let read = u64::from_str_radix(number.as_str(), number.radix());
    match read {
        Ok(number) if number <= largest => Ok(number),
        _ => Err(format!("is not a number from 0 to {largest}")),
    }
}

fn limit(item: Item, value: &DeValue<'_>) -> Result<Limit, String> {
    if value.as_str() == Some("unlimited") {
        return Ok(Limit::Unlimited);
    }
    let largest = item.largest();
    let number = match item.unit() {
        Unit::Count => count(value, largest)?,
        Unit::Bytes => match value.as_str() {
            Some("0") => 0,
            Some(text) => parse_bytes(text)?,
            None => return Err(expected("an amount in quotes, such as \"256 MiB\"", value)),
        },
        Unit::Milliseconds => match value.as_str() {
            Some("0" | "0s") => 0,
            Some(text) => {
                let time = parse_duration(text)?;
                u64::try_from(time.as_millis()).map_err(|_| "it is too long".to_owned())?
            }
            None => return Err(expected("a time in quotes, such as \"10m\"", value)),
        },
    };
    if number > largest {
        return Err("is more than any machine has; write \"unlimited\" for no limit".to_owned());
    }
    Ok(Limit::AtMost(number))
}

pub(crate) fn expected(what: &str, found: &DeValue<'_>) -> String {
    format!("expected {what}, found {}", found.type_str())
}
