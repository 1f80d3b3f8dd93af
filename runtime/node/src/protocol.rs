//! What is said on a job's control socket: one question and one answer, each a line of JSON.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Checkpointed;

/// Longer than any path that the system takes.
const MAX_LINE: u64 = 64 << 10;

/// What can be asked of a running job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// Write a checkpoint.
    Checkpoint {
        /// The file to write, absolute; the job's own place if there is none.
        to: Option<PathBuf>,
        /// Whether the job goes on afterwards, or is suspended.
        go_on: bool,
    },
    /// End the job at once.
    Kill,
}

/// What a running job answers, when it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The checkpoint is on the disk.
    Checkpointed(Checkpointed),
    /// The job has ended.
    Killed,
    /// It could not be done.
    Refused(String),
}

/// Writes one line.
pub(crate) fn send(mut to: impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)
}

/// Reads one line, of a length that cannot hurt.
pub(crate) fn receive<T: DeserializeOwned>(from: impl Read) -> io::Result<T> {
    let mut line = Vec::new();
    BufReader::new(from.take(MAX_LINE)).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        let reason = match u64::try_from(line.len()) {
            Ok(length) if length + 1 < MAX_LINE => "the connection ended inside a line",
            _ => "the line is too long",
        };
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(serde_json::from_slice(&line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn said_and_understood() {
        let question = Question::Checkpoint {
            to: Some("/a\nb".into()),
            go_on: true,
        };
        let mut line = Vec::new();
        send(&mut line, &question).unwrap();
        assert_eq!(receive::<Question>(line.as_slice()).unwrap(), question);
        assert_eq!(
            receive::<Question>(&b"\"kill\"\n"[..]).unwrap(),
            Question::Kill
        );
    }

    #[test]
    fn hostile_lines_are_refused() {
        let endless = io::repeat(b' ');
        for line in [
            &b"\"kill\""[..],
            b"",
            b"\n",
            b"{}\n",
            b"\"exec\"\n",
            b"\xff\n",
        ] {
            assert!(receive::<Question>(line).is_err());
        }
        assert!(receive::<Question>(endless).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_understood_or_refused(mut line: Vec<u8>, flip: usize, bit in 0..8u8) {
            let _ = receive::<Question>(line.as_slice());
            line.clear();
            send(&mut line, &Question::Checkpoint { to: Some("/a".into()), go_on: false }).unwrap();
            let place = flip % line.len();
            line[place] ^= 1 << bit;
            if let Ok(question) = receive::<Question>(line.as_slice()) {
                let mut again = Vec::new();
                send(&mut again, &question).unwrap();
                proptest::prop_assert_eq!(receive::<Question>(again.as_slice()).unwrap(), question);
            }
        }
    }
}
