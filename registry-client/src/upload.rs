//! Sending a blob: in one go, and after a cut from where the registry says that it is.
//!
//! An upload is a session of the registry. Its address changes with every answer, and the last one
//! tells how far it is. A registry may have forgotten the session after a cut (docker-registry
//! does): then another one is opened. The address is noted in the store, so that the next process goes
//! on as well.

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, RANGE};
use reqwest::{Body, Response, StatusCode, Url};
use tokio::sync::mpsc;
use wherry_packager::{BlobReader, Descriptor, Digest, Store, StoreError, UploadNote};

use crate::error::RegistryError;
use crate::progress::Progress;
use crate::session::Session;

/// After a cut, a blob is sent in steps of so many bytes: what cut it may do so again.
const STEP: u64 = 16 << 20;
/// Smaller blobs are sent again before a registry has told how far they are.
const NOTED_FROM: u64 = 1 << 20;

/// How a registry answers to the wish to send a blob.
enum Opened {
    /// It took the blob from another of its repositories.
    Mounted,
    Upload(Upload),
}

/// An upload that was begun.
struct Upload {
    location: Url,
    /// How many bytes the registry has.
    offset: u64,
    /// The registry wants steps of so many bytes at least.
    least: u64,
}

/// A blob of the store, read as it is sent.
struct Source<'a> {
    store: &'a Store,
    blob: &'a Descriptor,
    reader: Arc<Mutex<Option<BlobReader>>>,
    /// What is wrong with the blob, if reading it failed.
    damage: Arc<Mutex<Option<StoreError>>>,
    note: Option<UploadNote>,
}

impl Session {
    /// Sends a blob unless the registry has it, or can take it from `other`, another of its
    /// repositories.
    pub(crate) async fn push_blob(
        &self,
        store: &Store,
        blob: &Descriptor,
        other: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<(), RegistryError> {
        if self.has_blob(&blob.digest).await? {
            progress.skipped(&blob.digest, blob.size);
            return Ok(());
        }
        let mut source = Source::new(store, blob, self.note_about(store, blob));
        let noted = self.noted_upload(&source).await;
        let is_noted = noted.is_some();
        let upload = match noted {
            Some(upload) => upload,
            None => match self.open_upload(blob, other).await? {
                Opened::Mounted => {
                    source.forget();
                    progress.skipped(&blob.digest, blob.size);
                    return Ok(());
                }
                Opened::Upload(upload) => upload,
            },
        };
        progress.started(&blob.digest, blob.size);
        progress.advanced(&blob.digest, upload.offset);
        self.send_until_it_is_there(upload, &mut source, is_noted, progress)
            .await?;
        source.forget();
        progress.finished(&blob.digest);
        Ok(())
    }

    /// Sends a blob, after cuts from where the registry is. An upload `is_noted` if an earlier process
    /// began it.
    async fn send_until_it_is_there(
        &self,
        mut upload: Upload,
        source: &mut Source<'_>,
        mut is_noted: bool,
        progress: &dyn Progress,
    ) -> Result<(), RegistryError> {
        let blob = source.blob;
        let mut was_cut = is_noted;
        let mut tries = self.tries();
        loop {
            source.keep(&upload);
            let before = upload.offset;
            let step = match was_cut {
                true => STEP.max(upload.least),
                false => blob.size.max(1),
            };
            let error = match self.send_blob(&mut upload, source, step, progress).await {
                Ok(()) => return Ok(()),
                Err(error) if self.is_passing(&error) => error,
                // What the earlier process left is not what it should be.
                Err(
                    RegistryError::Refused { .. }
                    | RegistryError::NotFound { .. }
                    | RegistryError::Protocol { .. },
                ) if is_noted => {
                    is_noted = false;
                    upload = self.begin_upload().await?;
                    progress.rewound(&blob.digest, 0);
                    continue;
                }
                Err(error) => return Err(error),
            };
            was_cut = true;
            upload = match self.resume_upload(&upload).await? {
                Some(resumed) => resumed,
                // Only the answer was lost.
                None if self.has_blob(&blob.digest).await? => return Ok(()),
                None => self.begin_upload().await?,
            };
            source.keep(&upload);
            progress.rewound(&blob.digest, upload.offset);
            if upload.offset > before {
                tries.progress();
            }
            if !tries.again(error.retry_after()).await {
                return Err(error);
            }
        }
    }

    fn note_about(&self, store: &Store, blob: &Descriptor) -> Option<UploadNote> {
        let destination = format!("{}/{}", self.registry(), self.repository());
        let is_large = blob.size >= NOTED_FROM;
        is_large.then(|| store.upload_note(&blob.digest, &destination))
    }

    /// The upload that an earlier process has begun, if the registry still knows it. It is asked only
    /// once: there is another way.
    async fn noted_upload(&self, source: &Source<'_>) -> Option<Upload> {
        let upload = Upload {
            location: source.note.as_ref()?.location()?.parse().ok()?,
            offset: 0,
            least: 0,
        };
        let answer = self.ask_for_upload(&upload.location).await.ok()?;
        self.known_upload(&upload, &answer)
    }

    /// Whether the repository has a blob.
    pub(crate) async fn has_blob(&self, digest: &Digest) -> Result<bool, RegistryError> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let response = self.send(|| self.http().head(url.clone())).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        let wanted = [StatusCode::OK];
        self.expect(response, &wanted, "look for a blob", self.repository())
            .await
            .map(|_| true)
    }

