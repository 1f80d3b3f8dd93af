//! What is wrong with a policy file, and where.

use std::fmt;
use std::ops::Range;

/// How much of a line is shown, in characters.
const WIDTH: usize = 100;

/// Everything that is wrong with a policy file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct PolicyError {
    /// At least one, in the order of the file.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters it is about, on that line.
    pub length: usize,
    /// What is wrong.
    pub message: String,
    /// The part of the line that is shown, and where the place is in it.
    excerpt: (String, usize),
}

impl Problem {
    /// Something wrong with what is at `span`, in bytes.
    pub(crate) fn at(text: &str, span: Range<usize>, message: String) -> Self {
        let start = floor(text, span.start);
        let end = floor(text, span.end.max(start));
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = &text[start..];
        let line_end = start + rest.find('\n').unwrap_or(rest.len());
        let column = text[line_start..start].chars().count();
        let length = text[start..end.min(line_end)].chars().count().max(1);
        // A place far to the right is shown with what is around it.
        let first = if column + length.min(WIDTH) > WIDTH {
            column.saturating_sub(WIDTH / 2)
        } else {
            0
        };
        let line = text[line_start..line_end].chars().skip(first).take(WIDTH);
        let line = line.map(|c| if c.is_control() { ' ' } else { c });
        Problem {
            line: before.matches('\n').count() + 1,
            column: column + 1,
            length,
            message,
            excerpt: (line.collect(), column - first),
        }
    }
}

/// The last boundary between characters up to `offset`.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { line, column, .. } = self;
        let (excerpt, place) = &self.excerpt;
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        let shown = excerpt.chars().count();
        let carets = self.length.min(shown.saturating_sub(*place)).max(1);
        writeln!(f, "line {line}, column {column}: {}", self.message)?;
        writeln!(f, "  {number} | {}", excerpt.trim_end())?;
        write!(
            f,
            "  {gutter} | {}{}",
            " ".repeat(*place),
            "^".repeat(carets)
        )
    }
}
