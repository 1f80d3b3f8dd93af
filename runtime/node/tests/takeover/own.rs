//! What is worth attacking from within a job's process: what the node keeps of this job and others.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, RenameFlags};

use crate::attacker::Attacker;
use crate::attempts::{Attempt, Stopped};

/// Whether an attempt is made here. Limits of the process are larger in a job than in the sandbox's own
/// test, what the system says of it in `/proc/self` it may read, and a file can be moved once.
pub(crate) fn is_tried(attempt: &Attempt) -> bool {
    let elsewhere = ["read_own_environment", "rename_within_scratch"];
    !matches!(attempt.stopped, Stopped::Rlimits(_)) && !elsewhere.contains(&attempt.name)
}

type Action = fn(&Attacker) -> io::Result<()>;

macro_rules! attempts {
    ($($name:ident,)*) => { &[$((stringify!($name), $name),)*] };
}

/// All are stopped by Landlock, but where seccomp is faster.
pub(crate) const ATTEMPTS: &[(&str, Action)] = attempts! {
    read_the_record,
    write_the_record,
    replace_the_record,
    delete_the_record,
    link_the_record_to_be_a_checkpoint,
    open_the_lock,
    open_the_lock_of_the_process,
    delete_the_control_socket,
    write_a_receipt,
    make_a_file_in_the_jobs_directory,
    move_a_directory_in_the_place_of_another,
    list_its_checkpoints,
    read_its_checkpoint,
    write_its_checkpoint,
    make_a_checkpoint,
    read_the_key_of_the_node,
    list_the_cache,
    put_code_into_the_cache,
    list_the_jobs,
    read_the_record_of_another_job,
    read_a_checkpoint_of_another_job,
    write_into_another_job,
    unlock_the_job,
};

fn read(path: &Path) -> io::Result<()> {
    fs::read(path).map(drop)
}

fn write(path: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).open(path).map(drop)
}

fn list(path: &Path) -> io::Result<()> {
    fs::read_dir(path).map(drop)
}

fn delete(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(CWD, path, AtFlags::empty())?)
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let flags = RenameFlags::empty();
    Ok(rustix::fs::renameat_with(CWD, from, CWD, to, flags)?)
}

fn read_the_record(attacker: &Attacker) -> io::Result<()> {
    read(&attacker.directory().join("job.json"))
}

fn write_the_record(attacker: &Attacker) -> io::Result<()> {
    write(&attacker.directory().join("job.json"))
}

fn replace_the_record(attacker: &Attacker) -> io::Result<()> {
    attacker.leave("{}");
    rename(&attacker.outgoing(), &attacker.directory().join("job.json"))
}

fn delete_the_record(attacker: &Attacker) -> io::Result<()> {
    delete(&attacker.directory().join("job.json"))
}

fn link_the_record_to_be_a_checkpoint(attacker: &Attacker) -> io::Result<()> {
    let record = attacker.directory().join("job.json");
    fs::hard_link(record, attacker.directory().join("outgoing/record"))
}

fn open_the_lock(attacker: &Attacker) -> io::Result<()> {
    File::open(attacker.directory().join("lock")).map(drop)
}

fn open_the_lock_of_the_process(attacker: &Attacker) -> io::Result<()> {
    File::open(attacker.directory().join("process.lock")).map(drop)
}

fn delete_the_control_socket(attacker: &Attacker) -> io::Result<()> {
    delete(&attacker.directory().join("control.sock"))
}

fn write_a_receipt(attacker: &Attacker) -> io::Result<()> {
    File::create(attacker.directory().join("receipt.json")).map(drop)
}

fn make_a_file_in_the_jobs_directory(attacker: &Attacker) -> io::Result<()> {
    File::create(attacker.directory().join("new")).map(drop)
}

fn move_a_directory_in_the_place_of_another(attacker: &Attacker) -> io::Result<()> {
    let directory = attacker.directory();
    rename(&directory.join("outgoing"), &directory.join("checkpoints"))
}

fn list_its_checkpoints(attacker: &Attacker) -> io::Result<()> {
    list(&attacker.directory().join("checkpoints"))
}

fn read_its_checkpoint(attacker: &Attacker) -> io::Result<()> {
    read(&attacker.own(1))
}

fn write_its_checkpoint(attacker: &Attacker) -> io::Result<()> {
    write(&attacker.own(1))
}

fn make_a_checkpoint(attacker: &Attacker) -> io::Result<()> {
    Ok(rustix::fs::symlinkat("/etc/passwd", CWD, attacker.own(2))?)
}

fn read_the_key_of_the_node(attacker: &Attacker) -> io::Result<()> {
    read(&attacker.home().join("node.key"))
}

fn list_the_cache(attacker: &Attacker) -> io::Result<()> {
    list(&attacker.home().join("cache"))
}

fn put_code_into_the_cache(attacker: &Attacker) -> io::Result<()> {
    File::create(attacker.home().join("cache/code")).map(drop)
}

fn list_the_jobs(attacker: &Attacker) -> io::Result<()> {
    list(&attacker.home().join("jobs"))
}

fn read_the_record_of_another_job(attacker: &Attacker) -> io::Result<()> {
    read(&attacker.other().join("job.json"))
}

fn read_a_checkpoint_of_another_job(attacker: &Attacker) -> io::Result<()> {
    read(&attacker.other().join("checkpoints/1"))
}

fn write_into_another_job(attacker: &Attacker) -> io::Result<()> {
    let directory = attacker.other().join("scratch/new");
    Ok(rustix::fs::mkdirat(CWD, directory, Mode::RWXU)?)
}

fn unlock_the_job(attacker: &Attacker) -> io::Result<()> {
    let lock = &attacker.first["descriptors"]["lock"];
    let lock = lock.as_i64().and_then(|lock| i32::try_from(lock).ok());
    let lock = lock.expect("a descriptor");
    #[expect(unsafe_code, reason = "attackers know descriptors by their numbers")]
    // SAFETY: it is open as long as this process lives, and nobody else uses it.
    let lock = unsafe { std::os::fd::BorrowedFd::borrow_raw(lock) };
    Ok(rustix::fs::flock(lock, rustix::fs::FlockOperation::Unlock)?)
}