    async fn open_upload(
        &self,
        blob: &Descriptor,
        source: Option<&str>,
    ) -> Result<Opened, RegistryError> {
        if let Some(source) = source {
            let mut url = self.url("blobs/uploads/")?;
            url.query_pairs_mut()
                .append_pair("mount", &blob.digest.to_string())
                .append_pair("from", source);
            let response = self
                .send(|| self.http().post(url.clone()).header(CONTENT_LENGTH, 0))
                .await?;
            match response.status() {
                StatusCode::CREATED => return Ok(Opened::Mounted),
                StatusCode::ACCEPTED => return self.opened(&response).map(Opened::Upload),
                // Whatever it has against the other repository, sending the blob may be possible.
                _ => {}
            }
        }
        self.begin_upload().await.map(Opened::Upload)
    }

    async fn begin_upload(&self) -> Result<Upload, RegistryError> {
        let url = self.url("blobs/uploads/")?;
        let response = self
            .send(|| self.http().post(url.clone()).header(CONTENT_LENGTH, 0))
            .await?;
        let wanted = [StatusCode::ACCEPTED];
        let response = self
            .expect(response, &wanted, "start an upload", self.repository())
            .await?;
        self.opened(&response)
    }

    fn opened(&self, response: &Response) -> Result<Upload, RegistryError> {
        let least = response.headers().get("OCI-Chunk-Min-Length");
        let least = least.and_then(|least| least.to_str().ok()?.parse().ok());
        Ok(Upload {
            location: self.next_location(response)?,
            offset: 0,
            least: least.unwrap_or(0),
        })
    }

    fn next_location(&self, response: &Response) -> Result<Url, RegistryError> {
        self.location(response)
            .ok_or_else(|| self.protocol("it does not say where to upload to".into()))
    }

    /// Asks how far an upload is; `None` if the registry does not know it any more.
    async fn resume_upload(&self, upload: &Upload) -> Result<Option<Upload>, RegistryError> {
        let answer = self
            .until_answered(async || self.ask_for_upload(&upload.location).await)
            .await?;
        Ok(self.known_upload(upload, &answer))
    }

    async fn ask_for_upload(&self, location: &Url) -> Result<Response, RegistryError> {
        let get = || self.http().get(location.clone());
        match self.send_once(get(), location).await? {
            Some(response) => Ok(response),
            None => self.send_unchallenged(get(), location).await,
        }
    }

    /// What the answer tells about an upload.
    fn known_upload(&self, upload: &Upload, answer: &Response) -> Option<Upload> {
        let known = [StatusCode::NO_CONTENT, StatusCode::ACCEPTED];
        known.contains(&answer.status()).then(|| Upload {
            location: self.location(answer).unwrap_or(upload.location.clone()),
            // Of an empty upload, docker-registry says `0-0`.
            offset: end_of(answer.headers())
                .filter(|end| *end != 1)
                .unwrap_or(0),
            least: upload.least,
        })
    }

    /// Sends the rest of a blob in steps, and closes the upload.
    async fn send_blob(
        &self,
        upload: &mut Upload,
        source: &mut Source<'_>,
        step: u64,
        progress: &dyn Progress,
    ) -> Result<(), RegistryError> {
        let size = source.blob.size;
        if upload.offset > size {
            return Err(self.protocol("it has more of a blob than was sent".into()));
        }
        while upload.offset < size {
            let end = size.min(upload.offset.saturating_add(step));
            self.send_step(upload, source, end, progress).await?;
            source.keep(upload);
        }
        let mut location = upload.location.clone();
        location
            .query_pairs_mut()
            .append_pair("digest", &source.blob.digest.to_string());
        let put = || {
            let put = self.http().put(location.clone());
            put.header(CONTENT_LENGTH, 0)
                .header(CONTENT_TYPE, "application/octet-stream")
        };
        let response = match self.send_once(put(), &location).await? {
            Some(response) => response,
            None => self.send_unchallenged(put(), &location).await?,
        };
        let wanted = [StatusCode::CREATED];
        self.expect(response, &wanted, "take a blob", self.repository())
            .await
            .map(drop)
    }

