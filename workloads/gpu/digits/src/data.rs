//! The images, and what both trainings must agree on: the network's size, where it starts, and in
//! which order it sees the images.

use std::io::Read;

use flate2::read::GzDecoder;
use gpu_device::{Random, Result};

pub const INPUTS: usize = 64;
pub const HIDDEN: usize = 32;
pub const CLASSES: usize = 10;
pub const PARAMETERS: usize = (INPUTS + 1) * HIDDEN + (HIDDEN + 1) * CLASSES;
pub const BATCH: usize = 64;
/// Images to train with; the rest tells how well that went.
pub const TRAINING: usize = 1437;
pub const IMAGES: usize = 1797;

/// The test half of the UCI machine learning repository's "Optical Recognition of Handwritten
/// Digits" (E. Alpaydin, C. Kaynak; CC BY 4.0), as scikit-learn carries it; `workloads/build`
/// fetches it.
const CSV: &[u8] = include_bytes!("../../../out/digits.csv.gz");

pub struct Digits {
    /// 8 x 8 pixels each, between 0 and 1.
    pub images: Vec<f32>,
    pub labels: Vec<u32>,
}

impl Digits {
    pub fn load() -> Result<Self> {
        let mut text = String::new();
        GzDecoder::new(CSV).read_to_string(&mut text)?;
        let mut digits = Digits {
            images: Vec::with_capacity(IMAGES * INPUTS),
            labels: Vec::with_capacity(IMAGES),
        };
        for line in text.lines() {
            let mut numbers = line.split(',').map(str::parse::<u16>);
            for pixel in numbers.by_ref().take(INPUTS) {
                digits.images.push(f32::from(pixel?) / 16.0);
            }
            let label = numbers.next().ok_or("digits: a line is short")??;
            digits.labels.push(label.into());
        }
        if digits.labels.len() != IMAGES || digits.images.len() != IMAGES * INPUTS {
            return Err("digits: this is not the data set".into());
        }
        Ok(digits)
    }
}

/// Small random weights, no biases.
pub fn start() -> Vec<f32> {
    let mut random = Random::new(7);
    let mut layer = |inputs: usize, outputs: usize| -> Vec<f32> {
        let scale = (3.0 / inputs as f32).sqrt();
        let weights = (0..inputs * outputs).map(|_| scale * random.signed());
        weights.chain(std::iter::repeat_n(0.0, outputs)).collect()
    };
    let mut parameters = layer(INPUTS, HIDDEN);
    parameters.extend(layer(HIDDEN, CLASSES));
    parameters
}

/// For each epoch the order of all images: the ones to train with shuffled, then the others.
pub struct Epochs(Random);

impl Epochs {
    pub fn new() -> Self {
        Epochs(Random::new(11))
    }
}

impl Iterator for Epochs {
    type Item = Vec<u32>;

    fn next(&mut self) -> Option<Vec<u32>> {
        let mut order: Vec<u32> = (0..IMAGES as u32).collect();
        for last in (1..TRAINING).rev() {
            order.swap(last, self.0.below(last + 1));
        }
        Some(order)
    }
}

/// The batches of an epoch as ranges of its order: the ones to train with, then the others.
pub fn batches() -> impl Iterator<Item = std::ops::Range<usize>> {
    let split = |from: usize, to: usize| {
        (from..to)
            .step_by(BATCH)
            .map(move |first| first..to.min(first + BATCH))
    };
    split(0, TRAINING).chain(split(TRAINING, IMAGES))
}
