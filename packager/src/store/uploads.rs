//! Where the uploads are that were begun, so that the next process goes on with what this one has not
//! finished.
//!
//! A note is a hint. If there is none, or it is wrong, a blob is sent from its beginning: whatever
//! fails here is no error. Registries sign the addresses of uploads: notes are for the owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::{Store, files};
use crate::digest::Digest;

/// More than an address has, in bytes.
const LONGEST: u64 = 16 << 10;
/// So many digits of a digest tell destinations apart.
const DIGITS: usize = 16;

/// The note about the upload of one blob to one repository.
#[derive(Debug)]
pub struct UploadNote {
    path: PathBuf,
    /// Locked; none if it cannot be written, or another process uploads the same.
    file: Option<File>,
}

impl Store {
    pub(super) fn uploads_directory(&self) -> PathBuf {
        self.directory.join("uploads")
    }

    /// The note about the upload of `blob` to `destination`, a registry and a repository. As long as
    /// it is not dropped, other processes get an empty one, which keeps nothing.
    #[must_use]
    pub fn upload_note(&self, blob: &Digest, destination: &str) -> UploadNote {
        let destination = Digest::of(destination.as_bytes()).hex();
        let name = format!("{}-{}", blob.hex(), &destination[..DIGITS]);
        let path = self.uploads_directory().join(name);
        let _ = fs::create_dir_all(self.uploads_directory());
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path);
        let file = file.ok().filter(|file| file.try_lock().is_ok());
        UploadNote { path, file }
    }

    /// Deletes the notes about blobs that are not `in_use`.
    pub(super) fn forget_uploads(&self, in_use: impl Fn(&Digest) -> bool) {
        for entry in files::list(&self.uploads_directory()).unwrap_or_default() {
            let name = entry.file_name();
            let blob = name.to_str().and_then(|name| name.split_once('-'));
            let blob = blob.and_then(|(blob, _)| Digest::from_hex(blob));
            if !blob.is_some_and(|blob| in_use(&blob)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

impl UploadNote {
    /// The address that was noted last. Whoever was killed while noting one has left a part of it, or
    /// another one's end after it: only a whole line counts.
    #[must_use]
    pub fn location(&self) -> Option<String> {
        let mut file = self.file.as_ref()?;
        let mut text = String::new();
        file.rewind().ok()?;
        file.take(LONGEST).read_to_string(&mut text).ok()?;
        let (line, rest) = text.split_once('\n')?;
        rest.is_empty().then(|| line.to_owned())
    }

    /// Notes where the upload goes on.
    pub fn keep(&mut self, location: &str) {
        let Some(file) = &mut self.file else { return };
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("{location}\n").as_bytes()));
    }

    /// The upload is at its end.
    pub fn remove(self) {
        if self.file.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        (directory, store)
    }

    #[test]
    fn a_note_is_found_again_by_whoever_sends_the_same_to_the_same_place() {
        let (_directory, store) = store();
        let (blob, other) = (Digest::of(b"blob"), Digest::of(b"other"));
        let mut note = store.upload_note(&blob, "a/b");
        assert_eq!(note.location(), None);
        note.keep("http://a/a-longer-address");
        note.keep("http://a/2");
        // As long as it is in use, nobody else goes on with the same upload, or changes the note.
        let mut second = store.upload_note(&blob, "a/b");
        assert_eq!(second.location(), None);
        second.keep("http://a/3");
        second.remove();
        drop(note);
        let note = store.upload_note(&blob, "a/b");
        assert_eq!(note.location().as_deref(), Some("http://a/2"));
        assert_eq!(store.upload_note(&blob, "a/c").location(), None);
        assert_eq!(store.upload_note(&other, "a/b").location(), None);
        note.remove();
        assert_eq!(store.upload_note(&blob, "a/b").location(), None);
    }

    #[test]
    fn half_a_note_is_none_and_those_of_blobs_that_are_gone_go() {
        let (_directory, store) = store();
        let (blob, other) = (Digest::of(b"blob"), Digest::of(b"other"));
        for (text, read) in [("http://a", None), ("http://a\n", Some("http://a"))] {
            let note = store.upload_note(&blob, "a/b");
            fs::write(&note.path, text).unwrap();
            assert_eq!(note.location().as_deref(), read);
        }
        store.upload_note(&other, "a/b").keep("http://b");
        store.forget_uploads(|digest| *digest == blob);
        assert!(store.upload_note(&blob, "a/b").location().is_some());
        assert!(store.upload_note(&other, "a/b").location().is_none());
    }
}
