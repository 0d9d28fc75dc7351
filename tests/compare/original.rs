//! The original: a Kafka broker and a distributed Kafka Connect worker, private, on free ports, gone with their test.

use crate::support::{
    process::{Process, free_port},
    wait,
};
use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// A broker and a worker on a loaded machine; measured 10 to 70 s.
const START_MAX: Duration = Duration::from_secs(240);

/// A running original.
pub struct Original {
    // Ended in this order: the worker would wait for a broker that is gone.
    _worker: Process,
    _broker: Process,
    _folder: TempDir,
    address: SocketAddr,
}

impl Original {
    /// Fetches it, unless it is there, and starts it.
    pub async fn start() -> Self {
        let fetched = fetch();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let java = Java {
            fetched,
            folder: folder.path().to_owned(),
        };
        let broker_port = free_port();
        let broker = java.broker(broker_port);
        until_logged(&folder.path().join("broker.log"), "Kafka Server started").await;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let worker = java.worker(broker_port, address);
        let healthy = wait::within(START_MAX, async || {
            let answer = reqwest::get(format!("http://{address}/health"))
                .await
                .ok()?;
            answer.status().is_success().then_some(())
        });
        assert!(
            healthy.await.is_some(),
            "the original did not start: {}",
            java.log("worker")
        );
        Self {
            _worker: worker,
            _broker: broker,
            _folder: folder,
            address,
        }
    }

    /// Where its REST API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

struct Java {
    fetched: PathBuf,
    folder: PathBuf,
}

impl Java {
    fn broker(&self, port: u16) -> Process {
        let controller = free_port();
        let config = self.write(
            "broker.properties",
            &format!(
                "process.roles=broker,controller\nnode.id=1\n\
                 controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
                 listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
                 advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
                 controller.listener.names=CONTROLLER\nlog.dirs={}\n\
                 offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
                 transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
                 share.coordinator.state.topic.replication.factor=1\n\
                 group.initial.rebalance.delay.ms=0\n",
                self.folder.join("data").display()
            ),
        );
        let mut format = self.command("format");
        format.args(["kafka.tools.StorageTool", "format", "--standalone"]);
        format
            .args(["--cluster-id", "Y29tcGFyaXNvbi1vbmx5LQ", "--config"])
            .arg(&config);
        let formatted = format.status().is_ok_and(|status| status.success());
        assert!(
            formatted,
            "the broker's storage was not formatted: {}",
            self.log("format")
        );
        let mut command = self.command("broker");
        Process::spawn(command.arg("kafka.Kafka").arg(config))
    }

    fn worker(&self, broker: u16, address: SocketAddr) -> Process {
        let config = self.write(
            "worker.properties",
            &format!(
                "bootstrap.servers=127.0.0.1:{broker}\ngroup.id=original\n\
                 listeners=http://{address}\nrest.advertised.host.name=127.0.0.1\n\
                 plugin.path={}\nplugin.discovery=service_load\n\
                 key.converter=org.apache.kafka.connect.json.JsonConverter\n\
                 value.converter=org.apache.kafka.connect.json.JsonConverter\n\
                 config.storage.topic=connect-configs\nconfig.storage.replication.factor=1\n\
                 offset.storage.topic=connect-offsets\noffset.storage.replication.factor=1\n\
                 offset.storage.partitions=1\nstatus.storage.topic=connect-status\n\
                 status.storage.replication.factor=1\nstatus.storage.partitions=1\n\
                 scheduled.rebalance.max.delay.ms=0\noffset.flush.interval.ms=500\n",
                self.fetched.join("plugins").display()
            ),
        );
        let mut command = self.command("worker");
        command.arg("org.apache.kafka.connect.cli.ConnectDistributed");
        Process::spawn(command.arg(config))
    }

    /// A Java command whose output goes to a log of this name.
    fn command(&self, log: &str) -> Command {
        let log = File::create(self.folder.join(format!("{log}.log"))).expect("a log opens");
        let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compare/log4j2.xml");
        let mut command = Command::new("java");
        command
            .args(["-Xmx256m", "-XX:+UseSerialGC", "-cp"])
            .arg(format!("{}/libs/*", self.fetched.display()))
            .arg(format!("-Dlog4j2.configurationFile={}", settings.display()))
            .stdout(log.try_clone().expect("a log clones"))
            .stderr(log);
        command
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.join(name);
        fs::write(&file, text).expect("a file of settings is written");
        file
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default()
    }
}

fn fetch() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/original");
    let output = Command::new(script)
        .stderr(Stdio::inherit())
        .output()
        .expect("the script that fetches the original runs");
    assert!(
        output.status.success(),
        "the original was not fetched: {}",
        output.status
    );
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

async fn until_logged(log: &Path, line: &str) {
    let found = wait::within(START_MAX, async || {
        let text = fs::read_to_string(log).ok()?;
        text.contains(line).then_some(())
    });
    let text = || fs::read_to_string(log).unwrap_or_default();
    assert!(
        found.await.is_some(),
        "waited in vain for «{line}»: {}",
        text()
    );
}
