//! Exit codes. They are part of the interface: schedulers and scripts act on them, so one
//! that was released keeps its meaning. `docs/exit-codes.md` explains them.

/// `wherry verify` found another state than the checkpoint holds, or no signature that counts.
pub(crate) const DIFFERENT: u8 = 1;
/// The job is a checkpoint now: the same job can be resumed.
pub(crate) const CHECKPOINTED: u8 = 85;
/// The job reached its limit of wall or CPU time; a checkpoint was written.
pub(crate) const TIME_LIMIT: u8 = 124;
/// The job was killed, as by a second Ctrl-C.
pub(crate) const KILLED: u8 = 130;
/// The program did something that WebAssembly forbids.
pub(crate) const TRAPPED: u8 = 134;

/// The command line makes no sense.
pub(crate) const USAGE: u8 = 64;
/// A module, manifest, checkpoint or `workload.toml` was refused.
pub(crate) const BAD_DATA: u8 = 65;
/// A file, artifact or job does not exist.
pub(crate) const NO_INPUT: u8 = 66;
/// A registry or a job does not answer, or something is in use.
pub(crate) const UNAVAILABLE: u8 = 69;
/// Something that should not happen.
pub(crate) const INTERNAL: u8 = 70;
/// A file cannot be created.
pub(crate) const CANNOT_CREATE: u8 = 73;
/// Reading or writing failed: a full disk, for instance.
pub(crate) const IO: u8 = 74;
/// A registry sent something else than it should have.
pub(crate) const PROTOCOL: u8 = 76;
/// Access was refused.
pub(crate) const NO_PERMISSION: u8 = 77;
/// What the job needs is not set up here.
pub(crate) const CONFIG: u8 = 78;
/// The node's policy does not let the job run now; later it may.
pub(crate) const NOT_NOW: u8 = 75;
/// The node's policy does not let the job run.
pub(crate) const POLICY: u8 = 79;

/// What a process ends with for the exit code of a program.
pub(crate) fn of_program(code: u32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// For `wherry help exit-codes`.
pub(crate) const TABLE: &str = "\
Exit codes of `wherry run` and `wherry resume`:
  the program's own code, if it ends by itself (255 for codes above 255)
   85  the job was checkpointed: `wherry resume` goes on
  124  a time limit was reached; a checkpoint was written
  130  the job was killed, as by a second Ctrl-C
  134  the program trapped

Exit codes of `wherry verify`:
    0  the checkpoint holds what the job does, or a key has signed the artifact
    1  it holds another state, or none has

Exit codes of every verb, when Wherry itself fails:
   64  the command line makes no sense
   65  a module, manifest, checkpoint or workload.toml was refused
   66  a file, artifact or job does not exist
   69  a registry or a job does not answer, or something is in use
   70  something that should not happen
   73  a file cannot be created
   74  reading or writing failed: a full disk, for instance
   75  the node's policy does not let the job run now; later it may
   76  a registry sent something else than it should have
   77  access was refused
   78  what the job needs is not set up here: a directory, a key, credentials
   79  the node's policy does not let the job run";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_and_documentation_have_every_code() {
        let documentation = include_str!("../../../docs/exit-codes.md");
        let codes = [
            DIFFERENT,
            CHECKPOINTED,
            TIME_LIMIT,
            KILLED,
            TRAPPED,
            USAGE,
            BAD_DATA,
            NO_INPUT,
            UNAVAILABLE,
            INTERNAL,
            CANNOT_CREATE,
            IO,
            PROTOCOL,
            NO_PERMISSION,
            CONFIG,
            NOT_NOW,
            POLICY,
        ];
        for code in codes {
            assert!(TABLE.contains(&format!("\n  {code:3}  ")), "{code}");
            assert!(documentation.contains(&format!("| {code} |")), "{code}");
        }
    }
}
