//! Checks the imports of src/ against the table in ARCHITECTURE.md: a module imports only what its row lists; rows list
//! only modules of the same row or of rows below; files of one folder do not import each other in a cycle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// Folders whose files may import each other: a context compiles kernels, and a kernel is compiled in a context.
const CIRCLES_ALLOWED: [&str; 1] = ["gpu"];

/// The table: for each module of src/, the modules that it may import.
fn map(architecture: &str) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let rows: Vec<(Vec<String>, String)> = architecture
        .lines()
        .skip_while(|line| !line.starts_with("| module |"))
        .skip(2)
        .map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |").or_else(|| line.strip_suffix("|")))
        .map(|row| {
            let cells: Vec<&str> = row.split(" |").collect();
            let names = cells[0].split('`').skip(1).step_by(2);
            let modules = names.map(|name| name.trim_end_matches('/').trim_end_matches(".rs").to_owned());
            (modules.collect(), cells[cells.len() - 1].trim().to_owned())
        })
        .collect();
    let known = |from: usize| rows[from..].iter().flat_map(|(modules, _)| modules.clone()).collect::<BTreeSet<_>>();
    let mut allowed = BTreeMap::new();
    for (index, (modules, imports)) in rows.iter().enumerate() {
        let mut may: BTreeSet<String> = modules.iter().cloned().collect();
        if imports == "everything below" {
            may.extend(known(index + 1));
        } else {
            // A remark in brackets explains an import.
            let names = imports.split(',').filter_map(|one| one.split_whitespace().next());
            may.extend(names.map(|name| name.trim_matches('`').to_owned()));
        }
        if let Some(above) = may.difference(&known(index)).next() {
            return Err(format!("the row of {} lists {above}, which is in no row below it", modules.join(", ")));
        }
        // Modules that every module may import.
        may.extend(["error", "random", "blocking"].map(String::from));
        allowed.extend(modules.iter().map(|module| (module.clone(), may.clone())));
    }
    Ok(allowed)
}

/// Paths and macros that a file uses, except in items under `#[cfg(test)]`.
#[derive(Default)]
struct Names {
    paths: BTreeSet<Vec<String>>,
    macros: BTreeSet<String>,
}

impl Names {
    fn of(text: &str) -> Result<Self, String> {
        let mut names = Names::default();
        names.visit_file(&syn::parse_file(text).map_err(|error| error.to_string())?);
        Ok(names)
    }

    fn add_tree(&mut self, tree: &syn::UseTree, mut path: Vec<String>) {
        match tree {
            syn::UseTree::Path(one) => {
                path.push(one.ident.to_string());
                self.add_tree(&one.tree, path);
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(tree, path.clone())),
            syn::UseTree::Name(name) => {
                path.extend((name.ident != "self").then(|| name.ident.to_string()));
                self.paths.insert(path);
            }
            syn::UseTree::Rename(name) => {
                path.push(name.ident.to_string());
                self.paths.insert(path);
            }
            syn::UseTree::Glob(_) => {
                self.paths.insert(path);
            }
        }
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    let named = |attribute: &syn::Attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string() == "test",
        _ => false,
    };
    attributes.iter().any(named)
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) {
            self.add_tree(&item.tree, Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.macros.extend(item.path.segments.last().map(|segment| segment.ident.to_string()));
        visit::visit_macro(self, item);
    }
}

/// The source files by their module path: `io/pickle/machine.rs` is `[io, pickle, machine]`, `io/mod.rs` is `[io]`.
struct Sources {
    files: BTreeMap<Vec<String>, Names>,
}

