//! Jobs in processes of their own.
//!
//! The process that answers for a job (`wherry run`, a node's agent) keeps all authority: policy,
//! keys, the store, the registries, the job's lock. It starts one process for the job, and one to
//! compile a module that the cache does not have, both from its own executable under other names
//! ([`serve`]). Those confine themselves before they look at anything that a stranger made, and
//! get what they work on through pipes and open descriptors. What they say is believed only about
//! the job itself.

mod account;
mod assignment;
mod belief;
mod channel;
mod compiler;
mod confines;
mod failure;
mod keep;
mod message;
mod probe;
mod questions;
mod work;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use wherry_engine::{CodeRequest, Key, Module};
use wherry_sandbox::{Cgroup, CgroupLimits, Report, Requirement, pass_on};

pub use assignment::{Assignment, Start};
pub use compiler::Compiler;
pub use confines::{CompilerLimits, to_run_again};
pub use failure::Failure;
pub(crate) use keep::NAME as OUTGOING_NAME;
pub use probe::probe_isolation;
pub use questions::Questions;

use self::account::Account;
use self::assignment::Descriptors;
use self::belief::{Belief, MAX_WORD, nonsense, out_of_turn};
use self::channel::{receive_short, send};
use self::confines::{DRIVER_VARIABLES, memory, of_job};
use self::message::{First, Order, Word};
use crate::{ActiveJob, Checkpointed, ControlSocket, Ending, Error, Event};

/// This program, even if its file has been replaced since.
pub const ITSELF: &str = "/proc/self/exe";

/// Threads of a job's process: the program's, those that write checkpoints, and a driver's.
const THREADS: u64 = 512;

/// How long a job's process may take to take what it was sent. Who waits for it holds up others.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a process may take to end that has closed what it has open.
const MOMENT: Duration = Duration::from_secs(2);

/// Does the work of a process that was started for a job, if this is one. Programs that answer for
/// jobs call it first; `describe` says what an error means to their users.
pub fn serve(describe: &dyn Fn(&Error) -> Failure) -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let name = arguments.next()?;
    let done = if name == work::NAME {
        let number = arguments
            .next()
            .and_then(|text| text.to_str()?.parse().ok());
        leave_signals_to_the_other();
        work::serve(number.unwrap_or(-1), describe)
    } else if name == compiler::NAME {
        leave_signals_to_the_other();
        compiler::serve(describe)
    } else if name == probe::NAME {
        probe::serve()
    } else {
        return None;
    };
    // If the other side has gone, nobody listens to why.
    Some(done.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS))
}

/// Terminals and schedulers signal whole groups of processes. The one that answers for the job says
/// what that means.
fn leave_signals_to_the_other() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
    for signal in [SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ] {
        // Without, it dies of them, and the job is lost until it is resumed.
        let _ = signal_hook::flag::register(signal, Arc::default());
    }
}

/// Files that the process of a job gets open.
#[derive(Debug, Default)]
pub struct JobFiles {
    /// Takes standard output.
    pub output: Option<File>,
    /// Takes standard error.
    pub log: Option<File>,
    /// The checkpoint that it begins from, and those that it builds on.
    pub checkpoint: Vec<File>,
}

/// The process of a job, which is ready to run it.
pub struct JobProcess {
    side: Side,
    /// What confines it.
    pub isolation: Report,
    /// Why there is no GPU for a program that can do without.
    pub without_gpu: Option<String>,
}

/// This side of it.
struct Side {
    child: Child,
    stream: UnixStream,
    module: Module,
    compiler: Compiler,
    checkpoint_to: Option<PathBuf>,
    keep_scratch: bool,
    target: wherry_engine::Target,
    memory: Option<u64>,
    /// After the child, which has to be gone when it goes.
    cgroup: Cgroup,
}

