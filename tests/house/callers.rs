//! Functions that have only one caller: few, and each for a reason.

use std::collections::HashMap;

use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, Visibility};

use crate::source::{self, Source, items_of_macro};

/// A function of this many lines or more may have one caller, because its length deserves a name.
const LONG_LINES: usize = 12;

/// A function with a name.
struct Function {
    name: String,
    path: String,
    is_private: bool,
    /// True if an attribute places it out of line, which is a decision about speed.
    is_out_of_line: bool,
    lines: usize,
}

/// Counts the uses of each name that may be a function's.
#[derive(Default)]
struct Uses {
    counts: HashMap<String, usize>,
    /// The functions around the present expression: a call of itself is no caller.
    around: Vec<String>,
}

impl Uses {
    fn add(&mut self, name: &str) {
        if !self.around.iter().any(|around| around == name) {
            *self.counts.entry(name.to_owned()).or_default() += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Uses {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.around.push(item.sig.ident.to_string());
        visit::visit_item_fn(self, item);
        self.around.pop();
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.around.push(item.sig.ident.to_string());
        visit::visit_impl_item_fn(self, item);
        self.around.pop();
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.add(&call.method.to_string());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        if let Some(last) = path.path.segments.last() {
            self.add(&last.ident.to_string());
        }
        visit::visit_expr_path(self, path);
    }

    fn visit_macro(&mut self, found: &'ast syn::Macro) {
        for item in items_of_macro(found) {
            visit_owned(self, &item);
        }
        let text = found.tokens.to_string();
        let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        let mut rest = text.as_str();
        while let Some(start) = rest.find(is_name) {
            rest = &rest[start..];
            let end = rest.find(|letter| !is_name(letter)).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if after.trim_start().starts_with(['(', ',', ')']) {
                self.add(name);
            }
            rest = after;
        }
    }
}

/// Visits an item that does not live as long as the file.
fn visit_owned(uses: &mut Uses, item: &Item) {
    let mut inner = Uses::default();
    inner.visit_item(item);
    for (name, count) in inner.counts {
        *uses.counts.entry(name).or_default() += count;
    }
}

/// Adds the functions among these items. The trait chooses the names of its methods.
fn add_functions(items: &[Item], file: &Source, found: &mut Vec<Function>) {
    for item in items {
        match item {
            Item::Fn(item) => {
                found.push(function(&item.sig, &item.vis, &item.attrs, file));
            }
            Item::Impl(block) if block.trait_.is_none() => {
                for item in &block.items {
                    if let ImplItem::Fn(item) = item {
                        found.push(function(&item.sig, &item.vis, &item.attrs, file));
                    }
                }
            }
            Item::Mod(module) => {
                if let Some((_, items)) = &module.content {
                    add_functions(items, file, found);
                }
            }
            _ => {}
        }
    }
}

fn function(
    signature: &syn::Signature,
    visibility: &Visibility,
    attributes: &[Attribute],
    file: &Source,
) -> Function {
    let name = signature.ident.to_string();
    let is_out_of_line = attributes.iter().any(|attribute| {
        attribute.path().is_ident("cold")
            || attribute.path().is_ident("inline") && !matches!(attribute.meta, syn::Meta::Path(_))
    });
    Function {
        lines: lines_of(&name, &file.text),
        name,
        path: file.path.clone(),
        is_private: matches!(visibility, Visibility::Inherited),
        is_out_of_line,
    }
}

/// Returns the number of lines of the longest function of this name. The text is as rustfmt leaves it.
fn lines_of(name: &str, text: &str) -> usize {
    let mut longest = 1;
    let lines: Vec<_> = text.lines().collect();
    for (start, line) in lines.iter().enumerate() {
        if !line.contains(&format!("fn {name}(")) && !line.contains(&format!("fn {name}<")) {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        let len = lines[start..].iter().position(|line| *line == end);
        longest = longest.max(len.map_or(1, |len| len + 1));
    }
    longest
}

/// Returns the number of functions of a crate, and the private ones with one caller.
fn count(folder: &str) -> (usize, Vec<Function>) {
    let files = source::of_crate(folder);
    let (mut all, mut single) = (0, Vec::new());
    for file in &files {
        let mut functions = Vec::new();
        add_functions(&file.items, file, &mut functions);
        all += functions.len();
        // A private function can be called in its module and in the modules below.
        let mut uses = Uses::default();
        for file in files
            .iter()
            .filter(|other| other.module.starts_with(&file.module))
        {
            file.items.iter().for_each(|item| uses.visit_item(item));
        }
        let has_one_caller = |function: &Function| {
            function.is_private && uses.counts.get(&function.name) == Some(&1)
        };
        single.extend(functions.into_iter().filter(has_one_caller));
    }
    (all, single)
}

/// `short_max` counts short functions per thousand of all.
fn check(folder: &str, percent_max: usize, short_max: usize) {
    let (all, single) = count(folder);
    let unreasoned: Vec<_> = single
        .iter()
        .filter(|function| function.lines < LONG_LINES && !function.is_out_of_line)
        .map(|function| {
            format!(
                "{} in {}, {} lines",
                function.name, function.path, function.lines
            )
        })
        .collect();
    println!(
        "{folder}: {} of {all} functions are private and have one caller; {} of them are short",
        single.len(),
        unreasoned.len()
    );
    assert!(
        single.len() * 100 <= percent_max * all && unreasoned.len() * 1000 <= short_max * all,
        "{folder}: {} of {all} functions are private and have one caller (at most {percent_max} %); short \
         ones (at most {short_max} of a thousand):\n{}",
        single.len(),
        unreasoned.join("\n")
    );
}

#[test]
fn few_functions_of_the_runtime_have_one_caller() {
    check("runtime", 12, 20);
}

#[test]
fn few_functions_of_http_have_one_caller() {
    check("http", 12, 37);
}
