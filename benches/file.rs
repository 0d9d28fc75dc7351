//! The file pair of a release build, as ratios to `wc -l` and `cat` over the same file in the same run.
//!
//! - source: lines into the durable log against `wc -l`; both record formats
//! - sink: the same lines from the log into a file against `cat FILE > COPY`
//!
//! Wall time and CPU time (user and system) both, because a machine that others use as well stretches the first: the
//! ratio of CPU times says what a line costs. Medians of `RUNS` (5) interleaved runs over `LINES` (1,500,000) lines of
//! about 186 bytes, in the page cache. Prints, never judges.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark talks to a terminal and stops at the first surprise"
)]

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use support::{wait, worker::Worker};

const COMMITTED: &str = "tapline_records_log_total";

/// Longer than any run on a busy machine.
const RUN_TIME_MAX: Duration = Duration::from_secs(600);

/// What a piece of work took.
#[derive(Clone, Copy, Default)]
struct Cost {
    wall: f64,
    cpu: f64,
}

struct Run {
    wc: Cost,
    cat: Cost,
    structs: Cost,
    strings: Cost,
    sink: Cost,
}

#[tokio::main]
async fn main() {
    let number = |name: &str, default: u64| {
        let given = std::env::var(name).ok();
        given.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (runs, lines) = (number("RUNS", 5), number("LINES", 1_500_000));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let input = folder.path().join("lines.log");
    fs::write(&input, access_log(lines)).expect("the file can be written");
    let bytes = fs::metadata(&input).expect("the file is there").len();
    println!("{lines} lines, {} MiB; load {}", bytes >> 20, load());
    let mut done = Vec::new();
    for run in 1..=runs {
        let figures = once(&input, lines, bytes).await;
        println!("run {run}/{runs}: {}; load {}", figures.text(), load());
        done.push(figures);
    }
    report(&done, lines, bytes);
}

async fn once(input: &Path, lines: u64, bytes: u64) -> Run {
    let wc = shell("wc -l \"$1\"", input);
    let (structs, sink) = pair(input, "struct", lines, bytes).await;
    let (strings, _) = pair(input, "string", lines, 0).await;
    let cat = shell("cat \"$1\" > \"$1.copy\"", input);
    Run {
        wc,
        cat,
        structs,
        strings,
        sink,
    }
}

/// The source alone, and then, if `sunk` bytes are to arrive, a sink behind it.
async fn pair(input: &Path, format: &str, lines: u64, sunk: u64) -> (Cost, Cost) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let output = folder.path().join("out");
    let source = format!(
        "version: 1
name: lines
source: {{connector: file, file: {}, topic: lines, record.format: {format}}}
",
        input.display()
    );
    let binary = Path::new(env!("CARGO_BIN_EXE_tapline"));
    let began = Instant::now();
    let mut worker = Worker::new(binary, folder.path(), &source);
    worker.start();
    within("the log has every line", &worker, async || {
        let now = worker.metric(COMMITTED).await?;
        (now >= lines as f64).then_some(())
    })
    .await;
    let read = Cost {
        wall: began.elapsed().as_secs_f64(),
        cpu: cpu_seconds(worker.pid()),
    };
    worker.terminate();
    if sunk == 0 {
        return (read, Cost::default());
    }
    let both = format!(
        "{source}sink: {{connector: file, file: {}}}\n",
        output.display()
    );
    let began = Instant::now();
    let mut worker = Worker::new(binary, folder.path(), &both);
    worker.start();
    within("the file has every line", &worker, async || {
        let now = fs::metadata(&output).ok()?.len();
        (now >= sunk).then_some(())
    })
    .await;
    let written = Cost {
        wall: began.elapsed().as_secs_f64(),
        cpu: cpu_seconds(worker.pid()),
    };
    worker.terminate();
    (read, written)
}

async fn within(what: &str, worker: &Worker, condition: impl AsyncFnMut() -> Option<()>) {
    let found = wait::within(RUN_TIME_MAX, condition).await;
    found.unwrap_or_else(|| panic!("waited in vain: {what}\n{}", worker.log()));
}