impl JobProcess {
    /// Starts a process for a job, which is confined as the compiler is, and waits until it is
    /// ready to run it.
    ///
    /// # Errors
    /// The job cannot begin; [`Error::Failed`] has what its process says of that.
    pub fn start(
        active: &ActiveJob,
        module: &Module,
        assignment: Assignment,
        files: &JobFiles,
        key: Option<&Key>,
        compiler: &Compiler,
    ) -> Result<Self, Error> {
        let lock = active.lock_process()?;
        active.make_room()?;
        let (stream, theirs) = UnixStream::pair().map_err(local)?;
        let number = |file: &Option<File>| file.as_ref().map(AsRawFd::as_raw_fd);
        let first = First {
            confinement: of_job(active.directory(), &assignment, &compiler.isolation),
            directory: active.directory().to_owned(),
            descriptors: Descriptors {
                lock: lock.as_raw_fd(),
                output: number(&files.output),
                log: number(&files.log),
                checkpoint: files.checkpoint.iter().map(AsRawFd::as_raw_fd).collect(),
            },
            assignment,
        };
        let limits = CgroupLimits {
            memory_bytes: memory(&first.assignment),
            threads: THREADS,
            cores: first.assignment.cores,
        };
        let (cgroup, findings) = Cgroup::create(&active.record.id, &limits);
        let child = spawn(&theirs, &lock, files, &cgroup).map_err(local)?;
        let mut process = JobProcess {
            side: Side {
                child,
                stream,
                module: module.clone(),
                compiler: compiler.clone(),
                checkpoint_to: first.assignment.plan.checkpoint_to.clone(),
                keep_scratch: first.assignment.keep_scratch,
                target: first.assignment.target,
                memory: limits.memory_bytes,
                cgroup,
            },
            isolation: Report::default(),
            without_gpu: None,
        };
        drop((theirs, lock));
        process.isolate(findings);
        process.side.tell(&first, key)?;
        // From here on it may be in a stranger's hands.
        let patience = process.side.stream.set_write_timeout(Some(PATIENCE));
        patience.map_err(local)?;
        process.await_ready()?;
        Ok(process)
    }

    fn isolate(&mut self, findings: [wherry_sandbox::Finding; 3]) {
        let joined = self.side.cgroup.add(self.side.child.id());
        for finding in findings {
            self.isolation.note(match &joined {
                Ok(()) => finding,
                Err(error) => wherry_sandbox::Finding::new(
                    finding.facility,
                    wherry_sandbox::State::Missing,
                    error.to_string(),
                ),
            });
        }
    }

    fn await_ready(&mut self) -> Result<(), Error> {
        let mut belief = Belief::default();
        loop {
            match self.side.next()? {
                Some(Word::Confined(report)) => {
                    self.isolation.extend(report.findings);
                    self.check()?;
                }
                Some(Word::NeedCode(request)) => {
                    belief.form()?;
                    let code = self.side.code(&request)?;
                    send(&self.side.stream, &Order::Code, &code).map_err(local)?;
                }
                Some(Word::Ready { without_gpu }) => {
                    self.without_gpu = without_gpu;
                    return Ok(());
                }
                Some(Word::Failed(failure)) => return Err(Belief::failed(failure)),
                Some(word) => return Err(out_of_turn(&word)),
                None => return Err(self.side.died()),
            }
        }
    }

    /// Refuses to go on without what is required, also of what confines it from outside.
    fn check(&self) -> Result<(), Error> {
        let Requirement::Require(wanted) = &self.side.compiler.isolation else {
            return Ok(());
        };
        match self.isolation.lacking(wanted) {
            lacking if lacking.is_empty() => Ok(()),
            lacking => Err(wherry_sandbox::Error::Incomplete(lacking).into()),
        }
    }

    /// Runs the job until it ends or is suspended, and gives it free.
    ///
    /// # Errors
    /// The engine fails, a checkpoint that was to end the run cannot be written, or the process
    /// died. The job's previous checkpoint is as it was.
    pub fn run(
        self,
        mut active: ActiveJob,
        socket: ControlSocket,
        questions: &Questions,
        observe: &mut dyn FnMut(&Event),
    ) -> Result<Ending, Error> {
        let mut side = self.side;
        let ending = side
            .stream
            .try_clone()
            .and_then(|stream| questions.run(stream, active.record.used))
            .map_err(local)
            .and_then(|()| side.follow(&mut active, questions, observe));
        // Without the process, and without the lock: who hears that a job is suspended may resume
        // it at once.
        drop(side);
        drop(active);
        questions.close();
        socket.close();
        ending
    }
}

impl Side {
    fn tell(&self, first: &First, key: Option<&Key>) -> Result<(), Error> {
        let key = key.map(Key::secret);
        let key = key.as_ref().map_or(&[][..], |key| &key[..]);
        send(&self.stream, first, key).map_err(local)?;
        send(&self.stream, &Order::Module, self.module.wasm()).map_err(local)
    }

    fn next(&self) -> Result<Option<Word>, Error> {
        let word = receive_short::<Word>(&self.stream, MAX_WORD, 0);
        let word = word.or_else(|error| match error.kind() {
            // It died with something unread, or half said.
            io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => Ok(None),
            io::ErrorKind::InvalidData => Err(nonsense(&error.to_string())),
            _ => Err(local(error)),
        })?;
        Ok(word.map(|(word, _)| word))
    }

    /// The module in a form that is asked for.
    fn code(&self, request: &CodeRequest) -> Result<Vec<u8>, Error> {
        self.compiler.code(&self.module, self.target, request)
    }

