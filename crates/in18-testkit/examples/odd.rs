//! Writes the odd image files into a folder: `cargo run -p in18-testkit --example odd -- FOLDER`.
//! `cargo xtask golden` runs it so that Pillow can decode the files.

use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("expected a folder to write to, got none")?);
    fs::create_dir_all(&folder)?;
    let files = in18_testkit::odd::files();
    for file in &files {
        fs::write(folder.join(&file.name), &file.bytes)?;
    }
    println!("{} odd files in {}", files.len(), folder.display());
    Ok(())
}
