//! `digits [EPOCHS]`: trains a small network to read handwritten digits, on the GPU with kernels of
//! its own, and writes the loss and the accuracy after each epoch to `loss.csv`.
//!
//! The same training runs on the CPU, and the curves must agree.

mod data;
mod reference;
mod training;

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use data::{Digits, Epochs, TRAINING};
use gpu_device::{Arguments, Gpu, Result};
use training::Training;

const CURVE: &str = "loss.csv";
/// How far the two losses may be apart: their sums are rounded in different orders, and `exp` and
/// `log` differ between drivers.
const TOLERANCE: f32 = 2e-3;

/// What an epoch came to.
#[derive(Clone, Copy, Debug)]
pub struct Score {
    /// Mean cross entropy over the training images, each before its batch was learnt from.
    pub loss: f32,
    /// How many images that were not trained with were read right after the epoch, of all.
    pub accuracy: f32,
}

fn main() -> ExitCode {
    gpu_device::main("digits [EPOCHS] [--time]", digits)
}

fn digits(arguments: &Arguments) -> Result<()> {
    let epochs = arguments.number(0, 20);
    let digits = Digits::load()?;
    let curve = arguments.timed(format_args!("{epochs} epochs"), || train(&digits, epochs))?;

    let expected = reference::train(&digits, epochs);
    for (epoch, (got, expected)) in (1..).zip(curve.iter().zip(&expected)) {
        let error = (got.loss - expected.loss).abs();
        if error.is_nan() || error > TOLERANCE {
            let (got, expected) = (got.loss, expected.loss);
            return Err(
                format!("digits: epoch {epoch}: loss {got}, on the CPU it is {expected}").into(),
            );
        }
    }
    let learnt = expected.last().map_or(0.0, |score| score.accuracy);
    println!(
        "{TRAINING} digits, {epochs} epochs: as on the CPU, within {TOLERANCE:.0e}; see {CURVE}"
    );
    println!("reads {:.0} % of the others right", 100.0 * learnt);
    Ok(())
}

fn train(digits: &Digits, epochs: u32) -> Result<Vec<Score>> {
    let gpu = Gpu::open()?;
    let training = Training::new(&gpu, digits);
    let mut file = File::create(CURVE)?;
    writeln!(file, "epoch,loss,accuracy")?;
    let mut curve = Vec::new();
    for (epoch, order) in (1..=epochs).zip(Epochs::new()) {
        let score = training.epoch(&order)?;
        writeln!(file, "{epoch},{:.4},{:.4}", score.loss, score.accuracy)?;
        curve.push(score);
        println!("epoch {epoch} of {epochs}");
    }
    Ok(curve)
}
