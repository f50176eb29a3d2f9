//! Where a logger's `run` says that multilog writes. No shell is started: words
//! are told apart as sh(1) does, and what only a shell could know stays unknown.

/// What a script says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// The log directories, in the order of the script; relative ones are
    /// relative to the directory of the script.
    pub directories: Vec<Vec<u8>>,
    /// Whether a variable or a command could add to these, or change them.
    pub is_uncertain: bool,
}

/// A word of a command.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Word {
    /// Its bytes without quotes; variables as they are written.
    bytes: Vec<u8>,
    /// Nothing in it is for the shell to replace.
    is_literal: bool,
}

/// Reads the shell script `script`: the directories in the arguments of every
/// `multilog` in it, by that name or by a path. If any is started with `exec`,
/// only those count: `chown log /var/log/multilog ./main` writes no log.
pub fn read(script: &[u8]) -> Found {
    let mut base: Option<Word> = None;
    let mut calls: Vec<(bool, Found)> = Vec::new();
    for command in commands(script) {
        let is_exec = command.first().is_some_and(|word| word.bytes == b"exec");
        if let [cd, to] = command.as_slice()
            && cd.bytes == b"cd"
        {
            base = Some(to.clone());
        }
        let mut words = command.iter();
        if words.any(is_multilog) {
            let found = arguments(words.as_slice(), base.as_ref());
            calls.push((is_exec, found));
        }
    }
    let any_exec = calls.iter().any(|(is_exec, _)| *is_exec);
    let mut all = Found::default();
    for (is_exec, found) in calls {
        if is_exec || !any_exec {
            all.is_uncertain |= found.is_uncertain;
            for directory in found.directories {
                if !all.directories.contains(&directory) {
                    all.directories.push(directory);
                }
            }
        }
    }
    all
}

/// The directories among `arguments`, those of a multilog.
pub fn directories<'a>(arguments: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    arguments
        .filter(|word| matches!(word.first(), Some(b'.' | b'/')))
        .map(<[u8]>::to_vec)
        .collect()
}

fn is_multilog(word: &Word) -> bool {
    word.is_literal && (word.bytes == b"multilog" || word.bytes.ends_with(b"/multilog"))
}

/// What a multilog with these arguments writes to, if it is started in `base`.
fn arguments(words: &[Word], base: Option<&Word>) -> Found {
    let mut is_uncertain = words.iter().any(|word| {
        // A variable behind another first letter (`s"$SIZE"`) makes no directory.
        let may_be_directory = matches!(word.bytes.first(), Some(b'.' | b'/' | b'$' | b'`'));
        !word.is_literal && may_be_directory
    });
    let mut directories = directories(words.iter().map(|word| word.bytes.as_slice()));
    if let Some(base) = base {
        is_uncertain |= !base.is_literal;
        for directory in &mut directories {
            if directory.first() != Some(&b'/') {
                *directory = [&base.bytes, b"/".as_slice(), directory].concat();
            }
        }
    }
    Found {
        directories,
        is_uncertain,
    }
}

/// The commands of `script`, each as its words; redirections are left out.
fn commands(script: &[u8]) -> Vec<Vec<Word>> {
    let mut lexer = Lexer::default();
    let mut bytes = script.iter().copied().peekable();
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
                        b'$' | b'`' => lexer.push_unknown(byte),
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
            b'$' | b'`' => lexer.push_unknown(byte),
            _ => lexer.push(byte),
        }
    }
    lexer.end_command();
    lexer.commands
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
    /// or ends a text that begins with the next line.
    is_here: bool,
    /// The words that end the texts that do.
    here: Vec<Vec<u8>>,
}

impl Lexer {
    fn word(&mut self) -> &mut Word {
        self.word.get_or_insert_with(|| Word {
            bytes: Vec::new(),
            is_literal: true,
        })
    }

    fn push(&mut self, byte: u8) {
        self.word().bytes.push(byte);
    }

    fn push_unknown(&mut self, byte: u8) {
        self.word().is_literal = false;
        self.push(byte);
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else {
            return;
        };
        if std::mem::take(&mut self.is_here) {
            self.here.push(word.bytes);
        } else if !self.is_target {
            self.command.push(word);
        }
        self.is_target = false;
    }

