# Lists the recipes.
default:
    @just --list --unsorted

# Serves with the embedded stores and sample data.
run *args:
    cargo run --release -- {{ args }}

# Installs what is missing and runs every test.
test *args:
    ./scripts/test.sh {{ args }}

# Measures the hot functions by themselves: the domain's rules, and those of Redis (needs redis-server).
bench-micro *args:
    cargo bench --locked -p coupon-domain --bench domain -- {{ args }}
    cargo bench --locked -p coupon-redis --bench functions -- {{ args }}

# Counts the instructions of one claim and compares them with the number that is kept; `--renew` keeps a new one.
instructions *args:
    ./scripts/instructions.sh {{ args }}

# Runs what has to hold before a change lands.
ci:
    ./.ci/run

# Formats all code.
fmt:
    cargo fmt --all

# Says whether all code is formatted.
fmt-check:
    cargo fmt --all --check

# Lints all code.
lint:
    cargo clippy --workspace --all-targets --locked -- --deny warnings

# Builds the documentation of the crates; warnings are errors.
doc:
    RUSTDOCFLAGS='--deny warnings' cargo doc --workspace --no-deps --locked

# Lints the proto files (needs buf, `npm install --global @bufbuild/buf`).
proto-lint:
    buf lint proto

# Starts Postgres, Redis and the service in containers.
up:
    docker compose up --build --wait

# Stops them; their data stays.
down:
    docker compose down
