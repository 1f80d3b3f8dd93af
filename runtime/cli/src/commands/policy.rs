//! `wherry policy`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use crate::exit;
use crate::policy::{PolicyArgs, text_of};

/// Check and show what this node grants to jobs
///
/// The file is described in docs/policy.md. What it does not mention is not granted, or only in
/// the small amount that `show` prints.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wherry policy check policy.toml
  wherry policy show                      the policy that holds here, with all defaults")]
pub(crate) struct Policy {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say everything that is wrong with a policy file, with line and column
    #[command(after_help = "Examples:\n  wherry policy check /etc/wherry/policy.toml")]
    Check {
        /// The file
        file: PathBuf,
    },
    /// Print the policy that holds here, with what it does not mention
    #[command(after_help = "Examples:\n  wherry policy show\n  wherry policy show --policy f.toml")]
    Show {
        #[command(flatten)]
        policy: PolicyArgs,
    },
}

impl Policy {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<u8> {
        match self.action {
            Action::Check { file } => check(context, &file),
            Action::Show { policy } => show(context, &policy),
        }
    }
}

fn check(context: &Context, file: &PathBuf) -> anyhow::Result<u8> {
    let problems = match wherry_policy::Policy::parse(&text_of(file)?) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems,
    };
    let list = problems.iter().map(|problem| {
        json!({
            "line": problem.line,
            "column": problem.column,
            "length": problem.length,
            "message": problem.message,
        })
    });
    let value = json!({
        "file": file,
        "ok": problems.is_empty(),
        "problems": list.collect::<Vec<_>>(),
    });
    if problems.is_empty() {
        // With its keys, which only a machine has.
        let args = PolicyArgs::of(file.clone());
        args.load(&context.home)?;
        let text = format!("{} is a policy", file.display());
        context.output.result(&value, text)?;
        return Ok(0);
    }
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let text = format!("{} is refused:\n{}", file.display(), texts.join("\n"));
    context.output.result(&value, text)?;
    Ok(exit::BAD_DATA)
}

fn show(context: &Context, policy: &PolicyArgs) -> anyhow::Result<u8> {
    let node = policy.load(&context.home)?;
    let text = node.policy.to_toml();
    let from = match &node.file {
        Some(file) => format!("# from {}, {}", file.display(), node.digest),
        None => "# there is no policy: what is asked for on the command line is granted".to_owned(),
    };
    let value = json!({ "file": node.file, "digest": node.digest.to_string(), "policy": text });
    context
        .output
        .result(&value, format!("{from}\n{}", text.trim_end()))?;
    Ok(0)
}
