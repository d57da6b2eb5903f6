//! Checks the architecture's rules that a program can check: which crates a crate may use, which
//! crates have no circles of modules, and where `unsafe` may stand. The tables below are the source
//! of truth. A crate that they do not list is an error.

use crate::circles::circles;
use crate::process::{capture, cargo, last_line};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The project's crates that a crate may use outside its tests.
struct Rule {
    name: &'static str,
    may_use: MayUse,
}

enum MayUse {
    These(&'static [&'static str]),
    /// All but the kernel providers: a crate that sees only the `Kernels` trait runs on any
    /// hardware.
    AllButProviders,
    All,
}

use MayUse::{All, AllButProviders, These};

const RULES: [Rule; 25] = [
    Rule { name: "in18-system", may_use: These(&[]) },
    Rule { name: "in18-recipe", may_use: These(&[]) },
    Rule { name: "in18-image", may_use: These(&[]) },
    Rule { name: "in18-dataset", may_use: These(&["in18-image", "in18-random", "in18-system"]) },
    Rule { name: "in18-random", may_use: These(&[]) },
    Rule { name: "in18-loader", may_use: These(&["in18-dataset", "in18-image", "in18-random"]) },
    Rule { name: "in18-tensor", may_use: These(&[]) },
    Rule { name: "in18-kernels", may_use: These(&["in18-tensor"]) },
    Rule { name: "in18-program", may_use: These(&["in18-tensor", "in18-kernels", "in18-random"]) },
    Rule { name: "in18-optim", may_use: These(&["in18-kernels", "in18-program", "in18-recipe"]) },
    // Finds and loads libraries of machine code.
    Rule { name: "in18-native", may_use: These(&[]) },
    Rule { name: "in18-onednn", may_use: These(&["in18-tensor", "in18-kernels", "in18-native", "in18-system"]) },
    // Not providers, but the C interfaces of libraries, for `in18-torch` and `in18-comm`.
    Rule { name: "in18-libtorch", may_use: These(&["in18-native"]) },
    Rule { name: "in18-cuda", may_use: These(&["in18-native", "in18-libtorch"]) },
    Rule {
        name: "in18-torch",
        may_use: These(&["in18-tensor", "in18-kernels", "in18-libtorch", "in18-cuda", "in18-system"]),
    },
    Rule { name: "in18-comm", may_use: These(&["in18-tensor", "in18-native", "in18-libtorch", "in18-cuda"]) },
    Rule { name: "in18-record", may_use: These(&[]) },
    Rule { name: "in18-report", may_use: These(&["in18-record"]) },
    Rule { name: "in18-demo", may_use: These(&["in18-system"]) },
    Rule { name: "in18-weights", may_use: These(&["in18-program", "in18-system"]) },
    Rule { name: "in18-train", may_use: AllButProviders },
    Rule { name: "imagenet18", may_use: All },
    // Checks whole networks on any provider.
    Rule { name: "in18-testkit", may_use: AllButProviders },
    Rule { name: "in18-torch-build", may_use: These(&["in18-native", "in18-libtorch", "in18-cuda"]) },
    // Runs before anything else exists: it downloads and builds what others link and load.
    Rule { name: "xtask", may_use: These(&["in18-native", "in18-system", "in18-torch-build"]) },
];

/// Kernels for one kind of hardware. Only the program may choose and link them, even in tests.
const PROVIDERS: [&str; 2] = ["in18-onednn", "in18-torch"];

/// Crates for developers and tests only. Nothing that ships may use them.
const TOOLS: [&str; 3] = ["in18-testkit", "in18-torch-build", "xtask"];

/// Crates that call foreign functions. The others forbid `unsafe` in their library's and programs'
/// roots.
const MAY_BE_UNSAFE: [&str; 6] =
    ["in18-comm", "in18-cuda", "in18-libtorch", "in18-native", "in18-onednn", "in18-torch"];

