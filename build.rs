//! Compiles `proto/` for the crate `coupon-proto`, whose manifest says `build = "../../build.rs"`. Needs no protoc.

use std::error::Error;
use std::path::{Path, PathBuf};

use prost::Message as _;

const FILES: [&str; 4] = [
    "coupon/v1/coupon_service.proto",
    "coupon/v1/campaign_service.proto",
    "coupon/v1/user_service.proto",
    "coupon/v1/event_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let proto = root.join("proto");
    // protox says nothing to cargo about what it read.
    println!("cargo::rerun-if-changed={}", root.join("build.rs").display());
    println!("cargo::rerun-if-changed={}", proto.display());

    let mut compiler = protox::Compiler::new([&proto, &proto.join("third_party")])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;
    let mut descriptors = compiler.file_descriptor_set();
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);

    let configuration = tonic_prost_build::configure().bytes(".").extern_path(".google.rpc", "::tonic_types::pb");
    configuration.compile_fds(descriptors.clone())?;

    // For reflection: the same without comments, a third of the size.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    std::fs::write(out.join("coupon.v1.bin"), descriptors.encode_to_vec())?;
    Ok(())
}
