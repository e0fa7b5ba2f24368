//! The calls of UserService.

use coupon_domain::campaign::Violation;
use coupon_domain::checkout::Operator;
use coupon_domain::ids::UserId;
use coupon_domain::ports::NewUser;
use coupon_proto::v1 as pb;
use coupon_usecases::error::Fault;
use prost::Message as _;
use tonic::metadata::MetadataMap;

use super::Fields;
use crate::server::MAX_STREAM_MESSAGE;

const MAX_NAME: usize = 250;
const MAX_LABELS: usize = 32;
const MAX_LABEL_KEY: usize = 64;
const MAX_LABEL: usize = 512;

pub(crate) fn create_user(caller: &MetadataMap, request: pb::CreateUserRequest) -> Result<(NewUser, Operator), Fault> {
    let mut fields = Fields::default();
    let user = user(request.user, &mut fields);
    let by = fields.operator(caller, "");
    fields.done(user.zip(by))
}

/// Whose call it is that carries no request id.
pub(crate) fn operator(caller: &MetadataMap) -> Result<Operator, Fault> {
    let mut fields = Fields::default();
    let by = fields.operator(caller, "");
    fields.done(by)
}

/// One line of CreateUsers: its user, or what is wrong with it.
pub(crate) fn line(request: pb::CreateUsersRequest) -> Result<NewUser, Vec<Violation>> {
    let mut fields = Fields::default();
    // The transport refuses only what no request may have; the others of the stream need not suffer for this one.
    if request.encoded_len() > MAX_STREAM_MESSAGE {
        fields.wrong("user", format!("must have at most {MAX_STREAM_MESSAGE} bytes"));
    }
    match user(request.user, &mut fields) {
        Some(user) if fields.wrong.is_empty() => Ok(user),
        _ => Err(fields.wrong),
    }
}

fn user(raw: Option<pb::User>, fields: &mut Fields) -> Option<NewUser> {
    let Some(pb::User { id, name, metadata, created_at: _ }) = raw else {
        return fields.keep("user", Err("is required"));
    };
    let id = fields.somebody("user.id", &id);
    if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        fields.wrong("user.name", "must have at most 250 characters, none of them a control character");
    }
    if metadata.len() > MAX_LABELS || !metadata.iter().all(label_fits) {
        fields.wrong(
            "user.metadata",
            "must have at most 32 entries, keys of 1 to 64 bytes, values of at most 512 bytes, without control characters",
        );
    }
    id.map(|id| NewUser { id, name, metadata: metadata.into_iter().collect() })
}

/// The limits of a campaign's metadata.
fn label_fits((key, value): (&String, &String)) -> bool {
    let plain = |text: &str| !text.chars().any(char::is_control);
    (1..=MAX_LABEL_KEY).contains(&key.len()) && plain(key) && value.len() <= MAX_LABEL && plain(value)
}

pub(crate) fn delete_user(caller: &MetadataMap, request: &pb::DeleteUserRequest) -> Result<(UserId, Operator), Fault> {
    let mut fields = Fields::default();
    let (user, by) = (fields.user_id(&request.user_id), fields.operator(caller, ""));
    fields.done(user.zip(by))
}

/// GetUser.
pub(crate) fn user_id(raw: &str) -> Result<UserId, Fault> {
    let mut fields = Fields::default();
    let user = fields.user_id(raw);
    fields.done(user)
}

