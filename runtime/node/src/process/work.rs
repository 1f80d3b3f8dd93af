//! The process that runs a job: it confines itself, prepares the job, says so, and runs it when it
//! is told to. Whatever it needs of the world outside, it asks for.

use std::fs::File;
use std::io::{self, Seek as _};
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use wherry_engine::{
    CodeSource, Control, Engine, EngineConfig, Exhausted, ExhaustedQuota, Job, Key, LimitObserver,
    Module, Output, Scratch, Settings, Stdio,
};
use wherry_sandbox::passed_on;
use wherry_snapshot::{Digest, Outline, Reader};
use zeroize::Zeroizing;

use super::assignment::{Assignment, Descriptors, Start};
use super::channel::{receive, send};
use super::compiler::{MAX_CODE, MAX_MODULE};
use super::failure::Failure;
use super::message::{Ended, First, Order, SystemError, Word};
use crate::requests::Requests;
use crate::supervisor::{Observer, supervise};
use crate::writing::lock;
use crate::{Answer, Checkpointed, Error, Event, Plan, Used};

/// What the process is called.
pub(super) const NAME: &str = "wherry-job";

/// Runs the job that comes through the descriptor `number`.
pub(super) fn serve(number: RawFd, describe: &dyn Fn(&Error) -> Failure) -> io::Result<()> {
    let stream = UnixStream::from(passed_on(number)?);
    let gone = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let (first, key) = receive::<First>(&stream, 32)?.ok_or_else(gone)?;
    let key = Zeroizing::new(key);
    let (Order::Module, wasm) = receive(&stream, MAX_MODULE)?.ok_or_else(gone)? else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    // Before there is another thread, and before anything of a stranger's is looked at.
    let confined = first.confinement.apply().map_err(Error::Confinement);
    let outside = Outside(Arc::new(Mutex::new(stream.try_clone()?)));
    let done = confined.and_then(|report| {
        outside.say(&Word::Confined(report))?;
        let key = <[u8; 32]>::try_from(key.as_slice()).ok().map(Key::new);
        let work = Work::prepare(first, wasm, key, &stream, &outside)?;
        outside.say(&Word::Ready {
            without_gpu: work.job.why_no_gpu().map(ToString::to_string),
        })?;
        work.run(&outside, describe)
    });
    match done {
        Ok(()) => Ok(()),
        Err(error) => outside
            .say(&Word::Failed(describe(&error)))
            .map_err(io::Error::other),
    }
}

fn local(source: io::Error) -> Error {
    Error::Process { name: NAME, source }
}

/// The way to the process that answers for the job.
#[derive(Clone)]
struct Outside(Arc<Mutex<UnixStream>>);

impl Outside {
    fn say(&self, word: &Word) -> Result<(), Error> {
        send(&*lock(&self.0), word, &[]).map_err(local)
    }
}

/// A job that can run.
struct Work {
    job: Job,
    plan: Plan,
    directory: PathBuf,
    /// Held while the process lives.
    _lock: File,
    requests: Requests,
    orders: Orders,
    answering: Answering,
}

/// What comes from outside, except questions.
struct Orders {
    run: Receiver<Option<Used>>,
    noted: Receiver<Result<(), SystemError>>,
}

/// Threads that wait for the job's answers.
type Answering = Arc<Mutex<Vec<JoinHandle<()>>>>;

impl Work {
    fn prepare(
        first: First,
        wasm: Vec<u8>,
        key: Option<Key>,
        stream: &UnixStream,
        outside: &Outside,
    ) -> Result<Self, Error> {
        let First {
            directory,
            mut assignment,
            descriptors,
            ..
        } = first;
        let own_lock = File::from(passed_on(descriptors.lock).map_err(local)?);
        let requests = Requests::new(Control::new().map_err(local)?);
        let (ear, orders, code) = Ear::new(outside.clone(), requests.clone());
        let answering = Arc::clone(&ear.answering);
        let stream = stream.try_clone().map_err(local)?;
        thread::Builder::new()
            .name("orders".to_owned())
            .spawn(move || ear.listen(&stream))
            .map_err(local)?;
        let engine = Engine::new(EngineConfig {
            target: assignment.target,
            code: Some(code_source(outside.clone(), code)),
            ..EngineConfig::default()
        })?;
        let module = engine.load(wasm);
        let mut files = Files::open(&descriptors).map_err(local)?;
        assignment.plan.outputs = files.outputs().map_err(local)?;
        let settings = settings(&assignment, &mut files, key, outside)?;
        let job = begin(
            &assignment.start,
            &module,
            settings,
            files.checkpoint,
            &requests,
        )?;
        Ok(Work {
            job,
            plan: assignment.plan,
            directory,
            _lock: own_lock,
            requests,
            orders,
            answering,
        })
    }

