//! What refers to a manifest: signatures, SBOMs, checkpoints. A registry knows it by itself
//! (`OCI-Subject`, the referrers API), or else a tag named after the manifest leads to an index
//! that its clients keep.
//!
//! Nothing locks that tag. Who adds to it reads it again after a while: what another client has
//! overwritten in between is merged in once more.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, HeaderMap, LINK};
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wherry_packager::{Descriptor, Digest, Document, Stored, media_type};

use crate::error::RegistryError;
use crate::session::Session;

/// More pages of referrers than any real manifest has.
const MAX_PAGES: usize = 64;
/// More referrers than any real manifest has.
const MAX_REFERRERS: usize = 20_000;
/// How often an index of referrers is written because others write it, too.
const MAX_MERGES: u32 = 20;

/// What cosign says of its bundles in the index, instead of what they are: nothing.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// A manifest that is about another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// The manifest.
    pub descriptor: Descriptor,
    /// What it is, if whoever listed it said so.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// An entry of an index of referrers. What is not known here is kept as it is.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: String,
    manifests: Vec<Entry>,
}

impl Session {
    /// What refers to `subject`, of one artifact type or of any. What does not say its type may be
    /// of any: only its manifest tells.
    pub(crate) async fn referrers(
        &self,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Referrer>, RegistryError> {
        let entries = match self.referrers_of_api(subject, artifact_type).await? {
            Some(entries) => entries,
            None => self.referrers_of_tag(subject).await?,
        };
        let mut referrers = Vec::new();
        for entry in entries {
            let referrer = Referrer {
                descriptor: Descriptor {
                    digest: entry.digest.parse().map_err(|_| self.no_index())?,
                    media_type: entry.media_type,
                    size: entry.size,
                },
                artifact_type: entry.artifact_type.filter(|kind| kind != EMPTY),
                annotations: entry.annotations,
            };
            // A registry may leave the filtering to us.
            let is_other = |wanted| matches!(&referrer.artifact_type, Some(kind) if kind != wanted);
            if !artifact_type.is_some_and(is_other) {
                referrers.push(referrer);
            }
        }
        Ok(referrers)
    }

    /// What the API lists, page by page; `None` if the registry has no such API.
    async fn referrers_of_api(
        &self,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Option<Vec<Entry>>, RegistryError> {
        let mut url = self.url(&format!("referrers/{subject}"))?;
        if let Some(wanted) = artifact_type {
            url.query_pairs_mut().append_pair("artifactType", wanted);
        }
        let mut entries = Vec::new();
        for page in 0..MAX_PAGES {
            let get = || {
                self.http()
                    .get(url.clone())
                    .header(ACCEPT, media_type::INDEX)
            };
            let response = self.send(get).await?;
            let unknown = [
                StatusCode::NOT_FOUND,
                StatusCode::METHOD_NOT_ALLOWED,
                StatusCode::BAD_REQUEST,
                StatusCode::NOT_IMPLEMENTED,
            ];
            if page == 0 && unknown.contains(&response.status()) {
                return Ok(None);
            }
            let wanted = [StatusCode::OK];
            let response = self
                .expect(response, &wanted, "list referrers", self.repository())
                .await?;
            let next = self.next_page(response.url(), response.headers())?;
            let body = self.document_body(response).await?;
            entries.extend(self.index(&body)?.manifests);
            if entries.len() > MAX_REFERRERS {
                break;
            }
            match next {
                Some(next) => url = next,
                None => return Ok(Some(entries)),
            }
        }
        Err(self.protocol("its list of referrers does not end".into()))
    }

    /// The next page, which lies in the registry itself: we send it our credentials.
    fn next_page(&self, page: &Url, headers: &HeaderMap) -> Result<Option<Url>, RegistryError> {
        let link = headers.get(LINK).and_then(|link| link.to_str().ok());
        let Some(link) = link.filter(|link| link.contains("rel=\"next\"")) else {
            return Ok(None);
        };
        let target = link
            .split_once('<')
            .and_then(|(_, rest)| rest.split_once('>'));
        let next = target.and_then(|(target, _)| page.join(target).ok());
        match next.filter(|next| self.is_own(next)) {
            Some(next) => Ok(Some(next)),
            None => Err(self.protocol("its next page of referrers lies elsewhere".into())),
        }
    }

    /// What the fallback tag leads to: nothing, if there is no such tag.
    async fn referrers_of_tag(&self, subject: &Digest) -> Result<Vec<Entry>, RegistryError> {
        let fetched = self.document(&fallback_tag(subject), None).await;
        match fetched {
            Ok(fetched) => Ok(self.index(&fetched.bytes)?.manifests),
            Err(RegistryError::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn index(&self, bytes: &[u8]) -> Result<Index, RegistryError> {
        // The rules for documents first: sizes, digests, no manifest at once.
        Document::parse(bytes).map_err(|_| self.no_index())?;
        serde_json::from_slice(bytes).map_err(|_| self.no_index())
    }

    fn no_index(&self) -> RegistryError {
        self.protocol("its list of referrers is not an index".into())
    }

    /// Adds `manifest` to the index behind its subject's tag.
    pub(crate) async fn add_referrer(
        &self,
        subject: &Digest,
        manifest: &Stored,
    ) -> Result<(), RegistryError> {
        let own = Entry {
            media_type: manifest.descriptor.media_type.clone(),
            digest: manifest.descriptor.digest.to_string(),
            size: manifest.descriptor.size,
            artifact_type: manifest.document.artifact_type(),
            annotations: manifest.document.annotations(),
            other: BTreeMap::new(),
        };
        let tag = fallback_tag(subject);
        for _ in 0..MAX_MERGES {
            let begun = Instant::now();
            let mut entries = self.referrers_of_tag(subject).await?;
            if entries.iter().any(|entry| entry.digest == own.digest) {
                return Ok(());
            }
            entries.push(own.clone());
            match self.put_index(&tag, entries).await {
                // Registries that write a tag for two at once may refuse one of them.
                Ok(())
                | Err(RegistryError::Refused {
                    status: 400 | 409, ..
                }) => {}
                Err(error) => return Err(error),
            }
            // Whoever has read before we wrote, writes in about as long as it took us.
            let pause = begun.elapsed() * 3 + Duration::from_millis(20);
            tokio::time::sleep(pause.min(Duration::from_secs(5))).await;
        }
        Err(self.protocol(format!(
            "what refers to {subject} is overwritten by others again and again"
        )))
    }

    async fn put_index(&self, tag: &str, manifests: Vec<Entry>) -> Result<(), RegistryError> {
        let index = Index {
            schema_version: 2,
            media_type: media_type::INDEX.to_owned(),
            manifests,
        };
        let bytes = serde_json::to_vec(&index).map_err(|_| self.no_index())?;
        self.put_manifest(tag, media_type::INDEX, &bytes)
            .await
            .map(drop)
    }
}

/// The tag under which clients keep what refers to a manifest.
fn fallback_tag(subject: &Digest) -> String {
    format!("sha256-{}", subject.hex())
}