    /// `2>` is no argument 2.
    fn redirect(&mut self, is_here: bool) {
        let is_number = |word: &Word| word.bytes.iter().all(u8::is_ascii_digit);
        if self.word.as_ref().is_some_and(is_number) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::Numbers;

    /// The directories, blanks between them; a `?` behind them if it is not certain.
    fn read_text(script: &str) -> String {
        let found = read(script.as_bytes());
        let mut text = found.directories.join(&b' ').escape_ascii().to_string();
        if found.is_uncertain {
            text.push('?');
        }
        text
    }

    /// Each of these scripts gives what stands beside it, as by [`read_text`].
    fn assert_read(scripts: &[(&str, &str)]) {
        for (script, directories) in scripts {
            assert_eq!(read_text(script), *directories, "{script}");
        }
    }

    #[test]
    fn the_directories_are_what_multilog_would_take_for_such() {
        assert_read(&[
            ("#!/bin/sh\nexec multilog t ./main\n", "./main"),
            ("exec setuidgid log multilog t s250000 n10 ./main", "./main"),
            ("exec /usr/bin/multilog t /var/log/squid", "/var/log/squid"),
            (
                "multilog t ./main '-*' '+* err*' ./errors",
                "./main ./errors",
            ),
            ("multilog t main", ""),
            ("multilog t ../logs/x .", "../logs/x ."),
            ("exec multilog t \\\n  n20 \\\n  ./main", "./main"),
            (
                "exec multilog t './my logs' \"./her's\"",
                "./my logs ./her\\'s",
            ),
            ("exec multilog t ./my\\ logs", "./my logs"),
            ("exec multilog t ./a\"b\"'c'", "./abc"),
            ("exec multilog t \"./a\\\"b\\c\\$\"", "./a\\\"b\\\\c$"),
            ("exec env - PATH=/bin multilog t ./main # ./not", "./main"),
            ("exec multilog t ./a#b", "./a#b"),
            ("# exec multilog t ./old\nexec multilog t ./new", "./new"),
            (
                "#!/bin/execlineb\ns6-setuidgid log multilog t ./main",
                "./main",
            ),
        ]);
    }

    #[test]
    fn the_arguments_end_where_the_command_ends() {
        for end in [";", "|", "&", "\n", "&&", "||", " ) ; "] {
            let script = format!("multilog t ./main{end}cat ./other");
            assert_read(&[(&script, "./main")]);
        }
    }

    #[test]
    fn redirections_are_no_directories() {
        let scripts = [
            "exec multilog t ./main 2>&1",
            "exec 2>&1\nexec multilog t ./main",
            "exec multilog t > /dev/null ./main 2>/dev/null < ./in",
            "exec multilog t ./main 2>>./errors",
            "exec multilog t ./main >|./x",
        ];
        assert_read(&scripts.map(|script| (script, "./main")));
        assert_eq!(read_text("exec multilog t ./main2>x"), "./main2");
    }

    #[test]
    fn a_text_that_a_script_gives_to_another_command_is_none_of_its_commands() {
        let text = "exec multilog t ./old\n\n";
        for (begin, end) in [
            ("EOF", "EOF"),
            ("'EOF'", "EOF"),
            ("-E", "\tE"),
            ("- E", "E"),
        ] {
            let script = format!("cat <<{begin} >./x\n{text}{end}\nexec multilog t ./new\n");
            assert_eq!(read_text(&script), "./new", "{script}");
        }
        let script = "cat <<A <<B\nmultilog ./a\nA\nmultilog ./b\nB\nmultilog ./new";
        assert_eq!(read_text(script), "./new");
        assert_eq!(read_text("cat <<EOF\nmultilog ./a"), "");
        assert_eq!(read_text("cat <<<EOF\nmultilog ./a"), "./a");
    }

    #[test]
    fn what_a_variable_may_change_is_not_certain() {
        assert_read(&[
            ("exec multilog t \"$DIR\"", "?"),
            ("exec multilog t $DIR ./main", "./main?"),
            ("exec multilog t ./`hostname`", "./`hostname`?"),
            ("exec multilog t /var/log/$NAME", "/var/log/$NAME?"),
            ("exec multilog t s$SIZE \"n${N}\" ./main", "./main"),
            ("exec multilog t '$DIR' ./main", "./main"),
            ("exec multilog t ./\\$x", "./$x"),
        ]);
    }

    #[test]
    fn a_plain_change_of_directory_counts() {
        assert_read(&[
            (
                "cd /var/log/x\nexec multilog t ./main /y",
                "/var/log/x/./main /y",
            ),
            (
                "cd /var/log/x && exec multilog t ./main",
                "/var/log/x/./main",
            ),
            ("cd \"$HOME\"; exec multilog t ./main", "$HOME/./main?"),
        ]);
    }

    #[test]
    fn a_multilog_that_is_executed_counts_more_than_the_word() {
        let script = "chown log /var/log/multilog ./main\nexec multilog t ./logs";
        assert_eq!(read_text(script), "./logs");
        let script = "if x; then exec multilog t ./a; else exec multilog t ./b ./a; fi";
        assert_eq!(read_text(script), "./a ./b");
    }

    #[test]
    fn no_bytes_are_too_odd() {
        let pieces: [&[u8]; 16] = [
            b"multilog ",
            b"./a",
            b"/b ",
            b"'",
            b"\"",
            b"\\",
            b"\n",
            b"#",
            b"$",
            b"`",
            b">",
            b"<<",
            b";",
            b" ",
            b"exec ",
            b"\xff\0",
        ];
        let mut numbers = Numbers(7);
        for _ in 0..20_000 {
            let script: Vec<u8> = (0..12)
                .flat_map(|_| numbers.pick(&pieces))
                .copied()
                .collect();
            for directory in read(&script).directories {
                assert!(
                    matches!(directory[0], b'.' | b'/'),
                    "{}",
                    script.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn a_script_without_multilog_or_without_sense_says_nothing() {
        let scripts = [
            "",
            "exec cat",
            "exec sh -c 'multilog t ./main'",
            "\x7fELF\0\0\u{fffd}",
            "exec multilog t \"",
            "exec multilog '",
            "exec multilog t >",
            "multilog\\",
        ];
        assert_read(&scripts.map(|script| (script, "")));
        assert_eq!(read_text("multilog t './main"), "./main");
    }
}
