//! Scripts, inputs and directories that look random and are the same every time.

use super::compare;
use super::scene::{PIPE, Scene};
use crate::harness::numbers::Numbers;

/// How the input comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Feed {
    /// As a file.
    File,
    /// In a pipe, all of it when multilog starts.
    Pipe,
    /// Through a pipe, in pieces.
    Pieces,
}

/// One run of multilog.
struct Run {
    script: Vec<Vec<u8>>,
    input: Vec<u8>,
    feed: Feed,
    /// Where the input is cut.
    pieces: Vec<usize>,
}

/// What was there before: names, contents, modes.
type Before = Vec<(String, Vec<u8>, u32)>;

/// The situation of this number.
fn seed(seed: u64) -> impl Fn(&mut Scene) {
    let mut random = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut runs = vec![random.run()];
    if random.one_in(3) {
        let mut run = random.run();
        // With what was there already it is not clear what it does.
        run.feed = Feed::File;
        runs.push(run);
    }
    let before = random.before();
    move |scene| {
        for run in &runs {
            // To be seen where the test fails.
            let words = run
                .script
                .iter()
                .map(|word| word.escape_ascii().to_string());
            let words: Vec<String> = words.collect();
            eprintln!("{:?} of {} bytes: {words:?}", run.feed, run.input.len());
        }
        for (name, contents, mode) in &before {
            scene.file(name, contents, *mode);
        }
        for run in &runs {
            // If it cannot begin, 0.76 has the directories before the one at fault
            // in order already; ours leaves them as they were.
            if play(scene, run) != 0 {
                return;
            }
            if run.feed == Feed::Pieces {
                // Where files end depends on what each read gave.
                for directory in ["d0", "d1", "d2"] {
                    scene.tell_joined(directory);
                }
                return;
            }
            scene.look();
        }
    }
}

/// A test of each of these numbers.
macro_rules! seeds {
    ($($name:ident)+) => {
        situations! { seed $($name(stringify!($name)[1..].parse().unwrap());)+ }
    };
}

seeds! {
    n1 n2 n3 n4 n5 n6 n7 n8 n9 n10 n11 n12 n13 n14 n15 n16 n17 n18 n19 n20 n21 n22 n23 n24 n25
    n26 n27 n28 n29 n30 n31 n32 n33 n34 n35 n36 n37 n38 n39 n40 n41 n42 n43 n44 n45 n46 n47 n48
    n49 n50 n51 n52 n53 n54 n55 n56 n57 n58 n59 n60 n61 n62 n63 n64 n65 n66 n67 n68 n69 n70 n71
    n72 n73 n74 n75 n76 n77 n78 n79 n80 n81 n82 n83 n84 n85 n86 n87 n88 n89 n90 n91 n92 n93 n94
    n95 n96 n97 n98 n99 n100 n101 n102 n103 n104 n105 n106 n107 n108 n109 n110 n111 n112 n113
    n114 n115 n116 n117 n118 n119 n120 n121 n122 n123 n124 n125 n126 n127 n128 n129 n130 n131
    n132 n133 n134 n135 n136 n137 n138 n139 n140 n141 n142 n143 n144 n145 n146 n147 n148 n149
    n150 n151 n152 n153 n154 n155 n156 n157 n158 n159 n160 n161 n162 n163 n164 n165 n166 n167
    n168 n169 n170 n171 n172 n173 n174 n175 n176 n177 n178 n179 n180 n181 n182 n183 n184 n185
    n186 n187 n188 n189 n190 n191 n192 n193 n194 n195 n196 n197 n198 n199 n200 n201 n202 n203
    n204 n205 n206 n207 n208 n209 n210 n211 n212 n213 n214 n215 n216 n217 n218 n219 n220 n221
    n222 n223 n224 n225 n226 n227 n228 n229 n230 n231 n232 n233 n234 n235 n236 n237 n238 n239
    n240 n241 n242 n243 n244 n245 n246 n247 n248 n249 n250 n251 n252 n253 n254 n255 n256 n257
    n258 n259 n260 n261 n262 n263 n264 n265 n266 n267 n268 n269 n270 n271 n272 n273 n274 n275
    n276 n277 n278 n279 n280 n281 n282 n283 n284 n285 n286 n287 n288 n289 n290 n291 n292 n293
    n294 n295 n296 n297 n298 n299 n300
}

