//! Batch scripts for [Slurm](https://slurm.schedmd.com/sbatch.html), 20.11 or later.
//!
//! A script starts `wherry run` with a state directory that all nodes see. Slurm signals the script
//! before the time limit, and whenever it takes the node away; the job writes a checkpoint then, and
//! is queued again by the script or by Slurm. Started again, on whatever node, the same script goes on
//! from there.

use std::fmt::Write as _;
use std::time::Duration;

use crate::shell::quoted;

/// What is written into a script.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The job's name: letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// The `wherry` of the nodes: a path, or a name that is looked for in `PATH`.
    pub wherry: String,
    /// What comes after `wherry run`.
    pub run: Vec<String>,
    /// An artifact that the node pulls first, if it has not got it.
    pub pull: Option<String>,
    /// Memory for all of the job, in bytes: `--mem`. None leaves it to the site.
    pub memory: Option<u64>,
    /// How long the job runs before it is queued again: `--time`. None leaves it to the partition.
    pub time: Option<Duration>,
    /// GPUs: `--gres=gpu:N`.
    pub gpus: u32,
    /// Indices of the jobs of an array: `--array`, as in `0-99%4`.
    pub array: Option<String>,
    /// How long writing a checkpoint may take.
    pub grace: Duration,
    /// Where the state of jobs is kept, seen from the directory that the script is submitted in.
    pub states: String,
    /// Further options of `sbatch`, such as `--partition=long`.
    pub options: Vec<String>,
}

/// Why there is no script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The name cannot be part of a file's name.
    #[error("`{0}` is no name for a job: it may have letters, digits, `.`, `_` and `-`")]
    Name(String),
    /// The indices are not in Slurm's notation.
    #[error("`{0}` are no indices of an array: write them as in 0-99%4 or 1,3,5")]
    Array(String),
    /// An option would not be one in a script.
    #[error("`{0}` is no option of sbatch: it begins with `-` and has one line")]
    Option(String),
    /// Slurm cannot signal that early.
    #[error(
        "a checkpoint cannot be given {0:?}: Slurm signals at most 65535 seconds before the end"
    )]
    Grace(Duration),
    /// There would be no time to compute anything.
    #[error(
        "{0:?} is too short: a checkpoint may take {1:?}, and Slurm signals up to a minute early"
    )]
    Time(Duration, Duration),
    /// A word that no shell can read.
    #[error("there is a NUL or a line break in `{}`", .0.escape_debug())]
    Word(String),
}

impl Batch {
    /// The script, for `sbatch`.
    ///
    /// # Errors
    /// If something in it cannot be said to Slurm or to a shell.
    pub fn script(&self) -> Result<String, Error> {
        self.check()?;
        let mut script = String::from("#!/bin/bash\n");
        for directive in self.directives() {
            script.push_str("#SBATCH ");
            script.push_str(&directive);
            script.push('\n');
        }
        let words: Vec<_> = self.run.iter().map(|word| quoted(word)).collect();
        let grace = self.grace.as_secs();
        let pull = self.pull.as_deref().map_or_else(String::new, |reference| {
            let (wherry, reference) = (quoted(&self.wherry), quoted(reference));
            format!("{wherry} pull {reference} || exit\n")
        });
        let filled = TEMPLATE
            .replace("{grace}", &grace.to_string())
            .replace("{states}", &quoted(&self.states))
            .replace("{pull}", &pull)
            .replace("{wherry}", &quoted(&self.wherry))
            // Last, since it may have anything in it.
            .replace("{run}", &words.join(" "));
        script.push_str(&filled);
        Ok(script)
    }

    fn directives(&self) -> Vec<String> {
        let mut directives = vec![format!("--job-name={}", self.name)];
        if let Some(memory) = self.memory {
            directives.push(format!("--mem={}M", memory.div_ceil(1 << 20)));
        }
        if let Some(time) = self.time {
            directives.push(format!("--time={}", minutes(time)));
        }
        if self.gpus > 0 {
            directives.push(format!("--gres=gpu:{}", self.gpus));
        }
        if let Some(array) = &self.array {
            directives.push(format!("--array={array}"));
        }
        let job = if self.array.is_some() { "%A_%a" } else { "%j" };
        directives.push(format!("--signal=B:USR1@{}", self.grace.as_secs().max(1)));
        directives.push("--requeue".to_owned());
        directives.push("--open-mode=append".to_owned());
        directives.push(format!("--output={}-{job}.slurm", self.name));
        directives.extend(
            self.options
                .iter()
                .map(|option| quoted(option).into_owned()),
        );
        directives
    }

    fn check(&self) -> Result<(), Error> {
        let of = |text: &str, others: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
        };
        if !of(&self.name, "._-") || self.name.len() > 128 || self.name.starts_with(['.', '-']) {
            return Err(Error::Name(self.name.clone()));
        }
        if let Some(array) = &self.array
            && (!of(array, ",-:%") || array.contains(|c: char| c.is_ascii_alphabetic()))
        {
            return Err(Error::Array(array.clone()));
        }
        let broken = |text: &&String| text.contains(['\0', '\n', '\r']);
        let lone = |text: &&String| !text.starts_with('-') || broken(text);
        if let Some(option) = self.options.iter().find(lone) {
            return Err(Error::Option(option.clone()));
        }
        let words = self.run.iter().chain(&self.pull);
        let mut words = words.chain([&self.wherry, &self.states]);
        if let Some(word) = words.find(broken) {
            return Err(Error::Word(word.clone()));
        }
        if self.grace.as_secs() > u64::from(u16::MAX) {
            return Err(Error::Grace(self.grace));
        }
        match self.time {
            Some(time) if time < self.grace + EARLY => Err(Error::Time(time, self.grace)),
            _ => Ok(()),
        }
    }
}

/// Slurm's own figure of how early a signal may come.
const EARLY: Duration = Duration::from_secs(60);

/// Slurm counts in minutes, and rounds up.
fn minutes(time: Duration) -> String {
    let minutes = time.as_secs().div_ceil(60);
    let mut text = String::new();
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    // Writing to a String does not fail.
    let _ = write!(text, "{days}-{hours:02}:{minutes:02}");
    text
}

const TEMPLATE: &str = include_str!("slurm/batch.sh");
