//! Data that a workload brings along: a layer that is a file, or an archive of a directory, with
//! the place where the program finds it.

use std::collections::HashMap;

use oci_spec::image as oci;

use super::{ArtifactError, Descriptor, media_type};
use crate::config::guest_path;
use crate::digest::excerpt;

/// As many as a workload may have directories of the node.
pub(crate) const MAX_DATA_LAYERS: usize = 64;
/// The longest name of a file that is a layer. With a digest before it, it is a file name still.
const MAX_FILE_NAME: usize = 128;
/// Says where the program finds a layer.
const GUEST: &str = "io.wherry.data.guest";

/// Data that a workload brings along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataLayer {
    /// Its bytes.
    pub blob: Descriptor,
    /// The directory in which the program finds it.
    pub guest: String,
    /// What the bytes are.
    pub form: DataForm,
}

/// What the bytes of a data layer are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataForm {
    /// The file of this name.
    File(String),
    /// A tar archive of what the directory holds.
    Directory,
}

impl DataForm {
    /// The media type of such a layer.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        match self {
            Self::File(_) => media_type::DATA_FILE,
            Self::Directory => media_type::DATA_DIRECTORY,
        }
    }
}

impl DataLayer {
    /// The layer as a manifest has it.
    pub(super) fn to_oci(&self) -> Result<oci::Descriptor, ArtifactError> {
        let mut layer = self.blob.to_oci()?;
        let mut annotations = HashMap::from([(GUEST.to_owned(), self.guest.clone())]);
        if let DataForm::File(name) = &self.form {
            annotations.insert(oci::ANNOTATION_TITLE.to_owned(), name.clone());
        }
        layer.set_annotations(Some(annotations));
        Ok(layer)
    }
}

impl TryFrom<&oci::Descriptor> for DataLayer {
    type Error = ArtifactError;

    fn try_from(layer: &oci::Descriptor) -> Result<Self, ArtifactError> {
        let blob = Descriptor::try_from(layer)?;
        let refused = |reason: String| ArtifactError::Data {
            digest: blob.digest,
            reason,
        };
        let annotation = |name: &str| {
            let value = layer.annotations().as_ref()?.get(name)?;
            Some(value.clone())
        };
        let guest =
            annotation(GUEST).ok_or_else(|| refused(format!("it has no annotation `{GUEST}`")))?;
        guest_path(&guest).map_err(&refused)?;
        let form = match blob.media_type.as_str() {
            media_type::DATA_DIRECTORY => DataForm::Directory,
            media_type::DATA_FILE => {
                let name = annotation(oci::ANNOTATION_TITLE);
                let name = name.ok_or_else(|| refused("it is a file without a name".to_owned()))?;
                DataForm::File(checked_file_name(&name).map_err(&refused)?)
            }
            other => return Err(refused(format!("its type is `{}`", excerpt(other)))),
        };
        Ok(Self { blob, guest, form })
    }
}

/// A name that is one file in its directory, whoever has chosen it.
pub(crate) fn checked_file_name(name: &str) -> Result<String, String> {
    if name.len() > MAX_FILE_NAME {
        return Err(format!(
            "its name has {} bytes, at most {MAX_FILE_NAME} are accepted",
            name.len()
        ));
    }
    if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) {
        return Err(format!("`{}` is not the name of a file", excerpt(name)));
    }
    Ok(name.to_owned())
}
