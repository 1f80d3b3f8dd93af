//! Where a checkpoint comes from: the node that made it says so, signed, and the nodes before it
//! said so of those that it went on from. `docs/trust.md` describes the statements.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wherry_trust::{Bundle, Sha256, Statement, TrustedKey, TrustedKeys, VerifyError};

use crate::{Point, Record};

/// What kind of statement says where a checkpoint comes from.
pub const ORIGIN_PREDICATE: &str = "https://wherry-grid.github.io/checkpoint/v1";

/// The version of the predicate that is written, and the only one that is read.
const FORMAT: u32 = 1;

/// What a node says of a checkpoint that it made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// Version of this format: 1.
    pub format: u32,
    /// The version of Wherry that made it.
    pub runtime: String,
    /// Which checkpoint it is.
    #[serde(flatten)]
    pub made: Made,
    /// The checkpoint that the job came to the node with; none if the job began there.
    pub arrived: Option<Point>,
}

/// What tells a checkpoint from all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    /// Digest of the module, `sha256:…`.
    pub module: String,
    /// The digest of the checkpoint file, `sha256:…`: it covers all that is in it, and the files that
    /// it builds on.
    pub file: String,
    /// Its number, and the name of its state.
    pub checkpoint: Point,
}

/// With what a job came to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrival {
    /// The checkpoint.
    pub with: Point,
    /// What nodes had stated of it, and of those before: bundles, believed or not.
    pub statements: Vec<Value>,
}

impl Origin {
    /// That the node made the checkpoint `made` of the job that `record` describes.
    #[must_use]
    pub fn of(record: &Record, made: Made) -> Self {
        Origin {
            format: FORMAT,
            runtime: env!("CARGO_PKG_VERSION").to_owned(),
            made,
            arrived: record.arrival.as_ref().map(|arrival| arrival.with.clone()),
        }
    }

    /// The statement about `subject`: the manifest of the artifact that the checkpoint is in, or its
    /// file digest.
    #[must_use]
    pub fn statement(&self, subject: Sha256) -> Statement {
        let predicate = serde_json::to_value(self).unwrap_or_default();
        Statement::about(subject, ORIGIN_PREDICATE, predicate)
    }

    /// What a bundle states, if it is a statement of this kind. Nothing says that it is true.
    #[must_use]
    pub fn unverified(bundle: &Bundle) -> Option<Self> {
        Self::of_statement(&bundle.unverified_statement()?)
    }

    fn of_statement(statement: &Statement) -> Option<Self> {
        if statement.predicate_type != ORIGIN_PREDICATE {
            return None;
        }
        let origin = Self::deserialize(&statement.predicate).ok()?;
        (origin.format == FORMAT).then_some(origin)
    }
}

/// The nodes that a checkpoint comes from, as far as they are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Who made the checkpoint, who the one that it came to that node with, and so on.
    pub links: Vec<Link>,
    /// The checkpoint of which nobody says that they made it, if the chain does not reach the
    /// beginning of the job.
    pub unknown: Option<Point>,
}

/// A node that made a checkpoint, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// What is said.
    pub origin: Origin,
    /// The name of the key that it is said to be signed with.
    pub hint: String,
    /// Who says so, or why that is not known.
    pub verdict: Result<TrustedKey, VerifyError>,
    bundle: Bundle,
}

/// Why a checkpoint's chain is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Nobody says that they made it.
    #[error("no node has signed the checkpoint {0}")]
    Unsigned(String),
    /// Somebody says so who is not believed.
    #[error("the signature of the checkpoint {name} does not count: {source}")]
    Untrusted {
        /// The checkpoint.
        name: String,
        /// Why.
        source: VerifyError,
    },
}

impl Chain {
    /// Follows the `statements` from the checkpoint `made` back to where its job began. Of several about
    /// one checkpoint, one that one of `keys` signed counts.
    #[must_use]
    pub fn trace(made: &Made, statements: &[Bundle], keys: &TrustedKeys) -> Self {
        let mut chain = Chain {
            links: Vec::new(),
            unknown: Some(made.checkpoint.clone()),
        };
        // The digest of its file is what tells it from all others, whatever artifact it is in.
        let mut next = best(statements, keys, |origin, _| origin.made == *made);
        while let Some(link) = next {
            let later = link.origin.made.checkpoint.sequence;
            chain.unknown.clone_from(&link.origin.arrived);
            chain.links.push(link);
            next = match &chain.unknown {
                // Each is older than the one that came of it: forged ones do not lead in a circle.
                Some(point) if point.sequence < later => best(statements, keys, |origin, _| {
                    origin.made.checkpoint == *point && origin.made.module == made.module
                }),
                _ => None,
            };
        }
        chain
    }

