//! Writes the demo's photo set into the folder given as the only argument:
//! `cargo run --release -p in18-demo --example generate -- FOLDER`

use in18_demo::{DemoSpec, generate};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).ok_or("name the folder to write to")?;
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let start = std::time::Instant::now();
    let summary = generate(folder.as_ref(), &DemoSpec::default(), threads)?;
    println!("{summary:?} in {:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}
