//! `wherry attest`

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{ArgGroup, Args};
use serde_json::{Value, json};
use wherry_packager::{Digest, Materials, Store, Stored, title_of};
use wherry_trust::{Statement, names};

use super::Context;
use super::sign::sha256;
use crate::exit;
use crate::failure::Refusal;
use crate::signatures::attach;
use crate::signing::SignKeyArgs;

/// Say something about an artifact of the local store, and sign it
///
/// An attestation is an in-toto statement in a Sigstore bundle, as `cosign attest` makes it, and is
/// attached to the artifact. It is no permission to run it: that is what `wherry sign` gives.
///
/// --sbom lists what the module consists of, as far as its compiler left that in it: crates (`cargo
/// auditable`), Go modules, tools; where it left nothing, the document says so. --provenance says
/// what the artifact was packed from, and by whom.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("what").required(true).args(["sbom", "provenance", "predicate"]),
    after_help = "\
Examples:
  wherry attest --sbom --sign-key team.key nbody:1.0.0
  wherry attest --provenance --builder https://ci.example/job/7 --sign-key ci.key nbody:1.0.0
  wherry attest --predicate scan.json --type https://example.org/scan/v1 --sign-key ci.key nbody:1.0.0"
)]
pub(crate) struct Attest {
    /// What the module consists of (CycloneDX)
    #[arg(long)]
    sbom: bool,
    /// What it was packed from, by whom (SLSA provenance 1)
    #[arg(long)]
    provenance: bool,
    /// Who or what packed it, as a URI
    #[arg(long, value_name = "URI", requires = "provenance", default_value = DEFAULT_BUILDER, hide_default_value = true)]
    builder: String,
    /// Where the sources are, as a URI, and their digest: `git+https://…@sha1:0123…`
    #[arg(long, value_name = "URI[@ALGORITHM:DIGEST]", requires = "provenance")]
    source: Vec<String>,
    /// Something else: a file with JSON
    #[arg(long, value_name = "FILE", requires = "kind")]
    predicate: Option<PathBuf>,
    /// What kind of thing that is, as a URI
    #[arg(long = "type", value_name = "URI", requires = "predicate")]
    kind: Option<String>,
    /// Only print the predicate: sign nothing, attach nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    key: SignKeyArgs,
    /// The artifact's name or digest in the store
    #[arg(value_name = "REF", help_heading = "Arguments")]
    image: String,
}

/// Somebody's own machine, about which nothing is claimed.
const DEFAULT_BUILDER: &str = "https://github.com/wherry-grid/wherry/builder/local";
/// What `wherry pack` does with what: `docs/trust.md` has the parameters.
const BUILD_TYPE: &str = "https://github.com/wherry-grid/wherry/pack/v1";
/// The largest predicate that is taken, so that its bundle is one that is read.
const MAX_PREDICATE: u64 = 2 << 20;

impl Attest {
    pub(crate) fn execute(self, context: &Context) -> anyhow::Result<()> {
        let store = context.home.store_with(&self.image)?;
        let digest = store.resolve(&self.image)?;
        let (kind, predicate) = self.said(&store, &digest)?;
        if self.dry_run {
            return context.output.text(format!("{predicate:#}"));
        }
        let key = self.key.require()?;
        let statement = Statement::about(sha256(&digest)?, kind, predicate);
        let manifest = attach(&store, &digest, &key, &statement)?;
        let value = json!({
            "digest": digest.to_string(),
            "attestation": manifest.to_string(),
            "predicate_type": kind,
            "key": key.public().id().to_string(),
        });
        context.output.result(&value, manifest)
    }

    fn said(&self, store: &Store, digest: &Digest) -> anyhow::Result<(&str, Value)> {
        if let (Some(path), Some(kind)) = (&self.predicate, &self.kind) {
            let failed = || format!("cannot read {}", path.display());
            if fs::metadata(path).with_context(failed)?.len() > MAX_PREDICATE {
                let message = format!("{} has more than {MAX_PREDICATE} bytes", path.display());
                return Err(Refusal::new(exit::BAD_DATA, message).into());
            }
            let text = fs::read(path).with_context(failed)?;
            let predicate = serde_json::from_slice(&text).map_err(|error| {
                let message = format!("{} is not JSON: {error}", path.display());
                Refusal::new(exit::BAD_DATA, message)
            })?;
            return Ok((kind, predicate));
        }
        let workload = store.workload(&digest.to_string())?;
        let stored = store.stored(digest)?;
        let materials = Materials::of(&workload.module).map_err(|error| {
            let message = format!("cannot tell what {} consists of: {error}", self.image);
            Refusal::new(exit::BAD_DATA, message)
        })?;
        if self.sbom {
            let (title, version) = title_of(&stored.document.annotations(), digest);
            let module = &workload.module_digest;
            let bom = materials.to_cyclonedx(&title, version.as_deref(), module);
            return Ok((names::CYCLONEDX_PREDICATE, bom));
        }
        let predicate = self.provenance(&stored, &workload, &materials)?;
        Ok((names::PROVENANCE_PREDICATE, predicate))
    }

    /// <https://slsa.dev/spec/v1.0/provenance>
    fn provenance(
        &self,
        stored: &Stored,
        workload: &wherry_packager::Workload,
        materials: &Materials,
    ) -> anyhow::Result<Value> {
        let module = json!({
            "name": "module.wasm",
            "digest": { "sha256": workload.module_digest.hex() },
        });
        let mut dependencies = vec![module];
        for source in &self.source {
            dependencies.push(dependency(source));
        }
        let tools = materials
            .tools
            .iter()
            .map(|(name, version)| json!({ "name": name, "version": version }));
        Ok(json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "workload": serde_json::to_value(&workload.config)?,
                    "annotations": stored.document.annotations(),
                },
                "internalParameters": { "tools": tools.collect::<Vec<_>>() },
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {
                    "id": self.builder,
                    "version": { "wherry": env!("CARGO_PKG_VERSION") },
                },
            },
        }))
    }
}

/// A source as SLSA writes it, with its digest if that follows the last `@`.
fn dependency(source: &str) -> Value {
    let digest = source.rsplit_once('@').and_then(|(uri, digest)| {
        let (algorithm, value) = digest.split_once(':')?;
        let is_digest = value.len() >= 40 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_digest.then_some((uri, algorithm, value))
    });
    match digest {
        Some((uri, algorithm, value)) => json!({ "uri": uri, "digest": { algorithm: value } }),
        None => json!({ "uri": source }),
    }
}
