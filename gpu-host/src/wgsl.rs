//! Shaders that are too deep for compilers: these call themselves for what is within something else,
//! and a guest's shader must not use up the stack of the host. What the parser counts itself (brackets,
//! blocks) is not counted here: only chains, which look flat and are not.

use std::thread;

use crate::fault::Failed;

/// More than anybody writes: operators in one expression, and branches of one `if`.
const LONGEST_CHAIN: u32 = 1000;

/// For the deepest shader that is let through, and for what declarations lead to: a function or
/// constant that needs another one, and so on.
const STACK: usize = 512 << 20;

/// Calls a compiler.
pub(crate) fn with_deep_stack<T: Send>(compile: impl FnOnce() -> T + Send) -> Result<T, Failed> {
    thread::scope(|scope| {
        let compiler = thread::Builder::new().name("compiler".to_owned());
        let compiler = compiler.stack_size(STACK).spawn_scoped(scope, compile);
        let compiler = compiler
            .map_err(|_| Failed::out_of_memory("there is no memory for the shader compiler"))?;
        Ok(compiler
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// What was counted within one pair of brackets.
#[derive(Clone, Copy, Default)]
struct Level {
    operators: u32,
    branches: u32,
}

/// Refuses chains that are too long.
pub(crate) fn check_chains(source: &str) -> Result<(), Failed> {
    let (mut rest, mut outer, mut here) = (source, Vec::new(), Level::default());
    let mut is_after_block = false;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = after_comment(rest) {
            rest = after;
            continue;
        }
        let is_word = first.is_alphanumeric() || first == '_';
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let length = match is_word {
            true => rest.find(|c| !is_part(c)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        if first.is_whitespace() {
            continue;
        }
        if token == "else" {
            here.branches += 1;
        } else if is_after_block {
            here.branches = 0;
        }
        is_after_block = false;
        match first {
            '(' | '{' => outer.push(std::mem::take(&mut here)),
            // An index is part of a chain, and has one of its own.
            '[' => {
                here.operators += 1;
                outer.push(std::mem::take(&mut here));
            }
            ')' | ']' => here = outer.pop().unwrap_or_default(),
            '}' => {
                here = outer.pop().unwrap_or_default();
                here.operators = 0;
                is_after_block = true;
            }
            ',' | ';' => here.operators = 0,
            _ if is_word || first == '@' => {}
            _ => here.operators += 1,
        }
        if here.operators.max(here.branches) > LONGEST_CHAIN {
            return Err(Failed::validation(format!(
                "the shader has an expression of more than {LONGEST_CHAIN} operators, or an `if` of more branches"
            )));
        }
    }
    Ok(())
}

/// What comes after the comment that the text begins with, if it begins with one.
fn after_comment(text: &str) -> Option<&str> {
    let ends_line = |c: char| matches!(c, '\n'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    if text.starts_with("//") {
        return Some(&text[text.find(ends_line).unwrap_or(text.len())..]);
    }
    let mut rest = text.strip_prefix("/*")?;
    let mut depth = 1_u32;
    while depth > 0 {
        let Some(at) = rest.find(['*', '/']) else {
            return Some("");
        };
        rest = &rest[at..];
        let skipped = match rest.get(..2) {
            Some("/*") => {
                depth = depth.saturating_add(1);
                2
            }
            Some("*/") => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        rest = &rest[skipped..];
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(source: &str) -> bool {
        check_chains(source).is_err()
    }

    #[test]
    fn long_chains_are_found() {
        let times = |text: &str, count| text.repeat(count);
        for link in ["+a", "-", " ! ", ".x", "[0]", "* /* , */", "+ // ;\n a"] {
            let chain = |count| format!("fn f() {{ let x = a{}b; }}", times(link, count));
            assert!(!is_refused(&chain(400)), "{link}");
            assert!(is_refused(&chain(1100)), "{link}");
        }
        let branches = |count| format!("if a {{}} {}", times("else if b { let x = 1; }", count));
        assert!(!is_refused(&branches(900)) && is_refused(&branches(1100)));
        // What is within brackets is a chain of its own, and the one around it goes on.
        let calls = |count| format!("let x = 1{};", times("+f(1, 2)", count));
        assert!(!is_refused(&calls(900)) && is_refused(&calls(1100)));
        let hidden = format!("let x = 1{};", times("+/*\u{2028};*/1", 1100));
        assert!(is_refused(&hidden));
        let line = format!("let x = 1{};", times("+// ;\u{2028}1", 1100));
        assert!(is_refused(&line));
    }

    #[test]
    fn what_is_long_and_flat_passes() {
        let table = format!("const t = array({});", "vec2(-1.0, 2e-3),\n".repeat(20_000));
        let functions =
            "fn f(a: u32) -> u32 { if a > 1 { return 1; } else { return 2; } }\n".repeat(5000);
        let statements = "if a { b = c + d; } else if e { f(); }\n".repeat(5000);
        let comment = format!("/* {} */ fn f() {{}}", "+-".repeat(10_000));
        let endless = "/* /* never closed */";
        for source in [
            &table,
            &functions,
            &statements,
            &comment,
            endless,
            "",
            ")]}",
        ] {
            assert!(!is_refused(source));
        }
    }
}
