//! Runs the compilers and the linker.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread::{self, available_parallelism};
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::Made;
use crate::recipes::{Kernels, Recipe, Unit};

/// The file beside the library that says how the library was built.
const WRITTEN: &str = "made-by.txt";

/// Builds a library in its folder, unless one built by the same recipe is there.
pub fn make(recipe: &Recipe) -> Result<Made> {
    let home = recipe.library.home().context("no folder to build in: set IN18_DEPS to an absolute path")?;
    let (file, made_by, written) = (home.join(recipe.library.file()), home.join(WRITTEN), written(recipe));
    if file.is_file() && fs::read_to_string(&made_by).is_ok_and(|found| found == written) {
        return Ok(Made { file, is_new: false });
    }
    fs::create_dir_all(&home).with_context(|| format!("cannot create {}: set IN18_DEPS", home.display()))?;
    // In the same file system as its destination, and removed however this ends. Other processes
    // may build the same library at the same time.
    let work = tempfile::Builder::new().prefix(".work-").tempdir_in(&home)?;
    let (library, note) = (work.path().join("library"), work.path().join(WRITTEN));
    link(recipe, &compile(recipe, work.path())?, &library)?;
    fs::write(&note, written).and_then(|()| fs::rename(&library, &file)).and_then(|()| fs::rename(&note, &made_by))?;
    Ok(Made { file, is_new: true })
}

/// A recipe as text, the same in every clone of the project.
fn written(recipe: &Recipe) -> String {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"));
    format!("{recipe:#?}\n").replace(&crates.display().to_string(), "crates")
}

/// Compiles everything, and returns the object files' paths.
fn compile(recipe: &Recipe, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut objects = compile_units(recipe, folder)?;
    if let Some(kernels) = &recipe.kernels {
        objects.extend(compile_kernels(kernels, folder)?);
    }
    Ok(objects)
}

/// Compiles as many units at once as there are cores.
fn compile_units(recipe: &Recipe, folder: &Path) -> Result<Vec<PathBuf>> {
    let (compiler, left) = (compiler(folder)?, Mutex::new(recipe.units.iter()));
    let compile_the_rest = || -> Result<Vec<PathBuf>> {
        let mut objects = Vec::new();
        loop {
            let next = left.lock().map_or(None, |mut left| left.next());
            let Some(Unit { file, flags }) = next else { return Ok(objects) };
            let object = folder.join(object_name(file));
            let mut command = compiler.to_command();
            command.args(&recipe.flags).arg(format!("-DIN18_BUILD={:#x}ULL", recipe.library.build));
            for headers in &recipe.headers {
                // As system headers, since most are not ours and their warnings do not concern us.
                command.arg("-isystem").arg(headers);
            }
            run(
                command.args(flags).arg("-c").arg(file).arg("-o").arg(&object),
                "the C++ over libtorch does not compile",
            )?;
            objects.push(object);
        }
    };
    let cores = available_parallelism().map_or(1, |cores| cores.get());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(compile_the_rest)).collect();
        let all = workers.into_iter().map(|worker| worker.join().expect("compiling does not panic"));
        let mut objects = all.collect::<Result<Vec<_>>>()?.concat();
        objects.sort();
        Ok(objects)
    })
}

fn compile_kernels(kernels: &Kernels, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut command = Command::new(&kernels.compiler);
    command.args(&kernels.flags).arg("-c").args(&kernels.files).arg("-odir").arg(folder);
    run(&mut command, "the kernels do not compile")?;
    // nvcc names the object files so.
    Ok(kernels.files.iter().map(|file| folder.join(file.with_extension("o").file_name().unwrap_or_default())).collect())
}

fn link(recipe: &Recipe, objects: &[PathBuf], library: &Path) -> Result<()> {
    let mut command = compiler(library.parent().unwrap_or(library))?.to_command();
    command.args(["-shared", "-Wl,-Bsymbolic", "-o"]).arg(library).args(objects).args(&recipe.link);
    run(&mut command, &format!("{} does not link", recipe.library.file()))
}

/// The C++ compiler that the environment names (`CXX`, `CXXFLAGS`), or the system's.
fn compiler(folder: &Path) -> Result<cc::Tool> {
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let mut build = cc::Build::new();
    build.cpp(true).std("c++20").opt_level(2).debug(false).pic(true).cargo_metadata(false);
    Ok(build.target(&target).host(&target).out_dir(folder).try_get_compiler()?)
}

/// The name of a file's object. Files with another ending or in another folder get other names.
fn object_name(file: &Path) -> String {
    let mut names = file.iter().rev().map(|name| name.to_string_lossy());
    let (name, folder) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
    format!("{folder}-{name}.o")
}

/// Runs a command. If it fails, the error is `what`, followed by the command's own message.
fn run(command: &mut Command, what: &str) -> Result<()> {
    let output = command.output().with_context(|| format!("{what}: cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_names_no_clone() {
        let library = in18_libtorch::LIBRARY;
        let file = PathBuf::from(in18_libtorch::SOURCES[0].path);
        let units = vec![Unit { file, flags: Vec::new() }];
        let recipe = Recipe { library, units, headers: vec![], flags: vec![], kernels: None, link: vec![] };
        assert!(written(&recipe).contains("file: \"crates/in18-libtorch/shim/"), "{}", written(&recipe));
    }

    #[test]
    fn files_of_one_name_have_objects_of_their_own() {
        let names =
            ["shim/libtorch.cpp", "emulator/libtorch.cpp", "kernels/pool.cu"].map(|file| object_name(file.as_ref()));
        assert_eq!(names, ["shim-libtorch.cpp.o", "emulator-libtorch.cpp.o", "kernels-pool.cu.o"]);
    }
}