/// Crates that deny `unsafe` in their root and allow it in a few files only: for instructions that
/// not every processor has, and for a promise that only a provider of memory can give.
const MAY_BE_UNSAFE_IN: [(&str, &[&str]); 2] =
    [("in18-image", &["jpeg/avx2.rs", "resize/avx2.rs"]), ("in18-tensor", &["range.rs"])];

/// Crates in which modules may use one another in a circle, an error in all other crates. In
/// `in18-program`, a layer emits into the lowering, which walks a network, which consists of layers.
const WITH_CIRCLES: [&str; 1] = ["in18-program"];

const FORBID_UNSAFE: &str = "#![forbid(unsafe_code)]";
const DENY_UNSAFE: &str = "#![deny(unsafe_code)]";

/// A crate of the workspace, as cargo describes it.
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
    /// Root files of its library and programs. Tests, examples and build scripts are left out,
    /// because they do not ship.
    roots: Vec<PathBuf>,
}

struct Dependency {
    name: String,
    in_tests_only: bool,
}

/// Checks the whole workspace. The error names every violation, one a line.
pub fn check() -> Result<()> {
    let packages = packages()?;
    let mut violations = Vec::new();
    for package in &packages {
        violations.extend(edge_violations(package, &packages));
        for folder in package.roots.iter().filter_map(|root| root.parent()) {
            if !PROVIDERS.contains(&package.name.as_str()) && package.name != "xtask" {
                violations.extend(mentions(
                    folder,
                    "MemoryRange::of_provider",
                    "only kernel providers may promise memory",
                )?);
            }
        }
        violations.extend(circle_violations(package)?);
        if MAY_BE_UNSAFE.contains(&package.name.as_str()) {
            continue;
        }
        let exception = MAY_BE_UNSAFE_IN.iter().find(|(name, _)| *name == package.name).map(|(_, files)| *files);
        let attribute = if exception.is_some() { DENY_UNSAFE } else { FORBID_UNSAFE };
        for root in &package.roots {
            let text = fs::read_to_string(root).with_context(|| format!("cannot read {}", root.display()))?;
            if !has_attribute(&text, attribute) {
                violations.push(format!("{} lacks {attribute}", root.display()));
            }
            if let (Some(files), Some(folder)) = (exception, root.parent()) {
                let files: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
                violations.extend(allowances(folder, &files)?);
            }
        }
    }
    if !violations.is_empty() {
        bail!("the architecture is violated:\n  {}", violations.join("\n  "));
    }
    println!("{} crates keep to the tables in crates/xtask/src/architecture.rs", packages.len());
    Ok(())
}

fn edge_violations(package: &Package, workspace: &[Package]) -> Vec<String> {
    let Some(rule) = RULES.iter().find(|rule| rule.name == package.name) else {
        return vec![format!("{} is missing in the table of crates/xtask/src/architecture.rs", package.name)];
    };
    package
        .dependencies
        .iter()
        .filter(|dependency| workspace.iter().any(|other| other.name == dependency.name))
        .filter(|dependency| !allows(rule, dependency))
        .map(|dependency| {
            let tests = if dependency.in_tests_only { ", even in tests" } else { "" };
            format!("{} may not depend on {}{tests}", package.name, dependency.name)
        })
        .collect()
}

fn circle_violations(package: &Package) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for src in package.roots.iter().filter_map(|root| root.parent()) {
        found.extend(circles(src)?.into_iter().map(|circle| format!("{}: {circle} use one another", src.display())));
    }
    match (WITH_CIRCLES.contains(&package.name.as_str()), found.is_empty()) {
        (true, true) => Ok(vec![format!("{} has no circle of modules any more: take it off the list", package.name)]),
        (true, false) => Ok(Vec::new()),
        (false, _) => Ok(found),
    }
}

/// Tests may use every crate but the providers. Otherwise the table decides.
fn allows(rule: &Rule, dependency: &Dependency) -> bool {
    let name = dependency.name.as_str();
    match rule.may_use {
        All => dependency.in_tests_only || !TOOLS.contains(&name),
        _ if PROVIDERS.contains(&name) => false,
        _ if dependency.in_tests_only => true,
        AllButProviders => !TOOLS.contains(&name) && name != "imagenet18",
        These(names) => names.contains(&name),
    }
}

