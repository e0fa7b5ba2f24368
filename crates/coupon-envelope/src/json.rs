//! The canonical proto3 JSON of `coupon.v1.Event`, made from the contract's own descriptors.

use std::sync::LazyLock;

use coupon_domain::ports::Event;
use coupon_proto::FILE_DESCRIPTOR_SET;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::Value;

use crate::message;

pub(crate) static EVENT: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the contract's descriptors are whole");
    pool.get_message_by_name("coupon.v1.Event").expect("the contract has events")
});

/// The event in JSON: names in lowerCamelCase, enums by name, instants in RFC 3339, what is empty left out.
#[must_use]
pub fn json(event: &Event) -> Value {
    let mut dynamic = DynamicMessage::new(EVENT.clone());
    dynamic.transcode_from(&message(event)).expect("the message is of this very descriptor");
    serde_json::to_value(&dynamic).expect("its times are within protobuf's range")
}
