//! The same training on the CPU, image by image.

use crate::Score;
use crate::data::{self, CLASSES, Digits, Epochs, HIDDEN, IMAGES, INPUTS, PARAMETERS, TRAINING};

const RATE: f32 = 0.1;
const MOMENTUM: f32 = 0.9;

pub fn train(digits: &Digits, epochs: u32) -> Vec<Score> {
    let mut network = Network {
        parameters: data::start(),
        momentum: vec![0.0; PARAMETERS],
    };
    Epochs::new()
        .take(epochs as usize)
        .map(|order| network.epoch(digits, &order))
        .collect()
}

struct Network {
    parameters: Vec<f32>,
    momentum: Vec<f32>,
}

/// The parts of the parameters, or of their gradient.
struct Parts<'a> {
    hidden_weights: &'a mut [f32],
    hidden_biases: &'a mut [f32],
    class_weights: &'a mut [f32],
    class_biases: &'a mut [f32],
}

fn parts(parameters: &mut [f32]) -> Parts<'_> {
    let (hidden_weights, rest) = parameters.split_at_mut(INPUTS * HIDDEN);
    let (hidden_biases, rest) = rest.split_at_mut(HIDDEN);
    let (class_weights, class_biases) = rest.split_at_mut(HIDDEN * CLASSES);
    Parts {
        hidden_weights,
        hidden_biases,
        class_weights,
        class_biases,
    }
}

impl Network {
    fn epoch(&mut self, digits: &Digits, order: &[u32]) -> Score {
        let (mut loss, mut right) = (0.0, 0);
        for batch in data::batches() {
            let mut gradient = vec![0.0; PARAMETERS];
            for place in batch.clone() {
                let image = order[place] as usize;
                let pixels = &digits.images[image * INPUTS..][..INPUTS];
                let (image_loss, image_right) =
                    self.image(pixels, digits.labels[image] as usize, &mut gradient);
                if place < TRAINING {
                    loss += image_loss;
                } else {
                    right += u16::from(image_right);
                }
            }
            if batch.start < TRAINING {
                self.learn(&gradient, batch.len() as f32);
            }
        }
        Score {
            loss: loss / TRAINING as f32,
            accuracy: f32::from(right) / (IMAGES - TRAINING) as f32,
        }
    }

    /// The image's loss, and whether it was read right; adds to the gradient.
    fn image(&mut self, pixels: &[f32], label: usize, gradient: &mut [f32]) -> (f32, bool) {
        let network = parts(&mut self.parameters);
        let gradient = parts(gradient);

        let mut hidden = [0.0; HIDDEN];
        hidden.copy_from_slice(network.hidden_biases);
        for (pixel, weights) in pixels.iter().zip(network.hidden_weights.chunks(HIDDEN)) {
            for (sum, weight) in hidden.iter_mut().zip(weights) {
                *sum += pixel * weight;
            }
        }
        let hidden = hidden.map(|sum: f32| sum.max(0.0));

        let mut scores = [0.0; CLASSES];
        scores.copy_from_slice(network.class_biases);
        for (activation, weights) in hidden.iter().zip(network.class_weights.chunks(CLASSES)) {
            for (sum, weight) in scores.iter_mut().zip(weights) {
                *sum += activation * weight;
            }
        }
        let highest = scores.iter().copied().fold(f32::MIN, f32::max);
        let total: f32 = scores.iter().map(|score| (score - highest).exp()).sum();
        let mut errors = scores.map(|score| (score - highest).exp() / total);
        errors[label] -= 1.0;

        for (class, error) in errors.iter().enumerate() {
            gradient.class_biases[class] += error;
        }
        for unit in 0..HIDDEN {
            let weights = &network.class_weights[unit * CLASSES..][..CLASSES];
            let mut blame = 0.0;
            for class in 0..CLASSES {
                gradient.class_weights[unit * CLASSES + class] += hidden[unit] * errors[class];
                blame += weights[class] * errors[class];
            }
            if hidden[unit] > 0.0 {
                gradient.hidden_biases[unit] += blame;
                for (input, pixel) in pixels.iter().enumerate() {
                    gradient.hidden_weights[input * HIDDEN + unit] += pixel * blame;
                }
            }
        }
        let loss = total.ln() + highest - scores[label];
        let right = scores.iter().position(|score| *score == highest) == Some(label);
        (loss, right)
    }

    fn learn(&mut self, gradient: &[f32], images: f32) {
        let parameters = self.parameters.iter_mut().zip(&mut self.momentum);
        for ((parameter, momentum), gradient) in parameters.zip(gradient) {
            *momentum = MOMENTUM * *momentum + gradient / images;
            *parameter -= RATE * *momentum;
        }
    }
}