/// Whether a text has an attribute on a line of its own. An attribute in a comment does not count.
fn has_attribute(text: &str, attribute: &str) -> bool {
    text.lines().any(|line| line.trim() == attribute)
}

/// Violations: files below `folder` that allow `unsafe` code, without the exceptions.
fn allowances(folder: &Path, exceptions: &[PathBuf]) -> Result<Vec<String>> {
    let mut violations = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            violations.extend(allowances(&path, exceptions)?);
        } else if !exceptions.contains(&path) {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            if text.contains("allow(unsafe_code)") || text.contains("expect(unsafe_code)") {
                violations.push(format!("{} may not allow unsafe code", path.display()));
            }
        }
    }
    Ok(violations)
}

/// Violations: files below `folder` that contain `text`, with the reason why that is wrong.
fn mentions(folder: &Path, text: &str, why: &str) -> Result<Vec<String>> {
    let mut violations = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            violations.extend(mentions(&path, text, why)?);
        } else if fs::read_to_string(&path).is_ok_and(|content| content.contains(text)) {
            violations.push(format!("{}: {text}: {why}", path.display()));
        }
    }
    Ok(violations)
}

fn packages() -> Result<Vec<Package>> {
    let output = capture(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", last_line(&output));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")?;
    parse_metadata(&metadata).context("cargo metadata has another form than expected")
}

fn parse_metadata(metadata: &Value) -> Option<Vec<Package>> {
    metadata["packages"].as_array()?.iter().map(parse_package).collect()
}

