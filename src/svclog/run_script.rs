//! Finds the log directories that a logger's `run` gives to multilog. No shell is started:
//! values that only a shell could compute stay unknown.

use super::shell_words::{Part, Word, commands, is_of_name};
use std::collections::HashMap;

/// The result for a script.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogFound {
    /// The log directories, in the order of the script; relative ones are
    /// relative to the directory of the script.
    pub directories: Vec<Vec<u8>>,
    /// Possible others: from a command that this reader does not know.
    pub guesses: Vec<Vec<u8>>,
    /// Whether a variable or a command could add to these, or change them.
    pub is_uncertain: bool,
}

/// Reads the shell script `script`: the directories in the arguments of every
/// `multilog` in it, by that name or by a path. If any is started with `exec`,
/// only those count: `chown log /var/log/multilog ./main` writes no log.
pub fn read(script: &[u8]) -> LogFound {
    let mut shell = Shell::default();
    let mut calls: Vec<(bool, LogFound)> = Vec::new();
    for command in commands(script) {
        calls.extend(shell.run(&command));
    }
    let any_exec = calls.iter().any(|(is_exec, _)| *is_exec);
    let mut all = LogFound::default();
    for (is_exec, found) in calls {
        if is_exec || !any_exec {
            all.is_uncertain |= found.is_uncertain;
            add(&mut all.directories, found.directories);
            add(&mut all.guesses, found.guesses);
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

/// Adds those of `more` that are not among `all`.
fn add(all: &mut Vec<Vec<u8>>, more: Vec<Vec<u8>>) {
    for directory in more {
        if !all.contains(&directory) {
            all.push(directory);
        }
    }
}

/// A program that execs another one, whose name and arguments follow its own.
struct Chain {
    name: &'static [u8],
    /// Its options that take a value.
    with_value: &'static [u8],
    /// The number of its arguments after the options.
    arguments: usize,
}

const fn chain(name: &'static [u8], with_value: &'static [u8], arguments: usize) -> Chain {
    Chain {
        name,
        with_value,
        arguments,
    }
}

const CHAINS: [Chain; 17] = [
    chain(b"exec", b"a", 0),
    chain(b"command", b"", 0),
    chain(b"setuidgid", b"", 1),
    chain(b"envuidgid", b"", 1),
    chain(b"envdir", b"", 1),
    chain(b"setlock", b"", 1),
    chain(b"softlimit", b"abcdfglmoprstv", 0),
    chain(b"pgrphack", b"", 0),
    chain(b"chpst", b"ueUb/CnlLmdofcprt", 0),
    chain(b"env", b"uCS", 0),
    chain(b"nice", b"n", 0),
    chain(b"ionice", b"cnpPu", 0),
    chain(b"nohup", b"", 0),
    chain(b"setsid", b"", 0),
    chain(b"stdbuf", b"ioe", 0),
    chain(b"sudo", b"ugCDRTphr", 0),
    chain(b"runuser", b"ugG", 0),
];

/// Words of the shell before a command.
const RESERVED: [&[u8]; 10] = [
    b"if", b"then", b"else", b"elif", b"while", b"until", b"do", b"!", b"{", b"time",
];

/// The state of a shell while it runs a script.
#[derive(Default)]
struct Shell {
    /// None: not known.
    variables: HashMap<Vec<u8>, Option<Vec<u8>>>,
    /// Where it is, if it has left the directory of the script.
    base: Option<Vec<u8>>,
    /// It has changed to an unknown directory.
    is_lost: bool,
}

/// A word of a command, its variables replaced; None: not known.
#[derive(Clone, Debug)]
struct Value {
    bytes: Option<Vec<u8>>,
    /// If it is not known: whether it could be a directory.
    may_be_directory: bool,
}

impl Shell {
    /// Runs `command`: None if no multilog is in it, else whether that is started with
    /// `exec`, and where it writes.
    fn run(&mut self, command: &[Word]) -> Option<(bool, LogFound)> {
        let values: Vec<Value> = command.iter().flat_map(|word| self.values(word)).collect();
        let is = |value: &Value, names: &[&[u8]]| {
            let bytes = value.bytes.as_deref();
            bytes.is_some_and(|bytes| names.contains(&bytes))
        };
        let reserved = values.iter().take_while(|value| is(value, &RESERVED));
        let mut rest = values.get(reserved.count()..).unwrap_or_default();
        while let [assignment, behind @ ..] = rest
            && let Some((name, value)) = split(assignment)
        {
            // Before a command it counts for that command only, but does no harm.
            self.variables.insert(name, value);
            rest = behind;
        }
        match rest {
            [first, more @ ..] if is(first, &[b"export", b"readonly"]) => {
                self.variables.extend(more.iter().filter_map(split));
                None
            }
            [first, more @ ..] if is(first, &[b"cd"]) => {
                self.change_directory(more);
                None
            }
            _ => {
                let is_exec = rest.first().is_some_and(|first| is(first, &[b"exec"]));
                Some((is_exec, self.multilog(rest)?))
            }
        }
    }

    fn change_directory(&mut self, words: &[Value]) {
        let mut words = words.iter().skip_while(|word| {
            let option = word.bytes.as_deref();
            matches!(option, Some([b'-', _, ..])) && option != Some(b"--")
        });
        let first = words.next();
        let target = match first.and_then(|word| word.bytes.as_deref()) {
            Some(b"--") => words.next(),
            _ => first,
        };
        match target.and_then(|word| word.bytes.clone()) {
            Some(path) if !path.is_empty() && path != b"-" => {
                self.base = Some(self.inside(path));
            }
            // Perhaps the directory of the script.
            _ => (self.base, self.is_lost) = (None, true),
        }
    }

    /// The path of `path` as seen from the directory of the script.
    fn inside(&self, path: Vec<u8>) -> Vec<u8> {
        match &self.base {
            Some(base) if path.first() != Some(&b'/') => [base, b"/".as_slice(), &path].concat(),
            _ => path,
        }
    }

    /// The directories of the multilog in `words`, if there is one.
    fn multilog(&self, words: &[Value]) -> Option<LogFound> {
        if let Some(arguments) = behind_chain(words) {
            return Some(self.found(arguments));
        }
        let mut calls: Vec<LogFound> = (0..words.len())
            .filter_map(|place| words.get(place..)?.split_first())
            .filter(|(word, _)| is_multilog(word))
            .map(|(_, arguments)| self.found(arguments))
            .collect();
        // The first may be an account, the last a directory.
        let has_any = |call: &LogFound| !call.directories.is_empty();
        let last = calls.iter().rposition(has_any);
        let mut found = calls.get(last.or(calls.len().checked_sub(1))?)?.clone();
        calls.reverse();
        for call in calls {
            add(&mut found.guesses, call.directories);
        }
        Some(found)
    }

    /// The directories of a multilog with these arguments.
    fn found(&self, arguments: &[Value]) -> LogFound {
        let unknown = |word: &Value| word.bytes.is_none() && word.may_be_directory;
        let is_uncertain = self.is_lost || arguments.iter().any(unknown);
        let known = arguments.iter().filter_map(|word| word.bytes.as_deref());
        let directories = directories(known).into_iter();
        LogFound {
            directories: directories.map(|path| self.inside(path)).collect(),
            guesses: Vec::new(),
            is_uncertain,
        }
    }

    /// The expansion of a word.
    fn values(&self, word: &Word) -> Vec<Value> {
        let first = word.parts.iter().find(|part| part.is_not_empty());
        // A variable after another first letter (`s"$SIZE"`) makes no directory.
        let may_be_directory = match first {
            Some(Part::Bytes(bytes)) => matches!(bytes.first(), Some(b'.' | b'/')),
            _ => true,
        };
        let parts = word.parts.iter().map(|part| match part {
            Part::Bytes(bytes) => Some(bytes.as_slice()),
            Part::Variable(name, default) => match self.variables.get(name) {
                Some(value) => value.as_deref(),
                None => default.as_deref(),
            },
            Part::Unknown => None,
        });
        let bytes: Option<Vec<&[u8]>> = parts.collect();
        let value = |bytes: Option<Vec<u8>>| Value {
            bytes,
            may_be_directory,
        };
        match bytes.map(|parts| parts.concat()) {
            Some(bytes) if word.is_split => bytes
                .split(u8::is_ascii_whitespace)
                .filter(|piece| !piece.is_empty())
                .map(|piece| value(Some(piece.to_vec())))
                .collect(),
            Some(bytes) => vec![value(Some(bytes))],
            None => match word.assigned() {
                // Its name counts.
                Some(name) => vec![value(Some([&name, b"=\0".as_slice()].concat()))],
                None => vec![value(None)],
            },
        }
    }
}

/// An assignment: the variable, and its value if that is known.
fn split(value: &Value) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let bytes = value.bytes.as_ref()?;
    let end = bytes.iter().position(|byte| *byte == b'=')?;
    let (name, rest) = bytes.split_at_checked(end)?;
    let is_name = !name.is_empty() && name.iter().all(|byte| is_of_name(*byte));
    let value = rest.get(1..).filter(|value| *value != b"\0");
    is_name.then(|| (name.to_vec(), value.map(<[u8]>::to_vec)))
}

fn is_multilog(word: &Value) -> bool {
    let bytes = word.bytes.as_deref().unwrap_or_default();
    bytes == b"multilog" || bytes.ends_with(b"/multilog")
}

/// The arguments of the multilog that a chain of programs becomes, if all of them are
/// known: `exec setuidgid log multilog t ./main`.
fn behind_chain(words: &[Value]) -> Option<&[Value]> {
    let mut rest = words;
    loop {
        let (first, behind) = rest.split_first()?;
        if is_multilog(first) {
            return Some(behind);
        }
        let name = first
            .bytes
            .as_deref()?
            .rsplit(|byte| *byte == b'/')
            .next()?;
        let name = name.strip_prefix(b"s6-").unwrap_or(name);
        let chain = CHAINS.iter().find(|chain| chain.name == name)?;
        rest = behind;
        while let [option, behind @ ..] = rest
            && let Some([b'-', letters @ ..]) = option.bytes.as_deref()
        {
            rest = match letters {
                [letter] if chain.with_value.contains(letter) => behind.get(1..)?,
                _ => behind,
            };
            if letters == b"-" {
                break;
            }
        }
        if name == b"env" {
            let assignments = rest.iter().take_while(|word| split(word).is_some());
            rest = rest.get(assignments.count()..)?;
        }
        rest = rest.get(chain.arguments..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::Numbers;

    /// The directories, separated by blanks; followed by a `?` if the result is not certain.
    fn read_text(script: &str) -> String {
        let found = read(script.as_bytes());
        let mut text = found.directories.join(&b' ').escape_ascii().to_string();
        if found.is_uncertain {
            text.push('?');
        }
        text
    }

    /// Each of these scripts gives the result on its right, in the form of [`read_text`].
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
            ("exec multilog t ./`hostname`", "?"),
            ("exec multilog t /var/log/$NAME", "?"),
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
            ("cd \"$HOME\"; exec multilog t ./main", "./main?"),
            ("cd -P -- /x\nexec multilog t ./main", "/x/./main"),
            ("cd -- a && cd b; exec multilog t .", "a/b/."),
            ("if cd logs; then exec multilog t .; fi", "logs/."),
            (
                "cd \"$(dirname \"$0\")\" || exit; exec multilog t ./main",
                "./main?",
            ),
            ("cd ${0%/*}; exec multilog t ./main", "./main?"),
        ]);
    }

    #[test]
    fn a_chain_of_programs_is_followed_to_its_end() {
        assert_read(&[
            (
                "exec setuidgid multilog envdir ./env multilog t ./logs",
                "./logs",
            ),
            (
                "exec softlimit -m 9000 -o5 setuidgid -s log multilog t ./main",
                "./main",
            ),
            (
                "exec chpst -u multilog -e ./env -P multilog ./main",
                "./main",
            ),
            ("exec env -i - A=./x B=/y multilog t ./main", "./main"),
            ("exec nice -n 5 setlock -n ./l s6-envdir /e multilog .", "."),
            ("exec sudo -u multilog -- multilog t ./main", "./main"),
            (
                "exec multilog t ./multilog /var/log/multilog",
                "./multilog /var/log/multilog",
            ),
            ("M=/usr/bin/multilog; exec $M t ./main", "./main"),
        ]);
        // No command of the table: the directories of the last multilog that has any.
        let found = read(b"exec become multilog ./env multilog t ./logs");
        assert_eq!(found.directories, [b"./logs"]);
        assert_eq!(found.guesses, [b"./logs".as_slice(), b"./env"]);
        let found = read(b"exec odd ./x multilog t /var/log/multilog");
        assert_eq!(found.directories, [b"/var/log/multilog"]);
    }

    #[test]
    fn variables_that_the_script_sets_are_known() {
        assert_read(&[
            ("D=./logs; exec multilog t $D", "./logs"),
            ("D='./my logs'\nexec multilog t \"$D\"", "./my logs"),
            ("A='t n20 ./a ./b'; exec multilog $A", "./a ./b"),
            ("export D=/var/log; exec multilog t ${D}/x", "/var/log/x"),
            ("B=/var; D=$B/log exec multilog t $B/x", "/var/x"),
            ("D=./logs\ncd -P \"$D\"; exec multilog t .", "./logs/."),
            ("exec multilog t ${D:-./main}", "./main"),
            ("D=./x; exec multilog t ${D:-./main}", "./x"),
            ("D=$(cat d); exec multilog t $D", "?"),
            ("D=`cat d`; exec multilog t ./$D", "?"),
            ("D=./x; exec multilog t '$D' \\$D", ""),
            ("exec multilog t \"$1\" $@", "?"),
            ("exec multilog t ./a$", "./a$"),
        ]);
    }

    #[test]
    fn a_command_in_a_word_is_one_word() {
        assert_read(&[
            ("exec multilog t s$((1024*1024)) n20 ./logs", "./logs"),
            ("exec multilog t s\"$((2 * (3 + 4)))\" ./logs", "./logs"),
            (
                "exec multilog t n$(echo ')' \"$(cat ./x)\" '(') ./logs",
                "./logs",
            ),
            ("exec multilog t n`cat ./x` ./logs", "./logs"),
            ("exec multilog t $(cat ./x) ./logs", "./logs?"),
            ("exec multilog t ${A%(} ./logs", "./logs?"),
            ("exec multilog t $(", "?"),
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
