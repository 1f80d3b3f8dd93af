//! A host for WASI preview 1 (`wasi_snapshot_preview1`) over cap-std, whose whole state can
//! be saved and restored. No engine is linked: memory is a slice of bytes.

mod config;
mod errno;
mod functions;
mod interrupt;
mod state;

pub use config::{ConfigError, Input, Mount, Output, Scratch, Stdio, WasiConfig};
pub use errno::{Errno, Fault};
pub use interrupt::Interrupt;
pub use state::{RestoreError, SaveError, WasiState};

use wherry_snapshot::{BlobSink, BlobSource};

/// One job's view of the system.
#[derive(Debug)]
pub struct Wasi {
    _config: WasiConfig,
}

impl Wasi {
    /// Gives a new job what `config` says.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn new(config: WasiConfig) -> Result<Self, ConfigError> {
        Ok(Self { _config: config })
    }

    /// Saves the state; the job may go on afterwards.
    ///
    /// # Errors
    /// See [`SaveError`].
    pub fn save(&mut self, _blobs: &mut dyn BlobSink) -> Result<WasiState, SaveError> {
        Ok(WasiState::default())
    }

    /// Restores a saved state. Of `config`, directories, standard streams and the interrupt
    /// are used; arguments, environment and seed are those of the state.
    ///
    /// # Errors
    /// See [`RestoreError`].
    pub fn restore(
        _state: &WasiState,
        config: WasiConfig,
        _blobs: &dyn BlobSource,
    ) -> Result<Self, RestoreError> {
        Ok(Self { _config: config })
    }
}

/// Signatures only; the functions are being written.
macro_rules! declare {
    ($(fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $result:ident;)*) => {
        /// The functions of preview 1.
        #[expect(clippy::too_many_arguments, unused_variables, missing_docs)]
        impl Wasi {
            $(pub fn $name(&mut self, memory: &mut [u8], $($arg: $type),*) -> Result<(), Fault> {
                Err(Errno::Nosys.into())
            })*
        }
    };
}
for_each_function!(declare);
