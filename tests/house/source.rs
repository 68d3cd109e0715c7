//! The files of a crate, as text and as syntax.

use std::fs;
use std::path::{Path, PathBuf};

use syn::punctuated::Punctuated;
use syn::{Attribute, Item, Meta, Token};

/// One file of a crate.
pub(crate) struct Source {
    /// The path from the root of the repository.
    pub(crate) path: String,
    /// The path of the module: `["net", "socket"]`.
    pub(crate) module: Vec<String>,
    pub(crate) text: String,
    /// The items, without those of tests.
    pub(crate) items: Vec<Item>,
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns all files of a crate but those of tests, sorted by path. `folder` is `runtime` or `http`.
pub(crate) fn of_crate(folder: &str) -> Vec<Source> {
    let sources = root().join(folder).join("src");
    let mut files = Vec::new();
    for path in files_in(&sources, "rs") {
        let text = fs::read_to_string(&path).unwrap();
        let mut items = syn::parse_file(&text).unwrap().items;
        remove_tests(&mut items);
        files.push(Source {
            module: module_of(path.strip_prefix(&sources).unwrap()),
            path: from_root(&path),
            text,
            items,
        });
    }
    let tests = test_modules(&files);
    files.retain(|file| !tests.iter().any(|test| file.module.starts_with(test)));
    files
}

/// Returns all files below a folder with this ending, sorted by path.
pub(crate) fn files_in(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

pub(crate) fn from_root(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Returns true if this attribute restricts an item to test builds.
pub(crate) fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => list
            .parse_args()
            .is_ok_and(|condition| needs_test(&condition)),
        _ => false,
    })
}

fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|conditions| conditions.iter().any(needs_test)),
        _ => false,
    }
}

/// Returns the items of a macro such as `pin_project!`, if its tokens are items.
pub(crate) fn items_of_macro(tokens: &syn::Macro) -> Vec<Item> {
    let file = syn::parse2::<syn::File>(tokens.tokens.clone());
    file.map(|file| file.items).unwrap_or_default()
}

pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn remove_tests(items: &mut Vec<Item>) {
    // A declaration of a file stays, because it marks the file as a test.
    items.retain(|item| {
        !is_test_only(attributes(item)) || matches!(item, Item::Mod(file) if file.content.is_none())
    });
    for item in items {
        match item {
            Item::Mod(module) => {
                if let Some((_, items)) = &mut module.content {
                    remove_tests(items);
                }
            }
            Item::Impl(block) => block.items.retain(
                |item| !matches!(item, syn::ImplItem::Fn(method) if is_test_only(&method.attrs)),
            ),
            _ => {}
        }
    }
}

/// Returns the modules in files of their own that only test builds have.
fn test_modules(files: &[Source]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for file in files {
        for item in &file.items {
            if let Item::Mod(module) = item
                && is_test_only(&module.attrs)
            {
                let mut path = file.module.clone();
                path.push(module.ident.to_string());
                found.push(path);
            }
        }
    }
    found
}

fn module_of(path: &Path) -> Vec<String> {
    let path = path.with_extension("");
    let mut module: Vec<_> = path
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if module
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        module.pop();
    }
    module
}