fn play(scene: &mut Scene, run: &Run) -> i32 {
    match run.feed {
        Feed::File => scene.run(&run.script, &run.input),
        Feed::Pipe => scene.run_on_pipe(&run.script, &run.input),
        Feed::Pieces => {
            scene.open_pipe();
            scene.start(&run.script);
            let mut from = 0;
            for to in run.pieces.iter().copied().chain([run.input.len()]) {
                scene.write(&run.input[from..to]);
                from = to;
            }
            scene.close();
            scene.ends()
        }
    }
}

impl Numbers {
    fn noise(&mut self, length: usize) -> Vec<u8> {
        let noise = (0..length).map(|_| self.next().to_le_bytes()[3]);
        noise
            .map(|byte| if byte == b'\n' { 0 } else { byte })
            .collect()
    }

    fn run(&mut self) -> Run {
        let feed = self.pick(&[Feed::File, Feed::File, Feed::Pipe, Feed::Pipe, Feed::Pieces]);
        let mut input = self.input();
        if feed != Feed::File {
            input.truncate(PIPE);
        }
        let mut script = self.script(&input);
        if feed == Feed::Pieces {
            // How many files there are depends on what each read gave, too.
            script.retain(|word| !matches!(word.first(), Some(b'n' | b'!')));
            script.insert(usize::from(word_is_t(&script)), b"n100000".to_vec());
        }
        let mut pieces: Vec<usize> = (0..self.below(30))
            .map(|_| self.below(input.len() + 1))
            .collect();
        pieces.sort_unstable();
        Run {
            script,
            input,
            feed,
            pieces,
        }
    }

    fn input(&mut self) -> Vec<u8> {
        let kind = self.below(10);
        let count = self.pick(&[0, 1, 50, 400, 2000]);
        let mut input = Vec::new();
        for number in 0..count {
            match kind {
                0 => input.extend(format!("{number} hello").bytes()),
                1 => {
                    let length = self.below(200);
                    input.extend(std::iter::repeat_n(b'x', length));
                    input.extend(format!(" {number}").bytes());
                }
                // About the 1000 bytes that decide, with a stamp and without.
                2 => {
                    let length = self.between(960, 1030);
                    let letter = self.pick(b"xyz");
                    input.extend(std::iter::repeat_n(letter, length));
                    input.push(b'w');
                }
                3 if number < 60 => {
                    let lengths = [
                        1, 973, 974, 975, 999, 1000, 1001, 1023, 1024, 1025, 5000, 20_000,
                    ];
                    let length = self.pick(&lengths);
                    input.extend(std::iter::repeat_n(b'h', length));
                }
                4 => {
                    let length = self.below(60);
                    input.extend(self.noise(length));
                }
                5 => {}
                6 => input.extend(format!("line {number}\r").bytes()),
                // About the 200 bytes that are shown.
                7 => {
                    let length = self.between(170, 205);
                    input.extend(std::iter::repeat_n(b'e', length));
                }
                8 if number < 400 => {
                    let length = self.below(3000);
                    input.extend(self.noise(length));
                }
                _ => {
                    let line = self.pick(&[
                        b"".as_slice(),
                        b"abc",
                        b"a*b",
                        b"\0\0",
                        b"\xff\xfe\xc3\x28",
                        b"foobar",
                        b"foobabar",
                        b"hello: a: b",
                        b"@400000003b9aca0000000000 an old stamp",
                        b"\r",
                        b" ",
                    ]);
                    input.extend(line);
                }
            }
            input.push(b'\n');
        }
        if self.one_in(12) {
            let place = self.below(input.len() + 1);
            let long = self.pick(&[100_000, 1_000_000, 1_048_576]);
            let tail = input.split_off(place);
            input.extend(std::iter::repeat_n(b'm', long));
            if self.one_in(2) {
                input.push(b'\n');
            }
            input.extend(tail);
        }
        if self.one_in(2) {
            let length = self.pick(&[1, 4, 199, 200, 201, 999, 1000, 1001, 1500]);
            input.extend(std::iter::repeat_n(b'u', length));
        }
        input
    }

