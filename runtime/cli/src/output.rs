//! Results on standard output, remarks on standard error.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use anyhow::Context as _;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// How results are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Output { json }
    }

    /// Prints `text`, or `value` for programs.
    pub(crate) fn result(self, value: &Value, text: impl Display) -> anyhow::Result<()> {
        if self.json {
            return self.text(value);
        }
        self.text(text)
    }

    /// Prints a line.
    pub(crate) fn text(self, text: impl Display) -> anyhow::Result<()> {
        print(format!("{text}\n").as_bytes())
    }

    /// Says something to people. Programs did not ask for it.
    pub(crate) fn remark(self, text: impl Display) {
        if !self.json {
            note(text);
        }
    }
}

/// Writes to standard output. Whoever closed it has seen enough: that is no failure.
pub(crate) fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.context("cannot write to standard output"),
    }
}

/// A line on standard error. If nobody listens, there is nobody to tell.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A table; plain columns when it is not for a terminal.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.to_vec());
    table.add_rows(rows);
    if io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Bytes as people read them.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// A time of a record as people read it.
pub(crate) fn time(milliseconds: u64) -> String {
    let since = std::time::Duration::from_millis(milliseconds);
    let time = std::time::UNIX_EPOCH.checked_add(since);
    // More than the year 9999 can only be a damaged record.
    let latest = std::time::Duration::from_secs(253_402_300_799);
    match time.filter(|_| since <= latest) {
        Some(time) => humantime::format_rfc3339_seconds(time).to_string(),
        None => "-".to_owned(),
    }
}

/// A short time as people read it.
pub(crate) fn microseconds(time: u64) -> String {
    format!("{:.1?}", std::time::Duration::from_micros(time))
}