    /// Whether every node of it is believed, back to where the job began.
    ///
    /// # Errors
    /// It is not, or nobody says that they made one of the checkpoints.
    pub fn check(&self) -> Result<(), ChainError> {
        for link in &self.links {
            if let Err(source) = &link.verdict {
                let (name, source) = (link.origin.made.checkpoint.name(), source.clone());
                return Err(ChainError::Untrusted { name, source });
            }
        }
        match &self.unknown {
            Some(point) => Err(ChainError::Unsigned(point.name())),
            None => Ok(()),
        }
    }

    /// The job that goes on from the checkpoint `with` carries this along.
    #[must_use]
    pub fn arrival(&self, with: Point) -> Arrival {
        let bundles = self.links.iter().map(|link| link.bundle.to_value());
        Arrival {
            with,
            statements: bundles.collect(),
        }
    }
}

impl Link {
    /// Who says that they made the checkpoint in the artifact `subject`: somebody whom one of
    /// `keys` makes believed, or else anybody.
    #[must_use]
    pub fn about(subject: &Sha256, statements: &[Bundle], keys: &TrustedKeys) -> Option<Self> {
        best(statements, keys, |_, statement| statement.is_about(subject))
    }
}

impl Point {
    /// For people: its number, and as much of its state's name as tells states apart.
    #[must_use]
    pub fn name(&self) -> String {
        let (_, digits) = self.state.split_once(':').unwrap_or_default();
        let digits: String = digits.chars().filter(char::is_ascii_hexdigit).collect();
        format!("{} ({:.12})", self.sequence, digits)
    }
}