impl Sources {
    fn read(root: &Path) -> Result<Self, String> {
        let mut files = BTreeMap::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(|error| error.to_string())? {
                let path: PathBuf = entry.map_err(|error| error.to_string())?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                if path.extension().is_none_or(|extension| extension != "rs") {
                    continue;
                }
                let name = path.strip_prefix(root).unwrap().with_extension("");
                let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
                let mut module: Vec<String> = name.iter().map(|part| part.to_string_lossy().into_owned()).collect();
                if module.last().is_some_and(|last| last == "mod") {
                    module.pop();
                }
                let is_test = module.last().is_some_and(|last| last.ends_with("_tests") || last.starts_with("test_"));
                if !is_test {
                    files.insert(module, Names::of(&text).map_err(|error| format!("{}: {error}", path.display()))?);
                }
            }
        }
        Ok(Sources { files })
    }

    /// The module path of the file of src/ that contains `path`, as written in `file`; `None` for other crates and
    /// local names.
    fn resolve(&self, file: &[String], path: &[String]) -> Option<Vec<String>> {
        let mut found = match path.first()?.as_str() {
            "crate" | "impasto" => Vec::new(),
            "super" => file[..file.len().checked_sub(1)?].to_vec(),
            "self" => file.to_vec(),
            _ => return None,
        };
        for segment in &path[1..] {
            if segment == "super" {
                found.pop()?;
                continue;
            }
            let mut child = found.clone();
            child.push(segment.clone());
            // A submodule, or an item that the module re-exports from one: `pub use weights::WeightFile`.
            let hub = if found.is_empty() { vec!["lib".to_owned()] } else { found.clone() };
            let taken_over = || self.files.get(&hub)?.paths.iter().find(|used| used.last() == Some(segment)).cloned();
            if self.files.contains_key(&child) {
                found = child;
            } else if let Some(used) = taken_over().filter(|used| used.len() > 1) {
                let within: Vec<_> = found.iter().chain(used.first()).cloned().collect();
                if self.files.contains_key(&within) {
                    found = within;
                }
                break;
            } else {
                break;
            }
        }
        (!found.is_empty()).then_some(found)
    }

    /// Violations of the table.
    fn violations(&self, allowed: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (file, names) in &self.files {
            let (module, shown) = (&file[0], file.join("::"));
            if module == "lib" {
                continue;
            }
            let Some(may) = allowed.get(module) else {
                wrong.push(format!("{shown} is in no row of the map"));
                continue;
            };
            for path in &names.paths {
                if path[0] == "wgpu" && !["gpu", "embed"].contains(&module.as_str()) {
                    wrong.push(format!("{shown} names {}: only gpu and embed may name wgpu", path.join("::")));
                }
                if let Some(target) = self.resolve(file, path).filter(|target| !may.contains(&target[0])) {
                    wrong.push(format!("{shown} imports {} of {}", path.join("::"), target[0]));
                }
            }
            let prints =
                ["println", "eprintln", "print", "eprint", "dbg"].iter().find(|name| names.macros.contains(**name));
            if let Some(name) = prints.filter(|_| !["cli", "main"].contains(&module.as_str())) {
                wrong.push(format!("{shown} calls {name}!: only the command may print"));
            }
        }
        wrong
    }

    /// Import cycles among the files of a folder, each a list of files that ends where it began. The folder's own file,
    /// which declares the others, is not part of a cycle.
    fn circles(&self) -> Vec<Vec<String>> {
        let mut imports: BTreeMap<&[String], BTreeSet<Vec<String>>> = BTreeMap::new();
        for (file, names) in self.files.iter().filter(|(file, _)| file.len() > 1) {
            let siblings = &file[..file.len() - 1];
            for target in names.paths.iter().filter_map(|path| self.resolve(file, path)) {
                if target.len() >= file.len() && target.starts_with(siblings) && target[..file.len()] != file[..] {
                    imports.entry(file).or_default().insert(target[..file.len()].to_vec());
                }
            }
        }
        let mut circles = Vec::new();
        let mut done = BTreeSet::new();
        for &start in imports.keys() {
            let mut stack = vec![vec![start.to_vec()]];
            while let Some(path) = stack.pop() {
                for next in imports.get(path.last().unwrap().as_slice()).into_iter().flatten() {
                    if next == start && !CIRCLES_ALLOWED.contains(&start[0].as_str()) {
                        circles.push(path.iter().chain([next]).map(|file| file.join("::")).collect());
                    } else if !done.contains(next) && !path.contains(next) {
                        stack.push(path.iter().chain([next]).cloned().collect());
                    }
                }
            }
            done.insert(start.to_vec());
        }
        circles
    }
}

fn project() -> (BTreeMap<String, BTreeSet<String>>, Sources) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let architecture = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    (map(&architecture).unwrap(), Sources::read(&root.join("src")).unwrap())
}

#[test]
fn modules_import_only_what_the_map_lists() {
    let (allowed, sources) = project();
    assert!(allowed.len() > 15 && sources.files.len() > 100, "{} {}", allowed.len(), sources.files.len());
    let wrong = sources.violations(&allowed);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_of_a_folder_import_each_other_in_one_direction() {
    let (_, sources) = project();
    let circles: Vec<_> = sources.circles().iter().map(|circle| circle.join(" -> ")).collect();
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn a_forbidden_import_a_circle_and_a_print_are_found() {
    let (allowed, mut sources) = project();
    for (file, text, words) in [
        (["ops", "relu"], "use crate::nets::Vgg19;", "ops::relu imports crate::nets::Vgg19 of nets"),
        (["ops", "relu"], "fn f() { crate::train::train(); }", "imports crate::train::train of train"),
        (["io", "file"], "use super::super::gpu::Context;", "io::file imports super::super::gpu::Context of gpu"),
        (["nets", "vgg19"], "fn f(_: &wgpu::Device) {}", "only gpu and embed may name wgpu"),
        (["methods", "color"], "fn f() { println!(); }", "methods::color calls println!"),
    ] {
        let file = file.map(String::from).to_vec();
        let before = sources.files.insert(file.clone(), Names::of(text).unwrap()).expect("the file exists");
        let wrong = sources.violations(&allowed);
        assert!(wrong.len() == 1 && wrong[0].contains(words), "{text}: {wrong:?}");
        sources.files.insert(file, before);
    }
    // Test modules may import anything.
    let names = Names::of("#[cfg(test)] mod tests { use crate::train::train; }").unwrap();
    assert!(!names.paths.iter().any(|path| path[0] == "crate"));

    let file = ["io", "file"].map(String::from).to_vec();
    sources.files.insert(file, Names::of("use super::WeightFile;").unwrap());
    let circles = sources.circles();
    assert!(circles.iter().any(|circle| circle.contains(&"io::file".into())), "{circles:?}");
}

#[test]
fn a_map_that_points_upward_is_refused() {
    let text = "| module | what | may import |\n| --- | --- | --- |\n| `a/` | x | b |\n| `b/` | y | a |\n";
    assert!(map(text).unwrap_err().contains("the row of b lists a"));
}
