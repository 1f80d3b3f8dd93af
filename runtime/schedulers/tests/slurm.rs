//! Batch scripts: what they are, and that a shell takes them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use wherry_schedulers::slurm::{Batch, Error};

fn least() -> Batch {
    Batch {
        name: "sum".to_owned(),
        wherry: "wherry".to_owned(),
        run: vec!["sum:0.1.0".to_owned()],
        pull: None,
        memory: None,
        time: None,
        gpus: 0,
        array: None,
        grace: Duration::from_secs(60),
        states: "wherry-jobs".to_owned(),
        options: Vec::new(),
    }
}

fn most() -> Batch {
    let reference = "registry.example/team/solver:1.2";
    let run = ["--dir", "my data::/in::ro", reference, "it's", "$HOME", ""];
    Batch {
        name: "solver-1.2".to_owned(),
        wherry: "/opt/wherry tools/wherry".to_owned(),
        run: run.map(str::to_owned).into(),
        pull: Some(reference.to_owned()),
        memory: Some((4 << 30) + 1),
        time: Some(Duration::from_secs(26 * 3600 + 1)),
        gpus: 2,
        array: Some("0-99%4".to_owned()),
        grace: Duration::from_secs(90),
        states: "/scratch/all of us/states".to_owned(),
        options: vec!["--partition=long".to_owned(), "--comment=a b".to_owned()],
    }
}

/// With `BLESS=1` the script becomes what is expected.
#[track_caller]
fn expect(name: &str, batch: &Batch) {
    let script = batch.script().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/scripts/{name}.sh"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, &script).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap();
    assert_eq!(script, expected, "{}", file.display());
    let checked = Command::new("bash").arg("-n").arg(&file).status().unwrap();
    assert!(checked.success());
}

#[test]
fn the_least() {
    expect("least", &least());
}

#[test]
fn everything() {
    expect("most", &most());
}

#[test]
fn what_cannot_be_said_is_refused() {
    let refused = |batch: Batch| batch.script().unwrap_err();
    for name in ["", "a b", "a\nb", "../a", "-a", "a/b"] {
        let batch = Batch {
            name: name.to_owned(),
            ..least()
        };
        assert_eq!(refused(batch), Error::Name(name.to_owned()));
    }
    for array in ["", "0-9;id", "a", "1 2"] {
        let batch = Batch {
            array: Some(array.to_owned()),
            ..least()
        };
        assert_eq!(refused(batch), Error::Array(array.to_owned()));
    }
    for option in ["", "long", "--a\n#SBATCH --b"] {
        let batch = Batch {
            options: vec![option.to_owned()],
            ..least()
        };
        assert_eq!(refused(batch), Error::Option(option.to_owned()));
    }
    for word in ["a\nb", "a\0b"] {
        let batch = Batch {
            run: vec![word.to_owned()],
            ..least()
        };
        assert_eq!(refused(batch), Error::Word(word.to_owned()));
    }
    let short = Duration::from_secs(119);
    let batch = Batch {
        time: Some(short),
        ..least()
    };
    assert_eq!(refused(batch), Error::Time(short, Duration::from_secs(60)));
    let long = Duration::from_secs(65536);
    let batch = Batch {
        grace: long,
        ..least()
    };
    assert_eq!(refused(batch), Error::Grace(long));
}
