//! Fetching a blob: in as many pieces as the connection takes, verified as one.

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use wherry_packager::{BlobWriter, Descriptor, Ingest, StoreError};

use crate::error::{RegistryError, innermost};
use crate::progress::Progress;
use crate::session::Session;

impl Session {
    /// Fetches a blob into the store, unless it is there. After a cut, also one of an earlier
    /// process, it goes on where it was.
    pub(crate) async fn fetch_blob(
        &self,
        ingest: &Ingest,
        blob: &Descriptor,
        progress: &dyn Progress,
    ) -> Result<(), RegistryError> {
        if ingest.has(blob)? {
            progress.skipped(&blob.digest, blob.size);
            return Ok(());
        }
        progress.started(&blob.digest, blob.size);
        let mut writer = ingest.resume(blob)?;
        progress.advanced(&blob.digest, writer.written());
        let mut in_pieces = writer.written() > 0;
        let mut tries = self.tries();
        loop {
            let before = writer.written();
            match self.receive(&mut writer, blob, progress).await {
                Ok(()) => match writer.check() {
                    Ok(()) => break,
                    // One of the pieces is not what it should be. Which one, nobody knows.
                    Err(StoreError::WrongDigest { .. }) if in_pieces => {
                        in_pieces = false;
                        writer.restart()?;
                        progress.rewound(&blob.digest, 0);
                    }
                    Err(error) => return Err(self.blame(error)),
                },
                Err(error) if self.is_passing(&error) => {
                    if writer.written() > before {
                        tries.progress();
                    }
                    in_pieces |= writer.written() > 0;
                    if !tries.again(error.retry_after()).await {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        writer.commit()?;
        progress.finished(&blob.digest);
        Ok(())
    }

    /// Receives what is missing, or as much of it as comes.
    async fn receive(
        &self,
        writer: &mut BlobWriter,
        blob: &Descriptor,
        progress: &dyn Progress,
    ) -> Result<(), RegistryError> {
        if writer.written() == blob.size {
            return Ok(());
        }
        let (mut response, start) = self.blob_from(blob, writer.written()).await?;
        let mut position = start;
        loop {
            let chunk = response.chunk().await;
            let chunk = chunk.map_err(|error| RegistryError::Interrupted {
                registry: self.registry().to_owned(),
                blob: blob.digest,
                done: writer.written(),
                size: blob.size,
                reason: innermost(&error.without_url()),
            })?;
            let Some(chunk) = chunk else { return Ok(()) };
            // A registry that does not know ranges sends again what is here.
            let known = usize::try_from(writer.written() - position).unwrap_or(usize::MAX);
            let fresh = &chunk[known.min(chunk.len())..];
            position += chunk.len() as u64;
            if fresh.is_empty() {
                position = position.min(writer.written());
                continue;
            }
            writer.write(fresh).map_err(|error| self.blame(error))?;
            progress.advanced(&blob.digest, fresh.len() as u64);
        }
    }

    /// Starts to read a blob at `from`. Returns where the answer starts: there, or at 0. Its
    /// length is right, if it has one.
    async fn blob_from(
        &self,
        blob: &Descriptor,
        from: u64,
    ) -> Result<(Response, u64), RegistryError> {
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        let request = || match from {
            0 => self.http().get(url.clone()),
            _ => self
                .http()
                .get(url.clone())
                .header(RANGE, format!("bytes={from}-")),
        };
        let response = self.send(request).await?;
        let wanted = [StatusCode::OK, StatusCode::PARTIAL_CONTENT];
        let what = format!("the blob {}", blob.digest);
        let response = self.expect(response, &wanted, "send a blob", &what).await?;
        let start = match response.status() {
            StatusCode::PARTIAL_CONTENT => self.start_of(&response, blob, from)?,
            _ => 0,
        };
        let length = blob.size - start;
        match response.content_length() {
            Some(actual) if actual != length => Err(RegistryError::WrongLength {
                registry: self.registry().to_owned(),
                blob: blob.digest,
                expected: length,
                actual,
            }),
            _ => Ok((response, start)),
        }
    }

    /// Where a part starts: where it was asked to.
    fn start_of(
        &self,
        response: &Response,
        blob: &Descriptor,
        from: u64,
    ) -> Result<u64, RegistryError> {
        let range = response.headers().get(CONTENT_RANGE);
        let range = range.and_then(|range| range.to_str().ok()).unwrap_or("");
        let expected = format!("bytes {from}-{}/", blob.size - 1);
        let total = range.strip_prefix(&expected);
        match total {
            Some(total) if total == "*" || total == blob.size.to_string() => Ok(from),
            _ => Err(self.protocol(format!(
                "it was asked for the bytes of a blob from {from} and sends others"
            ))),
        }
    }

    /// Bytes that are not what they should be are the registry's doing, not the store's.
    fn blame(&self, error: StoreError) -> RegistryError {
        let registry = self.registry().to_owned();
        match error {
            StoreError::WrongDigest { expected, actual } => RegistryError::WrongDigest {
                registry,
                expected,
                actual,
            },
            StoreError::WrongSize {
                digest: blob,
                expected,
                actual,
            } => RegistryError::WrongLength {
                registry,
                blob,
                expected,
                actual,
            },
            other => other.into(),
        }
    }
}