pub(crate) fn list_users(request: &pb::ListUsersRequest) -> Result<(Option<UserId>, u32), Fault> {
    let mut fields = Fields::default();
    let after = fields.page_token(&request.page_token, UserId::parse);
    let limit = fields.page_size(request.page_size);
    fields.done(Some((after, limit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> pb::User {
        pb::User { id: "ada".to_owned(), name: "Ada".to_owned(), ..Default::default() }
    }

    fn labelled(labels: impl IntoIterator<Item = (String, String)>) -> pb::User {
        pb::User { metadata: labels.into_iter().collect(), ..ada() }
    }

    fn wrong(user: pb::User) -> Vec<&'static str> {
        let parsed = line(pb::CreateUsersRequest { user: Some(user) });
        parsed.map_or_else(|wrong| wrong.into_iter().map(|violation| violation.field).collect(), |_user| Vec::new())
    }

    #[test]
    fn a_user_needs_nothing_but_an_id() {
        let user = pb::User { id: "ada".to_owned(), ..Default::default() };
        let request = pb::CreateUserRequest { user: Some(user) };
        let (user, _) = create_user(&MetadataMap::new(), request).expect("a sound user");
        assert_eq!((user.id.as_str(), user.name.as_str(), user.metadata.len()), ("ada", "", 0));
    }

    #[test]
    fn names_and_labels_have_the_limits_of_the_contract() {
        assert_eq!(wrong(pb::User { name: "ß".repeat(250), ..ada() }), [""; 0]);
        for name in ["x".repeat(251), "a\0b".to_owned(), "a\r\nb".to_owned()] {
            assert_eq!(wrong(pb::User { name: name.clone(), ..ada() }), ["user.name"], "{name:?}");
        }
        let label = |key: usize, value: usize| [("k".repeat(key), "v".repeat(value))];
        assert_eq!(wrong(labelled(label(64, 512))), [""; 0]);
        for bad in [label(0, 1), label(65, 1), label(1, 513), [("k".to_owned(), "\n".to_owned())]] {
            assert_eq!(wrong(labelled(bad.clone())), ["user.metadata"], "{bad:?}");
        }
        let many = |count: usize| (0..count).map(|n| (n.to_string(), String::new()));
        assert_eq!(wrong(labelled(many(32))), [""; 0]);
        assert_eq!(wrong(labelled(many(33))), ["user.metadata"]);
    }

    #[test]
    fn every_wrong_field_of_a_user_is_named_at_once() {
        let user =
            pb::User { id: "lost:7".to_owned(), name: "\0".to_owned(), ..labelled([(String::new(), String::new())]) };
        assert_eq!(wrong(user.clone()), ["user.id", "user.name", "user.metadata"]);
        let refused = create_user(&MetadataMap::new(), pb::CreateUserRequest { user: Some(user) });
        assert!(matches!(refused, Err(Fault::Invalid(violations)) if violations.len() == 3));
        assert_eq!(wrong(pb::User::default()), ["user.id"]);
        assert!(line(pb::CreateUsersRequest::default()).is_err_and(|wrong| wrong[0].field == "user"));
    }

    #[test]
    fn a_line_has_at_most_4096_bytes_and_a_call_of_its_own_may_have_more() {
        let of_size = |bytes: usize| {
            let labels = (0..8).map(|n| (n.to_string(), "v".repeat(if n == 0 { bytes } else { 512 })));
            pb::CreateUsersRequest { user: Some(labelled(labels)) }
        };
        let least = of_size(128).encoded_len();
        let largest = of_size(128 + MAX_STREAM_MESSAGE - least);
        assert_eq!(largest.encoded_len(), MAX_STREAM_MESSAGE);
        line(largest).expect("a sound line");
        let larger = of_size(129 + MAX_STREAM_MESSAGE - least);
        let request = pb::CreateUserRequest { user: larger.user.clone() };
        create_user(&MetadataMap::new(), request).expect("a sound user");
        let wrong = line(larger).expect_err("too large");
        assert_eq!(wrong, [Violation::new("user", "must have at most 4096 bytes")]);
    }

    #[test]
    fn users_are_paged_by_their_ids() {
        let request =
            |page_size, page_token: &str| pb::ListUsersRequest { page_size, page_token: page_token.to_owned() };
        let (after, limit) = list_users(&request(0, "ada")).expect("a sound call");
        assert_eq!((after.as_ref().map(UserId::as_str), limit), (Some("ada"), 50));
        let Err(Fault::Invalid(wrong)) = list_users(&request(-1, "no id")) else { panic!("refused with its fields") };
        assert_eq!(wrong.iter().map(|violation| violation.field).collect::<Vec<_>>(), ["page_token", "page_size"]);
    }
}
