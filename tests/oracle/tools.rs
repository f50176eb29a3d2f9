//! The run-script tools: the same shell lines with both suites' programs, as root
//! and as an ordinary user. What they print, how they end, and what the next
//! program sees of its ids, limits, environment, descriptors and signals must be
//! the same.

use super::has_reference;
use crate::harness::{MARK, Output, Scratch, Suite, finish, has, is_root, linked_statically};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

const TOOLS: [&str; 7] = [
    "setuidgid",
    "envuidgid",
    "envdir",
    "softlimit",
    "setlock",
    "fghack",
    "pgrphack",
];

/// What stands in the current directory of every line.
const PREPARE: &str = r"
umask 022
mkdir e empty mixed equals blanks nul bad bad/X dots dots/.dir sub big dir
printf one > e/A; printf 'two\nmore\n' > e/B; : > e/C; printf '\n' > e/D
printf 'a b \t ' > mixed/T; printf '  lead' > mixed/L; printf 'cr\r\n' > mixed/R
printf '\377\376' > mixed/U; printf 'x=y=z' > mixed/E; ln -s nowhere mixed/G; printf 'v' > mixed/lower
printf eq > 'equals/K=L'; : > 'equals/M=N'; printf v > equals/=X; : > equals/=Y
printf '   \t ' > blanks/S; printf '\t' > blanks/T; printf ' \n' > blanks/V
printf 'tail\t \000' > nul/A; printf 'a\000b\000' > nul/B; printf '\000' > nul/C; printf 'x\000  \n' > nul/D; printf '\000\n' > nul/E
printf v > dots/.hidden; printf v > dots/..two; printf v > dots/ok
mkfifo sub/F
head -c 131000 /dev/zero | tr '\0' x > big/V
printf '#!/bin/sh\necho fine $#: $*\n' > fine
printf 'echo no shebang\n' > plain
printf '#!/nosuch/interpreter\n' > noint; chmod 755 fine plain noint
printf 'x' > notx; printf x > file
";

/// What is the same for all tools: what each of these does before the next program,
/// where `$T` stands.
macro_rules! before_the_next_program {
    ($($tool:ident $words:expr;)+) => {$(
        mod $tool {
            use super::*;
            fn before(next: &str) -> String {
                next.replace("$T", $words)
            }
            situations! { before
                true_("$T true");
                false_("$T false");
                a_code("$T sh -c 'exit 7'");
                a_program_that_is_missing("$T nosuchprogram");
                a_file_that_is_missing("$T ./nosuch");
                a_path_that_is_missing("$T /nosuch/x");
                the_empty_name("$T ''");
                a_script_with_odd_arguments("$T ./fine a 'b  c' ''");
                a_script_without_an_interpreter("$T ./plain");
                a_script_whose_interpreter_is_missing("$T ./noint");
                a_file_that_may_not_be_executed("$T ./notx");
                a_directory_by_its_path("$T ./dir");
                a_directory("$T dir");
                the_root("$T /");
                a_path_through_a_file("$T file/x");
                a_script_by_path("PATH=$PWD:$PATH $T fine x");
                a_file_by_path_that_may_not_be_executed("PATH=$PWD:$PATH $T notx x");
                a_script_by_an_empty_first_element_of_path("PATH=:$PATH $T fine x");
                a_script_by_an_empty_last_element_of_path("PATH=$PATH: $T fine x");
                a_file_among_path("PATH=$PWD/file:$PATH $T true");
                a_missing_directory_among_path("PATH=/nosuch:$PATH $T true");
                signals("$T sh -c 'grep ^Sig /proc/$$/status | grep -v SigQ'");
                signals_that_are_ignored(
                    "(trap '' HUP PIPE CHLD USR1; $T sh -c 'grep ^SigIgn /proc/$$/status')",
                );
                odd_arguments("$T printf '%s|' a '' \"$(printf 'b\\377')\" -x --");
            }
        }
    )+};
}

