//! The `[signatures]` table: `wherry-trust` gives it its meaning.

use std::fmt::{self, Write};
use std::path::PathBuf;

use wherry_trust::{CheckpointTable, PolicyTable, RuleTable, Unsigned};

use crate::parse::patterns;
use crate::read::{Table, expected};
use crate::show::list;

pub(crate) fn read(table: &Table<'_>) -> PolicyTable {
    let rules = table.tables("trust", &["repositories", "keys", "unsigned"]);
    let checkpoints = table.table("checkpoints", &["keys", "unsigned"]);
    PolicyTable {
        unsigned: unsigned(table).unwrap_or_default(),
        trust: rules.iter().map(rule).collect(),
        checkpoints: checkpoints.map_or_else(CheckpointTable::default, |table| CheckpointTable {
            keys: keys(&table),
            unsigned: unsigned(&table).unwrap_or_default(),
        }),
    }
}

fn rule(table: &Table<'_>) -> RuleTable {
    let rule = RuleTable {
        repositories: patterns(table, "repositories")
            .iter()
            .map(|pattern| pattern.as_str().to_owned())
            .collect(),
        keys: keys(table),
        unsigned: unsigned(table),
    };
    if table.place("repositories").is_none() {
        table.problem(
            table.span.clone(),
            "a rule has `repositories` that it is for",
        );
    }
    if rule.unsigned == Some(Unsigned::Allow)
        && !rule.keys.is_empty()
        && let Some(place) = table.place("keys")
    {
        let message = "`keys` have no effect, since `unsigned` is \"allow\": remove one of them";
        table.problem(place, message);
    }
    rule
}

fn keys(table: &Table<'_>) -> Vec<PathBuf> {
    let keys = table.texts("keys").unwrap_or_default();
    keys.into_iter().map(PathBuf::from).collect()
}

fn unsigned(table: &Table<'_>) -> Option<Unsigned> {
    table.read("unsigned", |value| match value.as_str() {
        Some("deny") => Ok(Unsigned::Deny),
        Some("allow") => Ok(Unsigned::Allow),
        _ => Err(expected("\"deny\" or \"allow\"", value)),
    })
}

pub(crate) fn write(out: &mut String, table: &PolicyTable) -> fmt::Result {
    writeln!(out, "\n[signatures]\nunsigned = {}", name(table.unsigned))?;
    for rule in &table.trust {
        writeln!(out, "\n[[signatures.trust]]")?;
        writeln!(out, "repositories = {}", list(&rule.repositories))?;
        writeln!(out, "keys = {}", paths(&rule.keys))?;
        if let Some(unsigned) = rule.unsigned {
            writeln!(out, "unsigned = {}", name(unsigned))?;
        }
    }
    let checkpoints = &table.checkpoints;
    writeln!(
        out,
        "\n[signatures.checkpoints]\nkeys = {}",
        paths(&checkpoints.keys)
    )?;
    writeln!(out, "unsigned = {}", name(checkpoints.unsigned))
}

fn name(unsigned: Unsigned) -> &'static str {
    match unsigned {
        Unsigned::Deny => "\"deny\"",
        Unsigned::Allow => "\"allow\"",
    }
}

/// Paths of a policy come from text.
fn paths(paths: &[PathBuf]) -> String {
    let texts: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
    list(&texts)
}
