//! nsswitch.conf(5): whether the file `/etc/passwd` is the first source for users and its
//! answer is final.
//!
//! The rules are those of glibc (nss/nss_database.c and nss/nss_action_parse.c), but stricter:
//! any unusual syntax means no. Three of them are easily missed. A last line without a newline
//! is ignored; of two lines for one database one wins, which one depends on the version of
//! glibc; an error in the line of any database makes all databases fail.

/// Whether glibc, with this nsswitch.conf, is certain to use the first answer of `files` for
/// `passwd`. A file without a line for it means no: the default depends on the version and the
/// configuration of glibc.
pub fn files_come_first(configuration: &[u8]) -> bool {
    if configuration.contains(&0) {
        return false;
    }
    let Some(lines) = configuration.strip_suffix(b"\n") else {
        return false;
    };
    let mut answer = None;
    for line in lines.split(|byte| *byte == b'\n') {
        let line = without_blanks(line);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        if !line
            .iter()
            .all(|byte| is_blank(*byte) || byte.is_ascii_graphic())
        {
            return false;
        }
        let (database, sources) = cut(line, |byte| is_blank(byte) || byte == b':');
        let (_, sources) = cut(sources, |byte| !is_blank(byte) && byte != b':');
        if database.is_empty() || !actions_are_known(sources) {
            return false;
        }
        if database == b"passwd" && answer.replace(begins_with_files(sources)).is_some() {
            return false;
        }
    }
    answer.unwrap_or(false)
}

/// Whether the first source is `files`, without actions after it.
fn begins_with_files(sources: &[u8]) -> bool {
    let (source, rest) = cut(sources, |byte| is_blank(byte) || byte == b'[');
    source == b"files" && !without_blanks(rest).starts_with(b"[")
}

/// Whether all text in brackets is `[STATUS=ACTION]`, or several of these in one pair of
/// brackets, with statuses and actions that every version of glibc knows.
fn actions_are_known(sources: &[u8]) -> bool {
    let mut parts = sources.split(|byte| *byte == b'[');
    parts.next();
    parts.all(|part| {
        let (actions, rest) = cut(part, |byte| byte == b']');
        let mut actions = actions
            .split(|byte| is_blank(*byte))
            .filter(|action| !action.is_empty())
            .peekable();
        !rest.is_empty() && actions.peek().is_some() && actions.all(is_known)
    })
}

fn is_known(action: &[u8]) -> bool {
    const STATUSES: [&[u8]; 4] = [b"SUCCESS", b"NOTFOUND", b"UNAVAIL", b"TRYAGAIN"];
    const ACTIONS: [&[u8]; 3] = [b"RETURN", b"CONTINUE", b"MERGE"];
    let action = action.strip_prefix(b"!").unwrap_or(action);
    let (status, action) = cut(action, |byte| byte == b'=');
    let action = action.strip_prefix(b"=").unwrap_or(action);
    let is_one_of =
        |words: &[&[u8]], word: &[u8]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    is_one_of(&STATUSES, status) && is_one_of(&ACTIONS, action)
}

/// The bytes before the first one for which `ends` holds, and the rest from that one on.
fn cut(text: &[u8], ends: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| ends(*byte));
    text.split_at(end.unwrap_or(text.len()))
}