/// Lines with a tool that knows accounts.
macro_rules! lines_with_accounts {
    () => {
        before_the_next_program! { envuidgid "envuidgid daemon"; }

        situations! { with_accounts
            setuidgid_alone("setuidgid");
            setuidgid_without_a_program("setuidgid daemon");
            envuidgid_alone("envuidgid");
            envuidgid_without_a_program("envuidgid daemon");
            setuidgid_an_unknown_account("setuidgid nosuch true");
            setuidgid_the_empty_account("setuidgid '' true");
            setuidgid_account_0("setuidgid 0 true");
            setuidgid_account_65534("setuidgid 65534 true");
            setuidgid_two_dashes_end_the_options("setuidgid -- daemon true");
            setuidgid_an_account_with_a_blank("setuidgid 'daemon ' true");
            setuidgid_an_account_that_is_no_utf_8("setuidgid \"$(printf 'd\\377')\" true");
            setuidgid_an_unknown_account_with_a_colon("setuidgid nosuch:nosuch true");
            setuidgid_an_account_with_a_colon("setuidgid daemon: true");
            setuidgid_a_colon("setuidgid : true");
            setuidgid_many_colons("setuidgid :x:y true");
            setuidgid_daemon_has_ids_and_capabilities(
                "setuidgid daemon sh -c 'grep -E \"^(Uid|Gid|Groups|Cap)\" /proc/$$/status'",
            );
            setuidgid_root_has_ids_and_capabilities(
                "setuidgid root sh -c 'grep -E \"^(Uid|Gid|Groups|Cap)\" /proc/$$/status'",
            );
            setuidgid_nobody_has_ids("setuidgid nobody sh -c 'id -u; id -g; id -G'");
            setuidgid_keeps_the_environment("setuidgid daemon env | grep -av ^PATH | sort");
            setuidgid_runs_a_script("setuidgid daemon ./fine x");
            setuidgid_of_a_program_that_is_missing("setuidgid daemon nosuchprogram");
            setuidgid_of_a_program_in_a_closed_directory(
                "mkdir -m 700 closed; cp fine closed/s; PATH=$PWD/closed:$PATH setuidgid daemon s",
            );
            setuidgid_in_setuidgid("setuidgid daemon setuidgid nobody true");
            setuidgid_of_the_same_account_twice("setuidgid daemon setuidgid daemon true");
            envuidgid_an_unknown_account("envuidgid nosuch true");
            envuidgid_account_0("envuidgid 0 true");
            envuidgid_daemon_changes_the_environment(
                "envuidgid daemon env | grep -av ^PATH | sort",
            );
            envuidgid_daemon("envuidgid daemon sh -c 'echo $UID $GID'");
            envuidgid_root("envuidgid root sh -c 'echo $UID $GID'");
            envuidgid_replaces_variables("UID=x GID=y A=b envuidgid nobody env | grep -av ^PATH");
            envuidgid_replaces_variables_of_these_names_only(
                "env -i UID=1 UID2=2 XUID=3 GID=4 $(command -v envuidgid) nobody /usr/bin/env",
            );
            envuidgid_keeps_the_ids(
                "envuidgid daemon sh -c 'grep -E \"^(Uid|Gid|Groups)\" /proc/$$/status'",
            );
            envuidgid_in_envuidgid("envuidgid nobody envuidgid daemon sh -c 'echo $UID $GID'");
            chain_of_an_account_an_environment_and_a_limit(
                "setuidgid daemon envdir e softlimit -o 100 sh -c 'id -u; echo $A; ulimit -n'",
            );
            chain_of_a_session_an_account_a_limit_and_an_environment(
                "pgrphack envuidgid daemon softlimit -c 0 envdir mixed sh -c 'echo $UID; ulimit -c'",
            );
            chain_of_an_account_and_a_lock("setuidgid daemon setlock closedlock true");
            arguments_larger_than_the_stack_for_each_tool(
                "for t in softlimit pgrphack fghack 'envdir e' 'envuidgid daemon' 'setlock l'; do softlimit -s 1000000 $t true $(seq 1 50000); echo $?; done",
            );
            setuidgid_a_long_account("setuidgid \"$(head -c 100000 /dev/zero | tr '\\0' x)\" true");
        }
    };
}

