//! What confines the processes that work for a job.

use clap::{Args, ValueEnum};
use wherry_node::{Compiler, CompilerLimits};
use wherry_sandbox::{Facility, Requirement};

use crate::exit;
use crate::failure::Refusal;
use crate::policy::NodePolicy;

/// How much must confine a job.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Policy")]
pub(crate) struct IsolationArgs {
    /// What happens if this machine cannot confine the job's process: `auto` does without, `require`
    /// refuses, `off` does not even try [default: what the policy says, or auto]
    #[arg(
        long,
        value_name = "HOW",
        env = "WHERRY_ISOLATION",
        hide_env_values = true
    )]
    isolation: Option<How>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum How {
    Off,
    Auto,
    Require,
}

impl IsolationArgs {
    /// The compiler under `node`, and with it what must confine a job: whoever starts one can ask
    /// for more than the policy does, and not for less.
    pub(crate) fn under(&self, node: &NodePolicy) -> anyhow::Result<Compiler> {
        let policy = &node.policy.isolation;
        let required = policy.require.clone();
        let isolation = match self.isolation {
            Some(How::Off) if required.is_empty() => Requirement::Off,
            Some(How::Off) => {
                let message = "the policy wants jobs to be confined, and --isolation off does not";
                return Err(Refusal::new(exit::POLICY, message).into());
            }
            Some(How::Require) => {
                let mut all = required;
                all.extend(Facility::CORE);
                all.sort_unstable();
                all.dedup();
                Requirement::Require(all)
            }
            _ if required.is_empty() => Requirement::Auto,
            _ => Requirement::Require(required),
        };
        let default = CompilerLimits::default();
        let limits = CompilerLimits {
            cpu_time: policy.compile_time.unwrap_or(default.cpu_time),
            memory_bytes: policy.compile_memory.unwrap_or(default.memory_bytes),
        };
        Ok(Compiler { isolation, limits })
    }
}
