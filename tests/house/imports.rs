//! The paths through its own crate that a file names.

use std::collections::HashSet;

use syn::visit::{self, Visit};
use syn::{Item, ItemMod, UseTree};

use crate::source::Source;

/// Collects the modules of the crate that a file names, as paths from the crate's root.
struct Imports {
    /// The module around the present item.
    module: Vec<String>,
    /// The modules that the file declares.
    children: HashSet<String>,
    found: Vec<Vec<String>>,
}

impl Imports {
    /// Adds a path if it leads through this crate.
    fn add(&mut self, path: &[String]) {
        let Some(first) = path.first() else { return };
        let mut absolute = match first.as_str() {
            "crate" => Vec::new(),
            "super" | "self" => self.module.clone(),
            child if self.children.contains(child) => {
                let mut absolute = self.module.clone();
                absolute.push(child.to_owned());
                absolute
            }
            _ => return,
        };
        if first == "super" {
            absolute.pop();
        }
        for part in &path[1..] {
            if part == "super" {
                absolute.pop();
            } else {
                absolute.push(part.clone());
            }
        }
        self.found.push(absolute);
    }

    fn add_tree(&mut self, before: &[String], tree: &UseTree) {
        let mut path = before.to_vec();
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.add_tree(&path, &tree.tree);
            }
            UseTree::Name(name) if name.ident == "self" => self.add(&path),
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                self.add(&path);
            }
            UseTree::Rename(name) => {
                path.push(name.ident.to_string());
                self.add(&path);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(before, tree);
                }
            }
            UseTree::Glob(_) => self.add(&path),
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<_> = path
            .segments
            .iter()
            .map(|part| part.ident.to_string())
            .collect();
        if parts.len() > 1 {
            self.add(&parts);
        }
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }
}

/// Returns the modules and items of the crate that a file names, as paths from the crate's root.
pub(crate) fn imports(file: &Source) -> Vec<Vec<String>> {
    let mut imports = Imports {
        module: file.module.clone(),
        children: HashSet::new(),
        found: Vec::new(),
    };
    for item in &file.items {
        if let Item::Mod(module) = item {
            imports.children.insert(module.ident.to_string());
        }
    }
    for item in &file.items {
        imports.visit_item(item);
    }
    imports.found
}
