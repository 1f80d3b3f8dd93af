//! What programs are compiled for.

use clap::Args;
use clap::builder::FalseyValueParser;
use wherry_engine::Target;

#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// Interpret the program: no executable memory, but several times slower
    #[arg(long, env = "WHERRY_INTERPRETER", value_parser = FalseyValueParser::new())]
    interpreter: bool,
}

impl TargetArgs {
    pub(crate) fn target(&self) -> Target {
        if self.interpreter {
            Target::Interpreter
        } else {
            Target::Native
        }
    }
}
