//! Each public item has an example, in the words that users write.
//!
//! A bare `pub` is public: the lint `unreachable_pub` holds that. A method also has an example if one on the
//! page of its type calls it. These need no example of their own, because the page of their owner shows them:
//! enum variants, fields, associated constants, associated items of traits, and trait implementations.

use syn::{Attribute, ImplItem, Item, Type, Visibility};

use crate::source;

/// A public item: its crate, its file, its name, and its documentation.
struct Public {
    folder: &'static str,
    path: String,
    /// `block_on`, `Server`, `Server::bind`.
    name: String,
    doc: String,
}

impl Public {
    /// Returns the type on whose page this item stands.
    fn page(&self) -> &str {
        self.name.split("::").next().unwrap()
    }

    /// Returns true if an example shows this item: one of its own, or one on its page that calls it.
    fn has_example(&self, list: &[Self]) -> bool {
        if !examples_in(&self.doc).is_empty() {
            return true;
        }
        let Some((_, method)) = self.name.split_once("::") else {
            return false;
        };
        let page = |other: &&Self| other.folder == self.folder && other.page() == self.page();
        let mut examples = list
            .iter()
            .filter(page)
            .map(|other| examples_in(&other.doc));
        examples.any(|code| calls(&code, method))
    }
}

/// Returns the code of the examples of a documentation.
fn examples_in(doc: &str) -> String {
    let mut inside = false;
    let mut code = String::new();
    for line in doc.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if inside {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

/// Returns true if this code calls a method, or names it as a function.
fn calls(code: &str, method: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(method).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + method.len()..].chars().next();
        matches!(before, Some('.' | ':')) && !after.is_some_and(continues)
    })
}

fn doc_of(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for attribute in attributes {
        if let syn::Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("doc")
            && let syn::Expr::Lit(literal) = &pair.value
            && let syn::Lit::Str(line) = &literal.lit
        {
            text.push_str(&line.value());
            text.push('\n');
        }
    }
    text
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        matches!(&attribute.meta, syn::Meta::List(list)
            if list.path.is_ident("doc") && list.tokens.to_string() == "hidden")
    })
}

/// Returns the public items of all crates.
fn public_items() -> Vec<Public> {
    let mut list = Vec::new();
    for folder in ["runtime", "http"] {
        for file in source::of_crate(folder) {
            collect(folder, &file.path, &file.items, &mut list);
        }
    }
    list
}

/// Adds the public items of a file to the list.
fn collect(folder: &'static str, path: &str, items: &[Item], list: &mut Vec<Public>) {
    for item in items {
        let attributes = source::attributes(item);
        if is_hidden(attributes) {
            continue;
        }
        match item {
            Item::Impl(block) if block.trait_.is_none() => {
                let owner = name_of(&block.self_ty);
                for method in methods(&block.items) {
                    let name = format!("{owner}::{}", method.sig.ident);
                    list.push(Public {
                        folder,
                        path: path.to_owned(),
                        name,
                        doc: doc_of(&method.attrs),
                    });
                }
            }
            Item::Macro(call) => collect(folder, path, &source::items_of_macro(&call.mac), list),
            Item::Mod(module) => {
                let inner = module.content.as_ref().map(|(_, items)| &**items);
                let before = list.len();
                collect(folder, path, inner.unwrap_or_default(), list);
                if !is_public(&module.vis) {
                    // The types of a private module are private, but its methods may belong to a public type.
                    let mut inside = list.split_off(before);
                    inside.retain(|item| item.name.contains("::"));
                    list.append(&mut inside);
                }
            }
            _ => {
                if let Some(name) = public_name(item) {
                    list.push(Public {
                        folder,
                        path: path.to_owned(),
                        name,
                        doc: doc_of(attributes),
                    });
                }
            }
        }
    }
}

fn methods(items: &[ImplItem]) -> impl Iterator<Item = &syn::ImplItemFn> {
    items.iter().filter_map(|item| match item {
        ImplItem::Fn(method) => {
            let shown = is_public(&method.vis) && !is_hidden(&method.attrs);
            shown.then_some(method)
        }
        _ => None,
    })
}

/// Returns the name of an item that has a page of its own, if it is public.
fn public_name(item: &Item) -> Option<String> {
    let (visibility, name) = match item {
        Item::Const(item) => (&item.vis, &item.ident),
        Item::Enum(item) => (&item.vis, &item.ident),
        Item::Fn(item) => (&item.vis, &item.sig.ident),
        Item::Struct(item) => (&item.vis, &item.ident),
        Item::Trait(item) => (&item.vis, &item.ident),
        Item::Type(item) => (&item.vis, &item.ident),
        _ => return None,
    };
    is_public(visibility).then(|| name.to_string())
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn name_of(self_type: &Type) -> String {
    let Type::Path(path) = self_type else {
        return String::new();
    };
    path.path.segments.last().unwrap().ident.to_string()
}

#[test]
fn each_public_item_has_an_example() {
    let list = public_items();
    let without: Vec<_> = list
        .iter()
        .filter(|item| !item.has_example(&list))
        .collect();
    for item in &without {
        println!("{}: {} has no example", item.path, item.name);
    }
    let with = list.len() - without.len();
    println!("{with} of {} public items have an example", list.len());
    assert!(without.is_empty());
}

/// Users depend on `waterwheel`. They never see the names of the crates inside.
#[test]
fn examples_use_the_names_of_the_face_crate() {
    let mut found = Vec::new();
    for folder in ["runtime", "http"] {
        for file in source::of_crate(folder) {
            let docs = file.text.lines().map(|line| {
                let line = line.trim_start();
                let doc = line.strip_prefix("///").or(line.strip_prefix("//!"));
                doc.unwrap_or_default()
            });
            let code = examples_in(&docs.collect::<Vec<_>>().join("\n"));
            let inner = ["waterwheel_http", "waterwheel_runtime"];
            let lines = code
                .lines()
                .filter(|line| inner.iter().any(|name| line.contains(name)));
            found.extend(lines.map(|line| format!("{}:{line}", file.path)));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn an_example_counts_only_if_it_calls_the_method() {
    assert!(calls("server.close();", "close"));
    assert!(calls("map(Server::close)", "close"));
    assert!(!calls("server.closed();", "close"));
    assert!(!calls("close(server);", "close"));
}
