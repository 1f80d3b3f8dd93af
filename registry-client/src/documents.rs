//! Manifests and indexes of a repository.

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Response, StatusCode};
use wherry_packager::{Descriptor, Digest, Document, MAX_DOCUMENT_SIZE, Reference, media_type};

use crate::error::RegistryError;
use crate::session::{Session, is_html, read_limited};

/// By this header a registry says that it made the manifest a referrer of its subject.
const OCI_SUBJECT: &str = "OCI-Subject";

/// A manifest or index as it arrived: its digest is the one that was asked for.
pub(crate) struct Fetched {
    pub(crate) descriptor: Descriptor,
    pub(crate) bytes: Vec<u8>,
    pub(crate) document: Document,
}

impl Session {
    /// Reads the manifest or index that `tag_or_digest` means, and checks its digest against
    /// `expected`.
    pub(crate) async fn document(
        &self,
        tag_or_digest: &str,
        expected: Option<Digest>,
    ) -> Result<Fetched, RegistryError> {
        let bytes = self.manifest(tag_or_digest).await?;
        let digest = Digest::of(&bytes);
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            return Err(RegistryError::WrongDigest {
                registry: self.registry().to_owned(),
                expected,
                actual: digest,
            });
        }
        let document = Document::parse(&bytes).map_err(|source| RegistryError::Artifact {
            reference: format!("{}/{}, {tag_or_digest}", self.registry(), self.repository()),
            source,
        })?;
        let descriptor = Descriptor::of(&document.media_type(), &bytes);
        Ok(Fetched {
            descriptor,
            bytes,
            document,
        })
    }

    /// The document that a reference means.
    pub(crate) async fn referenced(&self, from: &Reference) -> Result<Fetched, RegistryError> {
        let wanted = match (from.digest(), from.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or_default().to_owned(),
        };
        self.document(&wanted, from.digest()).await
    }

    async fn manifest(&self, tag_or_digest: &str) -> Result<Vec<u8>, RegistryError> {
        use media_type::{DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST};
        let url = self.url(&format!("manifests/{tag_or_digest}"))?;
        let accept = [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX].join(", ");
        let response = self
            .send(|| self.http().get(url.clone()).header(ACCEPT, &accept))
            .await?;
        let what = format!("{}, {tag_or_digest}", self.repository());
        let response = self
            .expect(response, &[StatusCode::OK], "send the manifest", &what)
            .await?;
        self.document_body(response).await
    }

    /// The body of an answer that is to be a document.
    pub(crate) async fn document_body(&self, response: Response) -> Result<Vec<u8>, RegistryError> {
        let limit = usize::try_from(MAX_DOCUMENT_SIZE).unwrap_or(usize::MAX);
        let is_html = is_html(&response);
        let bytes = read_limited(self.registry(), response, limit).await?;
        if is_html || bytes.trim_ascii_start().starts_with(b"<") {
            return Err(self.protocol("it sends an HTML page instead of a manifest".into()));
        }
        Ok(bytes)
    }

    /// Stores a manifest under a tag or its digest. Says whether the registry made it a referrer
    /// of the manifest that it is about.
    ///
    /// docker-registry reads what it stores to check its digest, and finds something else when
    /// another client stores the same at the same moment: that passes.
    pub(crate) async fn put_manifest(
        &self,
        tag_or_digest: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<bool, RegistryError> {
        let mut tries = self.tries();
        loop {
            let done = self.try_to_put(tag_or_digest, media_type, bytes).await;
            match &done {
                Err(error) if error.doubts_the_digest() && tries.again(None).await => {}
                _ => return done,
            }
        }
    }

    async fn try_to_put(
        &self,
        tag_or_digest: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<bool, RegistryError> {
        let url = self.url(&format!("manifests/{tag_or_digest}"))?;
        let put = || {
            self.http()
                .put(url.clone())
                .header(CONTENT_TYPE, media_type)
                .body(bytes.to_vec())
        };
        let response = self.send(put).await?;
        let response = self
            .expect(
                response,
                &[StatusCode::CREATED],
                "take the manifest",
                self.repository(),
            )
            .await?;
        Ok(response.headers().contains_key(OCI_SUBJECT))
    }
}
