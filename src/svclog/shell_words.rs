//! Splits a shell script into words as sh(1) does: quotes, variables, redirections and
//! here-documents.

/// A word of a command, as it is written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Word {
    /// In their order.
    pub(super) parts: Vec<Part>,
    /// It contains a variable outside of quotes.
    pub(super) is_split: bool,
}

impl Word {
    /// The name in front of a `=`, if the word begins so.
    pub(super) fn assigned(&self) -> Option<Vec<u8>> {
        let Some(Part::Bytes(bytes)) = self.parts.first() else {
            return None;
        };
        let end = bytes.iter().position(|byte| *byte == b'=')?;
        let name = bytes.get(..end)?;
        let is_name = name.iter().all(|byte| is_of_name(*byte));
        (is_name && !name.is_empty()).then(|| name.to_vec())
    }
}

/// A part of a word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// Bytes without quotes.
    Bytes(Vec<u8>),
    /// The variable of this name, and the default of `${NAME:-DEFAULT}` if it is not set.
    Variable(Vec<u8>, Option<Vec<u8>>),
    /// Only a shell could know.
    Unknown,
}

impl Part {
    /// Whether it is not known to be empty.
    pub(super) fn is_not_empty(&self) -> bool {
        !matches!(self, Part::Bytes(bytes) if bytes.is_empty())
    }
}

/// Whether a name of a variable may have this byte.
pub(super) fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The bytes of a script, from the next one on.
type Bytes<'a> = std::iter::Peekable<std::iter::Copied<std::slice::Iter<'a, u8>>>;

/// The commands of `script`, each as its words; redirections are left out.
pub(super) fn commands(script: &[u8]) -> Vec<Vec<Word>> {
    let mut lexer = Lexer::default();
    let mut bytes: Bytes<'_> = script.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                None | Some(b'\n') => {}
                Some(next) => lexer.push(next),
            },
            b'\'' => {
                lexer.word();
                for byte in bytes.by_ref().take_while(|byte| *byte != b'\'') {
                    lexer.push(byte);
                }
            }
            b'"' => {
                lexer.word();
                while let Some(byte) = bytes.next().filter(|byte| *byte != b'"') {
                    match byte {
                        b'\\' => match bytes.next() {
                            None | Some(b'\n') => {}
                            Some(next) => {
                                if !matches!(next, b'"' | b'\\' | b'$' | b'`') {
                                    lexer.push(b'\\');
                                }
                                lexer.push(next);
                            }
                        },
                        b'$' | b'`' => {
                            let part = expansion(byte, &mut bytes);
                            lexer.word().parts.push(part);
                        }
                        _ => lexer.push(byte),
                    }
                }
            }
            b'#' if lexer.word.is_none() => while bytes.next_if(|byte| *byte != b'\n').is_some() {},
            b' ' | b'\t' => lexer.end_word(),
            b'\n' => {
                lexer.end_command();
                for end in std::mem::take(&mut lexer.here) {
                    while let Some(line) = line(&mut bytes)
                        && line.trim_ascii_start() != end
                    {}
                }
            }
            b';' | b'|' | b'&' | b'(' | b')' => lexer.end_command(),
            b'<' | b'>' => {
                let mut sign = vec![byte];
                while let Some(byte) =
                    bytes.next_if(|byte| matches!(byte, b'<' | b'>' | b'&' | b'|'))
                {
                    sign.push(byte);
                }
                let is_here = sign == b"<<";
                if is_here {
                    bytes.next_if_eq(&b'-');
                }
                lexer.redirect(is_here);
            }
            b'$' | b'`' => {
                let part = expansion(byte, &mut bytes);
                let is_variable = matches!(part, Part::Variable(..));
                let word = lexer.word();
                // Not in `NAME=$OTHER`.
                word.is_split |= is_variable && word.assigned().is_none();
                word.parts.push(part);
            }
            _ => lexer.push(byte),
        }
    }
    lexer.end_command();
    lexer.commands
}