    fn run(self, outside: &Outside, describe: &dyn Fn(&Error) -> Failure) -> Result<(), Error> {
        let Ok(used) = self.orders.run.recv() else {
            return Ok(());
        };
        let observer = Happenings {
            outside: outside.clone(),
            noted: Mutex::new(self.orders.noted),
        };
        let run = supervise(
            self.job,
            &self.directory,
            used,
            &self.requests,
            self.plan,
            &observer,
        );
        // Whoever still waits for an answer gets it before the end.
        self.requests.close();
        let waiting = std::mem::take(&mut *lock(&self.answering));
        waiting.into_iter().for_each(|thread| drop(thread.join()));
        outside.say(&Word::Ended(Ended {
            ending: run.ending.map_err(|error| describe(&error)),
            suspended: run.suspended,
            used: run.used,
        }))
    }
}

/// Listens to what comes from outside.
struct Ear {
    outside: Outside,
    requests: Requests,
    run: Sender<Option<Used>>,
    code: Sender<Vec<u8>>,
    noted: Sender<Result<(), SystemError>>,
    answering: Answering,
}

impl Ear {
    fn new(outside: Outside, requests: Requests) -> (Self, Orders, Receiver<Vec<u8>>) {
        let (run, told_to_run) = channel();
        let (code, codes) = channel();
        let (noted, notes) = channel();
        let orders = Orders {
            run: told_to_run,
            noted: notes,
        };
        let ear = Ear {
            outside,
            requests,
            run,
            code,
            noted,
            answering: Arc::default(),
        };
        (ear, orders, codes)
    }

    /// Until the process that answers for the job has gone. Then there is no reason to go on.
    fn listen(self, stream: &UnixStream) {
        while let Ok(Some((order, bytes))) = receive::<Order>(stream, MAX_CODE) {
            // What nobody waits for any more is of no use.
            let _ = match order {
                Order::Run(used) => self.run.send(used).is_ok(),
                Order::Code => self.code.send(bytes).is_ok(),
                Order::Noted(done) => self.noted.send(done).is_ok(),
                Order::Ask(id, question) => self.ask(id, question),
                Order::Module => false,
            };
        }
        std::process::exit(1);
    }

    fn ask(&self, id: u64, question: crate::Question) -> bool {
        let (answer, outside) = (self.requests.ask(question), self.outside.clone());
        let wait = move || {
            let ended = |_| Answer::Refused("it has ended".to_owned());
            let answer = answer.recv().unwrap_or_else(ended);
            let _ = outside.say(&Word::Answer(id, answer));
        };
        let thread = thread::Builder::new().spawn(wait);
        let Ok(thread) = thread else { return false };
        lock(&self.answering).push(thread);
        true
    }
}

/// Compiled forms come from outside: nothing is compiled here.
fn code_source(outside: Outside, code: Receiver<Vec<u8>>) -> CodeSource {
    let code = Mutex::new(code);
    CodeSource::new(move |request| {
        let code = lock(&code);
        let asked = outside.say(&Word::NeedCode(request.clone()));
        asked.map_err(io::Error::other)?;
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        Ok(code.recv().map_err(gone)?)
    })
}

/// What the process was given open.
struct Files {
    output: Option<File>,
    log: Option<File>,
    checkpoint: Vec<File>,
}

