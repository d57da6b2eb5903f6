//! `imagenet18 engines`: what can compute here, and for what cannot, the command that installs it.

use std::path::PathBuf;

use anyhow::Result;
use in18_kernels::Kernels;
use in18_libtorch::LIBRARY;
use in18_onednn::OneDnn;
use in18_system::proc;
use in18_tensor::DType;
use in18_torch::{Device, Torch, gpus};
use serde_json::{Value, json};

use crate::cli::EnginesArgs;
use crate::cores;
use crate::output;

/// Lists engines, and then devices.
pub fn engines(arguments: &EnginesArgs) -> Result<()> {
    let mut rows = vec![onednn(), torch(), cpu()];
    rows.extend(cuda());
    let lines = rows.iter().map(|row| if arguments.json { format!("{}\n", row.json()) } else { row.text() });
    output::print(&lines.collect::<String>())
}

/// A row of the list: an engine or a device.
struct Row {
    kind: &'static str,
    /// The name that `--engine` or `--devices` takes.
    name: String,
    found: Result<Found, String>,
}

/// An engine or device that is available.
struct Found {
    description: String,
    /// The version, of an engine.
    version: Option<String>,
    /// The file that the engine was loaded from.
    library: Option<PathBuf>,
    /// The types that it computes in hardware.
    precisions: Vec<String>,
}

impl Row {
    fn text(&self) -> String {
        let Row { kind, name, found } = self;
        let what = match found {
            Ok(Found { description, library, precisions, .. }) => {
                let library = library.as_ref().map_or(String::new(), |file| format!("; {}", file.display()));
                let precisions = match precisions.as_slice() {
                    [] => String::new(),
                    some => format!("; {}", some.join(", ")),
                };
                format!("{description}{precisions}{library}")
            }
            Err(why) => format!("not here: {why}"),
        };
        format!("{kind:<6}  {name:<6}  {what}\n")
    }

    fn json(&self) -> Value {
        let Row { kind, name, found } = self;
        match found {
            Ok(Found { description, version, library, precisions }) => json!({
                kind.to_owned(): name,
                "is_here": true,
                "description": description,
                "version": version,
                "library": library,
                "precisions": precisions,
            }),
            Err(why) => json!({ kind.to_owned(): name, "is_here": false, "why": why }),
        }
    }
}

fn onednn() -> Row {
    let found = OneDnn::new(Some(cores::available().get())).map_err(|error| error.to_string());
    let version = in18_onednn::safe::version();
    Row {
        kind: "engine",
        name: "onednn".to_owned(),
        found: found.map(|engine| of_kernels(&engine, Some(version), None)),
    }
}

fn torch() -> Row {
    let found = in18_libtorch::operations().map_err(|error| format!("{error}; GPUs and several ranks need it, too"));
    let found = found.and_then(|_| {
        let engine =
            Torch::new(Device::Cpu, Some(cores::available().get()), false).map_err(|error| error.to_string())?;
        Ok(of_kernels(&engine, Some(in18_torch::version()), LIBRARY.find().ok()))
    });
    Row { kind: "engine", name: "torch".to_owned(), found }
}

fn of_kernels(kernels: &dyn Kernels, version: Option<String>, library: Option<PathBuf>) -> Found {
    let native = [DType::F32, DType::Bf16, DType::F16].into_iter().filter(|&dtype| kernels.native(dtype));
    Found {
        description: kernels.describe(),
        version,
        library,
        precisions: native.map(|dtype| dtype.to_string()).collect(),
    }
}

fn cpu() -> Row {
    macro_rules! instructions {
        ($($name:tt),+) => { [$(($name, is_x86_feature_detected!($name))),+] };
    }
    let known = instructions!("avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512vnni", "avx512bf16");
    let there: Vec<&str> = known.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect();
    let (model, cores) = (proc::cpu_model().unwrap_or_else(|| "a CPU".to_owned()), cores::available());
    let description = format!("{model}, {cores} core{}, {}", if cores.get() == 1 { "" } else { "s" }, there.join(" "));
    let found = Found { description, version: None, library: None, precisions: Vec::new() };
    Row { kind: "device", name: "cpu".to_owned(), found: Ok(found) }
}

/// A row for each GPU, or one that says why there is none.
fn cuda() -> Vec<Row> {
    let row = |name: String, found| Row { kind: "device", name, found };
    match gpus() {
        Err(why) => vec![row("cuda".to_owned(), Err(why))],
        Ok(0) => vec![row("cuda".to_owned(), Err("the NVIDIA driver shows no GPU".to_owned()))],
        Ok(count) => (0..count)
            .map(|number| {
                let engine = Torch::new(Device::Cuda(number), None, true).map_err(|error| error.to_string());
                let library = in18_cuda::library::LIBRARY.find().ok();
                row(format!("cuda:{number}"), engine.map(|engine| of_kernels(&engine, None, library)))
            })
            .collect(),
    }
}
