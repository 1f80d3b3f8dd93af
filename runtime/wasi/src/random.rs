//! Random numbers: a stream that is part of the job's state.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::memory::GuestMemory;
use crate::{Fault, Wasi};

/// Where a job is in its stream of random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RandomState {
    /// Key of ChaCha20.
    pub seed: [u8; 32],
    /// How many 32-bit words were taken.
    pub position: u128,
}

impl RandomState {
    pub(crate) fn restore(&self) -> ChaCha20Rng {
        let mut random = ChaCha20Rng::from_seed(self.seed);
        random.set_word_pos(self.position);
        random
    }

    pub(crate) fn save(random: &ChaCha20Rng) -> Self {
        Self {
            seed: random.get_seed(),
            position: random.get_word_pos(),
        }
    }
}

/// Random numbers.
impl Wasi {
    /// Fills a buffer with random bytes.
    ///
    /// # Errors
    /// `fault` if the buffer is not in memory.
    pub fn random_get(&mut self, memory: &mut [u8], buffer: u32, len: u32) -> Result<(), Fault> {
        self.random.fill_bytes(memory.bytes_mut(buffer, len)?);
        Ok(())
    }
}
