//! The control socket of a running job, on both ends.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::protocol::{receive, send};
use crate::store::SOCKET;
use crate::{ActiveJob, Answer, Error, JobInfo, Question, Questions, State};

/// How long a question and an answer may take to pass through the socket.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections that are served at once; others are closed.
const MAX_CONNECTIONS: usize = 16;

/// Takes questions to a job from other processes of the same user.
pub struct ControlSocket {
    path: PathBuf,
    serving: Arc<Serving>,
    questions: Questions,
}

/// How many connections are being served.
#[derive(Debug, Default)]
struct Serving {
    count: Mutex<usize>,
    changed: Condvar,
}

impl ControlSocket {
    /// Starts to listen. The socket lies in the job's directory, which no other user can
    /// enter.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn listen(job: &ActiveJob, questions: &Questions) -> Result<Self, Error> {
        let path = job.directory().join(SOCKET);
        let failed = |error| Error::io("create", &path)(error);
        // We have the lock, so whoever made this one is gone.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = with_short_path(&path, |path| UnixListener::bind(path)).map_err(failed)?;
        let serving = Arc::<Serving>::default();
        let (served, shared) = (questions.clone(), Arc::clone(&serving));
        thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || accept(&listener, &served, &shared))
            .map_err(failed)?;
        Ok(ControlSocket {
            path,
            serving,
            questions: questions.clone(),
        })
    }

    /// Takes no more connections, and lets those that are open get their answers.
    pub(crate) fn close(self) {
        self.questions.close();
        let count = self.serving.lock();
        let busy = |count: &mut usize| *count > 0;
        let waited = self
            .serving
            .changed
            .wait_timeout_while(count, PATIENCE, busy);
        drop(waited);
    }
}

impl Drop for ControlSocket {
    /// Whoever still waits for an answer gets to know that there will be none.
    fn drop(&mut self) {
        self.questions.close();
        let _ = fs::remove_file(&self.path);
    }
}

impl Serving {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept(listener: &UnixListener, questions: &Questions, serving: &Arc<Serving>) {
    for connection in listener.incoming() {
        let Ok(connection) = connection else { continue };
        let Some(guest) = Served::begin(serving) else {
            continue;
        };
        let questions = questions.clone();
        let serve = move || {
            let _guest = guest;
            // Whoever does not speak the protocol, or goes away, gets no answer.
            let _ = serve(&connection, &questions);
        };
        let _ = thread::Builder::new().spawn(serve);
    }
}

/// One connection being served.
struct Served(Arc<Serving>);

impl Served {
    fn begin(serving: &Arc<Serving>) -> Option<Self> {
        let mut count = serving.lock();
        if *count >= MAX_CONNECTIONS {
            return None;
        }
        *count += 1;
        Some(Served(Arc::clone(serving)))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.changed.notify_all();
    }
}

fn serve(connection: &UnixStream, questions: &Questions) -> io::Result<()> {
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    let answer = questions.ask(receive(connection)?).recv();
    let ended = |_| Answer::Refused("it has ended".to_owned());
    send(connection, &answer.unwrap_or_else(ended))
}

/// Asks the process that runs `job`, and waits until it has done what is asked.
///
/// # Errors
/// The job is not running, does not answer, or refuses.
pub fn ask(job: &JobInfo, question: &Question) -> Result<Answer, Error> {
    let id = job.record.id.clone();
    if job.state != State::Running {
        let state = job.state;
        return Err(Error::NotRunning { id, state });
    }
    let answer = connect(job).and_then(|connection| {
        connection.set_write_timeout(Some(PATIENCE))?;
        send(&connection, question)?;
        receive(&connection)
    });
    match answer {
        Ok(Answer::Refused(reason)) => Err(Error::Refused { id, reason }),
        Ok(answer) => Ok(answer),
        Err(error) => {
            let reason = error.to_string();
            Err(Error::NoAnswer { id, reason })
        }
    }
}

/// A process that has just taken the job's lock makes the socket in a moment.
fn connect(job: &JobInfo) -> io::Result<UnixStream> {
    let start = Instant::now();
    loop {
        match with_short_path(&job.socket(), |path| UnixStream::connect(path)) {
            Err(error)
                if is_not_ready(&error) && start.elapsed() < PATIENCE && job.is_running() =>
            {
                thread::sleep(Duration::from_millis(1));
            }
            connection => return connection,
        }
    }
}

fn is_not_ready(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::ConnectionRefused
    )
}

/// The name of a socket has about a hundred bytes at most. Linux has a short one for every
/// open directory.
fn with_short_path<T>(path: &Path, action: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    const SAFE_LENGTH: usize = 90;
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return action(path);
    };
    if !cfg!(target_os = "linux") || path.as_os_str().len() < SAFE_LENGTH {
        return action(path);
    }
    let directory = fs::File::open(directory)?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&directory);
    action(&PathBuf::from(format!("/proc/self/fd/{number}")).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JobStore, Record};

    #[test]
    fn a_long_path_is_no_obstacle_and_the_dead_do_not_answer() {
        let directory = tempfile::tempdir().unwrap();
        let store = JobStore::new(directory.path().join("j".repeat(120)));
        let record = Record::new("w".into(), "sha256:00".into(), Vec::new());
        let job = store.create(record).unwrap();
        let questions = Questions::default();
        let socket = ControlSocket::listen(&job, &questions).unwrap();
        let info = store.find(&job.record.id).unwrap();
        questions.close();
        assert!(matches!(
            ask(&info, &Question::Kill),
            Err(Error::Refused { reason, .. }) if reason == "it has ended"
        ));
        socket.close();
        let id = job.record.id.clone();
        drop(job);
        let gone = ask(&store.find(&id).unwrap(), &Question::Kill);
        assert!(matches!(
            gone,
            Err(Error::NotRunning {
                state: State::Lost,
                ..
            })
        ));
    }
}
