//! `imagenet18 report`: writes runs as one HTML page.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use in18_record::Follower;
use in18_report::{Reference, Run, page};
use in18_system::WholeFile;
use in18_train::TrainError;

use crate::cli::ReportArgs;
use crate::exit::Usage;
use crate::logdir::metrics;
use crate::output;

/// Reads the runs and writes the page, whole or not at all.
pub fn report(arguments: &ReportArgs) -> Result<()> {
    let names = distinct(&arguments.logdirs)?;
    let runs =
        arguments.logdirs.iter().zip(names).map(|(logdir, name)| read(logdir, name)).collect::<Result<Vec<_>>>()?;
    let reference = arguments.reference.as_deref().and_then(Reference::by_name);
    let now = jiff::Timestamp::now().as_millisecond() as f64 / 1e3;
    let html = page(&runs, reference.as_ref(), now);
    let path = &arguments.out;
    WholeFile::new(path).and_then(|file| file.write_durably(html.as_bytes())).map_err(|cause| {
        let path = path.display();
        TrainError::Write { path: PathBuf::from(format!("--out {path}")), cause }
    })?;
    output::print(&format!("Wrote {}\n", path.display()))
}

fn read(logdir: &Path, name: String) -> Result<Run> {
    let news = Follower::new(&metrics(logdir)?).poll()?;
    Ok(Run::new(name, &news.events))
}

/// A name for each folder: its own, or its path if two folders share a name.
fn distinct(logdirs: &[PathBuf]) -> Result<Vec<String>> {
    let mut seen: BTreeMap<PathBuf, &Path> = BTreeMap::new();
    let mut names = Vec::new();
    for logdir in logdirs {
        metrics(logdir)?;
        let whole = logdir.canonicalize().unwrap_or_else(|_| logdir.clone());
        names.push(whole.file_name().unwrap_or(whole.as_os_str()).to_string_lossy().into_owned());
        if let Some(earlier) = seen.insert(whole, logdir) {
            return Err(Usage(format!(
                "expected different folders, got the same one twice ({} and {}): name each run once",
                earlier.display(),
                logdir.display()
            ))
            .into());
        }
    }
    let own = |at: usize| names.iter().filter(|name| **name == names[at]).count() == 1;
    let name = |at: usize| if own(at) { names[at].clone() } else { logdirs[at].display().to_string() };
    Ok((0..names.len()).map(name).collect())
}