/// Lines as a web server writes them, the same in every run.
fn access_log(lines: u64) -> String {
    let agents = [
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
        "curl/8.5.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X)",
    ];
    let paths = [
        "/api/v1/orders/",
        "/api/v1/customers/",
        "/static/product-",
        "/search?q=item+",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    let mut text = String::new();
    for line in 0..lines {
        let [a, b, c] = [(); 3].map(|()| random.u8(..));
        let path = paths[random.usize(..paths.len())];
        let (item, size) = (random.u32(..1_000_000), random.u32(..100_000));
        let status = [200, 200, 200, 304, 404, 500][random.usize(..6)];
        let agent = agents[random.usize(..agents.len())];
        writeln!(
            text,
            "10.{a}.{b}.{c} - - [21/Nov/2026:17:{:02}:{:02} +0000] \"GET {path}{item} HTTP/1.1\" {status} {size} \
             \"https://shop.example/\" \"{agent}\" {:.3}",
            line / 60 % 60,
            line % 60,
            random.f64()
        )
        .expect("a string takes everything");
    }
    text
}

/// Runs a line of shell. Bash counts its children's time in milliseconds; `wc` takes a few dozen.
fn shell(line: &str, file: &Path) -> Cost {
    let output = Command::new("bash")
        .env("TIMEFORMAT", "%R %U %S")
        .args(["-c", &format!("time {line}"), "bash"])
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .expect("bash starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{line}: {text}");
    let figures = text.split_whitespace().map(str::parse::<f64>);
    match figures.collect::<Result<Vec<_>, _>>().as_deref() {
        Ok([wall, user, system]) => Cost {
            wall: *wall,
            cpu: user + system,
        },
        _ => panic!("{line}: {text}"),
    }
}

/// User and system time of a process so far.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = after_name.split(' ').skip(11).take(2);
    let ticks: f64 = ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// Processes that wanted a core in the last minute.
fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

/// What is compared with what.
struct Pair {
    name: &'static str,
    peer: &'static str,
    /// Ours and the peer's.
    costs: fn(&Run) -> (Cost, Cost),
}

const PAIRS: [Pair; 3] = [
    Pair {
        name: "source, structs",
        peer: "wc -l",
        costs: |run| (run.structs, run.wc),
    },
    Pair {
        name: "source, strings",
        peer: "wc -l",
        costs: |run| (run.strings, run.wc),
    },
    Pair {
        name: "sink",
        peer: "cat",
        costs: |run| (run.sink, run.cat),
    },
];

impl Run {
    fn text(&self) -> String {
        let one = |Pair { name, peer, costs }: &Pair| {
            let (ours, theirs) = costs(self);
            format!(
                "{name} {:.2} s, {:.2} s CPU ({peer} {:.2}, {:.3})",
                ours.wall, ours.cpu, theirs.wall, theirs.cpu
            )
        };
        PAIRS.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

fn report(runs: &[Run], lines: u64, bytes: u64) {
    println!("\nmedians of {} runs", runs.len());
    for Pair { name, peer, costs } in PAIRS {
        let median = |figure: fn((Cost, Cost)) -> f64| {
            let mut figures: Vec<f64> = runs.iter().map(|run| figure(costs(run))).collect();
            figures.sort_by(f64::total_cmp);
            figures.get(figures.len() / 2).copied().unwrap_or_default()
        };
        let cpu = median(|(ours, _)| ours.cpu);
        println!(
            "{name:16} {:5.3} × {peer} by wall time, {:5.3} × by CPU time; {:.2} µs a line, {:.0} MB per second of CPU",
            median(|(ours, theirs)| theirs.wall / ours.wall),
            median(|(ours, theirs)| theirs.cpu / ours.cpu),
            cpu * 1e6 / lines as f64,
            bytes as f64 / cpu / 1e6,
        );
    }
    println!("budget of the source: 0.25 × wc -l");
}
