//! `wherry images`

use clap::Args;
use serde_json::{Value, json};

use super::Context;
use crate::output::{size, table};

/// List the artifacts of the local store
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wherry images\n  wherry images --json")]
pub(crate) struct Images {}

impl Images {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let store = context.home.existing_store()?;
        let images = store.map_or(Ok(Vec::new()), |store| store.images())?;
        if context.output.json {
            let values = images.iter().map(|image| {
                json!({
                    "reference": image.reference,
                    "digest": image.digest.to_string(),
                    "size": image.size,
                    "artifact_type": image.artifact_type,
                })
            });
            return context.output.text(Value::from_iter(values));
        }
        let rows = images.into_iter().map(|image| {
            vec![
                image.reference.unwrap_or_else(|| "-".to_owned()),
                image.digest.short(),
                image.size.map_or_else(|| "damaged".to_owned(), size),
                image.artifact_type.unwrap_or_else(|| "-".to_owned()),
            ]
        });
        let header = ["REFERENCE", "DIGEST", "SIZE", "TYPE"];
        context.output.text(table(&header, rows.collect()))
    }
}