/// The part that begins with `sign`, a `$` or a backquote, before `bytes`.
fn expansion(sign: u8, bytes: &mut Bytes<'_>) -> Part {
    if sign == b'`' {
        while let Some(byte) = bytes.next().filter(|byte| *byte != b'`') {
            if byte == b'\\' {
                bytes.next();
            }
        }
        return Part::Unknown;
    }
    match bytes.peek() {
        Some(b'(') => {
            skip(bytes, b'(', b')');
            Part::Unknown
        }
        Some(b'{') => braces(&skip(bytes, b'{', b'}')),
        Some(byte) if is_of_name(*byte) && !byte.is_ascii_digit() => {
            let mut name = Vec::new();
            while let Some(byte) = bytes.next_if(|byte| is_of_name(*byte)) {
                name.push(byte);
            }
            Part::Variable(name, None)
        }
        Some(b'0'..=b'9' | b'@' | b'*' | b'#' | b'?' | b'$' | b'!' | b'-') => {
            bytes.next();
            Part::Unknown
        }
        _ => Part::Bytes(b"$".to_vec()),
    }
}

/// The text between `${` and `}`.
fn braces(inside: &[u8]) -> Part {
    let length = inside.iter().take_while(|byte| is_of_name(**byte)).count();
    let (name, rest) = inside.split_at_checked(length).unwrap_or_default();
    if name.first().is_none_or(u8::is_ascii_digit) {
        return Part::Unknown;
    }
    let is_plain = |byte: &u8| is_of_name(*byte) || matches!(byte, b'.' | b'/' | b'-' | b'+');
    match rest.strip_prefix(b":").unwrap_or(rest) {
        b"" => Part::Variable(name.to_vec(), None),
        [b'-' | b'=', default @ ..] if default.iter().all(is_plain) => {
            Part::Variable(name.to_vec(), Some(default.to_vec()))
        }
        _ => Part::Unknown,
    }
}

/// Skips the text between `open` and the matching `close`, and returns it. Quotes count.
fn skip(bytes: &mut Bytes<'_>, open: u8, close: u8) -> Vec<u8> {
    let mut inside = Vec::new();
    let (mut depth, mut quote) = (0_usize, None);
    while let Some(byte) = bytes.next() {
        inside.push(byte);
        match (quote, byte) {
            (None | Some(b'"'), b'\\') => inside.extend(bytes.next()),
            (Some(end), _) => quote = Some(end).filter(|end| *end != byte),
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, _) if byte == open => depth += 1,
            (None, _) if byte == close => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    let inside = inside.strip_prefix(&[open]).unwrap_or(&inside);
    inside.strip_suffix(&[close]).unwrap_or(inside).to_vec()
}

/// The next line, without its end; None if there is none.
fn line(bytes: &mut impl Iterator<Item = u8>) -> Option<Vec<u8>> {
    let first = bytes.next()?;
    let rest = bytes.take_while(|byte| *byte != b'\n');
    Some(if first == b'\n' {
        Vec::new()
    } else {
        [first].into_iter().chain(rest).collect()
    })
}

#[derive(Default)]
struct Lexer {
    commands: Vec<Vec<Word>>,
    command: Vec<Word>,
    word: Option<Word>,
    /// The next word is where a redirection goes,
    is_target: bool,
    /// or ends a here-document that begins with the next line.
    is_here: bool,
    /// The words that end these here-documents.
    here: Vec<Vec<u8>>,
}

impl Lexer {
    fn word(&mut self) -> &mut Word {
        self.word.get_or_insert_default()
    }

    fn push(&mut self, byte: u8) {
        let parts = &mut self.word().parts;
        match parts.last_mut() {
            Some(Part::Bytes(bytes)) => bytes.push(byte),
            _ => parts.push(Part::Bytes(vec![byte])),
        }
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else {
            return;
        };
        if std::mem::take(&mut self.is_here) {
            let bytes = word.parts.into_iter().filter_map(|part| match part {
                Part::Bytes(bytes) => Some(bytes),
                _ => None,
            });
            self.here.push(bytes.collect::<Vec<_>>().concat());
        } else if !self.is_target {
            self.command.push(word);
        }
        self.is_target = false;
    }

    /// `2>` is no argument 2.
    fn redirect(&mut self, is_here: bool) {
        let is_number = |part: &Part| match part {
            Part::Bytes(bytes) => bytes.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        if self
            .word
            .as_ref()
            .is_some_and(|word| word.parts.iter().all(is_number))
        {
            self.word = None;
        }
        self.end_word();
        self.is_target = true;
        self.is_here = is_here;
    }

    fn end_command(&mut self) {
        self.end_word();
        (self.is_target, self.is_here) = (false, false);
        if !self.command.is_empty() {
            self.commands.push(std::mem::take(&mut self.command));
        }
    }
}
