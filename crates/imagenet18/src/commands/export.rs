//! `imagenet18 export`: a trained network for use elsewhere.

use anyhow::Result;
use in18_system::WholeFile;
use in18_weights::WeightsError;

use crate::classifier::Opened;
use crate::cli::ExportArgs;
use crate::exit::Usage;
use crate::output;

/// Writes the network in the format that the file's ending names.
pub fn export(arguments: &ExportArgs) -> Result<()> {
    let out = &arguments.out;
    let extension = out.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if !["safetensors", "onnx"].contains(&extension) {
        let out = out.display();
        return Err(Usage(format!("--out {out}: expected a name that ends in .safetensors or .onnx")).into());
    }
    let opened = Opened::new(&arguments.network)?;
    if extension == "safetensors" {
        opened.file.export(out, opened.arch, &opened.classes)?;
    } else {
        let network = opened.arch.network(opened.classes.len());
        let bytes = in18_weights::onnx::encode(&network, &opened.classes, |name| opened.file.values(name))?;
        WholeFile::new(out)
            .and_then(|file| file.write_durably(&bytes))
            .map_err(|cause| WeightsError::Write { path: out.clone(), cause })?;
    }
    output::print(&format!("{}: {} of {} classes\n", out.display(), opened.arch, opened.classes.len()))
}
