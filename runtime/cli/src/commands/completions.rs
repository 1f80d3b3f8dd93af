//! `wherry completions`

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::{Cli, Context};
use crate::output;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wherry completions bash > ~/.local/share/bash-completion/completions/wherry"
)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn execute(self, _context: &Context) -> anyhow::Result<()> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "wherry", &mut script);
        output::print(&script)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_has_examples() {
        for verb in Cli::command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string);
            let shown = help.is_some_and(|help| help.contains("wherry "));
            assert!(
                shown || verb.get_name() == "exit-codes",
                "{}",
                verb.get_name()
            );
        }
    }
}