/// All other lines.
macro_rules! lines_without_accounts {
    () => {
        before_the_next_program! {
            envdir "envdir e";
            softlimit "softlimit";
            softlimit_open_files "softlimit -o 50";
            setlock "setlock lock";
            fghack "fghack";
            pgrphack "pgrphack";
        }

        situations! { without_accounts
            envdir_alone("envdir");
            envdir_without_a_program("envdir e");
            softlimit_alone("softlimit");
            softlimit_m_without_a_number("softlimit -m");
            softlimit_without_a_program("softlimit -m 5");
            softlimit_of_an_unknown_letter("softlimit -Z true");
            softlimit_of_an_unknown_letter_behind_a_good_one("softlimit -m 1000 -Z true");
            softlimit_two_dashes_end_the_options("softlimit -- -m");
            softlimit_a_dash_alone("softlimit -");
            softlimit_a_dash_is_a_program("softlimit - true");
            softlimit_a_long_option("softlimit -o 5 --true true");
            setlock_alone("setlock");
            setlock_without_a_program("setlock lock");
            setlock_an_unknown_letter("setlock -q lock true; ls");
            setlock_an_unknown_letter_in_a_cluster("setlock -nq lock true; ls");
            setlock_a_dash_in_a_cluster("setlock -n- lock true; ls");
            setlock_two_dashes_end_the_options("setlock -- lock echo yes; ls");
            setlock_a_dash_is_a_file("setlock - echo yes; ls");
            setlock_a_long_option("setlock --anything lock echo yes");
            fghack_alone("fghack");
            pgrphack_alone("pgrphack");
            envdir_two_dashes_end_the_options("envdir -- e true");
            pgrphack_two_dashes_end_the_options("pgrphack -- true");
            fghack_two_dashes_end_the_options("fghack -- true");
            softlimit_called_by_a_path("/usr/bin/env -i softlimit -Z true");
            envdir_changes_the_environment("envdir e env | grep -av ^PATH | sort");
            envdir_replaces_and_removes_variables(
                "A=x B=y C=z D=w E=v envdir e env | grep -av ^PATH | sort",
            );
            envdir_blanks_at_the_ends_and_odd_bytes("T=x envdir mixed env | grep -av ^PATH | sort");
            envdir_names_with_equals_signs(
                "K=old M=old X=old envdir equals env | grep -av ^PATH | sort",
            );
            envdir_names_with_equals_signs_in_an_environment_that_has_them(
                "env -i =X=1 =Y=2 \"$(command -v envdir)\" equals /usr/bin/env | sort",
            );
            envdir_nothing_but_blanks("S=x T=y V=z envdir blanks env | grep -av ^PATH | sort");
            envdir_nul_bytes("envdir nul env | grep -av ^PATH | sort");
            envdir_a_directory_in_the_directory("envdir bad true");
            envdir_a_directory_in_the_directory_and_a_missing_program("envdir bad nosuchprogram");
            envdir_names_with_dots("ok=no envdir dots env | grep -av ^PATH | sort");
            envdir_a_fifo_that_nobody_writes("F=x envdir sub env | grep -av ^PATH | sort");
            envdir_a_large_value("envdir big sh -c 'echo ${#V}'");
            envdir_a_value_that_is_too_large(
                "head -c 200000 /dev/zero | tr '\\0' x > big/W; envdir big true",
            );
            envdir_blanks_that_would_be_too_large(
                "{ printf v; head -c 200000 /dev/zero | tr '\\0' ' '; } > big/W; envdir big sh -c 'echo \"[$W]\"'",
            );
            envdir_a_second_line_that_would_be_too_large(
                "{ printf 'v\\n'; head -c 200000 /dev/zero; } > big/W; envdir big sh -c 'echo \"[$W]\"'",
            );
            envdir_values_of_4096_bytes(
                "head -c 4096 /dev/zero | tr '\\0' y > e/P; { cat e/P; echo; echo x; } > e/Q; envdir e sh -c 'echo ${#P} ${#Q}'",
            );
            envdir_an_empty_directory("envdir empty env | grep -av ^PATH | sort");
            envdir_no_directory("envdir nosuch true");
            envdir_the_empty_name("envdir '' true");
            envdir_a_file("envdir file true");
            envdir_below_a_file("envdir file/x true");
            envdir_a_loop_of_links("ln -s loop loop; envdir loop true");
            envdir_a_link_to_a_directory("ln -s e link; envdir link sh -c 'echo $A'");
            envdir_a_loop_of_links_in_the_directory(
                "ln -s loop e/Z; ln -s loop loop; envdir e true",
            );
            envdir_a_name_that_is_too_long("envdir \"$(head -c 300 /dev/zero | tr '\\0' x)\" true");
            envdir_the_program_runs_where_it_was("envdir e pwd | grep -c .");
            envdir_the_program_finds_the_directory(
                "envdir e sh -c 'test -e e && echo same directory'",
            );
            envdir_path_is_taken_from_before(
                "mkdir d; printf /nosuch > d/PATH; envdir d echo still found",
            );
            envdir_path_is_removed_afterwards("mkdir d; : > d/PATH; envdir d echo still found");
            envdir_a_name_that_is_no_utf_8(
                "mkdir d; printf x > d/$(printf '\\377'); envdir d env | grep -av ^PATH",
            );
            envdir_names_with_blanks_and_newlines(
                "mkdir d; printf x > 'd/a b'; printf y > \"d/$(printf 'n\\nl')\"; envdir d env | grep -av ^PATH | sort",
            );
            envdir_an_environment_with_odd_entries(
                "env -i A=1 A=2 noequals \"$(command -v envdir)\" e /usr/bin/env",
            );
            envdir_in_envdir("envdir e envdir mixed sh -c 'echo $A $T'");
            envdir_the_current_directory(
                "envdir . sh -c 'echo $notx'; rm -r [a-d]* e* m* n[u-z]* s*; envdir . sh -c 'echo $notx $file'",
            );
            envdir_a_file_that_is_linked_twice(
                "mkdir d; ln d/../file d/v; envdir d sh -c 'echo $v'",
            );
            envdir_a_link_to_dev_null(
                "mkdir d; ln -s /dev/null d/v; v=x envdir d sh -c 'echo ${v-unset}'",
            );
            envdir_without_stdin("exec <&-; envdir e sh -c 'echo $A; ls /proc/$$/fd'");
            softlimit_open_files("softlimit -o 100 sh -c 'ulimit -Sn; ulimit -Hn'");
            softlimit_open_files_in_one_word("softlimit -o100 sh -c 'ulimit -Sn'");
            softlimit_open_files_twice("softlimit -o 100 -o 90 sh -c 'ulimit -Sn'");
            softlimit_open_files_as_the_hard_limit("softlimit -o = sh -c 'ulimit -Sn; ulimit -Hn'");
            softlimit_open_files_as_the_hard_limit_in_one_word("softlimit -o= sh -c 'ulimit -Sn'");
            softlimit_open_files_two_equals_signs("softlimit -o == true");
            softlimit_open_files_more_than_the_hard_limit(
                "softlimit -o 99999999999 sh -c 'ulimit -Sn'",
            );
            softlimit_open_files_of_a_lower_hard_limit(
                "(ulimit -n 200; softlimit -o 300 sh -c 'ulimit -Sn; ulimit -Hn')",
            );
            softlimit_open_files_of_a_lower_soft_limit(
                "(ulimit -Sn 200; softlimit -o 300 sh -c 'ulimit -Sn')",
            );
            softlimit_open_files_2_to_the_64th(
                "softlimit -o 18446744073709551616 sh -c 'ulimit -n'",
            );
            softlimit_core_2_to_the_64th_less_1(
                "softlimit -c 18446744073709551615 cat /proc/self/limits",
            );
            softlimit_core_2_to_the_64th_less_2(
                "softlimit -c 18446744073709551614 cat /proc/self/limits",
            );
            softlimit_core_2_to_the_64th_and_1(
                "softlimit -c 18446744073709551617 cat /proc/self/limits",
            );
            softlimit_address_space("softlimit -a 1000000000 cat /proc/self/limits");
            softlimit_core("softlimit -c 5 cat /proc/self/limits");
            softlimit_data("softlimit -d 1000000000 cat /proc/self/limits");
            softlimit_file_size("softlimit -f 12345 cat /proc/self/limits");
            softlimit_locked_memory("softlimit -l 4096 cat /proc/self/limits");
            softlimit_memory("softlimit -m 1000000000 cat /proc/self/limits");
            softlimit_processes("softlimit -p 1000 cat /proc/self/limits");
            softlimit_resident("softlimit -r 123456 cat /proc/self/limits");
            softlimit_stack("softlimit -s 1000000 cat /proc/self/limits");
            softlimit_time("softlimit -t 100 cat /proc/self/limits");
            softlimit_all_as_the_hard_limits(
                "softlimit -a = -c = -d = -f = -l = -m = -o = -p = -r = -s = -t = cat /proc/self/limits",
            );
            softlimit_all(
                "softlimit -a500000000 -c0 -d400000000 -f1000000 -l8192 -o64 -p500 -r5 -s2000000 -t60 cat /proc/self/limits",
            );
            softlimit_letters_behind_a_number("softlimit -c0o64 true");
            softlimit_a_dash_is_no_number("softlimit -m - true");
            softlimit_a_negative_number("softlimit -m -5 true");
            softlimit_letters_behind_a_number_end_it("softlimit -m 12x true");
            softlimit_a_hexadecimal_number("softlimit -m 0x10 true");
            softlimit_a_blank_before_a_number("softlimit -m ' 5' true");
            softlimit_a_blank_behind_a_number("softlimit -m '5 ' true");
            softlimit_an_empty_number("softlimit -c '' cat /proc/self/limits");
            softlimit_a_bad_number_and_an_unknown_letter("softlimit -m 12x -Z true");
            softlimit_the_time_is_over("softlimit -t 1 sh -c 'while :; do :; done'");
            softlimit_the_file_is_too_large(
                "softlimit -f 10 sh -c 'echo 12345678901234567890 > out'; cat out",
            );
            softlimit_no_file_can_be_opened("softlimit -o 3 sh -c 'cat file'");
            softlimit_no_address_space("softlimit -a 0 true");
            softlimit_no_data_and_stack("softlimit -d 0 -s 0 true");
            softlimit_an_empty_number_for_memory("softlimit -m '' true");
            softlimit_too_little_memory("softlimit -m 100 true");
            softlimit_a_variable_means_nothing(
                "SOFTLIMIT_OPENFILES=33 softlimit sh -c 'ulimit -n'",
            );
            softlimit_in_softlimit(
                "softlimit -o 100 softlimit -o 200 softlimit -c 1 cat /proc/self/limits",
            );
            softlimit_arguments_larger_than_the_stack(
                "softlimit -s 200000 true \"$(head -c 100000 /dev/zero | tr '\\0' x)\"",
            );
            setlock_the_mode_of_the_file("setlock lock ls -l lock | cut -c1-10");
            setlock_waits_for_nobody(
                "setlock lock sh -c 'echo held > /dev/null; setlock -n lock true'",
            );
            setlock_fails_silently("setlock lock sh -c 'setlock -nx lock echo never'");
            setlock_of_x_and_upper_case_x_the_last_counts(
                "setlock lock sh -c 'setlock -nxX lock true'",
            );
            setlock_of_upper_case_x_and_x_the_last_counts(
                "setlock lock sh -c 'setlock -nXx lock true'",
            );
            setlock_a_directory_that_is_missing("setlock nosuch/lock true");
            setlock_a_directory_that_is_missing_silently("setlock -x nosuch/lock true");
            setlock_a_directory_silently("setlock -xn dir true");
            setlock_the_empty_name("setlock '' true");
            setlock_twice("setlock -n lock setlock -n lock true");
            setlock_the_options_that_are_the_default(
                "setlock -nN lock echo yes; setlock -xN lock false",
            );
            setlock_the_descriptor(
                "setlock lock sh -c 'for fd in /proc/$$/fd/*; do echo ${fd##*/}; done'",
            );
            setlock_a_fifo_that_nobody_reads("mkfifo p; setlock -n p true");
            setlock_keeps_what_is_in_the_file("printf keep > l; setlock l cat l");
            setlock_of_a_program_that_is_missing("setlock -x lock nosuchprogram");
            setlock_two_files(
                "setlock lock setlock other sh -c 'setlock -n lock true; setlock -n other true'",
            );
            setlock_as_long_as_somebody_has_it_open(
                "setlock lock sh -c 'sleep 1000 >&- 2>&- & echo $! > pid'; setlock -n lock true; kill $(cat pid); setlock lock echo free",
            );
            setlock_a_file_of_mode_0("chmod 0 file; setlock file echo yes; chmod 644 file");
            fghack_the_code("fghack sh -c 'exit 4'");
            fghack_a_signal("fghack sh -c 'kill -9 $$'");
            fghack_waits_for_the_background("fghack sh -c 'sleep .2 & exit 4'");
            fghack_waits_for_output_of_the_background(
                "fghack sh -c 'sh -c \"sleep .2; echo late\" & exit 0'; echo after",
            );
            fghack_does_not_tell_how_the_background_ended(
                "fghack sh -c 'sh -c \"sleep .2; kill -9 \\$\\$\" & exit 3'",
            );
            fghack_descriptors("fghack sh -c 'for fd in /proc/$$/fd/*; do echo ${fd##*/}; done'");
            fghack_descriptors_lead_into_pipes(
                "fghack sh -c 'for fd in /proc/$$/fd/*; do readlink $fd; done' 3</dev/null | sed 's/[0-9]\\+//' | sort | uniq -c",
            );
            fghack_descriptors_with_a_limit(
                "(ulimit -n 20; fghack sh -c 'for fd in /proc/$$/fd/*; do echo ${fd##*/}; done')",
            );
            fghack_output_into_its_descriptors(
                "fghack sh -c 'echo chatter >&5; exec 3>&-; echo out'",
            );
            fghack_stdin("fghack sh -c 'cat' < file");
            fghack_in_fghack("fghack fghack sh -c 'exit 5'");
            fghack_without_stdin("exec <&-; fghack sh -c 'exit 5'");
            pgrphack_leads_a_session(
                "pgrphack sh -c 'set -- $(cat /proc/$$/stat); test $1 = $5 && test $1 = $6 && echo leads'",
            );
            pgrphack_by_a_leader_of_a_group(
                "sh -c 'set -- $(cat /proc/$$/stat); test $1 = $5 || exec pgrphack sh -c \"kill -0 -\\$\\$ && echo leads\"'",
            );
            pgrphack_in_pgrphack(
                "pgrphack pgrphack sh -c 'set -- $(cat /proc/$$/stat); test $1 = $5 && echo leads'",
            );
            chain_of_an_environment_a_limit_and_a_lock(
                "envdir e softlimit -o 100 setlock -n l sh -c 'echo $A; ulimit -n; setlock -n l true'",
            );
            setlock_the_umask_counts("umask 077; setlock l stat -c %a l");
            chain_of_a_limit_of_open_files_a_lock_and_an_environment(
                "softlimit -o 8 setlock l envdir e true",
            );
            envdir_a_file_of_mode_0("chmod 0 e/A; envdir e true");
            envdir_a_directory_that_may_be_searched_only("chmod 100 e; envdir e true; chmod 755 e");
            envdir_a_directory_that_may_be_listed_only("chmod 400 e; envdir e true; chmod 755 e");
            envdir_a_directory_of_mode_0("chmod 0 e; envdir e true; chmod 755 e");
            envdir_a_fifo_that_somebody_writes("mkfifo e/F; exec 5<>e/F; envdir e true");
            envdir_a_socket(
                "perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => \"e/S\", Listen => 1)'; envdir e true",
            );
            chain_of_too_few_open_files_and_a_lock("softlimit -o 4 setlock l true");
            softlimit_long_numbers(
                "softlimit -t 00000000000000000000000000000000005 sh -c 'ulimit -St'; softlimit -t 340282366920938463463374607431768211461 sh -c 'ulimit -St'",
            );
            softlimit_a_hard_limit_of_core(
                "ulimit -c 5; softlimit -c = cat /proc/self/limits; softlimit -c 100 cat /proc/self/limits",
            );
            softlimit_called_by_the_empty_name(
                "perl -e 'exec { shift @ARGV } \"\", \"-Q\"' \"$(command -v softlimit)\"",
            );
            setlock_called_by_a_name_that_ends_in_a_slash(
                "perl -e 'exec { shift @ARGV } \"x/\", \"-Q\"' \"$(command -v setlock)\"",
            );
            pgrphack_called_svc(
                "perl -e 'exec { shift @ARGV } \"svc\", \"echo\", \"x\"' \"$(command -v pgrphack)\"",
            );
            softlimit_without_an_environment(
                "env -i \"$(command -v softlimit)\" echo x; env -i PATH= \"$(command -v softlimit)\" true",
            );
            softlimit_without_stderr("exec 2>&-; softlimit -Q; echo $?");
            softlimit_too_little_for_a_message("softlimit -a 0 nosuch; softlimit -d 0 nosuch");
            envdir_too_much_in_all(
                "mkdir d; for n in $(seq 1 30); do head -c 120000 /dev/zero | tr '\\0' x > d/B$n; done; envdir d true",
            );
            setlock_links(
                "ln -s lock2 lock; setlock lock ls; ln -s loop loop; setlock loop true; setlock -x loop true",
            );
            fghack_signals_that_are_blocked(
                "perl -e 'use POSIX; sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM, SIGCHLD)); exec @ARGV' fghack grep ^SigBlk /proc/self/status",
            );
        }
    };
}

