//! The direction of dependencies, from cargo's own metadata.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each crate may use of ours. The test kit knows ports, never adapters.
const ALLOWED: [(&str, &[&str]); 14] = [
    ("coupon-domain", &[]),
    ("coupon-usecases", &["coupon-domain"]),
    ("coupon-proto", &[]),
    ("coupon-grpc", &["coupon-domain", "coupon-envelope", "coupon-proto", "coupon-usecases"]),
    ("coupon-redis", &["coupon-domain"]),
    ("coupon-postgres", &["coupon-domain"]),
    ("coupon-embedded", &["coupon-domain"]),
    ("coupon-envelope", &["coupon-domain", "coupon-proto"]),
    ("coupon-webhook", &["coupon-domain", "coupon-envelope"]),
    ("coupon-nats", &["coupon-domain", "coupon-envelope"]),
    ("coupon-local", &[]),
    ("coupon-testkit", &["coupon-domain", "coupon-local"]),
    ("coupon-bench", &["coupon-local", "coupon-proto"]),
    (
        "coupon-server",
        &[
            "coupon-bench",
            "coupon-domain",
            "coupon-embedded",
            "coupon-envelope",
            "coupon-grpc",
            "coupon-nats",
            "coupon-postgres",
            "coupon-proto",
            "coupon-redis",
            "coupon-usecases",
            "coupon-webhook",
        ],
    ),
];

/// Drivers, and who may know them.
const DRIVERS: [(&str, &[&str]); 5] = [
    ("async-nats", &["coupon-nats"]),
    ("fred", &["coupon-redis"]),
    ("reqwest", &["coupon-webhook"]),
    ("diesel", &["coupon-postgres", "coupon-embedded"]),
    ("tonic", &["coupon-bench", "coupon-grpc", "coupon-proto", "coupon-server"]),
];

fn used() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo describes the workspace");
    let uses = |package: cargo_metadata::Package| {
        let normal = package.dependencies.into_iter().filter(|d| d.kind == DependencyKind::Normal);
        (package.name.to_string(), normal.map(|d| d.name).collect())
    };
    metadata.packages.into_iter().map(uses).collect()
}

#[test]
fn crates_depend_on_each_other_only_as_the_architecture_says() {
    let used = used();
    assert_eq!(
        used.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        ALLOWED.iter().map(|(name, _)| *name).collect()
    );
    for (name, allowed) in ALLOWED {
        let ours: BTreeSet<_> = used[name].iter().map(String::as_str).filter(|d| d.starts_with("coupon-")).collect();
        let allowed: BTreeSet<_> = allowed.iter().copied().collect();
        assert!(ours.is_subset(&allowed), "{name} uses {:?}", ours.difference(&allowed));
    }
}

#[test]
fn drivers_are_known_only_to_their_adapters() {
    for (name, uses) in used() {
        for (driver, owners) in DRIVERS {
            let known = uses
                .iter()
                .find(|d| *d == driver || d.starts_with(&format!("{driver}-")) || d.starts_with(&format!("{driver}_")));
            assert!(known.is_none() || owners.contains(&name.as_str()), "{name} uses {known:?}");
        }
    }
}
