//! The layers of http: a folder imports only lower ones, and folders import each other in no circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::imports::imports;
use crate::source::{self, Source};

/// A graph: each name with the names that it imports.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Returns the floors of http from the lowest to the highest, each with its rooms: the groups of modules that
/// `lib.rs` declares, with blank lines between them.
fn floors() -> Vec<Vec<String>> {
    let text = fs::read_to_string(source::root().join("http/src/lib.rs")).unwrap();
    let rooms = |group: &str| -> Vec<String> {
        let names = group.lines().filter_map(|line| {
            let line = line.strip_prefix("pub ").unwrap_or(line);
            line.strip_prefix("mod ")?.strip_suffix(';')
        });
        names.map(str::to_owned).collect()
    };
    let floors = text.split("\n\n").map(rooms);
    floors.filter(|rooms| !rooms.is_empty()).collect()
}

/// Returns the longest prefix of a path that is a file.
fn file_of(path: &[String], files: &BTreeSet<String>) -> Option<String> {
    let prefixes = (1..=path.len()).rev().map(|len| path[..len].join("::"));
    prefixes.into_iter().find(|name| files.contains(name))
}

/// Returns all files of http, each with the files that it imports. An item that is imported from the root of
/// the crate counts as imported from its file.
fn imports_of_files() -> Graph {
    let files = source::of_crate("http");
    let names: BTreeSet<_> = files.iter().map(|file| file.module.join("::")).collect();
    let (roots, files): (Vec<Source>, Vec<_>) =
        files.into_iter().partition(|file| file.module.is_empty());
    let exported: BTreeMap<String, Vec<String>> = imports(&roots[0])
        .into_iter()
        .filter_map(|path| Some((path.last()?.clone(), path)))
        .collect();
    let mut graph = Graph::new();
    for file in files {
        let own = file.module.join("::");
        let found = imports(&file).into_iter().filter_map(|path| {
            let path = match path.first() {
                Some(first) if !names.contains(first) => exported.get(first)?,
                _ => &path,
            };
            file_of(path, &names)
        });
        let found = found.filter(|name| *name != own).collect();
        graph.insert(own, found);
    }
    graph
}

fn room_of(file: &str) -> &str {
    file.split("::").next().unwrap()
}

/// Returns the folder of a file: `web::files` for `web::files::folder`, and for the file `web::files` itself.
fn folder_of<'a>(file: &'a str, graph: &Graph) -> &'a str {
    let inside = format!("{file}::");
    if graph.keys().any(|other| other.starts_with(&inside)) {
        return file;
    }
    file.rsplit_once("::").map_or(file, |(folder, _)| folder)
}

/// Joins the nodes that have the same new name.
fn joined(graph: &Graph, rename: impl Fn(&str) -> String) -> Graph {
    let mut joined = Graph::new();
    for (from, imports) in graph {
        let from = rename(from);
        let imports = imports.iter().map(|to| rename(to)).filter(|to| *to != from);
        joined.entry(from.clone()).or_default().extend(imports);
    }
    joined
}

/// Returns the nodes from which a way leads back to them.
fn in_circles(graph: &Graph) -> Vec<&String> {
    let leads_back = |start: &String| {
        let mut seen = BTreeSet::new();
        let mut ahead = vec![start];
        while let Some(node) = ahead.pop() {
            for next in graph.get(node).into_iter().flatten() {
                if next == start {
                    return true;
                }
                if seen.insert(next) {
                    ahead.push(next);
                }
            }
        }
        false
    };
    graph.keys().filter(|node| leads_back(node)).collect()
}

#[test]
fn a_room_of_http_imports_only_lower_floors_and_its_own() {
    let floors = floors();
    let floor_of = |room: &str| {
        floors
            .iter()
            .position(|rooms| rooms.iter().any(|other| other == room))
            .unwrap_or_else(|| panic!("http/src/lib.rs does not declare {room}"))
    };
    let mut wrong = Vec::new();
    for (file, imports) in imports_of_files() {
        for import in imports {
            if floor_of(room_of(&import)) > floor_of(room_of(&file)) {
                wrong.push(format!("{file} imports {import}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "upwards in {floors:?}:\n{}",
        wrong.join("\n")
    );
}

/// More rooms and floors cannot be drawn from memory.
#[test]
fn http_has_at_most_sixteen_rooms_on_nine_floors() {
    let floors = floors();
    let rooms = floors.iter().map(Vec::len).sum::<usize>();
    assert!(floors.len() <= 9 && rooms <= 16, "{floors:?}");
}

#[test]
fn the_folders_of_http_import_each_other_in_no_circle() {
    let files = imports_of_files();
    let folders = joined(&files, |file| folder_of(file, &files).to_owned());
    let circles = in_circles(&folders);
    assert!(circles.is_empty(), "{circles:?}");
}

#[test]
fn a_circle_is_found() {
    let graph = |arrows: &[(&str, &str)]| {
        let mut graph = Graph::new();
        for (from, to) in arrows {
            let imports = graph.entry((*from).to_owned()).or_default();
            imports.insert((*to).to_owned());
        }
        graph
    };
    assert!(in_circles(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    let circle = graph(&[("a", "b"), ("b", "c"), ("c", "b")]);
    assert_eq!(in_circles(&circle), ["b", "c"]);
    // Two files of one folder may import each other; two folders may not.
    let files = graph(&[("a::x", "b::y"), ("b::z", "a::x")]);
    assert!(in_circles(&files).is_empty());
    let folders = joined(&files, |file| room_of(file).to_owned());
    assert_eq!(in_circles(&folders), ["a", "b"]);
}
