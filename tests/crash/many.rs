//! What many connectors cost in memory: at rest, while little changes, and while each has much to do.

use crate::support::{
    postgres::Postgres,
    process,
    service::Service,
    wait::{Look, until, while_moving},
};
use serde_json::json;
use std::{fmt, fs, fs::File, io::Write, path::Path, path::PathBuf};

/// Sinks that read one source.
const SINKS_OF_A_SOURCE: usize = 19;

/// What a connector may cost that has had something to do and now rests: three times what it does. A buffer for each
/// would be above.
const KIB_PER_CONNECTOR_MAX: u64 = 384;

/// Threads of a worker with 60 connectors, which has some 40: one for each would be above.
const THREADS_MAX: usize = 64;

/// Of the whole process, while all of its connectors have as much to do as they can: above what was seen (312 MiB), far
/// below what three chunks of full size for each would be (1.5 to 2.4 GiB).
const PEAK_RSS_KIB_MAX: u64 = 512 << 10;

/// Lines of a burst for each source: above what all of its sinks could hold decoded.
const LINES: usize = 200_000;

/// A worker with file sources and, for each, many sinks.
struct Crowd {
    service: Service,
    sources: usize,
    sinks: usize,
    target: Option<Postgres>,
}

/// Resident sizes in KiB, each with the highest so far.
struct Sizes {
    connectors: usize,
    rests: (u64, u64),
    trickled: (u64, u64),
    worked: Option<(u64, u64)>,
    threads: usize,
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rests, trickled) = (self.rests.0 >> 10, self.trickled.0 >> 10);
        let (connectors, threads) = (self.connectors, self.threads);
        write!(
            f,
            "{connectors} connectors: {rests} MiB at rest, {trickled} MiB after a little, {threads} threads"
        )?;
        self.worked.map_or(Ok(()), |(now, peak)| {
            write!(
                f,
                ", at most {} MiB and then {} MiB with much",
                peak >> 10,
                now >> 10
            )
        })
    }
}

impl Crowd {
    /// Every second sink writes to the target, if there is one.
    async fn start(connectors: usize, target: Option<Postgres>) -> Self {
        let sources = connectors.div_ceil(SINKS_OF_A_SOURCE + 1);
        let mut service = Service::new(Path::new(env!("CARGO_BIN_EXE_tapline")));
        service.start().await;
        let crowd = Self {
            service,
            sources,
            sinks: connectors - sources,
            target,
        };
        for source in 0..sources {
            crowd.append(source, 1);
            let config = json!({
                "connector.class": "io.tapline.file.FileSource", "file": crowd.lines_of(source),
                "topic": format!("t{source}"),
            });
            crowd
                .service
                .create(&format!("source{source}"), config)
                .await;
        }
        for sink in 0..crowd.sinks {
            let topic = format!("t{}", sink % sources);
            let config = match crowd.url(sink) {
                Some(url) => json!({
                    "connector.class": "sql", "connection.url": url, "topics": topic,
                    "collection.name.format": format!("copy{sink}"), "insert.mode": "insert",
                }),
                None => json!({
                    "connector.class": "io.tapline.file.FileSink", "topics": topic,
                    "file": crowd.copy_of(sink),
                }),
            };
            crowd.service.create(&format!("sink{sink}"), config).await;
        }
        for sink in 0..crowd.sinks {
            crowd
                .service
                .reaches(&format!("sink{sink}"), &["RUNNING", "RUNNING"])
                .await;
        }
        crowd
    }

    fn url(&self, sink: usize) -> Option<String> {
        let target = self.target.as_ref().filter(|_| sink % 2 == 1)?;
        Some(target.url("postgres"))
    }

    fn lines_of(&self, source: usize) -> PathBuf {
        self.service.folder().join(format!("lines-{source}.txt"))
    }

    fn copy_of(&self, sink: usize) -> PathBuf {
        self.service.folder().join(format!("copy-{sink}.txt"))
    }

    fn append(&self, source: usize, lines: usize) {
        let mut text = String::new();
        for number in 0..lines {
            text.push_str(&format!(
                "{number} a line as they stand in logs, {:016x}\n",
                fastrand::u64(..)
            ));
        }
        let file = File::options()
            .create(true)
            .append(true)
            .open(self.lines_of(source));
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("a file can be written");
    }

