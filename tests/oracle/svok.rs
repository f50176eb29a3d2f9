//! svok: whether a supervise runs, and why that cannot be told.

use super::compare;
use super::stage::{Stage, unread};
use super::zoo::{Zoo, each_denied, each_directory, invalid_name};
use crate::harness::called;

/// What is typed.
fn typed(words: &'static [&str]) -> impl Fn(&mut Stage) {
    move |stage| {
        let _zoo = Zoo::new(stage);
        stage.run("svok", words);
    }
}

situations! { typed
    nothing_at_all_is_wrong_usage(&[]);
    a_second_argument_is_ignored(&["s", "missing"]);
    a_second_argument_does_not_help_the_first(&["missing", "s"]);
    two_dashes_are_a_directory(&["--", "s"]);
    an_option_is_a_directory(&["-x"]);
    a_long_option_is_a_directory(&["--help"]);
    the_directory_one_is_in_is_like_any_other(&["."]);
    a_directory_inside_a_service_is_like_any_other(&["s/supervise"]);
}

/// On what is, or is not, a service.
fn on(directory: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        let _zoo = Zoo::new(stage);
        stage.run("svok", &[directory]);
    }
}

each_directory! {
    directories_in_the_place_of_the_fifos("directories");
}

/// On a path that may not be touched.
fn denied(path: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        let _zoo = Zoo::new(stage);
        stage.deny(path, 0);
        stage.run_as_ordinary_user("", "svok", &["s"]);
    }
}

each_denied! {}

#[test]
fn complains_by_its_own_name_however_called() {
    compare(|stage| {
        let mut command = stage.command(stage.program("svok"));
        called(&mut command, "/somewhere/else");
        stage.finish("svok", command);
    });
}

#[test]
fn prints_a_name_that_is_no_utf_8_as_it_is() {
    compare(|stage| {
        stage.run("svok", &[invalid_name()]);
    });
}

#[test]
fn refuses_a_name_that_is_too_long() {
    compare(|stage| {
        stage.run("svok", &["n".repeat(256)]);
    });
}

#[test]
fn and_svc_end_at_a_pipe_that_nobody_reads_or_not() {
    compare(|stage| {
        let _zoo = Zoo::new(stage);
        stage.sh(&unread("svok missing", "2>&4"));
        stage.sh(&unread("svok", "2>&4"));
        stage.sh(&unread("svok s", "2>&4"));
        stage.sh(&unread("svc -u missing", "2>&4"));
    });
}

#[test]
fn does_without_its_descriptors() {
    compare(|stage| {
        let _zoo = Zoo::new(stage);
        stage.sh("svok s <&- >&- 2>&-");
        stage.sh("svok missing <&- >&- 2>&-");
    });
}

#[test]
fn in_a_directory_that_may_not_be_read() {
    compare(|stage| {
        let _zoo = Zoo::new(stage);
        stage.scratch.mkdir("closed");
        stage.deny("closed", 0o111);
        stage.run_as_ordinary_user("closed", "svok", &["../link"]);
    });
}
