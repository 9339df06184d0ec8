//! What the texts say of the tools, read off what `oneloop TOOL --help` prints.

use oneloop::reactor::tools::Tool;

/// Columns of blanks with which the second line of a description begins at least.
const CONTINUATION_COLUMNS: usize = 8;

/// A paragraph of a usage.
pub enum Paragraph {
    /// Running text.
    Text(String),
    /// Words with what they mean: options and their values, for the most part.
    Terms(Vec<(String, String)>),
}

/// The paragraphs behind the forms of the command line.
pub fn paragraphs(tool: &Tool) -> Vec<Paragraph> {
    tool.usage.trim_end().split("\n\n").skip(1).flat_map(divided).collect()
}

/// Divides where terms begin or end.
fn divided(text: &str) -> Vec<Paragraph> {
    let mut paragraphs = Vec::new();
    for line in text.lines() {
        let is_term = line.starts_with("  ");
        match paragraphs.last_mut() {
            Some(Paragraph::Terms(terms)) if is_term => add_line(terms, line),
            Some(Paragraph::Text(text)) if !is_term => {
                text.push(' ');
                text.push_str(line);
            }
            _ if is_term => {
                let mut terms = Vec::new();
                add_line(&mut terms, line);
                paragraphs.push(Paragraph::Terms(terms));
            }
            _ => paragraphs.push(Paragraph::Text(line.to_string())),
        }
    }
    paragraphs
}

fn add_line(terms: &mut Vec<(String, String)>, line: &str) {
    let text = line.trim_start();
    if line.len() - text.len() >= CONTINUATION_COLUMNS
        && let Some((_, meaning)) = terms.last_mut()
    {
        meaning.push(' ');
        meaning.push_str(text);
        return;
    }
    let (term, meaning) = text.split_once("  ").expect("two blanks stand before what a term means");
    terms.push((term.to_string(), meaning.trim_start().to_string()));
}

/// An option of a tool.
pub struct ToolOption {
    /// With its dashes.
    pub name: String,
    /// What it wants, such as `PORT`; empty if nothing.
    pub value: String,
    /// What it does.
    pub meaning: String,
}

/// The options of a tool.
pub fn options(tool: &Tool) -> Vec<ToolOption> {
    let terms = paragraphs(tool).into_iter().filter_map(|paragraph| match paragraph {
        Paragraph::Terms(terms) => Some(terms),
        Paragraph::Text(_) => None,
    });
    terms
        .flatten()
        .filter(|(term, _)| term.starts_with("--"))
        .map(|(term, meaning)| {
            let (name, value) = term.split_once(' ').unwrap_or((&term, ""));
            ToolOption { name: name.to_string(), value: value.to_string(), meaning }
        })
        .collect()
}

/// The words that an option's value can be, as in `fast | recorded`; none where it can be anything.
pub fn words(option: &ToolOption) -> Vec<&str> {
    if option.value.contains(" | ") { option.value.split(" | ").collect() } else { Vec::new() }
}
