//! Just enough of Rust's grammar to distinguish code from comments and strings.

/// The source with comments and the contents of string and character literals blanked out; all other characters, and
/// all lines, keep their positions.
pub(crate) fn code_only(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => end_of_line(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => end_of_block_comment(&chars, at),
            '"' => end_of_string(&chars, at),
            'r' | 'b' if !continues_a_word(&chars, at) => raw_string(&chars, at).unwrap_or(at + 1),
            '\'' => end_of_char(&chars, at),
            _ => at + 1,
        };
        if end > at + 1 {
            let blank = |c: &mut char| *c = if *c == '\n' { '\n' } else { ' ' };
            chars[at..end].iter_mut().for_each(blank);
        }
        at = end;
    }
    chars.into_iter().collect()
}

fn continues_a_word(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_')
}

fn end_of_line(chars: &[char], at: usize) -> usize {
    let rest = chars[at..].iter().position(|c| *c == '\n');
    rest.map_or(chars.len(), |length| at + length)
}

fn end_of_block_comment(chars: &[char], at: usize) -> usize {
    let ends = |pair: &[char]| pair == ['*', '/'];
    let rest = chars[at + 2..].windows(2).position(ends);
    rest.map_or(chars.len(), |length| at + 2 + length + 2)
}

fn end_of_string(chars: &[char], at: usize) -> usize {
    let mut end = at + 1;
    while end < chars.len() && chars[end] != '"' {
        end += if chars[end] == '\\' { 2 } else { 1 };
    }
    (end + 1).min(chars.len())
}

/// The end of `r"…"`, `r#"…"#` or `br"…"`, if one starts here.
fn raw_string(chars: &[char], at: usize) -> Option<usize> {
    let mut quote = at + 1;
    if chars[at] == 'b' {
        (chars.get(quote) == Some(&'r')).then_some(())?;
        quote += 1;
    }
    let hashes = chars[quote..].iter().take_while(|c| **c == '#').count();
    quote += hashes;
    (chars.get(quote) == Some(&'"')).then_some(())?;
    let closing = |end: &usize| {
        chars[*end] == '"'
            && chars[end + 1..]
                .iter()
                .take(hashes)
                .filter(|c| **c == '#')
                .count()
                == hashes
    };
    let end = (quote + 1..chars.len()).find(closing)?;
    Some(end + 1 + hashes)
}

/// The end of a character literal; for a lifetime, just the quote.
fn end_of_char(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            let rest = chars[at + 3..].iter().position(|c| *c == '\'');
            rest.map_or(chars.len(), |length| at + 3 + length + 1)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}

/// All words in the code, with their line numbers, from 1.
pub(crate) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(code.lines()).flat_map(|(number, line)| {
        line.split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty())
            .map(move |word| (number, word))
    })
}

/// A function's name, its first line, and its number of lines.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// Every function with a body.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + 3..];
        let name: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        if name.is_empty() {
            continue;
        }
        if let Some(length) = body_end(rest) {
            found.push(Function {
                name,
                line: code[..at].matches('\n').count() + 1,
                lines: rest[..length].matches('\n').count() + 1,
            });
        }
    }
    found
}

/// Where a function's body ends, relative to its name; `None` if it has none.
fn body_end(rest: &str) -> Option<usize> {
    let (mut nested, mut braces) = (0_i32, 0_i32);
    for (at, c) in rest.char_indices() {
        match c {
            '(' | '[' if braces == 0 => nested += 1,
            ')' | ']' if braces == 0 => nested -= 1,
            ';' if nested == 0 && braces == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 && nested == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[test]
fn comments_and_strings_are_no_code() {
    let text = "a /* b */ c \"d \\\" e\" 'f' '\\'' r#\"g\"# h<'i> // j\nk br\"m\" l";
    let code = code_only(text);
    let words: Vec<(usize, &str)> = words(&code).collect();
    assert_eq!(
        words,
        [(1, "a"), (1, "c"), (1, "h"), (1, "i"), (2, "k"), (2, "l")]
    );
    assert_eq!(code_only("\"a\nb\"\nc").lines().nth(2), Some("c"));
}
