FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --profile dist --locked

FROM debian:bookworm-slim
# The certificates are for webhooks.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/coupon coupon \
    && install --directory --owner coupon --group coupon --mode 700 /var/lib/coupon/data
COPY --from=build /src/target/dist/coupon /usr/local/bin/coupon
USER coupon
WORKDIR /var/lib/coupon
ENV COUPON_DATA_DIR=/var/lib/coupon/data
VOLUME /var/lib/coupon/data
HEALTHCHECK --interval=5s --timeout=4s --start-period=10s CMD ["coupon", "healthcheck"]
ENTRYPOINT ["coupon"]
