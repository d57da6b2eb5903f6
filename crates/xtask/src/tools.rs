//! Programs that the checks run and that do not come with Rust. `cargo xtask setup --tools` puts
//! each into its own folder in the dependency folder, as `bin/NAME`. Every `cargo` that this crate
//! starts finds it there first.

use in18_native::location::Prebuilt;
use std::path::{Path, PathBuf};

/// Checks licences, sources, duplicates and known vulnerabilities of all dependencies.
pub const CARGO_DENY: Prebuilt = Prebuilt { name: "cargo-deny", version: "0.20.2" };

/// Runs tests in parallel, and reports on each.
pub const CARGO_NEXTEST: Prebuilt = Prebuilt { name: "cargo-nextest", version: "0.9.148" };

/// The end of a message: the command that installs the tools.
pub const INSTALL: &str = "`cargo xtask setup --tools` installs it";

/// A tool's path in its folder.
pub fn program(home: &Path, tool: &Prebuilt) -> PathBuf {
    home.join("bin").join(tool.name)
}

/// A search path: the folders of the installed tools, then `path`.
pub fn search_path(variable: impl Fn(&str) -> Option<String>, path: &str) -> String {
    let homes = [CARGO_DENY, CARGO_NEXTEST].map(|tool| (tool.folder(&variable), tool));
    let programs = homes.into_iter().filter_map(|(home, tool)| Some(program(&home?, &tool)));
    let folders = programs.filter(|program| program.is_file()).filter_map(|program| {
        // A colon would split the folder into two.
        program.parent().and_then(Path::to_str).filter(|folder| !folder.contains(':')).map(str::to_owned)
    });
    folders.chain([path.to_owned()]).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_tools_that_are_there_are_looked_for_first() {
        let cache = tempfile::tempdir().expect("temporary folder");
        let folder = cache.path().to_str().expect("UTF-8");
        let variable = |name: &str| (name == "IN18_DEPS").then(|| folder.to_owned());
        assert_eq!(search_path(variable, "/bin:/usr/bin"), "/bin:/usr/bin");
        let home = CARGO_NEXTEST.folder(variable).expect("a folder");
        fs::create_dir_all(home.join("bin")).expect("folder");
        fs::write(program(&home, &CARGO_NEXTEST), "").expect("file");
        let expected = format!("{folder}/cargo-nextest-0.9.148/bin:/bin:/usr/bin");
        assert_eq!(search_path(variable, "/bin:/usr/bin"), expected);
        assert_eq!(search_path(|_| None, "/bin"), "/bin");
    }
}