/// The statement that fits: one that is believed, or else any.
fn best(
    statements: &[Bundle],
    keys: &TrustedKeys,
    fits: impl Fn(&Origin, &Statement) -> bool,
) -> Option<Link> {
    let mut found = None;
    for bundle in statements {
        let Some(statement) = bundle.unverified_statement() else {
            continue;
        };
        let origin = Origin::of_statement(&statement);
        let Some(origin) = origin.filter(|origin| fits(origin, &statement)) else {
            continue;
        };
        let subject = statement.subjects.first().map(|subject| subject.digest);
        let verified =
            keys.verify_attestation(bundle, &subject.unwrap_or_default(), ORIGIN_PREDICATE);
        let link = Link {
            origin,
            hint: bundle.hint().to_owned(),
            verdict: verified.map(|verified| verified.key.clone()),
            bundle: bundle.clone(),
        };
        if link.verdict.is_ok() {
            return Some(link);
        }
        found.get_or_insert(link);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use wherry_trust::{Algorithm, SigningKey};

    const MODULE: &str = "sha256:00";

    fn point(sequence: u64) -> Point {
        let state = format!("sha256:{sequence:064x}");
        Point { sequence, state }
    }

    fn made(sequence: u64) -> Made {
        Made {
            module: MODULE.to_owned(),
            file: format!("sha256:f{sequence:063x}"),
            checkpoint: point(sequence),
        }
    }

    struct Node {
        key: SigningKey,
        name: &'static str,
    }

    impl Node {
        fn new(name: &'static str) -> Self {
            let key = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
            Node { key, name }
        }

        fn says(&self, made: Made, arrived: Option<Point>) -> Bundle {
            let origin = Origin {
                format: FORMAT,
                runtime: "0".to_owned(),
                made,
                arrived,
            };
            Bundle::sign(&self.key, &origin.statement([1; 32])).unwrap()
        }
    }

    fn keys(nodes: &[&Node]) -> TrustedKeys {
        let key = |node: &&Node| TrustedKey {
            name: node.name.to_owned(),
            key: node.key.public(),
        };
        TrustedKeys::new(nodes.iter().map(key).collect())
    }

    fn names(chain: &Chain) -> Vec<String> {
        let name = |link: &Link| match &link.verdict {
            Ok(key) => key.name.clone(),
            Err(_) => "?".to_owned(),
        };
        chain.links.iter().map(name).collect()
    }

    #[test]
    fn a_chain_is_followed_to_where_the_job_began() {
        let (a, b, c) = (Node::new("a"), Node::new("b"), Node::new("c"));
        let said = [
            a.says(made(3), None),
            c.says(made(9), Some(point(5))),
            b.says(made(5), Some(point(3))),
        ];
        let chain = Chain::trace(&made(9), &said, &keys(&[&a, &b, &c]));
        assert_eq!(names(&chain), ["c", "b", "a"]);
        assert_eq!(chain.check(), Ok(()));
        let chain = Chain::trace(&made(9), &said, &keys(&[&a, &c]));
        assert_eq!(names(&chain), ["c", "?", "a"]);
        let refused = chain.check().unwrap_err().to_string();
        assert!(refused.contains("checkpoint 5 (000000000000)"), "{refused}");
        // What a job carries along is enough for the next node.
        let arrival = chain.arrival(point(9));
        let carried = arrival.statements.iter().map(|value| value.to_string());
        let carried = carried.map(|json| Bundle::parse(json.as_bytes()).unwrap());
        let carried: Vec<_> = carried.chain([b.says(made(11), Some(point(9)))]).collect();
        let chain = Chain::trace(&made(11), &carried, &keys(&[&a, &b, &c]));
        assert_eq!(names(&chain), ["b", "c", "b", "a"]);
        assert_eq!(chain.check(), Ok(()));
    }

    #[test]
    fn a_link_that_is_missing_is_named() {
        let (a, b) = (Node::new("a"), Node::new("b"));
        let both = keys(&[&a, &b]);
        let said = [a.says(made(3), None), b.says(made(9), Some(point(5)))];
        let chain = Chain::trace(&made(9), &said, &both);
        assert_eq!(chain.unknown, Some(point(5)));
        let unsigned = |chain: &Chain| matches!(chain.check(), Err(ChainError::Unsigned(_)));
        assert!(unsigned(&chain));
        assert!(unsigned(&Chain::trace(&made(4), &said, &both)));
        assert!(unsigned(&Chain::trace(&made(4), &[], &both)));
    }

    #[test]
    fn a_statement_is_no_word_for_another_checkpoint() {
        let a = Node::new("a");
        let keys = keys(&[&a]);
        let said = [a.says(made(3), None)];
        let changes: [fn(&mut Made); 4] = [
            |made| made.module.push('1'),
            |made| made.file = "sha256:0".to_owned(),
            |made| made.checkpoint.sequence = 4,
            |made| made.checkpoint.state = "sha256:4".to_owned(),
        ];
        for change in changes {
            let mut other = made(3);
            change(&mut other);
            assert!(
                Chain::trace(&other, &said, &keys).check().is_err(),
                "{other:?}"
            );
        }
        // A link of another module's job is none of this one.
        let mut elsewhere = made(3);
        elsewhere.module.push('1');
        let said = [a.says(elsewhere, None), a.says(made(5), Some(point(3)))];
        assert!(Chain::trace(&made(5), &said, &keys).check().is_err());
    }

    #[test]
    fn what_is_altered_or_forged_stands_in_nobodys_way() {
        let (a, mallory) = (Node::new("a"), Node::new("mallory"));
        let good = a.says(made(3), None);
        let forged = mallory.says(made(3), None);
        let json = String::from_utf8(forged.to_json()).unwrap();
        let (theirs, ours) = (mallory.key.public().id(), a.key.public().id());
        let renamed = json.replace(&theirs.to_string(), &ours.to_string());
        let renamed = Bundle::parse(renamed.as_bytes()).unwrap();
        for said in [vec![forged.clone()], vec![renamed.clone()]] {
            let chain = Chain::trace(&made(3), &said, &keys(&[&a]));
            assert!(matches!(chain.check(), Err(ChainError::Untrusted { .. })));
        }
        let said = [forged, renamed, good];
        assert_eq!(Chain::trace(&made(3), &said, &keys(&[&a])).check(), Ok(()));
    }

    #[test]
    fn a_circle_has_an_end() {
        let a = Node::new("a");
        let said = [
            a.says(made(3), Some(point(5))),
            a.says(made(5), Some(point(3))),
            a.says(made(7), Some(point(7))),
        ];
        for sequence in [3, 5, 7] {
            let chain = Chain::trace(&made(sequence), &said, &keys(&[&a]));
            assert!(
                matches!(chain.check(), Err(ChainError::Unsigned(_))),
                "{sequence}"
            );
        }
    }
}