    /// Appends to every source so often, and waits until all of it is in every file that a sink writes.
    async fn passes(&self, times: usize, lines: usize) {
        for _ in 0..times {
            for source in 0..self.sources {
                self.append(source, lines);
            }
            let size = |path: PathBuf| fs::metadata(path).map_or(0, |file| file.len());
            let arrived = while_moving(async || {
                let mut files = (0..self.sinks).filter(|sink| self.url(*sink).is_none());
                let there: u64 = files.clone().map(|sink| size(self.copy_of(sink))).sum();
                let all = files.all(|sink| {
                    size(self.copy_of(sink)) == size(self.lines_of(sink % self.sources))
                });
                if all {
                    Look::Found(())
                } else {
                    Look::At(there)
                }
            })
            .await;
            assert!(arrived.is_some(), "{}", self.service.log());
        }
        self.rests().await;
    }

    /// Waits until every sink's stored offset is its topic's end.
    async fn rests(&self) {
        until("every sink has everything", async || {
            let path = "/tapline/v1/topics";
            let (_, topics) = self.service.ask(reqwest::Method::GET, path, None).await?;
            let ends = super::fleet::offsets::ends(&topics);
            for sink in 0..self.sinks {
                let path = format!("/connectors/sink{sink}/offsets");
                let (_, found) = self.service.ask(reqwest::Method::GET, &path, None).await?;
                let next = found["offsets"][0]["offset"]["kafka_offset"].as_u64()?;
                if ends.get(&format!("t{}", sink % self.sources)) != Some(&next) {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// Checks that every target holds every line once, and the files in their order.
    async fn is_equal(&self) {
        for sink in 0..self.sinks {
            let source = self.lines_of(sink % self.sources);
            let lines = fs::read(source).expect("a source's file");
            match &self.target {
                Some(target) if self.url(sink).is_some() => {
                    let count = format!("SELECT count(*)::text FROM copy{sink}");
                    let expected = lines.iter().filter(|byte| **byte == b'\n').count();
                    let found = target.rows(&count).await;
                    assert_eq!(found, [expected.to_string()], "sink{sink}");
                }
                _ => {
                    let copy = fs::read(self.copy_of(sink)).expect("a copy");
                    assert!(
                        copy == lines,
                        "sink{sink} holds other lines than its source"
                    );
                }
            }
        }
    }

    fn sizes(&self) -> (u64, u64) {
        self.service
            .rss_kib()
            .expect("a running process has a size")
    }
}

/// Measures a worker with so many connectors, under a burst of so many lines at the end.
async fn measure(connectors: usize, target: Option<Postgres>, burst: usize) -> Sizes {
    let mut crowd = Crowd::start(connectors, target).await;
    let rests = crowd.sizes();
    crowd.passes(20, 10).await;
    let trickled = crowd.sizes();
    let mut worked = None;
    if burst > 0 {
        crowd.passes(1, burst).await;
        worked = Some(crowd.sizes());
    }
    crowd.is_equal().await;
    let threads = crowd.service.threads();
    assert_eq!(
        crowd.service.terminate(),
        Some(0),
        "{}",
        crowd.service.log()
    );
    let sizes = Sizes {
        connectors,
        rests,
        trickled,
        worked,
        threads,
    };
    eprintln!("{sizes}");
    sizes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_at_rest_costs_next_to_nothing() {
    let few = measure(10, None, 0).await;
    let many = measure(60, None, 0).await;
    let each = many.trickled.0.saturating_sub(few.trickled.0) / 50;
    eprintln!("{each} KiB for each further connector");
    assert!(each <= KIB_PER_CONNECTOR_MAX, "{few}; {many}");
    assert!(many.threads <= THREADS_MAX, "{many}");
}

/// More than all chunks of a worker may hold together: they end within batches, and the rest is fetched again.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_with_much_to_do_gets_every_line_once() {
    let target = Postgres::start_with(&["max_connections=200"]).await;
    measure(40, Some(target), 20_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prove_a_hundred_connectors_work_in_bounded_memory() {
    if !process::proving() {
        return;
    }
    for connectors in [2, 25, 50, 100] {
        let target = Postgres::start_with(&["max_connections=200"]).await;
        let sizes = measure(connectors, Some(target), LINES).await;
        let peak = sizes.worked.map_or(0, |(_, peak)| peak);
        assert!(peak <= PEAK_RSS_KIB_MAX, "{sizes}");
    }
}
