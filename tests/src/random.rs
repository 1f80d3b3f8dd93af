//! Random numbers that can be had again.

use std::env;
use std::hash::{BuildHasher, RandomState};

/// A source of random numbers (SplitMix64). Its seed is printed, and taken from
/// `WHERRY_TEST_SEED` if that is set.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// # Panics
    /// If `WHERRY_TEST_SEED` is no number.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it prints")]
    #[expect(clippy::print_stderr, reason = "shown when a test fails")]
    pub fn new() -> Self {
        let seed = match env::var("WHERRY_TEST_SEED") {
            Ok(seed) => seed.parse().expect("WHERRY_TEST_SEED is a number"),
            Err(_) => RandomState::new().hash_one(0),
        };
        eprintln!("WHERRY_TEST_SEED={seed}");
        Random(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }

    /// A number from 1 to 2^`bits`, every order of magnitude as likely as the others.
    pub fn magnitude(&mut self, bits: u64) -> u64 {
        let order = 1 << self.below(bits + 1);
        order + self.below(order)
    }
}
