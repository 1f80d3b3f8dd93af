//! A node's jobs: their directories, who runs them, and how running ones are controlled.
//!
//! ```text
//! jobs/<id>/
//!   job.json      what the job is and how it stands; replaced as a whole
//!   lock          locked by the process that answers for the job, so a killed one is found out
//!   process.lock  locked by the process that runs the program
//!   control.sock  where that process takes requests
//!   receipt.json  what its last run used, and how it ended, signed
//!   scratch/      the job's own files while it runs
//!   outgoing/     a checkpoint that its process has written, until it is brought to its place
//!   checkpoints/  its own checkpoints, by their numbers
//!   checkpoint    the only one, where an older version had it
//! ```

mod bases;
mod capabilities;
mod checkpoints;
mod conditions;
mod control;
mod error;
mod gc;
mod lock;
mod node_key;
mod origin;
mod process;
mod protocol;
mod receipt;
mod record;
mod requests;
mod retention;
mod state_directory;
mod store;
mod supervisor;
mod used;
mod writing;

pub use bases::{checkpoint_files, open_checkpoint};
pub use capabilities::{CAPABILITIES_FORMAT, Capabilities, Cpu, Facility, Memory, SelfTest};
pub use checkpoints::{Aside, Checkpoint, Standing, state_name};
pub use conditions::Sensors;
pub use control::{ControlSocket, ask};
pub use error::Error;
pub use gc::{Finding, Leftover};
pub use node_key::{node_key, node_public_key};
pub use origin::{Arrival, Chain, ChainError, Link, Made, ORIGIN_PREDICATE, Origin};
pub use process::{
    Assignment, Compiler, CompilerLimits, Failure, ITSELF, JobFiles, JobProcess, Questions, Start,
    probe_isolation, serve, to_run_again,
};
pub use protocol::{Answer, Question};
pub use receipt::{Lineage, PREDICATE, Point, Receipt, ReceiptError, RunEnd};
pub use record::{Checkpointed, End, Form, MountRecord, Record, State, Status, Streams};
pub use retention::{Retention, Why};
pub use state_directory::StateDirectory;
pub use store::{ActiveJob, JobInfo, JobStore};
pub use supervisor::{Ending, Event, Plan};
pub use used::Used;