fn parse_package(package: &Value) -> Option<Package> {
    let dependencies = package["dependencies"].as_array()?.iter().map(|dependency| {
        Some(Dependency {
            name: dependency["name"].as_str()?.to_owned(),
            in_tests_only: dependency["kind"].as_str() == Some("dev"),
        })
    });
    let ships = |target: &&Value| {
        let kinds = target["kind"].as_array().into_iter().flatten();
        kinds.filter_map(Value::as_str).any(|kind| !["test", "bench", "example", "custom-build"].contains(&kind))
    };
    let roots = package["targets"].as_array()?.iter().filter(ships);
    Some(Package {
        name: package["name"].as_str()?.to_owned(),
        dependencies: dependencies.collect::<Option<_>>()?,
        roots: roots.map(|target| Some(PathBuf::from(target["src_path"].as_str()?))).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workspace(edges: &[(&str, &str, bool)]) -> Vec<Package> {
        RULES
            .iter()
            .map(|rule| Package {
                name: rule.name.to_owned(),
                dependencies: edges
                    .iter()
                    .filter(|(from, _, _)| *from == rule.name)
                    .map(|&(_, to, in_tests_only)| Dependency { name: to.to_owned(), in_tests_only })
                    .collect(),
                roots: vec![],
            })
            .collect()
    }

    #[test]
    fn edges_follow_the_table() {
        struct Case {
            from: &'static str,
            to: &'static str,
            in_tests_only: bool,
            allowed: bool,
        }
        let case = |from, to, in_tests_only, allowed| Case { from, to, in_tests_only, allowed };
        let cases = [
            case("in18-program", "in18-kernels", false, true),
            case("in18-program", "in18-onednn", false, false),
            case("in18-program", "in18-onednn", true, false),
            case("in18-program", "in18-testkit", true, true),
            case("in18-program", "in18-testkit", false, false),
            case("in18-recipe", "in18-tensor", false, false),
            case("in18-train", "in18-program", false, true),
            case("in18-train", "in18-onednn", false, false),
            case("in18-train", "imagenet18", false, false),
            case("in18-train", "in18-testkit", false, false),
            case("in18-train", "in18-testkit", true, true),
            case("imagenet18", "in18-onednn", false, true),
            case("imagenet18", "in18-testkit", false, false),
            case("imagenet18", "in18-testkit", true, true),
            case("xtask", "in18-recipe", false, false),
            // cargo-deny checks external crates.
            case("in18-recipe", "serde", false, true),
        ];
        for Case { from, to, in_tests_only, allowed } in cases {
            let workspace = workspace(&[(from, to, in_tests_only)]);
            let violations: Vec<_> =
                workspace.iter().flat_map(|package| edge_violations(package, &workspace)).collect();
            assert_eq!(
                violations.is_empty(),
                allowed,
                "{from} -> {to}, in tests only: {in_tests_only}: {violations:?}"
            );
        }
    }

    #[test]
    fn an_unlisted_crate_is_a_violation() {
        let package = Package { name: "in18-new".to_owned(), dependencies: vec![], roots: vec![] };
        assert_eq!(edge_violations(&package, &[]).len(), 1);
    }

    #[test]
    fn the_table_has_no_cycle() {
        // As in a topological sort: place each crate whose dependencies are already placed.
        let mut placed: Vec<&str> = Vec::new();
        let rules = || {
            RULES
                .iter()
                .filter_map(|rule| if let These(names) = rule.may_use { Some((rule.name, names)) } else { None })
        };
        for _ in 0..RULES.len() {
            placed.extend(
                rules()
                    .filter(|(name, uses)| !placed.contains(name) && uses.iter().all(|used| placed.contains(used)))
                    .map(|(name, _)| name)
                    .collect::<Vec<_>>(),
            );
        }
        assert_eq!(placed.len(), rules().count());
    }

    #[test]
    fn only_the_attribute_itself_forbids_unsafe() {
        let forbids = |text| has_attribute(text, FORBID_UNSAFE);
        assert!(forbids("//! Docs.\n\n#![forbid(unsafe_code)]\n\nfn main() {}\n"));
        assert!(!forbids("//! Docs of #![forbid(unsafe_code)].\nfn main() {}\n"));
        assert!(!forbids("// #![forbid(unsafe_code)]\n"));
        assert!(!forbids("#![deny(unsafe_code)]\n"));
    }

    #[test]
    fn one_file_may_allow_unsafe_code() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (inner, allowing) = (folder.path().join("inner"), "#![allow(unsafe_code)]\n");
        fs::create_dir(&inner).expect("folder");
        for file in ["lib.rs", "inner/allowed.rs"] {
            let text = if file == "lib.rs" { "mod inner;\n" } else { allowing };
            fs::write(folder.path().join(file), text).expect("file");
        }
        let violations = || allowances(folder.path(), &[inner.join("allowed.rs")]).expect("readable");
        assert_eq!(violations(), Vec::<String>::new());
        fs::write(inner.join("other.rs"), allowing).expect("file");
        assert_eq!(violations().len(), 1);
    }

    #[test]
    fn reads_the_metadata_of_cargo() {
        let metadata = json!({"packages": [{
            "name": "a",
            "dependencies": [{"name": "b", "kind": null}, {"name": "c", "kind": "dev"}, {"name": "d", "kind": "build"}],
            "targets": [
                {"kind": ["lib"], "src_path": "/a/src/lib.rs"},
                {"kind": ["bin"], "src_path": "/a/src/main.rs"},
                {"kind": ["test"], "src_path": "/a/tests/it.rs"},
                {"kind": ["custom-build"], "src_path": "/a/build.rs"},
            ],
        }]});
        let packages = parse_metadata(&metadata).expect("well formed");
        let [package] = packages.as_slice() else { panic!("one package") };
        let dependencies: Vec<_> = package.dependencies.iter().map(|d| (d.name.as_str(), d.in_tests_only)).collect();
        assert_eq!(dependencies, [("b", false), ("c", true), ("d", false)]);
        assert_eq!(package.roots, [PathBuf::from("/a/src/lib.rs"), PathBuf::from("/a/src/main.rs")]);
        assert!(parse_metadata(&json!({"packages": [{}]})).is_none());
    }
}
