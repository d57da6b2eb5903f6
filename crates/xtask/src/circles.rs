//! Finds circles of modules: files of a crate that use one another, directly or through others. A
//! change to one file of a circle requires knowing them all.
//!
//! Only a file's paths that begin with `crate::` or `super::` count, without its tests. So a file
//! and those in the folder of its name may use each other: they are one idea.

use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module as the names of its path. The crate's root has no names.
type Module = Vec<String>;
type Uses = BTreeMap<Module, BTreeSet<Module>>;

/// The modules below a crate's `src` that are part of a circle, one line for each set.
pub fn circles(src: &Path) -> Result<Vec<String>> {
    let mut texts = BTreeMap::new();
    read(src, &Vec::new(), &mut texts)?;
    let uses = texts.iter().map(|(module, text)| (module.clone(), uses(module, text, &texts)));
    Ok(in_circles(&uses.collect()))
}

fn read(folder: &Path, above: &Module, texts: &mut BTreeMap<Module, String>) -> Result<()> {
    let unreadable = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let path = entry?.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        let mut module = above.clone();
        if !["lib", "main", "mod"].contains(&name) {
            module.push(name.to_owned());
        }
        if path.is_dir() {
            read(&path, &module, texts)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            texts.insert(module, fs::read_to_string(&path).with_context(unreadable)?);
        }
    }
    Ok(())
}

/// The other modules that a module's text names.
fn uses(module: &Module, text: &str, all: &BTreeMap<Module, String>) -> BTreeSet<Module> {
    let code: Vec<&str> = text
        .lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let mut paths = Vec::new();
    for start in ["crate::", "super::"] {
        let starts = code.match_indices(start).filter(|(at, _)| !code[..*at].ends_with("::"));
        for (at, _) in starts {
            tree(&code[at..], &[], &mut paths);
        }
    }
    let named = paths.into_iter().filter_map(|path| {
        let mut whole = if path[0] == "crate" { Vec::new() } else { module.clone() };
        for name in path {
            match name {
                "crate" | "self" => {}
                "super" => drop(whole.pop()),
                name => whole.push(name.to_owned()),
            }
        }
        (1..=whole.len()).rev().map(|end| &whole[..end]).find(|part| all.contains_key(*part)).map(<[String]>::to_vec)
    });
    named.filter(|other| other != module).collect()
}

/// Splits up a path, including groups in braces. Returns the text that follows the path.
fn tree<'a>(text: &'a str, before: &[&'a str], paths: &mut Vec<Vec<&'a str>>) -> &'a str {
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start_matches([',', ' ', '\n']);
            match rest.strip_prefix('}') {
                Some(behind) => return behind,
                None if !rest.starts_with(|c: char| c == '_' || c.is_alphanumeric()) => return rest,
                None => rest = tree(rest, before, paths),
            }
        }
    }
    let end = text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len());
    let path = [before, &[&text[..end]]].concat();
    match text[end..].strip_prefix("::") {
        Some(rest) => tree(rest, &path, paths),
        None => {
            paths.push(path);
            &text[end..]
        }
    }
}

fn in_circles(uses: &Uses) -> Vec<String> {
    let reached: Uses = uses.keys().map(|module| (module.clone(), reached(module, uses))).collect();
    let circles: BTreeSet<Vec<String>> = reached
        .iter()
        .filter(|(module, all)| all.contains(*module))
        .map(|(module, all)| {
            all.iter().filter(|other| reached[*other].contains(module)).map(|m| m.join("::")).collect()
        })
        .collect();
    circles.iter().map(|circle| circle.join(", ")).collect()
}

fn reached(module: &Module, uses: &Uses) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    let mut pending = vec![module];
    while let Some(next) = pending.pop() {
        pending.extend(uses[next].iter().filter(|used| found.insert((*used).clone())));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_found_however_it_is_written() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
            fs::write(path, text).expect("file");
        };
        write("lib.rs", "mod a;\nmod b;\nmod c;\npub use a::A;\n");
        write("a.rs", "mod inner;\nuse crate::{b::{self, B}, c};\n");
        write("a/inner.rs", "use super::A;\n");
        write("b.rs", "// crate::a\nuse crate::c::C;\n#[cfg(test)]\nmod tests { use crate::a::A; }\n");
        write("c.rs", "use crate::A;\n");
        let found = || circles(folder.path()).expect("readable");
        assert_eq!(found(), Vec::<String>::new());
        write("c.rs", "fn f() -> super::a::inner::Inner {}\n");
        assert_eq!(found(), ["a, a::inner, b, c"]);
        write("a/inner.rs", "use super::super::b::B;\n");
        assert_eq!(found(), ["a::inner, b, c"]);
        write("a/inner.rs", "use super::A;\n");
        write("c.rs", "");
        write("b.rs", "use super::{c, a::A};\n");
        assert_eq!(found(), ["a, b"]);
    }
}