fn without_blanks(text: &[u8]) -> &[u8] {
    cut(text, |byte| !is_blank(byte)).1
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "# /etc/nsswitch.conf\n#\n# `info libc \"Name Service Switch\"' [and so on\n\n\
        passwd:         files systemd\ngroup:          files systemd\nshadow:         files\n\
        gshadow:        files\n\nhosts:          files mdns4_minimal [NOTFOUND=return] dns\n\
        networks:       files\n\nprotocols:      db files\nnetgroup:       nis\n";

    fn yes(text: &str) -> bool {
        files_come_first(text.as_bytes())
    }

    #[test]
    fn the_files_of_distributions_are_understood() {
        assert!(yes(DEBIAN));
        for line in [
            "passwd: files",
            "passwd:files",
            "passwd:\tfiles\tldap",
            "  passwd : files  ",
            "\tpasswd:  files sss",
            "passwd files",
            "passwd: : files",
            "passwd: files winbind # comment",
            "passwd: files sss [NOTFOUND=return] ldap",
            "passwd: files ldap [!success=continue tryagain=return]",
            "passwd:     files sss systemd",
            "passwd: files nis\nhosts: files resolve [!UNAVAIL=return] dns",
            "sudoers: files sss\npasswd: files",
            "#passwd: compat\npasswd: files",
            "# passwd: compat\npasswd: files",
            "passwd_compat: nis\npasswd: files",
            "Passwd: compat\npasswd: files",
            "# caf\u{e9}\r\npasswd: files",
        ] {
            assert!(yes(&format!("{line}\n")), "{line}");
            assert!(yes(&format!("\n\n{line}\n\ngroup: files\n")), "{line}");
        }
    }

    #[test]
    fn another_source_before_files_may_know_another_answer() {
        for line in [
            "passwd:",
            "passwd",
            "passwd: compat",
            "passwd: compat files",
            "passwd: sss files",
            "passwd: ldap files",
            "passwd: db files",
            "passwd: nis [NOTFOUND=return] files",
            "passwd: # files",
            "passwd: #files",
            "passwd: Files",
            "passwd: FILES",
            "passwd: files2",
            "passwd: files,ldap",
            "passwd: \"files\"",
            "passwd: [NOTFOUND=return] files",
        ] {
            assert!(!yes(&format!("{line}\n")), "{line}");
        }
    }

    #[test]
    fn an_action_of_files_is_not_understood() {
        for line in [
            "passwd: files [SUCCESS=continue] ldap",
            "passwd: files [SUCCESS=merge] ldap",
            "passwd: files[SUCCESS=continue] ldap",
            "passwd: files  [!NOTFOUND=continue] ldap",
            "passwd: files [NOTFOUND=return]",
            "passwd: files [",
        ] {
            assert!(!yes(&format!("{line}\n")), "{line}");
        }
    }

    #[test]
    fn one_line_says_it_and_only_one() {
        assert!(!yes(""));
        assert!(!yes("\n"));
        assert!(!yes("group: files\n"));
        assert!(!yes("passwords: files\n"));
        assert!(!yes("#passwd: files\n"));
        assert!(!yes("passwd: files\npasswd: files\n"));
        assert!(!yes("passwd: files\ngroup: files\n passwd compat\n"));
        assert!(!yes("passwd: compat\npasswd: files\n"));
    }

    #[test]
    fn a_last_line_without_a_newline_is_none() {
        assert!(!yes("passwd: files"));
        assert!(!yes("passwd: files\ngroup: files"));
        assert!(!yes("passwd: files\n "));
    }

    #[test]
    fn a_mistake_anywhere_makes_glibc_fail() {
        for line in [
            "hosts: dns [NOTFOUND=return",
            "hosts: dns [NOTFOUND]",
            "hosts: dns [=return]",
            "hosts: dns []",
            "hosts: dns [ ]",
            "hosts: dns [NOTFOUND=]",
            "hosts: dns [NOTFOUND=stop]",
            "hosts: dns [FOUND=return]",
            "hosts: dns [!!NOTFOUND=return]",
            "hosts: dns [NOTFOUND=return=return]",
            "hosts: dns [NOTFOUND = return]",
            "hosts: dns [NOTFOUND=return] [",
            "hosts: dns # [optional]",
            "hosts [",
            ": files",
        ] {
            assert!(!yes(&format!("passwd: files\n{line}\n")), "{line}");
            assert!(!yes(&format!("{line}\npasswd: files\n")), "{line}");
        }
    }

    #[test]
    fn bytes_that_nobody_types_get_no_yes() {
        for text in [
            &b"passwd: files\r\n"[..],
            b"passwd: files\n\0\n",
            b"passwd: files\n# \0\n",
            b"passwd: files \x0b\n",
            b"passwd: files \x0c ldap\n",
            b"passwd: files\xa0ldap\n",
            b"passwd:\xa0files\n",
            b"\xef\xbb\xbfpasswd: files\n",
            b"passwd: files\ngroup: files\r\n",
            b"passwd: files\n\r\n",
            b"passwd: files\n\x7f\n",
        ] {
            assert!(!files_come_first(text), "{text:?}");
        }
    }

    #[test]
    fn no_prefix_of_a_file_is_mistaken_for_another_answer() {
        let end = DEBIAN.find("group").unwrap();
        for length in 0..DEBIAN.len() {
            let is_whole_line = DEBIAN.as_bytes()[..length].ends_with(b"\n");
            let expected = is_whole_line && length >= end;
            assert_eq!(yes(&DEBIAN[..length]), expected, "{length}");
        }
    }
}