    /// Until the process has nothing more to say.
    fn follow(
        &mut self,
        active: &mut ActiveJob,
        questions: &Questions,
        observe: &mut dyn FnMut(&Event),
    ) -> Result<Ending, Error> {
        let mut belief = Belief::before(&active.record);
        let before = active.record.used.unwrap_or_default();
        while let Some(word) = self.next()? {
            match word {
                Word::Event(event) => {
                    if belief.event(&event)? {
                        observe(&event);
                    }
                }
                Word::Answer(id, answer) => questions.answered(id, answer),
                Word::NeedCode(request) => {
                    belief.form()?;
                    let code = self.code(&request)?;
                    questions.send(&Order::Code, &code).map_err(local)?;
                }
                Word::Written(done) => {
                    belief.checkpoint(&done)?;
                    let noted = self.written(active, &done, questions, observe);
                    if noted.is_ok() {
                        belief.noted(&done);
                    }
                    let order = Order::Noted(noted.map_err(Into::into));
                    questions.send(&order, &[]).map_err(local)?;
                }
                Word::Ended(mut ended) => {
                    belief.ended(&ended)?;
                    let account = Account::of(&self.child);
                    ended.used = account.correct(ended.used, before);
                    return active.conclude(ended, self.keep_scratch);
                }
                Word::Failed(failure) => return Err(Belief::failed(failure)),
                Word::Confined(_) | Word::Ready { .. } => return Err(out_of_turn(&word)),
            }
        }
        self.see_it_end();
        let account = Account::of(&self.child);
        active.record.used = Some(account.correct(before, before));
        // What it has used is not worth more than to know how it died.
        let _ = active.save(false);
        Err(self.died())
    }

    fn written(
        &self,
        active: &mut ActiveJob,
        done: &Checkpointed,
        questions: &Questions,
        observe: &mut dyn FnMut(&Event),
    ) -> io::Result<()> {
        let wants =
            |path: &Path| self.checkpoint_to.as_deref() == Some(path) || questions.wants(path);
        let not_deleted = active.written(done, wants).map_err(|error| match error {
            Error::Io { source, .. } => source,
            error => io::Error::other(error),
        })?;
        observe(&Event::Checkpointed(done.clone()));
        if let Some(error) = not_deleted {
            observe(&Event::NotDeleted(error.to_string()));
        }
        Ok(())
    }

    /// Waits until a process that says nothing any more has ended. One that has only hung up does not
    /// by itself.
    fn see_it_end(&mut self) {
        let pid = Pid::from_child(&self.child);
        let ended = pidfd_open(pid, PidfdFlags::empty()).and_then(|process| {
            let moment = Timespec::try_from(MOMENT).unwrap_or_default();
            poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&moment))
        });
        if !matches!(ended, Ok(1)) {
            // How it ended is as it was, if it has.
            let _ = self.child.kill();
            let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let _ = waitid(WaitId::Pid(pid), ended);
        }
    }

    /// The process has gone without a word.
    fn died(&mut self) -> Error {
        self.see_it_end();
        let status = self.child.wait();
        let how = status.map_or_else(|error| error.to_string(), death);
        match self.memory.filter(|_| self.cgroup.ran_out_of_memory()) {
            Some(limit) => Error::OutOfMemory { limit },
            None => Error::Died { how },
        }
    }
}

impl Drop for Side {
    /// Nothing of the job runs when this has gone.
    fn drop(&mut self) {
        // It may end by itself first: then this changes nothing.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let ended = matches!(self.child.try_wait(), Ok(Some(_)));
        if !ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn local(source: io::Error) -> Error {
    Error::Process {
        name: work::NAME,
        source,
    }
}

fn spawn(
    channel: &UnixStream,
    lock: &File,
    files: &JobFiles,
    cgroup: &Cgroup,
) -> io::Result<Child> {
    let mut command = Command::new(ITSELF);
    command
        .arg0(work::NAME)
        .arg(channel.as_raw_fd().to_string())
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::inherit());
    for variable in DRIVER_VARIABLES.iter().chain(&["XDG_RUNTIME_DIR"]) {
        if let Some(value) = std::env::var_os(variable) {
            command.env(variable, value);
        }
    }
    let mut descriptors = vec![channel.as_fd(), lock.as_fd()];
    let files = [&files.output, &files.log]
        .into_iter()
        .flatten()
        .chain(&files.checkpoint);
    descriptors.extend(files.map(AsFd::as_fd));
    pass_on(&mut command, &descriptors);
    cgroup.enter_with(&mut command);
    command.spawn()
}

/// How a process ended that should not have.
fn death(status: ExitStatus) -> String {
    match status
        .signal()
        .and_then(signal_hook::low_level::signal_name)
    {
        Some(name) => format!("it was ended by {name}"),
        None => format!("it ended with {status}"),
    }
}