fn with_accounts(line: &str) -> String {
    line.to_owned()
}

fn without_accounts(line: &str) -> String {
    line.to_owned()
}

mod as_root {
    use super::*;

    fn compare(line: String) {
        if has_reference() {
            super::compare(Suite::Ours, &line, false);
        }
    }

    lines_with_accounts! {}
    lines_without_accounts! {}
}

mod as_an_ordinary_user {
    use super::*;

    fn compare(line: String) {
        let test = "the comparison of the run-script tools as an ordinary user";
        if has_reference() && has(test, &["setpriv"]) && is_root(test) {
            super::compare(Suite::Ours, &line, true);
        }
    }

    lines_with_accounts! {}
    lines_without_accounts! {}
}

/// As they are installed.
mod linked_statically {
    use super::*;

    fn compare(line: String) {
        let test = "the comparison of setuidgid and envuidgid";
        if !has_reference() || linked_statically(test).is_none() {
            return;
        }
        super::compare(Suite::Static, &line, false);
        if has(test, &["setpriv"]) && is_root(test) {
            super::compare(Suite::Static, &line, true);
        }
    }

    lines_with_accounts! {}
}

/// Copies of our programs that everybody may execute: the checkout may be closed
/// to others.
struct Programs(Scratch);

/// Those that a test uses now: of [`Suite::Ours`], and of [`Suite::Static`].
static PROGRAMS: [Mutex<Weak<Programs>>; 2] = [const { Mutex::new(Weak::new()) }; 2];

