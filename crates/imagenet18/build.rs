//! Lets the program find shared libraries without environment variables. See
//! `in18-onednn/build.rs`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The variable is absent where oneDNN is linked statically (feature `vendored-onednn`).
    if let Ok(folder) = std::env::var("DEP_IN18_ONEDNN_RPATH") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
