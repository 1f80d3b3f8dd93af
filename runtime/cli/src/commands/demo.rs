//! `wherry demo`
use super::Context;
use clap::Args;
/// See a job move from one home to another while it runs
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wherry demo")]
pub(crate) struct Demo {}
impl Demo {
    pub(crate) fn execute(self, _context: &Context) -> anyhow::Result<()> {
        anyhow::bail!("not yet")
    }
}