impl Programs {
    fn of(suite: Suite) -> Arc<Programs> {
        let mut programs = PROGRAMS[usize::from(suite == Suite::Static)]
            .lock()
            .unwrap();
        programs.upgrade().unwrap_or_else(|| {
            let made = Arc::new(Programs::copy(suite));
            *programs = Arc::downgrade(&made);
            made
        })
    }

    fn copy(suite: Suite) -> Programs {
        let scratch = Scratch::new();
        let program = |name| fs::read(suite.program(name)).unwrap();
        scratch.executable("daemontools-rs-nss", program("daemontools-rs-nss"));
        scratch.executable(TOOLS[0], program(TOOLS[0]));
        for tool in &TOOLS[1..] {
            fs::hard_link(scratch.at(TOOLS[0]), scratch.at(tool)).unwrap();
        }
        Programs(scratch)
    }
}

/// Runs the line with the programs in `directory`.
fn run(suite: Suite, directory: &Path, line: &str, as_user: bool) -> Output {
    let scratch = Scratch::new();
    // Ours must not be mixed with what Debian has under the same names.
    let path = format!("{}:/usr/bin:/bin", directory.to_str().unwrap());
    let mut command = scratch.command(suite, "/bin/sh");
    if as_user {
        std::os::unix::fs::chown(scratch.path(), Some(USER), Some(USER)).unwrap();
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(scratch.path(), mode).unwrap();
        command = scratch.command(suite, "/usr/bin/setpriv");
        let user = format!("{USER}");
        command.args([
            "--reuid",
            &user,
            "--regid",
            &user,
            "--clear-groups",
            "/bin/sh",
        ]);
    }
    let script = format!("set -e\n{PREPARE}\nset +e\n{line}");
    command.args(["-c", &script]).env_clear().env("PATH", path);
    command.env(MARK, scratch.path());
    let mut output = finish(command);
    for stream in [&mut output.out, &mut output.err] {
        blank(stream, scratch.path());
        blank(stream, directory);
    }
    output
}

fn compare(suite: Suite, line: &str, as_user: bool) {
    let programs = Programs::of(suite);
    let reference = run(Suite::Reference, Path::new("/usr/bin"), line, as_user);
    let ours = run(suite, programs.0.path(), line, as_user);
    let ends_early = reference.errors().contains("Syntax error");
    assert!(!ends_early, "{line}: {reference:?}");
    assert!(
        reference == ours,
        "{line}\nreference: {reference:?}\nours: {ours:?}"
    );
}

/// Replaces each `path` in `stream`.
fn blank(stream: &mut Vec<u8>, path: &Path) {
    let text = path.to_str().unwrap().as_bytes();
    while let Some(at) = stream.windows(text.len()).position(|part| part == text) {
        stream.splice(at..at + text.len(), *b"PATH");
    }
}

/// A user that owns nothing.
const USER: u32 = 64_123;
