//! No two types of one crate share a name.

use std::collections::BTreeMap;

use quote::ToTokens;
use syn::Item;

use crate::source::{self, attributes, items_of_macro};

/// The names that two types of `http` still share. Remove a name from here when its types have their own.
const SHARED_IN_HTTP: &[&str] = &[];

/// The halves of the channels. All runtimes name them so, and code names them with their module:
/// `mpsc::Sender`.
const SHARED_IN_RUNTIME: &[&str] = &["Receiver", "Sender"];

/// Adds the types among these items, each with its place: the file, and the condition that it needs.
fn add_types(items: &[Item], place: &str, types: &mut BTreeMap<String, Vec<String>>) {
    for item in items {
        let name = match item {
            Item::Struct(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Mod(module) => {
                if let Some((_, items)) = &module.content {
                    add_types(items, &conditional(place, item), types);
                }
                continue;
            }
            Item::Macro(found) => {
                add_types(
                    &items_of_macro(&found.mac),
                    &conditional(place, item),
                    types,
                );
                continue;
            }
            _ => continue,
        };
        let places = types.entry(name.to_string()).or_default();
        places.push(conditional(place, item));
    }
}

/// Adds the condition of an item to its place. Two types of one file that are there under different
/// conditions are two forms of one type.
fn conditional(place: &str, item: &Item) -> String {
    let conditions = attributes(item)
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"));
    conditions.fold(place.to_owned(), |place, condition| {
        format!("{place} {}", condition.to_token_stream())
    })
}

fn are_two_types(places: &[String]) -> bool {
    let file = |place: &String| place.split(' ').next().unwrap().to_owned();
    let mut files: Vec<_> = places.iter().map(file).collect();
    files.dedup();
    let mut all = places.to_vec();
    all.sort();
    all.dedup();
    files.len() > 1 || all.len() < places.len()
}

fn shared(folder: &str) -> BTreeMap<String, Vec<String>> {
    let mut types = BTreeMap::new();
    for file in source::of_crate(folder) {
        // Its types are the empty forms of those beside it, for builds without a feature.
        if file.module.last().is_some_and(|name| name != "absent") {
            add_types(&file.items, &file.path, &mut types);
        }
    }
    types.retain(|_, places| are_two_types(places));
    types
}

#[test]
fn no_two_types_of_the_runtime_share_a_name_but_the_halves_of_channels() {
    let shared = shared("runtime");
    let names: Vec<_> = shared.keys().collect();
    assert_eq!(names, SHARED_IN_RUNTIME, "{shared:#?}");
}

#[test]
fn no_two_types_of_http_share_a_name_but_the_known_ones() {
    let shared = shared("http");
    let names: Vec<_> = shared.keys().collect();
    assert_eq!(names, SHARED_IN_HTTP, "{shared:#?}");
}