    /// A pattern that has to do with the input.
    fn pattern(&mut self, input: &[u8], stamps: bool) -> Vec<u8> {
        if self.one_in(3) {
            // With stamps, none that may see their digits.
            let plain = [
                "*", "*hello", "", "* *5", "@*", "**", "*x", "h*", "* abc", "*y", "*w", "x*",
                "* *", "***", "@* *x*", "*\r",
            ];
            return self.pick(&plain).as_bytes().to_vec();
        }
        let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
        let line = self.pick(&lines);
        let longest = self.pick(&[20, 500, 974, 1000, 1100]);
        let line = &line[..line.len().min(longest)];
        let mut pattern = if stamps { b"* ".to_vec() } else { Vec::new() };
        let mut at = 0;
        while at < line.len() {
            if line[at] == 0 || self.one_in(8) {
                pattern.push(b'*');
                at += self.between(1, 40);
            } else {
                pattern.push(line[at]);
                at += 1;
            }
        }
        if self.one_in(3) {
            pattern.push(b'*');
        }
        pattern.retain(|byte| *byte != 0);
        pattern
    }

    fn script(&mut self, input: &[u8]) -> Vec<Vec<u8>> {
        let mut script: Vec<Vec<u8>> = Vec::new();
        if self.one_in(2) {
            let word = self.pick(&["t", "t", "t", "tfoo"]);
            script.push(word.into());
        }
        let stamps = word_is_t(&script);
        let mut directories = 0;
        for _ in 0..self.between(1, 9) {
            let word = match self.below(100) {
                0..22 => [b"-", self.pattern(input, stamps).as_slice()].concat(),
                22..40 => [b"+", self.pattern(input, stamps).as_slice()].concat(),
                40..46 => b"e".to_vec(),
                46..53 => self.pick(&["=st0", "=st1", "=./st0"]).into(),
                53..66 => self
                    .pick(&[
                        "s4096",
                        "s5000",
                        "s6096",
                        "s6097",
                        "s7000",
                        "s20000",
                        "s99999",
                        "s0",
                        "s",
                        "s8000x",
                        "s2147483648",
                        "s18446744073709556616",
                        "s-1",
                    ])
                    .into(),
                66..74 => self
                    .pick(&[
                        "n2",
                        "n3",
                        "n",
                        "n1",
                        "n10",
                        "n1000",
                        "n18446744073709551619",
                        "n5x",
                    ])
                    .into(),
                74..79 => self
                    .pick(&[
                        "!cat",
                        "!tr a-z A-Z",
                        "!cat >&5; cat <&4",
                        "!head -c 100",
                        "!wc -c",
                        "!",
                        "!cat <&4; echo x >&5; tail -c 10",
                        "!basename \"$PWD\"; exec cat",
                    ])
                    .into(),
                79..82 => self
                    .pick(&["q", "", "--", "T", "t", "w", "E", "foo", "\u{ff}", "-", "+"])
                    .into(),
                // What ends it before it begins, each for its reason.
                82 => self
                    .pick(&[
                        "./missing/d",
                        "=missing/st",
                        "./d0",
                        "=",
                        "./st0",
                        "/dev/null/d",
                    ])
                    .into(),
                83 => b".".to_vec(),
                84 => b"SCRATCH/absolute".to_vec(),
                _ => {
                    directories += 1;
                    format!("./d{}", directories - 1).into()
                }
            };
            script.push(word);
        }
        if !self.one_in(6) {
            script.push(format!("./d{directories}").into());
        }
        script
    }

    /// What an earlier multilog may have left in the first directory.
    fn before(&mut self) -> Before {
        let mut before = Vec::new();
        if !self.one_in(3) {
            return before;
        }
        for name in ["current", "previous", "processed", "newstate"] {
            if self.one_in(2) {
                let mode = self.pick(&[0o644, 0o744]);
                let times = self.pick(&[0, 1, 400, 2000]);
                before.push((format!("d0/{name}"), b"old\n".repeat(times), mode));
            }
        }
        // Without it a processor fails for ever.
        before.push(("d0/state".into(), b"the state".to_vec(), 0o644));
        for number in 0..self.below(5) {
            let code = self.pick(&['s', 'u']);
            let name = format!("d0/@400000003b9aca0{number}00000000.{code}");
            before.push((name, b"old".to_vec(), 0o744));
        }
        if self.one_in(4) {
            before.push(("d0/@short".into(), vec![], 0o600));
        }
        before
    }
}

fn word_is_t(script: &[Vec<u8>]) -> bool {
    script
        .first()
        .is_some_and(|word| word.first() == Some(&b't'))
}
