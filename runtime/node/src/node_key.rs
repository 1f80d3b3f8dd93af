//! The key of a node: made when it is first needed, and then the same for ever.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use wherry_trust::{Algorithm, KeyError, PublicKey, SigningKey};
use zeroize::Zeroizing;

use crate::Error;

/// The private key, in a node's home.
const PRIVATE: &str = "node.key";
/// The public key beside it, for those who are to believe the node.
const PUBLIC: &str = "node.pub";

/// The key of the node whose home is `home`, made now if it has none.
///
/// # Errors
/// The key cannot be read or made.
pub fn node_key(home: &Path) -> Result<SigningKey, Error> {
    let path = home.join(PRIVATE);
    let mut text = fs::read(&path);
    if text
        .as_ref()
        .is_err_and(|error| error.kind() == ErrorKind::NotFound)
    {
        make(home, &path)?;
        text = fs::read(&path);
    }
    let pem = Zeroizing::new(text.map_err(Error::io("read", &path))?);
    let none = || -> Result<_, KeyError> { Err(KeyError::Password) };
    SigningKey::from_pem(&pem, none).map_err(|source| Error::NodeKey { path, source })
}

/// The public key of the node whose home is `home`, if it has one.
///
/// # Errors
/// It cannot be read.
pub fn node_public_key(home: &Path) -> Result<Option<PublicKey>, Error> {
    let path = home.join(PUBLIC);
    match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        text => {
            let pem = text.map_err(Error::io("read", &path))?;
            let key = PublicKey::from_pem(&pem);
            key.map(Some)
                .map_err(|source| Error::NodeKey { path, source })
        }
    }
}

/// Of several processes that make one at once, the first wins.
fn make(home: &Path, path: &Path) -> Result<(), Error> {
    let refused = |source| Error::NodeKey {
        path: path.to_owned(),
        source,
    };
    let key = SigningKey::generate(Algorithm::EcdsaP256).map_err(refused)?;
    fs::create_dir_all(home).map_err(Error::io("create", home))?;
    write(
        home,
        &home.join(PUBLIC),
        key.public().to_pem().as_bytes(),
        true,
    )?;
    if !write(home, path, key.to_pem().as_bytes(), false)? {
        // Another process was faster: its public key is to be there.
        let theirs = node_key(home)?.public().to_pem();
        write(home, &home.join(PUBLIC), theirs.as_bytes(), true)?;
    }
    Ok(())
}

/// Writes a file that only its owner can read, as a whole. Returns whether it was written.
fn write(home: &Path, path: &Path, text: &[u8], replace: bool) -> Result<bool, Error> {
    let failed = Error::io("write", path);
    let written = tempfile::NamedTempFile::new_in(home).and_then(|mut file| {
        file.write_all(text)?;
        file.as_file().sync_all()?;
        if replace {
            file.persist(path).map_err(|error| error.error)?;
            return Ok(true);
        }
        match file.persist_noclobber(path) {
            Ok(_) => Ok(true),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error),
        }
    });
    written.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_node_keeps_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("home");
        assert!(node_public_key(&home).unwrap().is_none());
        let keys: Vec<_> = std::thread::scope(|scope| {
            let made: Vec<_> = (0..4).map(|_| scope.spawn(|| node_key(&home))).collect();
            made.into_iter()
                .map(|made| made.join().unwrap().unwrap().public().id())
                .collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(node_key(&home).unwrap().public().id(), keys[0]);
        let mode = fs::metadata(home.join(PRIVATE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0);
        fs::write(home.join(PRIVATE), "damaged").unwrap();
        assert!(matches!(node_key(&home), Err(Error::NodeKey { .. })));
    }
}