    /// Sends the bytes of a blob up to `end`.
    async fn send_step(
        &self,
        upload: &mut Upload,
        source: &Source<'_>,
        end: u64,
        progress: &dyn Progress,
    ) -> Result<(), RegistryError> {
        let (start, location) = (upload.offset, upload.location.clone());
        source.rewind_to(start)?;
        let (sent, mut counts) = mpsc::unbounded_channel();
        let patch = self
            .http()
            .patch(location.clone())
            .header(CONTENT_LENGTH, end - start)
            .header(CONTENT_RANGE, format!("{start}-{}", end - 1))
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(source.body(end, sent));
        let digest = &source.blob.digest;
        let mut exchange = pin!(self.send_once(patch, &location));
        let result = loop {
            tokio::select! {
                biased;
                Some(count) = counts.recv() => progress.advanced(digest, count),
                result = &mut exchange => break result,
            }
        };
        // What is wrong here says more than what the network makes of it.
        if let Some(damage) = lock(&source.damage).take() {
            return Err(damage.into());
        }
        let response =
            result?.ok_or_else(|| self.broke_off(source, start, "a new token is needed"))?;
        while let Ok(count) = counts.try_recv() {
            progress.advanced(digest, count);
        }
        // GitLab and others answer 204, or 201 where the digest is still to come.
        let wanted = [
            StatusCode::ACCEPTED,
            StatusCode::NO_CONTENT,
            StatusCode::CREATED,
        ];
        let response = self
            .expect(response, &wanted, "take a blob", self.repository())
            .await?;
        let offset = end_of(response.headers()).unwrap_or(end);
        if offset <= start || offset > end {
            let reason = format!("it was sent the bytes {start} to {end} and has {offset}");
            return Err(self.protocol(reason));
        }
        upload.location = self.next_location(&response)?;
        upload.offset = offset;
        Ok(())
    }

    fn broke_off(&self, source: &Source<'_>, done: u64, reason: &str) -> RegistryError {
        RegistryError::Interrupted {
            registry: self.registry().to_owned(),
            blob: source.blob.digest,
            done,
            size: source.blob.size,
            reason: reason.to_owned(),
        }
    }

    /// Sends a request for which a challenge was just answered.
    async fn send_unchallenged(
        &self,
        request: reqwest::RequestBuilder,
        url: &Url,
    ) -> Result<Response, RegistryError> {
        let response = self.send_once(request, url).await?;
        response.ok_or_else(|| self.unauthorized("it asks for a token again and again".to_owned()))
    }
}

/// How many bytes there are, of the form `0-99`.
fn end_of(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(RANGE)?.to_str().ok()?;
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let (_, last) = range.split_once('-')?;
    last.trim().parse::<u64>().ok()?.checked_add(1)
}

impl<'a> Source<'a> {
    fn new(store: &'a Store, blob: &'a Descriptor, note: Option<UploadNote>) -> Self {
        Self {
            store,
            blob,
            reader: Arc::default(),
            damage: Arc::default(),
            note,
        }
    }

    /// Notes for the next process where its upload is.
    fn keep(&mut self, upload: &Upload) {
        if let Some(note) = &mut self.note {
            note.keep(upload.location.as_str());
        }
    }

    /// It has arrived.
    fn forget(self) {
        if let Some(note) = self.note {
            note.remove();
        }
    }

    /// Makes the bytes from `offset` on the next ones.
    fn rewind_to(&self, offset: u64) -> Result<(), StoreError> {
        let mut reader = lock(&self.reader);
        if reader.as_ref().map(BlobReader::position) != Some(offset) {
            let mut fresh = self.store.open_blob(self.blob)?;
            fresh.skip_to(offset)?;
            *reader = Some(fresh);
        }
        Ok(())
    }

    /// A body of the next bytes up to `end`.
    fn body(&self, end: u64, sent: mpsc::UnboundedSender<u64>) -> Body {
        let (reader, damage) = (Arc::clone(&self.reader), Arc::clone(&self.damage));
        Body::wrap_stream(stream::try_unfold(
            (end, reader, damage, sent),
            async |(end, reader, damage, sent)| match read_up_to(end, &reader) {
                Ok(Some(chunk)) => {
                    // Nobody listens any more once the upload has ended.
                    let _ = sent.send(chunk.len() as u64);
                    Ok(Some((chunk, (end, reader, damage, sent))))
                }
                Ok(None) => Ok(None),
                Err(error) => {
                    let failed = io::Error::other(error.to_string());
                    *lock(&damage) = Some(error);
                    Err(failed)
                }
            },
        ))
    }
}

fn read_up_to(end: u64, reader: &Mutex<Option<BlobReader>>) -> Result<Option<Vec<u8>>, StoreError> {
    match lock(reader).as_mut() {
        Some(reader) => reader.read_at_most(end.saturating_sub(reader.position())),
        None => Ok(None),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
