//! The environment of the next program, with the semantics of daemontools.

/// A list of entries, usually `NAME=VALUE`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    entries: Vec<Vec<u8>>,
}

impl Environment {
    /// An environment with these entries, which may contain any bytes.
    pub(crate) fn new(entries: Vec<Vec<u8>>) -> Environment {
        Environment { entries }
    }

    /// Sets `name` to `value`, or removes it if that is None.
    ///
    /// As in 0.76, `name` and `value` are joined by `=` and split at the first `=`: a name that
    /// contains `=` sets the variable before it. The first entry of that name is removed, the
    /// last entry moves to its position, and the new one is appended. Entries without `=` are
    /// never removed.
    pub(crate) fn change(&mut self, name: &[u8], value: Option<&[u8]>) {
        let entry = match value {
            Some(value) => [name, b"=", value].concat(),
            None => name.to_vec(),
        };
        let equals = entry.iter().position(|byte| *byte == b'=');
        let variable = entry.get(..equals.unwrap_or(entry.len()));
        let variable = variable.unwrap_or_default();
        let old = self.entries.iter().position(|old| {
            let rest = old.strip_prefix(variable);
            rest.is_some_and(|rest| rest.starts_with(b"="))
        });
        if let Some(old) = old {
            self.entries.swap_remove(old);
        }
        if equals.is_some() {
            self.entries.push(entry);
        }
    }

    /// The entries, in order.
    pub(crate) fn entries(&self) -> &[Vec<u8>] {
        &self.entries
    }
}

/// The value in a file of an environment directory; None for an empty file, which removes its
/// variable.
///
/// The value is the first line without trailing spaces and tabs; then each NUL in it becomes a
/// newline (daemontools' page of envdir).
pub(crate) fn value(file: &[u8]) -> Option<Vec<u8>> {
    if file.is_empty() {
        return None;
    }
    let line = file.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let end = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t'));
    let kept = line.get(..end.map_or(0, |last| last + 1));
    let newlines = |byte: &u8| if *byte == 0 { b'\n' } else { *byte };
    Some(kept.unwrap_or_default().iter().map(newlines).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(entries: &[&str], name: &str, value: Option<&str>) -> Vec<String> {
        let entries = entries.iter().map(|entry| entry.as_bytes().to_vec());
        let mut environment = Environment::new(entries.collect());
        environment.change(name.as_bytes(), value.map(str::as_bytes));
        let entries = environment.entries.into_iter();
        entries
            .map(|entry| String::from_utf8(entry).unwrap())
            .collect()
    }

    #[test]
    fn a_variable_is_added_replaced_and_removed() {
        assert_eq!(changed(&["A=1"], "B", Some("2")), ["A=1", "B=2"]);
        assert_eq!(
            changed(&["A=1", "B=1", "C=1"], "A", Some("2")),
            ["C=1", "B=1", "A=2"]
        );
        assert_eq!(changed(&["A=1", "B=1"], "A", None), ["B=1"]);
        assert_eq!(changed(&["A=1"], "B", None), ["A=1"]);
        assert_eq!(changed(&["AB=1", "A"], "A", None), ["AB=1", "A"]);
    }

    #[test]
    fn of_two_entries_of_one_name_only_the_first_is_replaced() {
        assert_eq!(changed(&["A=1", "A=2"], "A", Some("one")), ["A=2", "A=one"]);
    }

    #[test]
    fn a_name_that_holds_an_equals_sign_sets_what_stands_before_it() {
        assert_eq!(changed(&["K=old"], "K=L", Some("eq")), ["K=L=eq"]);
        assert_eq!(changed(&["K=old"], "K=L", None), ["K=L"]);
    }

    #[test]
    fn a_value_is_the_first_line_without_the_blanks_at_its_end() {
        assert_eq!(value(b""), None);
        for (file, expected) in [
            (&b"\n"[..], &b""[..]),
            (b" \t", b""),
            (b" a b \t\nc", b" a b"),
            (b"a\r\n", b"a\r"),
            (b"tail\t \0", b"tail\t \n"),
            (b"a\0b\0 \n", b"a\nb\n"),
        ] {
            assert_eq!(value(file).unwrap(), expected, "{file:?}");
        }
    }
}
