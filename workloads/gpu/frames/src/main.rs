//! `frames [COUNT [WIDTH]]`: renders a sequence of frames offscreen into `frame-000.png`,
//! `frame-001.png`, …, and checks each against a ray caster on the CPU.

mod raycast;
mod renderer;
mod scene;

use std::fs::File;
use std::io::BufWriter;
use std::process::ExitCode;

use gpu_device::{Arguments, Gpu, Result};
use raycast::Picture;
use renderer::{BACKGROUND, Renderer};

fn main() -> ExitCode {
    gpu_device::main("frames [COUNT [WIDTH]] [--time]", frames)
}

fn frames(arguments: &Arguments) -> Result<()> {
    let count = arguments.number(0, 24);
    let width = arguments.number(1, 160).max(16);
    let height = width * 3 / 4;
    let gpu = Gpu::open()?;
    let renderer = Renderer::new(&gpu, width, height);
    for number in 0..count {
        let boxes = scene::boxes(number as f32 / count as f32);
        let pixels = arguments.timed(format_args!("frame {number}"), || renderer.frame(&boxes))?;
        write_png(&format!("frame-{number:03}.png"), width, height, &pixels)?;

        let expected = Picture::cast(width as usize, height as usize, &boxes, BACKGROUND);
        println!("frame {} of {count}", number + 1);
        let (compared, different) = expected.compare(&pixels);
        if different > 0 || compared < pixels.len() / 4 / 3 {
            return Err(format!(
                "frames: frame {number}: {different} of {compared} pixels are not as on the CPU"
            )
            .into());
        }
    }
    println!("{count} frames of {width} x {height}: as ray casting on the CPU has them");
    Ok(())
}

fn write_png(path: &str, width: u32, height: u32, pixels: &[u8]) -> Result<()> {
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), width, height);
    encoder.set_color(png::ColorType::Rgba);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(())
}