impl Files {
    fn open(descriptors: &Descriptors) -> io::Result<Self> {
        let file = |number: &RawFd| passed_on(*number).map(File::from);
        Ok(Files {
            output: descriptors.output.as_ref().map(file).transpose()?,
            log: descriptors.log.as_ref().map(file).transpose()?,
            checkpoint: descriptors
                .checkpoint
                .iter()
                .map(file)
                .collect::<Result<_, _>>()?,
        })
    }

    fn outputs(&self) -> io::Result<Vec<Arc<File>>> {
        let files = [&self.output, &self.log].into_iter().flatten();
        files.map(|file| file.try_clone().map(Arc::new)).collect()
    }
}

fn settings(
    assignment: &Assignment,
    files: &mut Files,
    key: Option<Key>,
    outside: &Outside,
) -> Result<Settings, Error> {
    let mut stdio = Stdio::inherit().map_err(local)?;
    if let Some(output) = files.output.take() {
        stdio.stdout = Output::Opaque(output.into());
    }
    if let Some(log) = files.log.take() {
        stdio.stderr = Output::Opaque(log.into());
    }
    let scratch = assignment.scratch.as_ref();
    Ok(Settings {
        mounts: assignment.mounts.iter().map(Into::into).collect(),
        scratch: scratch.map(|(host, guest)| Scratch {
            host: host.clone(),
            guest: guest.clone(),
        }),
        limits: assignment.limits,
        gpu: assignment.gpu.clone(),
        gpu_optional: assignment.gpu_optional,
        key,
        countdown: assignment.countdown,
        clock_resolution: assignment.clock_resolution,
        limit_observer: limit_observer(outside.clone()),
        ..Settings::new(stdio)
    })
}

fn limit_observer(outside: Outside) -> LimitObserver {
    LimitObserver::new(move |what| {
        let limit = match what {
            Exhausted::Memory => "memory",
            Exhausted::Quota(ExhaustedQuota::Scratch) => "scratch",
            Exhausted::Quota(ExhaustedQuota::Files) => "files",
            Exhausted::Quota(ExhaustedQuota::Output) => "output",
            Exhausted::Quota(ExhaustedQuota::Log) => "log",
        };
        let _ = outside.say(&Word::Event(Event::LimitReached(limit.to_owned())));
    })
}

fn begin(
    start: &Start,
    module: &Module,
    settings: Settings,
    checkpoint: Vec<File>,
    requests: &Requests,
) -> Result<Job, Error> {
    let control = requests.control();
    match start {
        Start::Command(command) => Ok(Job::start(module, command.clone(), settings, control)?),
        Start::Checkpoint { build_on } => {
            let reader = reader(checkpoint, settings.key.as_ref());
            let reader = reader.map_err(wherry_engine::Error::Checkpoint)?;
            let mut job = Job::resume(module, &reader, settings, control)?;
            if *build_on {
                job.build_on(&reader);
            }
            Ok(job)
        }
    }
}

/// The first of `files` is the checkpoint, the others are what it may build on.
fn reader(files: Vec<File>, key: Option<&Key>) -> Result<Reader<File>, wherry_snapshot::Error> {
    let mut files = files.into_iter();
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let checkpoint = files.next().ok_or_else(missing)?;
    let mut bases: Vec<(Digest, File)> = Vec::new();
    for mut file in files {
        let digest = Outline::read(&mut file)?.file;
        file.rewind()?;
        bases.push((digest, file));
    }
    Reader::open_sealed(checkpoint, key, |wanted| {
        let place = bases.iter().position(|(digest, _)| digest == wanted);
        Ok(place.map(|place| bases.swap_remove(place).1))
    })
}

/// Tells outside what happens.
struct Happenings {
    outside: Outside,
    noted: Mutex<Receiver<Result<(), SystemError>>>,
}

impl Observer for Happenings {
    fn observe(&self, event: Event) {
        let _ = self.outside.say(&Word::Event(event));
    }

    fn written(&self, done: &Checkpointed) -> io::Result<()> {
        let noted = lock(&self.noted);
        let said = self.outside.say(&Word::Written(done.clone()));
        said.map_err(io::Error::other)?;
        match noted.recv() {
            Ok(done) => done.map_err(io::Error::from),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}
