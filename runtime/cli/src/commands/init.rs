//! `wherry init`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::json;
use wherry_packager::init as make;

use super::Context;
use crate::exit;
use crate::failure::Refusal;

/// Make a new project: a program, its workload.toml, and how to build it
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wherry init primes\n  wherry init primes --lang c --name team/primes"
)]
pub(crate) struct Init {
    /// The directory
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// The language of the program
    #[arg(long, alias = "language", value_enum, default_value = "rust")]
    lang: Language,
    /// The workload's name [default: the directory's]
    #[arg(long)]
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    C,
    Rust,
}

impl Init {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let directory = std::path::absolute(&self.directory);
        let directory = directory.context("there is no current directory")?;
        let own_name = || Some(directory.file_name()?.to_str()?.to_lowercase());
        let name = self.name.or_else(own_name).ok_or_else(|| {
            Refusal::new(
                exit::USAGE,
                "the directory has no name to call the workload",
            )
            .hint("choose one with --name")
        })?;
        let language = match self.lang {
            Language::C => wherry_packager::Language::C,
            Language::Rust => wherry_packager::Language::Rust,
        };
        let files = make(&self.directory, &name, language)?;
        let lines: Vec<_> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        context
            .output
            .result(&json!({ "name": name, "files": files }), lines.join("\n"))
    }
}
