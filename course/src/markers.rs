//! Makes the start of a stage from its solution.
//!
//! # How it works
//!
//! A solution marks the lines that the learner writes:
//!
//! ```text
//!     solution                                      start
//!     // BEGIN TODO 1                               // TODO 1: Count down.
//!     //> Count down.                               todo!("TODO 1")
//!     self.left -= 1;
//!     // END TODO
//! ```
//!
//! | line | in the start | in the finished stage |
//! |---|---|---|
//! | `// BEGIN TODO 1`, `// END TODO` | left out | left out |
//! | `//> text` | a comment | left out |
//! | `//= code` | the code, instead of `todo!("TODO 1")` | left out |
//! | any other line between the marks | left out | kept |
//!
//! The names `solution-01` and `solution_01` become `my-stage-01` and `my_stage_01`, which are as long. So the format
//! of the code stays.

/// The form of a stage to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The code that the learner completes.
    Start,
    /// The code with the learner's parts filled in.
    Finished,
    /// The finished code, but one part is still to do. The check uses it: each part must have a failing claim.
    Without(u32),
}

impl Form {
    /// Returns true if the part with this number is left to the learner.
    fn leaves_out(self, part: u32) -> bool {
        match self {
            Self::Start => true,
            Self::Finished => false,
            Self::Without(one) => one == part,
        }
    }
}

/// Returns the text of a file of a stage.
///
/// # Errors
///
/// Fails if a mark has no partner or no number.
pub fn make(solution: &str, form: Form) -> Result<String, String> {
    let mut made = String::new();
    let mut part: Option<Part> = None;
    for (number, line) in (1..).zip(solution.lines()) {
        let text = line.trim_start();
        let indent = &line[..line.len() - text.len()];
        if let Some(name) = text.strip_prefix("// BEGIN TODO ") {
            let name = name
                .parse()
                .map_err(|_| format!("line {number}: no number"))?;
            if part.replace(Part::new(name, indent)).is_some() {
                return Err(format!("line {number}: a part within a part"));
            }
        } else if text == "// END TODO" {
            let ended = part.take();
            let ended = ended.ok_or(format!("line {number}: an end without a begin"))?;
            if form.leaves_out(ended.number) {
                made += &ended.start();
            } else {
                made += &ended.solution;
            }
        } else if let Some(part) = &mut part {
            part.add(text, line);
        } else {
            made += line;
            made.push('\n');
        }
    }
    match part {
        Some(part) => Err(format!("TODO {} has no end", part.number)),
        None => Ok(made
            .replace("solution-", "my-stage-")
            .replace("solution_", "my_stage_")),
    }
}

/// Returns the parts of a solution: the number, and the lines that the start has in its place.
///
/// # Errors
///
/// Fails if a mark has no partner or no number.
pub fn open_parts(solution: &str) -> Result<Vec<(u32, String)>, String> {
    let mut open = Vec::new();
    let mut rest = solution;
    while let Some(begin) = rest.find("// BEGIN TODO ") {
        let line = rest[..begin].rfind('\n').map_or(0, |end| end + 1);
        let end = rest[begin..]
            .find("// END TODO")
            .map(|end| begin + end + "// END TODO".len());
        let end = end.ok_or("a part has no end")?;
        let part = &rest[line..end];
        let numbers = parts(part);
        let number = *numbers.first().ok_or("a part has no number")?;
        open.push((number, make(part, Form::Start)?));
        rest = &rest[end..];
    }
    Ok(open)
}

/// Returns the numbers of the parts in a text of a solution.
pub fn parts(text: &str) -> Vec<u32> {
    let number = |line: &str| {
        let digits = line.trim_start().strip_prefix("// BEGIN TODO ")?;
        digits.parse().ok()
    };
    text.lines().filter_map(number).collect()
}

/// The lines between two marks.
struct Part {
    number: u32,
    indent: String,
    /// The comment for the learner.
    comment: String,
    /// The code of the start, if it is not only `todo!`.
    code: String,
    solution: String,
}

impl Part {
    fn new(number: u32, indent: &str) -> Self {
        Self {
            number,
            indent: indent.to_owned(),
            comment: String::new(),
            code: String::new(),
            solution: String::new(),
        }
    }

    fn add(&mut self, text: &str, line: &str) {
        if let Some(comment) = text.strip_prefix("//>") {
            // One space belongs to the mark. The others are the indentation of a list.
            let comment = comment.strip_prefix(' ').unwrap_or(comment);
            let begin = if self.comment.is_empty() {
                format!("// TODO {}: ", self.number)
            } else if comment.is_empty() {
                "//".to_owned()
            } else {
                "// ".to_owned()
            };
            self.comment += &format!("{}{begin}{comment}\n", self.indent);
        } else if let Some(code) = text.strip_prefix("//=") {
            // One space belongs to the mark. The others are the indentation of the code.
            let code = code.strip_prefix(' ').unwrap_or(code);
            let indent = if code.is_empty() { "" } else { &self.indent };
            self.code += &format!("{indent}{code}\n");
        } else {
            self.solution += line;
            self.solution.push('\n');
        }
    }

    fn start(&self) -> String {
        let code = if self.code.is_empty() {
            format!("{}todo!(\"TODO {}\")\n", self.indent, self.number)
        } else {
            self.code.clone()
        };
        format!("{}{code}", self.comment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOLUTION: &str = "\
use solution_07::Wheel;
fn first() -> u32 {
    // BEGIN TODO 1
    //> Return one.
    //>
    //> It is a number.
    1
    // END TODO
}
fn second() {
    // BEGIN TODO 2
    //> Print it.
    //= let text: &str = todo!(\"TODO 2\");
    let text = \"two\";
    // END TODO
    println!(\"{text}\");
}
";

    #[test]
    fn a_start_has_the_comments_and_not_the_solution() {
        let start = "\
use my_stage_07::Wheel;
fn first() -> u32 {
    // TODO 1: Return one.
    //
    // It is a number.
    todo!(\"TODO 1\")
}
fn second() {
    // TODO 2: Print it.
    let text: &str = todo!(\"TODO 2\");
    println!(\"{text}\");
}
";
        assert_eq!(make(SOLUTION, Form::Start).as_deref(), Ok(start));
    }

    #[test]
    fn a_finished_stage_has_the_solution_and_no_marks() {
        let finished = "\
use my_stage_07::Wheel;
fn first() -> u32 {
    1
}
fn second() {
    let text = \"two\";
    println!(\"{text}\");
}
";
        assert_eq!(make(SOLUTION, Form::Finished).as_deref(), Ok(finished));
    }

    #[test]
    fn one_part_can_be_left_out() {
        let made = make(SOLUTION, Form::Without(2)).unwrap();
        assert!(made.contains("    1\n") && made.contains("todo!(\"TODO 2\")"));
    }

    #[test]
    fn a_mark_without_a_partner_is_refused() {
        for wrong in [
            "// END TODO",
            "// BEGIN TODO 1",
            "// BEGIN TODO one",
            "// BEGIN TODO 1\n// BEGIN TODO 2\n// END TODO",
        ] {
            assert!(make(wrong, Form::Start).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_open_parts_are_lines_of_the_start() {
        let start = make(SOLUTION, Form::Start).unwrap();
        let open = open_parts(SOLUTION).unwrap();
        assert_eq!(open.len(), 2);
        assert!(open.iter().all(|(_, lines)| start.contains(lines)));
    }

    #[test]
    fn the_parts_are_counted() {
        assert_eq!(parts(SOLUTION), [1, 2]);
    }
}
