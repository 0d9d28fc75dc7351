# The commands of README.md. Every target installs what it needs through scripts/setup.
.PHONY: demo test prove bench record golden lint docs setup dist

# One Postgres into another under load, the worker killed three times, every row compared.
demo: setup
	cargo build --release --workspace --locked
	cargo run --release --locked --example demo -- target/release/tapline

# Every test, with real servers; the long proofs in their quick profile.
test: setup
	cargo test --workspace --locked

# The long proofs in full: 200 kills, 2,000 power cuts, 10,000 bad requests and files, Kafka's own tools over our
# segments. The names below are those of all tests that know TAPLINE_PROVE.
prove:
	TAPLINE_PROVE=1 scripts/setup
	cargo build --release --workspace --locked
	TAPLINE_PROVE=1 cargo test --release --workspace --locked -- --nocapture --test-threads=1 \
		prove broker::tests:: kafka:: compare:: restarts:: avro::tests:: large_batches

# Speed as ratios to peers in one run.
bench: setup
	cargo build --release --workspace --locked
	cargo bench --locked --bench throughput
	cargo bench --locked --bench file

# Asks the original Kafka Connect anew what it answers, into tests/compare/answers; read the diff before it is committed.
record: setup
	TAPLINE_RECORD=1 cargo test --locked --test tests compare::record -- --nocapture

# Asks Kafka's and Confluent's own converters anew, into tests/fixtures/converters; read the diff here, too.
golden:
	scripts/golden

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

dist:
	cargo build --profile dist --locked

setup:
	@scripts/setup
