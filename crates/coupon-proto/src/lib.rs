#![doc = include_str!("../README.md")]
#![allow(clippy::all, unreachable_pub, reason = "generated")]

/// `google.*` messages that the contract uses.
pub mod google {
    /// Package `google.type`.
    pub mod r#type {
        tonic::include_proto!("google.r#type");
    }
}

/// Package `coupon.v1`.
pub mod coupon {
    /// Version 1 of the contract.
    pub mod v1 {
        tonic::include_proto!("coupon.v1");
    }
}

pub use coupon::v1;

/// The encoded `FileDescriptorSet` of the contract and all it imports, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("coupon.v1");
